"""Events: a life of one container, heard while it happens and asked for afterwards."""

import threading
import time

from container import IMAGE, RUNS, ready


def shown(event):
    """What is the same for every life."""
    return {key: event.get(key) for key in ("Type", "Action", "scope", "Actor", "status", "from", "id") if key in event}


def tour(client, transcript):
    """The topic's steps."""
    step = transcript.step
    begun = int(time.time())
    stream = client.events(decode=True)
    heard = []

    def listen():
        for event in stream:
            heard.append(event)
            if event.get("Action") == "destroy" and event.get("Type") == "network":
                break

    listener = threading.Thread(target=listen)
    listener.start()
    live(client)
    listener.join()
    stream.close()
    # What happens at once has no order of its own.
    transcript.note("event.heard", {f"{event['Type']} {event['Action']}": shown(event) for event in heard})
    order = [event for event in heard if event["Type"] == "container" and event["Action"] not in ("stop", "kill", "exec_die")]
    transcript.note("event.order", [event["Action"] for event in order])
    transcript.note("event.ordered", sorted(order, key=lambda event: event["timeNano"]) == order)
    ended = int(time.time()) + 1
    past = lambda **filters: [shown(event) for event in client.events(since=begun, until=ended, filters=filters or None, decode=True)]
    step("event.past", lambda: len(past()) >= len(heard))
    for filters in (
        {"container": "lived"}, {"event": "die"}, {"type": "volume"}, {"type": ["volume", "network"], "event": "create"}, {"label": "tour=event"}, {"image": IMAGE},
        {"network": "inhabited"}, {"volume": "owned"}, {"scope": "swarm"}, {"event": "nothing"},
    ):
        # Only of this topic's own.
        mine = lambda: sorted(f"{event['Type']} {event['Action']}" for event in past(**filters) if any(name in str(event) for name in ("lived", "inhabited", "owned")))
        step(f"event.past.{'+'.join(filters)}.{'+'.join(map(str, filters.values()))}", mine)
    step("event.past.unknown", lambda: len(past(nonsense="1")) > 0)
    step("event.past.empty", lambda: list(client.events(since=1, until=2, decode=True)))


def live(client):
    """A life."""
    network = client.networks.create("inhabited")
    client.volumes.create("owned")
    it = client.containers.create(IMAGE, RUNS, name="lived", labels={"tour": "event"}, network="inhabited", volumes=["owned:/v"])
    it.start()
    ready(it)
    it.exec_run(["true"])
    it.pause()
    it.unpause()
    it.rename("lived-long")
    it.stop(timeout=5)
    it.remove()
    client.volumes.get("owned").remove()
    network.remove()
