"""A host in a bottle, an engine in it, and what the engine takes up."""

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import urllib.parse

from unix import Unix

# A container that ends when it is told to, and says something meanwhile.
LIVELY = ["sh", "-c", "trap 'exit 0' TERM INT; while :; do echo alive; echo failing >&2; sleep 1 & wait $!; done"]
SEEDS = {
    "seed-running": {"Cmd": LIVELY, "HostConfig": {"NetworkMode": "seed-network", "Binds": ["seed-volume:/data"]}},
    "seed-terminal": {"Cmd": LIVELY, "Tty": True, "OpenStdin": True},
    "seed-exited": {"Cmd": ["sh", "-c", "echo done; exit 3"]},
    "seed-created": {"Cmd": ["true"], "ExposedPorts": {"80/tcp": {}}},
}
IMAGE = "busybox:seed"


def lasts(number):
    """Whether a process is none of those that seeds start and wait for, of which there is one at one moment and none at the next."""
    try:
        return open(f"/proc/{number}/comm").read() != "sleep\n"
    except OSError:
        return False


class Bottle:
    """An engine of its own, in the namespaces that this process is in already."""

    def __init__(self, program, patience, folder, writable):
        self.program, self.patience = program, patience
        self.folder = folder
        self.close_off(writable)
        for name in ("home", "root", "tmp"):
            os.mkdir(f"{self.folder}/{name}")
        self.environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": f"{self.folder}/home",
            "TMPDIR": f"{self.folder}/tmp",
            "GANTRY_ROOT": f"{self.folder}/root",
        }
        self.socket = f"{self.folder}/root/run/engine.sock"
        self.tar = self.busybox()
        # Nothing listens yet: the first command starts the engine.
        self.gantry("image", "import", self.tar, IMAGE)
        self.replant()

    def close_off(self, writable):
        """Nothing that a container may ask for changes the host: its files can be read and no more, but for the bottle's and one folder."""
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        for folder in (self.folder, writable):
            subprocess.run(["mount", "--bind", folder, folder], check=True)
        # A fresh /sys is of this network namespace; the host's control groups are set aside for as long as that takes.
        aside = f"{self.folder}/groups"
        os.mkdir(aside)
        subprocess.run(["mount", "--rbind", "/sys/fs/cgroup", aside], check=True)
        subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)
        subprocess.run(["mount", "--move", aside, "/sys/fs/cgroup"], check=True)
        os.rmdir(aside)
        for line in open("/proc/self/mountinfo").read().splitlines():
            place, kind = line.split(" ")[4], line.split(" - ")[1].split(" ")[0]
            if kind in ("ext4", "xfs", "btrfs", "overlay", "tmpfs") and not place.startswith((self.folder, writable, "/sys", "/dev")):
                subprocess.run(["mount", "-o", "remount,bind,ro", place], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

    def busybox(self):
        """A tar of busybox and its applets."""
        path = f"{self.folder}/busybox.tar"
        program = shutil.which("busybox")
        with tarfile.open(path, "w") as archive:
            archive.add(program, "bin/busybox")
            for applet in subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split():
                if applet != "busybox":
                    link = tarfile.TarInfo(f"bin/{applet}")
                    link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                    archive.addfile(link)
            for name, text in (("passwd", "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n"), ("group", "root:x:0:\nextra:x:2000:app\n")):
                file = tarfile.TarInfo(f"etc/{name}")
                file.size = len(text)
                archive.addfile(file, io.BytesIO(text.encode()))
        return path

    def gantry(self, *arguments):
        subprocess.run([self.program, *arguments], check=True, env=self.environment, cwd=self.folder, timeout=self.patience, stdout=subprocess.DEVNULL)

    def ask(self, method, path, body=None, **query):
        """Asks the engine; returns the status and the answer, as JSON where it is JSON."""
        connection = Unix(self.socket, self.patience)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            text = urllib.parse.urlencode(query)
            connection.request(method, f"{path}?{text}", json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            content = answer.read()
            is_json = answer.getheader("Content-Type", "").startswith("application/json")
            return answer.status, json.loads(content) if is_json and content else content
        finally:
            connection.close()

    def sow(self):
        """Makes what should be there and is not."""
        if self.ask("GET", f"/images/{IMAGE}/json")[0] == 404:
            self.gantry("image", "import", self.tar, IMAGE)
        self.ask("POST", "/networks/create", {"Name": "seed-network", "IPAM": {"Config": [{"Subnet": "10.99.0.0/16"}]}})
        self.ask("POST", "/volumes/create", {"Name": "seed-volume", "Labels": {"seed": "1"}})
        for name, body in SEEDS.items():
            # Whatever holds up the end of a seed would hold up everything else.
            status, answer = self.ask("POST", "/containers/create", {"Image": IMAGE, "Labels": {"seed": "1"}, "StopTimeout": 1, **body}, name=name)
            # A request that runs meanwhile may take away what it is made of: it is back at the next sowing.
            if status not in (201, 404, 409):
                raise RuntimeError(f"{name} cannot be made: {status} {answer}")
            if name != "seed-created":
                self.ask("POST", f"/containers/{name}/unpause")
                self.ask("POST", f"/containers/{name}/start")

    def weed(self):
        """Removes what grew beside the seeds."""
        for container in self.ask("GET", "/containers/json", all="1")[1]:
            if container["Names"][0].lstrip("/") not in SEEDS:
                self.ask("DELETE", f"/containers/{container['Id']}", force="1", v="1")
        for network in self.ask("GET", "/networks")[1]:
            if network["Name"] not in ("seed-network", "bridge", "host", "none"):
                for member in self.ask("GET", f"/networks/{network['Id']}")[1].get("Containers") or {}:
                    self.ask("POST", f"/networks/{network['Id']}/disconnect", {"Container": member, "Force": True})
                self.ask("DELETE", f"/networks/{network['Id']}")
        for volume in self.ask("GET", "/volumes")[1]["Volumes"]:
            if volume["Name"] != "seed-volume":
                self.ask("DELETE", f"/volumes/{urllib.parse.quote(volume['Name'], safe='')}", force="1")
        for image in self.ask("GET", "/images/json")[1]:
            for name in image["RepoTags"] or [image["Id"]]:
                if name != IMAGE:
                    self.ask("DELETE", f"/images/{name}", force="1")
        self.ask("POST", "/build/prune", all="1")

    def replant(self):
        """Back to the seeds, each as new."""
        for name in SEEDS:
            self.ask("DELETE", f"/containers/{name}", force="1", v="1")
        self.weed()
        self.sow()
        self.ask("POST", "/containers/seed-exited/wait")

    def engine(self):
        """The number of the engine's process."""
        for number in filter(str.isdigit, os.listdir("/proc")):
            try:
                if open(f"/proc/{number}/cmdline").read().startswith("gantry-engine"):
                    return int(number)
            except OSError:
                pass
        return None

    def usage(self):
        """What the engine takes up."""
        number = self.engine()
        status = open(f"/proc/{number}/status").read()
        field = lambda name: int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1])
        return {
            "memory": field("VmRSS") * 1024,
            "threads": field("Threads"),
            "descriptors": len(os.listdir(f"/proc/{number}/fd")),
            "mounts": len(open(f"/proc/{number}/mountinfo").readlines()),
            "processes": sum(map(lasts, filter(str.isdigit, os.listdir("/proc")))),
            "links": len(self.links()),
        }

    @staticmethod
    def links():
        """The host's links, a line each."""
        return subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout.splitlines()

    def leave(self):
        """Stops the engine; returns what it left behind, in words."""
        with os.fdopen(os.pidfd_open(self.engine()), closefd=True) as ended:
            self.gantry("engine", "stop")
            import select
            if not select.select([ended], [], [], self.patience)[0]:
                return ["the engine does not leave"]
        left = [f"{line.split(' ')[4]} is still mounted" for line in open("/proc/self/mountinfo") if f"{self.folder}/" in line.split(" ")[4]]
        tables = subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout
        left += [f"the nftables {line} is still there" for line in tables.splitlines()]
        left += [f"the link {line} is still there" for line in self.links() if not re.match(r"\d+: lo:", line)]
        return left

    def log(self):
        """What the engine wrote down of itself."""
        try:
            with open(f"{self.folder}/root/run/engine.log", errors="backslashreplace") as file:
                return file.read()
        except FileNotFoundError:
            return ""
