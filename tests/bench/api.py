"""The rows of the API: the same requests by the same client, sent to either engine's socket; and `docker logs`."""

import http.client
import json
import os
import socket
import statistics
import subprocess
import threading
import time
import urllib.parse

CYCLES, LISTED, EVENTS = 10, 500, 100
GIGABYTE = 1 << 30
# Eighty bytes and a line break.
LINE = "The quick brown fox jumps over the lazy dog, and \"the dog\" sleeps on\tthrough it."


class Client(http.client.HTTPConnection):
    """One connection to an engine, kept from request to request."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

    def send_call(self, method, path, body=None):
        text = None if body is None else json.dumps(body)
        self.request(method, "/v1.51" + path, text, {} if body is None else {"Content-Type": "application/json"})

    def take_answer(self):
        answer = self.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{self.path}: {answer.status} {content.decode()}")
        return content

    def call(self, method, path, body=None):
        self.send_call(method, path, body)
        return self.take_answer()

    def create(self, image, command, name=None, **settings):
        query = f"?name={name}" if name else ""
        return json.loads(self.call("POST", f"/containers/create{query}", {"Image": image, "Cmd": command, **settings}))["Id"]

    def cycle(self, image):
        """A container's whole life."""
        container = self.create(image, ["true"])
        self.call("POST", f"/containers/{container}/start")
        self.call("POST", f"/containers/{container}/wait")
        self.call("DELETE", f"/containers/{container}")


def cycles(path, image, at_once):
    """Seconds that a container's life takes, while so many are led at once."""

    def some():
        client = Client(path)
        for _ in range(CYCLES):
            client.cycle(image)
        client.close()

    workers = [threading.Thread(target=some) for _ in range(at_once)]
    begin = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return (time.monotonic() - begin) / CYCLES / at_once


def listed(client):
    """Seconds that a list of all containers takes."""
    begin = time.monotonic()
    for _ in range(CYCLES):
        client.call("GET", "/containers/json?all=1")
    return (time.monotonic() - begin) / CYCLES


def told(path, container):
    """Seconds from an event's own time until its listener has it, at the median. One thread does both: no other keeps it from reading."""
    listener, client = Client(path), Client(path)
    listener.send_call("GET", "/events?" + urllib.parse.urlencode({"filters": json.dumps({"event": ["rename"]})}))
    events, taken = listener.getresponse(), []
    for number in range(EVENTS):
        client.send_call("POST", f"/containers/{container}/rename?name=renamed{number}")
        event = json.loads(events.readline())
        taken.append((time.time_ns() - event["timeNano"]) / 1e9)
        client.take_answer()
    listener.close()
    client.close()
    return statistics.median(taken)


def rows(work, image, gantry, docker, wanted, measure):
    """`docker` is the command line itself: its `logs` are asked for of both engines."""
    paths = {gantry: os.path.join(work, "run/engine.sock"), docker: os.path.join(work, "docker-exec/sock")}
    # Ours may have left meanwhile, for nothing ran; one container keeps it.
    gantry.run(["image", "ls", "-q"], work)
    clients = {side: Client(path) for side, path in paths.items()}
    kept = {}
    for side, client in clients.items():
        kept[side] = client.create(image, ["sleep", "100000"])
        client.call("POST", f"/containers/{kept[side]}/start")

    measure("api-cycle", None, lambda side: cycles(paths[side], image, 1), None)
    measure("api-cycle-8", None, lambda side: cycles(paths[side], image, 8), None)

    if wanted("api-list-500"):
        labels = {f"org.example.label{number}": f"value {number}" for number in range(8)}
        made = {side: [client.create(image, ["sleep", "1"], Labels=labels) for _ in range(LISTED)] for side, client in clients.items()}
        measure("api-list-500", None, lambda side: listed(clients[side]), None)
        for side, client in clients.items():
            for container in made[side]:
                client.call("DELETE", f"/containers/{container}")

    if wanted("api-logs"):
        script = f"busybox yes '{LINE}' | busybox head -c {GIGABYTE}"
        written = {}
        for side, client in clients.items():
            written[side] = client.create(image, ["sh", "-c", script], HostConfig={"LogConfig": {"Type": "json-file"}})
            client.call("POST", f"/containers/{written[side]}/start")
            client.call("POST", f"/containers/{written[side]}/wait")

        def logs(side):
            environment = {**docker.environment, "DOCKER_HOST": f"unix://{paths[side]}"}
            begin = time.monotonic()
            subprocess.run([*docker.command, "logs", written[side]], env=environment, stdout=subprocess.DEVNULL, check=True)
            return time.monotonic() - begin

        measure("api-logs", None, logs, None)
        for side, client in clients.items():
            client.call("DELETE", f"/containers/{written[side]}")

    measure("api-event", None, lambda side: told(paths[side], kept[side]), None)

    for side, client in clients.items():
        client.call("DELETE", f"/containers/{kept[side]}?force=1")
        client.close()
