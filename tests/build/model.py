"""An image as a model: its layers laid over one another in memory, and its lines in a case."""

import gzip
import hashlib
import io
import itertools
import json
import os
import re
import tarfile

from case import STAMP, Bad
from places import ARCHITECTURE, BASE_STAMP, FOREIGN_ARCHITECTURE

# What says nothing about a Dockerfile and is never compared, each with its reason.
NORMALISED = [(re.compile(r"/(dev|proc|sys) dir 0755 0:0"), "mount points that a RUN needs where the base has none: BuildKit leaves them, empty")]
# The same for buildah alone, on both sides.
OF_BUILDAH = [
    (re.compile(r'/etc/(hosts|hostname|resolv\.conf) file 0[0-7]+ 0:0 ""$|/run dir 0755 0:0$'), "mount points that it leaves"),
    (re.compile(r"history: |layers: "), "it writes its history in another form, and has no empty layers"),
    (re.compile(r'WorkingDir: "/"$|Env: \["PATH=[^"]*"\]$'), "it sets neither where FROM is scratch"),
]


class Node:
    """What one name of a file system is; hard links share theirs."""

    def __init__(self, member, data):
        kinds = {tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "link", tarfile.FIFOTYPE: "fifo", tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block"}
        self.kind = kinds.get(member.type, "file")
        self.mode, self.owner, self.time = member.mode & 0o7777, (member.uid, member.gid), int(member.mtime)
        self.target = member.linkname if self.kind == "link" else f"{member.devmajor}:{member.devminor}" if self.kind in ("char", "block") else ""
        self.data = data
        prefix = "SCHILY.xattr."
        self.xattrs = {key[len(prefix) :]: value for key, value in member.pax_headers.items() if key.startswith(prefix)}


def apply(tree, layer):
    """Lays one layer (a tar file, perhaps compressed) over a model tree."""
    own = set()
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:*") as tar:
        for member in tar:
            path = "/" + os.path.normpath(member.name).lstrip("/").removeprefix("./")
            parent, name = os.path.split(path)
            if path in ("/", "/."):
                continue
            if name == ".wh..wh..opq":
                drop(tree, parent, own, parent)
            elif name.startswith(".wh."):
                drop(tree, os.path.join(parent, name[4:]), own, None)
            else:
                if member.islnk():
                    node = tree.get("/" + os.path.normpath(member.linkname).lstrip("/"))
                    if node is None:
                        raise Bad(f"{path} is a hard link to {member.linkname}, which is not there")
                else:
                    node = Node(member, tar.extractfile(member).read() if member.isreg() else b"")
                if node.kind != "dir" or (path in tree and tree[path].kind != "dir"):
                    drop(tree, path, set(), None)
                tree[path] = node
                own.add(path)


def drop(tree, top, spared, itself):
    for path in [it for it in tree if (it == top or it.startswith(top.rstrip("/") + "/")) and it not in spared and it != itself]:
        del tree[path]


def describe(tree, stamps=False, hidden=()):
    """One line a name."""
    firsts = {}
    for path in sorted(tree):
        firsts.setdefault(id(tree[path]), path)
    described = {}
    for path, node in tree.items():
        words = [node.kind, f"{node.mode:04o}", f"{node.owner[0]}:{node.owner[1]}"]
        if path in hidden:
            words.append("…")
        elif node.kind == "file":
            words.append(content(node.data))
        elif node.target:
            words.append(("-> " if node.kind == "link" else "") + node.target)
        words += [f"{key}={json.dumps(value, ensure_ascii=True)}" for key, value in sorted(node.xattrs.items())]
        if stamps:
            words.append("time=" + {STAMP: "context", BASE_STAMP: "base"}.get(node.time, str(node.time) if node.time < 1600000000 else "now"))
        if firsts[id(node)] != path:
            words.append("same-as " + firsts[id(node)])
        described[path] = " ".join(words)
    return described


def content(data):
    try:
        text = data.decode()
        if len(text) <= 400 and not re.search(r"[^\t\r\n\x20-\uffff]", text):
            return json.dumps(text, ensure_ascii=False)
    except UnicodeDecodeError:
        pass
    return f"{len(data)} sha256:{hashlib.sha256(data).hexdigest()[:16]}"


class Image:
    """An image out of an archive as `docker save` writes it."""

    def __init__(self, archive):
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = {os.path.normpath(it.name): it for it in tar if it.isreg() or it.issym()}

            def read(name):
                member = files[os.path.normpath(name)]
                while member.issym():
                    member = files[os.path.normpath(os.path.join(os.path.dirname(member.name), member.linkname))]
                return tar.extractfile(member).read()

            manifest = json.loads(read("manifest.json"))[0]
            self.config = json.loads(read(manifest["Config"]))
            self.layers = [read(name) for name in manifest["Layers"]]
        self.ids = (self.config.get("rootfs") or {}).get("diff_ids") or []
        for layer, told in zip(self.layers, self.ids):
            data = gzip.decompress(layer) if layer[:2] == b"\x1f\x8b" else layer
            if "sha256:" + hashlib.sha256(data).hexdigest() != told:
                raise Bad(f"a layer is not what its diff_id {told} says")


FIELDS = "Env Cmd Entrypoint Labels User WorkingDir ExposedPorts Volumes Healthcheck StopSignal OnBuild Shell".split()


def settings(config):
    inner = config.get("config") or {}
    told = {field: inner.get(field) for field in FIELDS}
    told = {key: sorted(value) if key in ("ExposedPorts", "Volumes") and value else value for key, value in told.items()}
    told["Author"] = config.get("author")
    told["Architecture"] = "/".join(filter(None, [config.get("os"), config.get("architecture"), config.get("variant")]))
    if told["Architecture"] == f"linux/{ARCHITECTURE}":
        told["Architecture"] = None
    else:
        told["Architecture"] = told["Architecture"].replace(FOREIGN_ARCHITECTURE, "FOREIGN")
    return {key: json.dumps(value, sort_keys=True, ensure_ascii=False) for key, value in told.items() if value}


def judged(image, bases, case, before=None):
    """What the image adds to the base image that it was built from, as lines."""
    base = max((it for it in bases if image.ids[: len(it.ids)] == it.ids), key=lambda it: len(it.ids), default=None)
    stamps, hidden = case.flag("mtime"), case.values("hide")
    old, tree = {}, {}
    for number, layer in enumerate(image.layers):
        apply(tree, layer)
        if base and number == len(base.ids) - 1:
            old = describe(tree, stamps, hidden)
    new = describe(tree, stamps, hidden)
    lines = [f"{path} gone" for path in old if path not in new]
    lines += [f"{path} {line}" for path, line in new.items() if old.get(path) != line]
    lines = sorted(line.replace("\n", "\\n") for line in lines if not any(pattern.match(line) for pattern, _ in NORMALISED))
    was, now = settings(base.config) if base else {}, settings(image.config)
    lines += [f"{key}: {now.get(key, 'gone')}" for key in sorted({*was, *now}) if was.get(key) != now.get(key)]
    if case.flag("layers"):
        lines.append(f"layers: {len(image.ids) - (len(base.ids) if base else 0)}")
    if case.flag("history"):
        own = (image.config.get("history") or [])[len(base.ids) if base else 0 :]
        lines += [f"history: {'empty ' if it.get('empty_layer') else ''}{json.dumps(it.get('created_by', ''), ensure_ascii=False)}" for it in own]
    if before is not None:
        alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(image.ids, before.ids))
        kept = len(list(alike)) - (len(base.ids) if base else 0)
        lines.append(f"kept: the first {kept} of {len(image.ids) - (len(base.ids) if base else 0)} layers")
    return lines
