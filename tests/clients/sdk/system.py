"""What an engine says of itself."""


def keys(value):
    """Which keys there are, but for those of version 1 of control groups, and what kind of values they have."""
    return {key: type(item).__name__ for key, item in value.items() if not key.startswith("KernelMemory")}


def tour(client, transcript):
    """The topic's steps."""
    step = transcript.step
    step("system.ping", client.ping)
    step("system.version", client.version, lambda it: {key: it.get(key) for key in ("ApiVersion", "MinAPIVersion", "Os", "Arch")})
    step("system.version.keys", client.version, keys)
    step("system.info.keys", client.info, keys)
    step("system.info", client.info, lambda it: {key: it[key] for key in ("OSType", "Architecture", "NCPU", "Images", "Containers", "Swarm") if key in it})
    step("system.df", client.df, lambda it: {key: None if it[key] is None else type(it[key]).__name__ for key in it})
    step("system.df.images", client.df, lambda it: [keys(image) for image in it["Images"]])
    step("system.login", lambda: client.login("someone", "wrong", registry="127.0.0.1:1"), lambda it: it)
    # What dockerd answers without Swarm.
    step("system.nodes", client.nodes.list)
    step("system.services", client.services.list)
    step("system.secrets", client.secrets.list)
    step("system.configs", client.configs.list)
    step("system.swarm", lambda: client.api.inspect_swarm())
    step("system.swarm.leave", lambda: client.swarm.leave())
    step("system.plugins", client.plugins.list)
    step("system.search", lambda: client.images.search("busybox"), lambda it: "found")
