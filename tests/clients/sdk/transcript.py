"""What an engine answered, one line a value, with whatever is never the same twice replaced by what kind of thing it is."""

import re

import docker

# Values below these keys are measured, chosen at random, told by the machine or still changing: only their kind is noted.
MEASURED = {
    "Created", "CreatedAt", "Duration", "GraphDriver", "Health", "HostPort", "LastUsedAt", "LogPath", "Mountpoint", "Pid", "Port", "PrivilegedSize", "Size",
    "SizeRootFs", "SizeRw", "VirtualSize", "created", "execDuration", "id", "mtime", "time", "timeNano", "total", "current",
}
PATTERNS = [
    (re.compile(r"\bsha256:[0-9a-f]{64}\b"), "<digest>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<id>"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "<short id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"), "<time>"),
    (re.compile(r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b"), "<hardware address>"),
    (re.compile(r"\b(10|172)\.\d+\.\d+\.\d+(/\d+)?\b"), "<address>"),
    (re.compile(r"/[\w./-]*/containers/<id>/"), "<folder>/"),
    (re.compile(r"/var/run/docker/netns/[0-9a-f]+|/[\w./-]*/netns/[\w-]+"), "<namespace>"),
]


def normal(text):
    """A text without what is never the same twice."""
    for pattern, kind in PATTERNS:
        text = pattern.sub(kind, text)
    return text


def kind(value):
    """What kind of value it is, and whether there is any."""
    return f"<{type(value).__name__}>" if value else f"<no {type(value).__name__}>"


def flat(path, value):
    """The leaves of a value, each with where it is."""
    if path.rsplit("/", 1)[-1] in MEASURED and not isinstance(value, list):
        yield path, kind(value)
    elif isinstance(value, dict) and value:
        for key in sorted(value):
            yield from flat(f"{path}/{normal(key)}", value[key])
    elif isinstance(value, (list, tuple)) and value:
        for index, item in enumerate(value):
            yield from flat(f"{path}/{index}", item)
    elif isinstance(value, bytes):
        yield path, repr(normal(value.decode("utf-8", "backslashreplace")))
    elif isinstance(value, str):
        yield path, repr(normal(value))
    else:
        yield path, repr(value)


class Transcript:
    """Does one step after another and prints what came of each."""

    def note(self, name, value):
        """Prints a value."""
        for path, text in flat(name, value):
            print(f"{path} = {text}", flush=True)
        return value

    def step(self, name, call, show=lambda value: value):
        """Calls the engine; what `show` makes of the answer, or the engine's refusal, is printed. Returns the answer, or None."""
        try:
            value = call()
            self.note(name, show(value))
            return value
        except docker.errors.APIError as error:
            self.note(name, f"! {error.response.status_code}: {error.explanation}")
        except docker.errors.ContainerError as error:
            self.note(name, f"! exit {error.exit_status}: {error.stderr!r}")
        except (docker.errors.BuildError, docker.errors.ImageLoadError, docker.errors.InvalidVersion) as error:
            self.note(name, f"! {type(error).__name__}: {error}")
        return None
