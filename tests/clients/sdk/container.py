"""Containers: created with many options, run, listed, looked at, changed, ended, removed."""

import time

from docker.types import LogConfig, Mount, Ulimit

IMAGE = "busybox:test"
# Ends with 3 when it is asked to end, and says when it listens.
RUNS = ["sh", "-c", "trap 'exit 3' TERM; echo ready; tail -f /dev/null & wait"]
SECOND = 1_000_000_000


def ready(container):
    """Waits until its command listens to signals."""
    for piece in container.logs(stream=True, follow=True):
        if b"ready" in piece:
            return container
    return container


def options(version):
    """Nearly every option of a container, as far as this version has them."""
    known = {
        "hostname": "host", "domainname": "example.test", "user": "app", "environment": {"A": "1", "B": "two words"},
        "labels": {"tour": "full", "empty": ""}, "working_dir": "/tmp", "cap_add": ["NET_ADMIN"], "cap_drop": ["MKNOD"],
        "cpu_shares": 512, "cpu_period": 100000, "cpu_quota": 50000, "cpuset_cpus": "0", "devices": ["/dev/null:/dev/nothing:rw"],
        "dns": ["192.0.2.1"], "dns_opt": ["ndots:2"], "dns_search": ["example.test"], "extra_hosts": {"other": "192.0.2.7"},
        "group_add": ["extra"], "log_config": LogConfig(type=LogConfig.types.JSON, config={"max-size": "1m", "max-file": "2"}),
        "mem_limit": "64m", "mem_reservation": "32m", "oom_score_adj": 100, "pids_limit": 50,
        "ports": {"80/tcp": ("127.0.0.1", 8181), "53/udp": None}, "read_only": True,
        "restart_policy": {"Name": "on-failure", "MaximumRetryCount": 3}, "security_opt": ["no-new-privileges"], "shm_size": "32m",
        "stop_signal": "SIGINT", "sysctls": {"net.ipv4.ip_unprivileged_port_start": "80"}, "tmpfs": {"/scratch": "size=1m"},
        "ulimits": [Ulimit(name="nofile", soft=100, hard=200)], "volumes": {"tour-full": {"bind": "/data", "mode": "rw"}},
        "healthcheck": {"test": ["CMD", "true"], "interval": 30 * SECOND, "timeout": 5 * SECOND, "retries": 2}, "ipc_mode": "private",
    }
    if version >= (1, 25):
        known |= {"init": True, "stop_signal": "SIGTERM"}
    if version >= (1, 30):
        known["mounts"] = [Mount("/mounted", "tour-mounted", type="volume", labels={"tour": "mount"}), Mount("/more", None, type="tmpfs", tmpfs_size=4096)]
    return known


def shown(attributes):
    """What inspect says, in an order that does not change."""
    attributes = dict(attributes)
    attributes["Mounts"] = sorted(attributes["Mounts"], key=lambda it: it["Destination"])
    attributes["HostConfig"] = dict(attributes["HostConfig"])
    return attributes


def names(containers):
    """The names of containers, in order."""
    return sorted(container.name for container in containers)


def tour(client, transcript):
    """The topic's steps."""
    step = transcript.step
    version = tuple(int(piece) for piece in client.api._version.split("."))
    full = step("container.create", lambda: client.containers.create(IMAGE, RUNS, name="full", **options(version)), lambda it: shown(it.attrs))
    step("container.create.again", lambda: client.containers.create(IMAGE, RUNS, name="full"))
    step("container.create.absent", lambda: client.containers.create("absent:1"))
    step("container.create.wrong", lambda: client.containers.create(IMAGE, RUNS, name="/wrong name"))
    step("container.create.memory", lambda: client.containers.create(IMAGE, RUNS, mem_limit="1k"))
    step("container.create.network", lambda: client.containers.create(IMAGE, RUNS, name="lost", network="absent").start())
    step("container.lost", lambda: client.containers.get("lost").remove())
    if full:
        step("container.start", full.start)
        ready(full)
        step("container.started", full.reload, lambda _: shown(full.attrs))
        step("container.start.again", full.start)
        step("container.inside", lambda: full.exec_run(["sh", "-c", "id; hostname; pwd; cat /proc/self/oom_score_adj; echo $A $B"]))
        step("container.inside.mounts", lambda: full.exec_run(["sh", "-c", "exec 2>&1; touch /no; grep ' /scratch ' /proc/mounts | cut -d' ' -f2-"]))
        step("container.top", full.top, lambda it: it["Titles"])
        # An init has a name of its own, and a probe comes when it comes.
        step("container.top.arguments", lambda: full.top(ps_args="-o pid,comm"),
             lambda it: [it["Titles"], sorted(row[1] for row in it["Processes"] if row[1] in ("sh", "tail"))])
        step("container.port", lambda: client.api.port("full", 80))
        step("container.rename", lambda: full.rename("renamed"))
        step("container.renamed", lambda: client.containers.get("renamed"), lambda it: [it.name, it.status])
        step("container.remove.running", full.remove)
        step("container.stop", lambda: full.stop(timeout=5))
        step("container.stopped", full.reload, lambda _: full.attrs["State"])
        step("container.stop.again", lambda: full.stop(timeout=5))
        step("container.remove", lambda: full.remove(v=True))
        step("container.removed", full.reload)
    step("container.run", lambda: client.containers.run(IMAGE, ["echo", "said"], remove=True))
    step("container.run.errors", lambda: client.containers.run(IMAGE, ["sh", "-c", "echo out; echo err >&2"], stderr=True, remove=True), lambda it: sorted(it.split(b"\n")))
    step("container.run.exit", lambda: client.containers.run(IMAGE, ["sh", "-c", "echo bad >&2; exit 4"], remove=True))
    step("container.run.absent", lambda: client.containers.run(IMAGE, ["/no/such/program"], name="failed"))
    step("container.run.failed", lambda: client.containers.get("failed"), lambda it: it.attrs["State"])
    step("container.run.remove", lambda: client.containers.get("failed").remove())
    health(client, step)
    life(client, step)
    changes(client, step)
    lists(client, step)
    step("container.prune", client.containers.prune, lambda it: {"count": len(it["ContainersDeleted"] or []), "space": type(it["SpaceReclaimed"]).__name__})


def health(client, step):
    """What a check finds out."""
    begun = int(time.time())
    check = {"test": ["CMD-SHELL", "echo looked; exit 1"], "interval": SECOND // 2, "retries": 1}
    it = step("health.run", lambda: client.containers.run(IMAGE, RUNS, name="checked", healthcheck=check, detach=True), lambda it: it.name)
    events = client.events(since=begun, filters={"container": "checked"}, decode=True)
    step("health.event", lambda: next(event["Action"] for event in events if event["Action"].startswith("health_status")))
    events.close()
    step("health.state", it.reload, lambda _: {"Status": it.attrs["State"]["Health"]["Status"], "Last": it.attrs["State"]["Health"]["Log"][-1]})
    it.remove(force=True)


def life(client, step):
    """Running, stopped, killed, paused."""
    it = step("life.run", lambda: client.containers.run(IMAGE, RUNS, name="life", detach=True), lambda it: it.name)
    ready(it)
    step("life.pause", it.pause)
    step("life.paused", it.reload, lambda _: it.attrs["State"])
    step("life.pause.again", it.pause)
    step("life.exec.paused", lambda: it.exec_run("true"))
    step("life.unpause", it.unpause)
    step("life.unpause.again", it.unpause)
    step("life.restart", lambda: it.restart(timeout=5))
    step("life.restarted", it.reload, lambda _: [it.status, it.attrs["RestartCount"]])
    step("life.kill.zero", lambda: it.kill(0))
    step("life.kill.wrong", lambda: it.kill("NONSENSE"))
    step("life.kill", lambda: it.kill("KILL"))
    step("life.wait", it.wait)
    step("life.killed", it.reload, lambda _: it.attrs["State"])
    step("life.kill.again", it.kill)
    step("life.start", it.start)
    step("life.wait.removed", lambda: (it.remove(force=True), None)[1])
    step("life.wait.absent", it.wait)
    leaves = step("life.exit", lambda: client.containers.run(IMAGE, ["sh", "-c", "exit 6"], detach=True), lambda it: type(it).__name__)
    step("life.exit.wait", leaves.wait)
    step("life.exit.wait.condition", lambda: leaves.wait(condition="not-running"))
    step("life.exit.remove", leaves.remove)
    policy = step("life.update", lambda: client.containers.run(IMAGE, RUNS, detach=True, mem_limit="64m"), lambda it: type(it).__name__)
    step("life.update.memory", lambda: policy.update(mem_limit="96m", memswap_limit="192m", cpu_shares=256), lambda it: it["Warnings"])
    step("life.update.policy", lambda: policy.update(restart_policy={"Name": "unless-stopped"}), lambda it: it["Warnings"])
    step("life.update.wrong", lambda: policy.update(mem_limit="1k"))
    step("life.updated", policy.reload, lambda _: {key: policy.attrs["HostConfig"][key] for key in ("Memory", "MemorySwap", "CpuShares", "RestartPolicy")})
    step("life.update.remove", lambda: policy.remove(force=True))


def changes(client, step):
    """What a container changed in its files, and an image made of them."""
    it = client.containers.create(IMAGE, ["sh", "-c", "echo new > /new; rm /etc/group; echo more >> /etc/passwd; mkdir /folder; touch /folder/inside"], name="changed")
    step("changes.none", it.diff, lambda it: it or "nothing")
    it.start()
    it.wait()
    step("changes.diff", it.diff, lambda it: sorted(it, key=lambda change: change["Path"]))
    image = step("changes.commit", lambda: it.commit("committed", "1", message="the message", author="An Author <a@example.test>", changes=["ENV LATER=yes", "CMD cat /new"]),
                 lambda it: it.attrs)
    if image:
        step("changes.committed", lambda: client.containers.run("committed:1", remove=True))
        step("changes.history", image.history, lambda it: [{key: entry[key] for key in ("CreatedBy", "Comment", "Tags")} for entry in it][:1])
        step("changes.remove", lambda: client.images.remove("committed:1"))
    step("changes.remove.container", it.remove)


def lists(client, step):
    """Lists and their filters."""
    for name, label in (("one", "a"), ("two", "b")):
        client.containers.run(IMAGE, RUNS, name=name, labels={"tour": label, "tour.list": ""}, detach=True)
    client.containers.run(IMAGE, ["sh", "-c", "exit 5"], name="three", labels={"tour": "c"}, detach=True).wait()
    # dockerd lets go of who waits before its list knows of the end.
    while any(it.name == "three" for it in client.containers.list()):
        pass
    step("lists.running", client.containers.list, names)
    step("lists.all", lambda: client.containers.list(all=True), names)
    step("lists.limit", lambda: client.containers.list(limit=1), names)
    step("lists.since", lambda: client.containers.list(all=True, since="one"), names)
    step("lists.before", lambda: client.containers.list(all=True, before="two"), names)
    for key, value in (
        ("label", "tour=a"), ("label", "tour.list"), ("name", "o"), ("status", "exited"), ("exited", "5"), ("ancestor", IMAGE), ("health", "none"),
        ("network", "bridge"), ("volume", "nowhere"), ("publish", "80"), ("expose", "80"), ("is-task", "false"), ("status", "nonsense"), ("nonsense", "x"),
    ):
        step(f"lists.{key}={value}", lambda: client.containers.list(all=True, filters={key: value}), names)
    step("lists.raw", lambda: sorted(client.api.containers(all=True, size=True), key=lambda it: it["Names"]), lambda it: [
        {key: item for key, item in entry.items() if key != "Status"} for entry in it])
    for name in ("one", "two"):
        step(f"lists.remove.{name}", lambda: client.containers.get(name).kill())
