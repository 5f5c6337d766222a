"""Volumes."""

from container import IMAGE


def names(volumes):
    """The names of volumes, in order."""
    return sorted(volume.name for volume in volumes)


def tour(client, transcript):
    """The topic's steps."""
    step = transcript.step
    kept = step("volume.create", lambda: client.volumes.create("kept", labels={"tour": "volume"}), lambda it: it.attrs)
    step("volume.create.again", lambda: client.volumes.create("kept"), lambda it: it.attrs)
    step("volume.create.anonymous", client.volumes.create, lambda it: [len(it.name), it.attrs["Labels"]])
    step("volume.create.tmpfs", lambda: client.volumes.create("memory", driver="local", driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}), lambda it: it.attrs)
    step("volume.create.wrong", lambda: client.volumes.create("wrong name"))
    step("volume.get", lambda: client.volumes.get("kept"), lambda it: it.attrs)
    step("volume.get.absent", lambda: client.volumes.get("absent"))
    step("volume.write", lambda: client.containers.run(IMAGE, ["sh", "-c", "echo kept > /v/file"], volumes={"kept": {"bind": "/v", "mode": "rw"}}, remove=True))
    step("volume.read", lambda: client.containers.run(IMAGE, ["cat", "/v/file"], volumes={"kept": {"bind": "/v", "mode": "ro"}}, remove=True))
    step("volume.read-only", lambda: client.containers.run(IMAGE, ["touch", "/v/other"], volumes=["kept:/v:ro"], remove=True))
    step("volume.memory", lambda: client.containers.run(IMAGE, ["sh", "-c", "grep ' /v ' /proc/mounts | cut -d' ' -f3"], volumes=["memory:/v"], remove=True))
    user = client.containers.create(IMAGE, ["true"], volumes=["kept:/v"], name="user")
    step("volume.remove.used", lambda: kept and kept.remove())
    for key, value in (("name", "kept"), ("label", "tour=volume"), ("dangling", "true"), ("dangling", "false"), ("driver", "local"), ("nonsense", "1")):
        step(f"volume.list.{key}={value}", lambda: client.volumes.list(filters={key: value}), lambda it: names(volume for volume in it if len(volume.name) < 64))
    step("volume.list.raw", lambda: client.api.volumes(filters={"name": "kept"}))
    user.remove()
    step("volume.prune", client.volumes.prune, lambda it: {"count": len(it["VolumesDeleted"] or []), "space": type(it["SpaceReclaimed"]).__name__})
    step("volume.prune.all", lambda: client.volumes.prune({"all": "true"}), lambda it: len(it["VolumesDeleted"] or []))
    step("volume.remove", lambda: client.volumes.get("kept").remove())
