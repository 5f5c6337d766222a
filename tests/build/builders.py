"""The builders: how each is started, called, read and ended."""

import json
import os
import signal
import subprocess

from case import Bad
from places import wait_for
from unix import Unix


class Builder:
    """How one of them is started, called, read and ended."""

    name = ""
    classic = False

    def __init__(self, options, work):
        self.options, self.work = options, work
        self.environment = {"PATH": os.environ["PATH"], "HOME": work, "TMPDIR": work}

    def start(self):
        pass

    def stop(self):
        pass

    def flags(self, case, place, fill):
        """The flags of `docker build`, which the others take over."""
        flags = []
        for key in ("build-arg", "target", "label", "platform", "network", "add-host", "shm-size", "ulimit", "annotation"):
            for value in case.values(key):
                flags += [f"--{key}", fill(value)]
        flags += ["--no-cache"] if case.flag("no-cache") else []
        for value in case.values("build-context"):
            name, target = value.split("=", 1)
            target = case.context(place, target.removeprefix("context ")) if target.startswith("context ") else fill(target)
            flags += ["--build-context", f"{name}={target}"]
        for number, value in enumerate(case.values("secret")):
            name, text = value.split(" ", 1)
            with open(os.path.join(place, f"secret{number}"), "w", encoding="utf-8") as file:
                file.write(json.loads(text))
            flags += ["--secret", f"id={name},src={place}/secret{number}"]
        return flags + self.own(case, fill)

    def own(self, _case, _fill):
        """Flags of this builder alone that a case needs."""
        return []

    def dockerfile(self, case, place):
        inside = case.values("file")
        return os.path.join(case.context(place), inside[0]) if inside else os.path.join(place, "Dockerfile") if "Dockerfile" in case.sections else None

    def build(self, case, place, tag, fill):
        dockerfile = self.dockerfile(case, place)
        command = [*self.command, *self.flags(case, place, fill), "-t", tag, *(["-f", dockerfile] if dockerfile else []), case.context(place)]
        environment = {**self.environment, **dict(fill(value).split("=", 1) for value in case.values("environment"))}
        return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=180, check=False)

    def save(self, tag, _place):
        return api(self.socket, "GET", f"/images/{tag}/get")

    def remove(self, tag):
        api(self.socket, "DELETE", f"/images/{tag}?force=1", check=False)


def api(path, method, target, check=True):
    """One request to Docker's API."""
    connection = Unix(path, 180)
    connection.request(method, target)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    if check and answer.status >= 300:
        raise Bad(f"{method} {target}: {answer.status} {data[:300]}")
    return data


class BuildKit(Builder):
    """Docker Engine in a folder of its own, buildx before it."""

    name = "buildkit"

    def start(self):
        root, path = self.options.buildkit, f"{self.work}/docker-exec/sock"
        tools = ":".join(os.path.join(root, it) for it in ("usr/bin", "usr/sbin", "usr/libexec/docker"))
        self.socket = path
        self.environment |= {"PATH": f"{tools}:{os.environ['PATH']}:/usr/sbin:/sbin", "DOCKER_HOST": f"unix://{path}", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
        self.group = f"/gantry-judge-{os.getpid()}"
        self.log = open(os.path.join(self.work, "dockerd.log"), "w+", encoding="utf-8")
        arguments = ["dockerd", "--data-root", f"{self.work}/docker", "--exec-root", f"{self.work}/docker-exec", "--pidfile", f"{self.work}/pid"]
        arguments += ["-H", f"unix://{path}", "--iptables=false", "--ip6tables=false", "--cgroup-parent", self.group]
        self.daemon = subprocess.Popen(arguments, env=self.environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        wait_for(lambda: os.path.exists(path) and subprocess.run(["docker", "version"], env=self.environment, capture_output=True).returncode == 0, self.daemon, "dockerd")
        self.command = [os.path.join(root, "usr/libexec/docker/cli-plugins/docker-buildx"), "build", "--progress=plain", "--provenance=false", "--load"]
        if self.options.classic:
            self.command, self.classic = ["docker", "build"], True
            self.environment["DOCKER_BUILDKIT"] = "0"

    def own(self, case, fill):
        return ["--build-arg", fill("BUILDKIT_SYNTAX=@labs")] if case.flag("labs") else []

    def stop(self):
        self.daemon.send_signal(signal.SIGTERM)
        self.daemon.wait()


class Gantry(Builder):
    """Gantry's front end and engine; the classic way by the docker program of --foreign."""

    name = "gantry"

    def start(self):
        self.root = os.path.join(self.work, "root")
        os.mkdir(self.root)
        os.symlink(os.path.join(self.work, "run"), os.path.join(self.root, "run"))
        self.environment["GANTRY_ROOT"] = self.root
        self.socket = os.path.join(self.root, "run/engine.sock")
        self.program = os.path.abspath(self.options.gantry)
        self.command = [self.program, "image", "build"]
        subprocess.run([self.program, "image", "ls", "-q"], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        if self.options.classic:
            self.command, self.classic = [os.path.join(self.options.foreign, "usr/bin/docker"), "build"], True
            self.environment |= {"DOCKER_BUILDKIT": "0", "DOCKER_HOST": f"unix://{self.socket}"}

    def save(self, tag, _place):
        # An engine that nothing uses leaves by itself: the program wakes it.
        if not os.path.exists(self.socket):
            subprocess.run([self.program, "image", "ls", "-q"], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        return super().save(tag, _place)

    def stop(self):
        subprocess.run([self.program, "engine", "stop"], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)


class Classic(Builder):
    """Some engine's POST /build, by the docker program of --foreign."""

    name, classic = "classic", True

    def start(self):
        self.socket = os.path.abspath(self.options.docker_cli_against)
        self.command = [os.path.join(self.options.foreign, "usr/bin/docker"), "build"]
        self.environment |= {"DOCKER_BUILDKIT": "0", "DOCKER_HOST": f"unix://{self.socket}"}


class Buildah(Builder):
    """buildah of this machine, its storage in a folder of its own."""

    name = "buildah"

    def start(self):
        policy = os.path.join(self.work, "policy.json")
        with open(policy, "w", encoding="utf-8") as file:
            file.write('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.buildah = ["buildah", "--root", f"{self.work}/run/storage", "--runroot", f"{self.work}/run/buildah", "--storage-driver", "overlay"]
        self.command = [*self.buildah, "build", "--format", "docker", "--tls-verify=false", "--identity-label=false", "--isolation", "chroot", "--pull=ifnewer"]
        self.command += ["--signature-policy", policy]
        self.policy = policy

    def own(self, case, _fill):
        # The cache is looked at only where a case is about it: builds beside one another stumble over it.
        return ["--layers"] if "then" in case.sections else []

    def save(self, tag, place):
        path = os.path.join(place, "image.tar")
        push = [*self.buildah, "push", "--signature-policy", self.policy, "-q", tag, f"docker-archive:{path}"]
        subprocess.run(push, env=self.environment, check=True, capture_output=True)
        with open(path, "rb") as file:
            data = file.read()
        os.remove(path)
        return data

    def remove(self, tag):
        subprocess.run([*self.buildah, "rmi", "-f", tag], env=self.environment, capture_output=True, check=False)
