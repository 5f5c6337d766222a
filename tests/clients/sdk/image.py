"""Images: built, named, listed, saved, loaded, imported, pushed, pulled, removed."""

import io
import tarfile

DOCKERFILE = """FROM busybox:test
ARG word=none
LABEL tour=image
ENV WORD=$word
COPY file /copied/
RUN echo "$word" > /said
USER app
WORKDIR /tmp
EXPOSE 80/tcp
VOLUME /kept
HEALTHCHECK --interval=30s --retries=2 CMD true
ENTRYPOINT ["cat"]
CMD ["/said"]
"""


def tar_of(files):
    """A tar of a few files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    packed.seek(0)
    return packed


def names(images):
    """The names of images, in order."""
    return sorted(tag for image in images for tag in image.tags)


def told(answer):
    """What an answer in pieces has to say, but for its progress."""
    return [{key: piece[key] for key in ("status", "error", "errorDetail", "aux") if key in piece} for piece in answer if "progressDetail" not in piece]


def tour(client, transcript):
    """The topic's steps."""
    step = transcript.step
    step("image.list", client.images.list, names)
    step("image.get", lambda: client.images.get("busybox:test"), lambda it: it.attrs)
    step("image.get.absent", lambda: client.images.get("absent:1"))
    step("image.history", lambda: client.images.get("busybox:test").history(), lambda it: it)
    context = tar_of({"Dockerfile": DOCKERFILE, "file": "a file\n"})
    build = lambda **more: client.images.build(fileobj=context, custom_context=True, rm=True, tag="built:1", buildargs={"word": "said"}, **more)
    built = step("image.build", build, lambda it: it[0].attrs)
    step("image.build.fails", lambda: client.images.build(fileobj=tar_of({"Dockerfile": "FROM busybox:test\nRUN exit 3\n"}), custom_context=True, rm=True, forcerm=True))
    step("image.build.wrong", lambda: client.images.build(fileobj=tar_of({"Dockerfile": "FROM busybox:test\nNONSENSE\n"}), custom_context=True, rm=True, forcerm=True))
    if built:
        step("image.built.history", lambda: built[0].history(), lambda it: [{key: entry[key] for key in ("CreatedBy", "Tags", "Comment")} for entry in it])
        step("image.built.run", lambda: client.containers.run("built:1", remove=True))
    busybox = client.images.get("busybox:test")
    step("image.tag", lambda: busybox.tag("elsewhere.test:5000/some/name", "two"))
    step("image.tag.wrong", lambda: busybox.tag("Wrong Name"))
    step("image.tag.absent", lambda: client.api.tag("absent:1", "other"))
    step("image.tagged", lambda: client.images.get("elsewhere.test:5000/some/name:two"), lambda it: sorted(it.tags))
    step("image.list.name", lambda: client.images.list(name="busybox"), names)
    step("image.list.reference", lambda: client.images.list(filters={"reference": "*:1"}), names)
    step("image.list.label", lambda: client.images.list(filters={"label": "tour=image"}), names)
    step("image.list.dangling", lambda: client.images.list(filters={"dangling": True}), names)
    step("image.list.before", lambda: client.images.list(filters={"before": "built:1"}), names)
    step("image.list.wrong", lambda: client.images.list(filters={"nonsense": "1"}), names)
    step("image.list.raw", lambda: sorted(client.api.images(name="built"), key=lambda it: it["RepoTags"] or []))
    saved = step("image.save", lambda: b"".join(busybox.save(named="busybox:test")), lambda it: sorted(
        name for name in tarfile.open(fileobj=io.BytesIO(it)).getnames() if name in ("manifest.json", "repositories")))
    step("image.untag", lambda: client.images.remove("elsewhere.test:5000/some/name:two"))
    step("image.remove.absent", lambda: client.images.remove("absent:1"))
    step("image.remove.raw", lambda: client.api.remove_image("built:1"), lambda it: sorted({key for entry in it for key in entry}))
    if saved:
        step("image.remove", lambda: client.images.remove("busybox:test", force=True))
        step("image.load", lambda: client.images.load(saved), names)
        step("image.loaded", lambda: client.containers.run("busybox:test", ["echo", "loaded"], remove=True))
    step("image.load.nonsense", lambda: client.images.load(b"no tar at all"), names)
    step("image.import", lambda: client.api.import_image_from_data(tar_of({"only": "text"}).read(), "imported", "1", changes=["ENV A=b", "CMD [\"/x\"]"]),
         lambda it: "status" in it)
    step("image.imported", lambda: client.images.get("imported:1"), lambda it: {key: it.attrs["Config"].get(key) for key in ("Env", "Cmd")})
    step("image.push", lambda: busybox.tag("127.0.0.1:5000/pushed", "1") and list(client.images.push("127.0.0.1:5000/pushed", "1", stream=True, decode=True)),
         lambda it: told(it)[-1:])
    step("image.push.refused", lambda: busybox.tag("127.0.0.1:1/pushed", "1") and list(client.images.push("127.0.0.1:1/pushed", "1", stream=True, decode=True)),
         lambda it: ["error" in piece for piece in it][-1:])
    step("image.registry", lambda: client.images.get_registry_data("127.0.0.1:5000/pushed:1"), lambda it: it.attrs)
    step("image.push.untag", lambda: client.images.remove("127.0.0.1:5000/pushed:1"))
    step("image.push.refused.untag", lambda: client.images.remove("127.0.0.1:1/pushed:1"))
    step("image.pull", lambda: client.images.pull("127.0.0.1:5000/pushed", "1"), lambda it: it.tags and sorted(it.tags))
    step("image.pull.raw", lambda: list(client.api.pull("127.0.0.1:5000/pushed", "1", stream=True, decode=True)), told)
    step("image.pull.absent", lambda: client.images.pull("127.0.0.1:5000/absent", "1"))
    step("image.pull.untag", lambda: client.images.remove("127.0.0.1:5000/pushed:1"))
    step("image.prune", lambda: client.images.prune({"dangling": False}), lambda it: {"deleted": bool(it["ImagesDeleted"]), "space": type(it["SpaceReclaimed"]).__name__})
    step("image.build.prune", client.images.prune_builds, sorted)
    step("image.list.end", client.images.list, names)
