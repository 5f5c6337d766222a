"""What makes random requests meet something: names of what is there, commands that run, archives that are none or are."""

import io
import random
import tarfile

import schemathesis

NAMES = {
    "/containers/": ["seed-running", "seed-running", "seed-exited", "seed-terminal", "seed-created"],
    "/images/": ["busybox:seed"],
    "/networks/": ["seed-network", "bridge"],
    "/volumes/": ["seed-volume"],
    "/gantry/busy/": ["seed-running"],
}
COMMANDS = [["true"], ["sh", "-c", "exit 3"], ["sleep", "1"], ["cat", "/etc/passwd"]]
FILES = [
    [],
    [("file", "text")],
    [("Dockerfile", "FROM busybox:seed\nCOPY . /context\nRUN true\n"), ("a/b", "text")],
    [("Dockerfile", "FROM scratch\nRUN\n")],
    [("manifest.json", "[]")],
    [("manifest.json", '[{"Config": "none.json", "RepoTags": ["x:1"], "Layers": []}]')],
]
chance = random.Random()
# Ids of commands that were made, of which each can be started once.
commands = []


def is_often():
    return chance.random() < 0.7


def with_examples(schema):
    """A schema in which examples are as likely as anything else of their kind."""
    if isinstance(schema, list):
        return [with_examples(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: with_examples(value) for key, value in schema.items()}
    examples = schema.get("examples")
    if isinstance(examples, list) and "type" in schema:
        rest = {key: value for key, value in schema.items() if key != "examples"}
        return {"anyOf": [{"enum": examples}, rest]}
    return schema


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Names that stand for something, most of the time."""
    place = context.operation.path
    if path_parameters and is_often():
        for beginning, names in NAMES.items():
            if place.startswith(beginning):
                path_parameters["name"] = chance.choice(names)
        if place.startswith("/exec/") and commands:
            path_parameters["name"] = chance.choice(commands)
    return path_parameters


@schemathesis.hook
def map_body(context, body):
    """An image that is there, and commands that end."""
    if isinstance(body, dict) and context.operation.path == "/containers/create":
        if is_often():
            body["Image"] = "busybox:seed"
        if is_often():
            body.pop("Entrypoint", None)
            body["Cmd"] = chance.choice(COMMANDS)
        # Most wishes together are refused for one of them; alone each has its chance.
        if isinstance(body.get("HostConfig"), dict) and is_often():
            host = body["HostConfig"]
            body["HostConfig"] = {key: host[key] for key in chance.sample(sorted(host), min(len(host), 2))}
    if isinstance(body, dict) and context.operation.path.endswith("/exec") and is_often():
        body["Cmd"] = chance.choice(COMMANDS)
    if isinstance(body, dict) and context.operation.path.endswith("connect") and is_often():
        body["Container"] = chance.choice(NAMES["/containers/"])
    return body


@schemathesis.serializer("application/x-tar")
def archive(context, value):
    """A good archive, one that is cut short, and bytes that are none."""
    if not is_often():
        return value if isinstance(value, bytes) else str(value).encode()
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for name, text in chance.choice(FILES):
            file = tarfile.TarInfo(name)
            file.size = len(text)
            tar.addfile(file, io.BytesIO(text.encode()))
    data = whole.getvalue()
    return data if is_often() else data[: chance.randrange(len(data))]
