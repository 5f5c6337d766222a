"""A case of tests/build/cases, and the context folders and archives that its lines describe."""

import io
import json
import os
import re
import shutil
import socket
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "cases")
# cap_net_raw as a file has it; not UTF-8, so as the tar module tells such values.
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000").decode(errors="surrogateescape")
STAMP = 1577934245  # 2020-01-02T03:04:05Z: the time of every file of a context


class Bad(Exception):
    """A case that cannot be read, or a builder that does something else than building."""


class Case:
    """One file of tests/build/cases."""

    def __init__(self, path):
        self.path, self.name = path, os.path.relpath(path, CASES).removesuffix(".txt")
        with open(path, encoding="utf-8") as file:
            self.text = file.read()
        head, *parts = re.split(r"^--- ([A-Za-z][\w ./-]*)\n", self.text, flags=re.M)
        if not re.fullmatch(r"# .+\n", head):
            raise Bad(f"{self.name}: it begins with one line that says what it is about")
        self.sections = dict(zip(parts[::2], parts[1::2]))
        if len(self.sections) != len(parts) // 2:
            raise Bad(f"{self.name}: a section is there twice")
        for section in self.sections:
            if not re.fullmatch(r"Dockerfile|Dockerfile\.dockerignore|(context|then)( \w+)?|options|words|expect|known", section):
                raise Bad(f"{self.name}: no such section: {section}")
        self.options = [line.split(" ", 1) for line in self.lines("options")]
        self.wanted = self.lines("expect")
        self.known = [line for line in self.lines("known") if not line.startswith("#")]

    def context(self, place, name=""):
        """The folder of a context; BuildKit takes folders of the same base name for the same, and files in them by their times."""
        return os.path.join(place, "-".join(filter(None, ["context", self.name.replace("/", "-"), name])))

    def lines(self, section):
        return [line for line in self.sections.get(section, "").splitlines() if line.strip()]

    def flag(self, name):
        return any(option[0] == name for option in self.options)

    def values(self, name):
        return [option[1] for option in self.options if option[0] == name]

    def record(self, lines):
        body = "".join(line + "\n" for line in lines)
        if "expect" in self.sections:
            start = self.text.index("--- expect\n") + len("--- expect\n")
            text = self.text[:start] + body + self.text[start + len(self.sections["expect"]) :]
        else:
            text = self.text.rstrip("\n") + "\n--- expect\n" + body
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)


TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^\s"]+(?:"(?:[^"\\]|\\.)*")?)')


def entries(lines, fill):
    """The lines of a context or of an archive, as dictionaries."""
    found, archive = [], None
    for line in lines:
        if line.startswith("  ") and archive is not None:
            archive.append(line[2:])
            continue
        archive = None
        words = TOKEN.findall(line)
        name = json.loads(words[0]) if words[0].startswith('"') else words[0]
        entry = {"path": name.rstrip("/"), "kind": "dir" if name.endswith("/") else "file", "mode": None, "owner": (0, 0), "xattrs": {}}
        entry["data"] = b""
        rest = words[1:]
        while rest:
            word = rest.pop(0)
            if re.fullmatch(r"0[0-7]+", word):
                entry["mode"] = int(word, 8)
            elif re.fullmatch(r"\d+:\d+", word):
                entry["owner"] = tuple(int(part) for part in word.split(":"))
            elif word in ("->", "="):
                target = rest.pop(0)
                entry["kind"] = {"->": "link", "=": "hard"}[word]
                entry["target"] = json.loads(target) if target.startswith('"') else target
            elif word in ("fifo", "socket", "gone"):
                entry["kind"] = word
            elif word.startswith('"'):
                entry["data"] = fill(json.loads(word)).encode()
            elif word.startswith("hex:"):
                entry["data"] = bytes.fromhex(word[4:])
            elif word.startswith("size:"):
                entry["data"] = b"0123456789abcde\n" * (int(word[5:]) // 16)
            elif word == "tar:":
                entry["kind"], archive = "tar", []
                entry["archive"] = archive
            elif "=" in word:
                key, value = word.split("=", 1)
                entry["xattrs"][key] = json.loads(value) if value.startswith('"') else CAPABILITY if value == "CAPABILITY" else value
            else:
                raise Bad(f"{word!r} is nothing that a context line has: {line}")
        found.append(entry)
    return found


def archive_of(name, lines, fill):
    """A tar archive of those lines, compressed as its name says."""
    way = {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(name.rsplit(".", 1)[-1], "w:")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=way, format=tarfile.PAX_FORMAT) as tar:
        for entry in entries(lines, fill):
            add_member(tar, entry, STAMP)
    data = out.getvalue()
    return data[:4] + b"\0\0\0\0" + data[8:] if way == "w:gz" else data  # the time of a gzip header


def add_member(tar, entry, stamp):
    member = tarfile.TarInfo(entry["path"])
    kinds = {"dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "fifo": tarfile.FIFOTYPE, "file": tarfile.REGTYPE}
    member.type = kinds[entry["kind"]]
    usual = {"dir": 0o755, "link": 0o777}.get(entry["kind"], 0o644)
    member.mode = usual if entry["mode"] is None else entry["mode"]
    member.uid, member.gid = entry["owner"]
    member.mtime = stamp
    member.linkname = entry.get("target", "")
    member.size = len(entry["data"]) if entry["kind"] == "file" else 0
    member.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in entry["xattrs"].items()}
    tar.addfile(member, io.BytesIO(entry["data"]))


def lay_out(folder, lines, fill, stamp=STAMP):
    """Makes or changes a context folder."""
    os.makedirs(folder, exist_ok=True)
    times = {}
    for entry in entries(lines, fill):
        path = os.path.join(folder, entry["path"])
        parent = os.path.dirname(path)
        while len(parent) > len(folder) and not os.path.lexists(parent):
            times[parent] = stamp
            parent = os.path.dirname(parent)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.lexists(path) and entry["kind"] != "dir":
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.remove(path)
        kind = entry["kind"]
        if kind == "gone":
            continue
        if kind == "dir":
            os.makedirs(path, exist_ok=True)
        elif kind == "link":
            os.symlink(entry["target"], path)
        elif kind == "hard":
            os.link(os.path.join(folder, entry["target"]), path)
            continue
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as it:
                it.bind(path)
        else:
            data = archive_of(entry["path"], entry["archive"], fill) if kind == "tar" else entry["data"]
            with open(path, "wb") as file:
                file.write(data)
        os.chown(path, *entry["owner"], follow_symlinks=False)
        if kind != "link":
            os.chmod(path, (0o755 if kind == "dir" else 0o644) if entry["mode"] is None else entry["mode"])
        for key, value in entry["xattrs"].items():
            os.setxattr(path, key, value.encode(errors="surrogateescape"), follow_symlinks=False)
        times[path] = stamp
    for path in sorted(times, reverse=True):
        os.utime(path, (times[path], times[path]), follow_symlinks=False)
    os.utime(folder, (stamp, stamp))
