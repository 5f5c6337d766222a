"""Networks and who is on them."""

from docker.types import IPAMConfig, IPAMPool

from container import IMAGE, RUNS, ready


def names(networks):
    """The names of networks, in order."""
    return sorted(network.name for network in networks)


def tour(client, transcript):
    """The topic's steps."""
    step = transcript.step
    step("network.list", client.networks.list, names)
    step("network.bridge", lambda: client.networks.get("bridge"), lambda it: {key: item for key, item in it.attrs.items() if key not in ("IPAM", "Options")})
    step("network.host", lambda: client.networks.get("host"), lambda it: it.attrs)
    ipam = IPAMConfig(pool_configs=[IPAMPool(subnet="192.0.2.0/24", iprange="192.0.2.128/25", gateway="192.0.2.254", aux_addresses={"router": "192.0.2.129"})])
    one = step("network.create", lambda: client.networks.create(
        "one", driver="bridge", labels={"tour": "network"}, ipam=ipam, options={"com.docker.network.bridge.name": "tour0", "com.docker.network.driver.mtu": "1400"}),
        lambda it: it.attrs)
    step("network.create.again", lambda: client.networks.create("one", check_duplicate=True))
    step("network.create.overlap", lambda: client.networks.create("overlap", ipam=ipam))
    step("network.create.wrong", lambda: client.networks.create("wrong", ipam=IPAMConfig(pool_configs=[IPAMPool(subnet="nonsense")])))
    # dockerd looks for the plug-in for fifteen seconds.
    if client.api._version == "1.51":
        step("network.create.driver", lambda: client.networks.create("other", driver="nonsense"))
    two = step("network.create.internal", lambda: client.networks.create("two", internal=True, attachable=True), lambda it: {
        key: it.attrs.get(key) for key in ("Internal", "Attachable", "Scope", "Driver", "EnableIPv6", "Ingress")})
    step("network.create.six", lambda: client.networks.create("six", enable_ipv6=True, ipam=IPAMConfig(pool_configs=[IPAMPool(subnet="fd00:6::/64")])), lambda it: it.attrs["IPAM"])
    step("network.list.names", lambda: client.networks.list(names=["one"]), names)
    for key, value in (("label", "tour=network"), ("driver", "bridge"), ("type", "custom"), ("type", "builtin"), ("scope", "local"), ("dangling", "true"), ("name", "tw"), ("nonsense", "1")):
        step(f"network.list.{key}={value}", lambda: client.networks.list(filters={key: value}), names)
    it = client.containers.run(IMAGE, RUNS, name="networked", detach=True, network="one")
    ready(it)
    step("network.of", it.reload, lambda _: it.attrs["NetworkSettings"]["Networks"])
    if two:
        step("network.connect", lambda: two.connect("networked", aliases=["also"], links=None))
        step("network.connect.again", lambda: two.connect("networked"))
        step("network.connected", it.reload, lambda _: it.attrs["NetworkSettings"]["Networks"]["two"])
        step("network.names", lambda: client.containers.run(IMAGE, ["sh", "-c", "ping -c 1 -w 5 also > /dev/null && echo reached"], network="two", remove=True))
        step("network.connect.absent", lambda: two.connect("absent"))
        step("network.remove.used", two.remove)
        step("network.disconnect", lambda: two.disconnect("networked"))
        step("network.disconnect.again", lambda: two.disconnect("networked"))
    if one:
        step("network.connect.address", lambda: (one.disconnect("networked"), one.connect("networked", ipv4_address="192.0.2.200"))[1])
        step("network.addressed", it.reload, lambda _: it.attrs["NetworkSettings"]["Networks"]["one"])
        step("network.containers", lambda: client.networks.get("one"), lambda got: got.attrs["Containers"])
        step("network.greedy", lambda: client.networks.list(greedy=True), lambda got: sorted(len(network.attrs.get("Containers") or {}) for network in got))
    it.remove(force=True)
    step("network.remove", lambda: one and one.remove())
    step("network.remove.again", lambda: one and one.remove())
    step("network.remove.builtin", lambda: client.networks.get("bridge").remove())
    step("network.prune", client.networks.prune, lambda it: {"NetworksDeleted": sorted(it["NetworksDeleted"] or [])})
