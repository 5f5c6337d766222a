"""What the cases name: base images in a registry on loopback, and a web server."""

import gzip
import hashlib
import http.client
import http.server
import io
import json
import os
import re
import socket
import subprocess
import tarfile
import time

from case import Bad, add_member, archive_of, entries

BASE_STAMP = 1546300800  # 2019-01-01: the time of every file of a base image, and of what the web server has
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
FOREIGN_ARCHITECTURE = "arm64" if ARCHITECTURE == "amd64" else "amd64"


def busybox():
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.path.exists(path):
            with open(path, "rb") as file:
                return file.read()
    raise Bad("no busybox: install busybox-static")


APPLETS = """sh ash cat ls cp mv rm mkdir rmdir ln touch chmod chown chgrp echo printf test [ true false env id whoami stat find sort head tail
sed awk grep tr wc date sleep mount umount hostname uname pwd readlink md5sum sha256sum cut dd df du tee xargs basename dirname ip ifconfig
nslookup wget ps kill mknod mkfifo tar gzip install expr seq od hexdump sync dmesg ulimit which realpath mountpoint setpriv""".split()
PASSWD = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\nwww:x:33:33::/var/www:/bin/false\napp:x:1000:1000::/home/app:/bin/sh\n"
PASSWD += "mixed:x:1001:100::/nowhere:/bin/sh\n"
GROUP = "root:x:0:\ndaemon:x:1:\nwheel:x:10:app,www\nwww:x:33:\nstaff:x:50:app\nusers:x:100:\napp:x:1000:\n"
ROOT = r"""dev/
proc/
sys/
tmp/ 01777
root/ 0700
home/
home/app/ 0750 1000:1000
var/
var/spool/ 02775 0:100
data/
data/one "one\n"
data/two 0600 1000:1000 "two\n"
data/empty/ 0711 33:33
data/deep/
data/deep/er/ 0700 1000:100
data/deep/er/file "deep\n"
data/deep/leaf 0640 "leaf\n"
data/noted user.note="hi" "noted\n"
data/setuid 04755 "setuid\n"
data/hard1 "hard\n"
data/hard2 = data/hard1
data/abs -> /data/one
data/rel -> one
data/dangling -> nowhere
data/dirlink -> deep
linkdir -> data
absdir -> /data/deep
escape -> ../../../../etc
etclink -> etc/passwd
"""
ENVIRONMENT = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
SET = {
    "Env": [*ENVIRONMENT, "FROM_BASE=base value", "OTHER=x"],
    "Entrypoint": ["/bin/entry", "base"],
    "Cmd": ["base-command"],
    "User": "app",
    "WorkingDir": "/data",
    "Labels": {"base": "yes", "shared": "base"},
    "ExposedPorts": {"80/tcp": {}},
    "Volumes": {"/vol": {}},
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5000000000, "Retries": 4},
    "StopSignal": "SIGINT",
}
ONBUILD = ["ENV TRIGGERED=yes", "COPY onbuilt /onbuilt", "RUN cat /onbuilt >/ran", "WORKDIR /triggered"]


def images(fill):
    """Name, layers as lists of lines, configuration, architecture; every image is there under tag 1."""
    box = ["bin/ ", "bin/busybox 0755 hex:" + busybox().hex(), *(f"bin/{name} -> busybox" for name in APPLETS)]
    base = [*box, "etc/", f"etc/passwd {json.dumps(PASSWD)}", f"etc/group {json.dumps(GROUP)}", *ROOT.splitlines()]
    second = ["data/layered/", 'data/layered/kept "kept\\n"', 'data/layered/.wh.hidden', 'data/top "top\\n"']
    lower = ["data/", "data/layered/", 'data/layered/hidden "hidden\\n"', 'data/layered/kept "old\\n"']
    plain = {"Env": ENVIRONMENT, "Cmd": ["sh"]}

    def named(name):
        """The layer of `base` with a name in it: which base image an image was built from is told by its layers."""
        return [*base, f'etc/name "{name}\\n"']

    return [
        ("base", [base], plain, ARCHITECTURE),
        ("set", [base, ['bin/entry 0755 "#!/bin/sh\\nexec \\"$@\\"\\n"', "vol/", 'vol/kept "kept\\n"']], SET, ARCHITECTURE),
        ("onbuild", [named("onbuild")], {**plain, "OnBuild": ONBUILD}, ARCHITECTURE),
        ("layers", [base, lower, second], plain, ARCHITECTURE),
        ("bare", [box], plain, ARCHITECTURE),
        ("merged", [["usr/", "usr/bin/", *("usr/" + line for line in box[1:]), "bin -> usr/bin", "lib -> usr/lib", "usr/lib/"]], plain, ARCHITECTURE),
        ("files", [['only "only\\n"', "sub/", 'sub/x 0600 5:6 "x\\n"']], {}, ARCHITECTURE),
        ("capable", [base, ['bin/capable 0755 security.capability=CAPABILITY "capable\\n"']], plain, ARCHITECTURE),
        ("shelled", [named("shelled")], {**plain, "Shell": ["/bin/sh", "-ec"]}, ARCHITECTURE),
        ("nopath", [named("nopath")], {"Cmd": ["sh"]}, ARCHITECTURE),
        ("multi", [base, [f'arch "{ARCHITECTURE}\\n"']], plain, ARCHITECTURE),
        ("multi", [[f'arch "{FOREIGN_ARCHITECTURE}\\n"']], plain, FOREIGN_ARCHITECTURE),
    ]


class Registry:
    """docker-registry on loopback with the base images."""

    def __init__(self, work, port, labs=None):
        self.host, self.port, self.digests, self.process = f"127.0.0.1:{port}", port, {}, None
        config = os.path.join(work, "registry.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {work}/registry}}}}\nhttp: {{addr: '{self.host}'}}\n")
        self.process = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: reachable(port), self.process, "docker-registry")
        manifests = {}
        if labs:
            with open(labs, "rb") as file:
                frontend = ["bin/", "bin/dockerfile-frontend 0755 hex:" + file.read().hex()]
            manifests["labs"] = [(self.push_image("labs", [frontend], {"Entrypoint": ["/bin/dockerfile-frontend"]}, ARCHITECTURE), ARCHITECTURE)]
        for name, layers, config, architecture in images(lambda text: text):
            manifests.setdefault(name, []).append((self.push_image(name, layers, config, architecture), architecture))
        for name, found in manifests.items():
            data, digest = found[0][0][:2]
            media = "application/vnd.oci.image.manifest.v1+json"
            if len(found) > 1:
                media = "application/vnd.oci.image.index.v1+json"
                listed = [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": it[1], "size": len(it[0])} for it, _ in found]
                for entry, (_, architecture) in zip(listed, found):
                    entry["platform"] = {"os": "linux", "architecture": architecture}
                data = json.dumps({"schemaVersion": 2, "mediaType": media, "manifests": listed}).encode()
                digest = "sha256:" + hashlib.sha256(data).hexdigest()
            self.ask("PUT", f"/v2/{name}/manifests/1", data, media)
            self.ask("PUT", f"/v2/{name}/manifests/latest", data, media)
            self.digests[name] = digest

    def push_image(self, name, layers, config, architecture):
        pushed, ids = [], []
        for lines in layers:
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w:", format=tarfile.PAX_FORMAT) as tar:
                for entry in entries(lines, lambda text: text):
                    add_member(tar, entry, BASE_STAMP)
            ids.append("sha256:" + hashlib.sha256(out.getvalue()).hexdigest())
            packed = gzip.compress(out.getvalue(), 1, mtime=0)
            pushed.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **self.push(name, packed)})
        history = [{"created": "2019-01-01T00:00:00Z", "created_by": f"{name} layer {number}"} for number in range(len(layers))]
        image = {"created": "2019-01-01T00:00:00Z", "architecture": architecture, "os": "linux", "config": config, "history": history}
        image["rootfs"] = {"type": "layers", "diff_ids": ids}
        described = {"mediaType": "application/vnd.oci.image.config.v1+json", **self.push(name, json.dumps(image).encode())}
        media = "application/vnd.oci.image.manifest.v1+json"
        data = json.dumps({"schemaVersion": 2, "mediaType": media, "config": described, "layers": pushed}).encode()
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.ask("PUT", f"/v2/{name}/manifests/{digest}", data, media)
        return data, digest, ids

    def push(self, name, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        if self.ask("HEAD", f"/v2/{name}/blobs/{digest}", check=False) != 200:
            place = self.ask("POST", f"/v2/{name}/blobs/uploads/", b"", location=True)
            mark = "&" if "?" in place else "?"
            self.ask("PUT", re.sub(r"^https?://[^/]*", "", place) + f"{mark}digest={digest}", data, "application/octet-stream")
        return {"digest": digest, "size": len(data)}

    def ask(self, method, path, body=None, media=None, check=True, location=False):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, {"Content-Type": media} if media else {})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        if check and answer.status >= 300:
            raise Bad(f"registry: {method} {path}: {answer.status} {said[:200]}")
        return answer.headers["Location"] if location else answer.status


WEB = {
    "/file.txt": (b"remote\n", {"Last-Modified": "Tue, 01 Jan 2019 00:00:00 GMT"}),
    "/undated.txt": (b"undated\n", {}),
    "/dir/": (b"index\n", {"Last-Modified": "Tue, 01 Jan 2019 00:00:00 GMT"}),
    "/query.txt?x=1": (b"query\n", {}),
    "/named": (b"named\n", {"Content-Disposition": 'attachment; filename="called.txt"'}),
}
WEB_ARCHIVE = ['top "top\\n"', "sub/ 0700 7:8", 'sub/inner 0600 7:8 "inner\\n"', "link -> top"]


class Web(http.server.BaseHTTPRequestHandler):
    """What ADD fetches."""

    def do_GET(self):
        if self.path == "/moved.txt":
            self.send_response(302)
            self.send_header("Location", "/file.txt")
            self.end_headers()
            return
        if self.path == "/archive.tar.gz":
            found = (archive_of("x.tar.gz", WEB_ARCHIVE, lambda text: text), {"Last-Modified": "Tue, 01 Jan 2019 00:00:00 GMT"})
        else:
            found = WEB.get(self.path)
        if not found:
            self.send_error(404)
            return
        self.send_response(200)
        for key, value in {**found[1], "Content-Length": str(len(found[0]))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(found[0])

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


def reachable(port):
    with socket.socket() as probe:
        return not probe.connect_ex(("127.0.0.1", port))


def wait_for(done, process, name):
    for _ in range(600):
        if done():
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise Bad(f"{name} does not start")
