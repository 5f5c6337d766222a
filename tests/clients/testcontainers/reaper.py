"""What Testcontainers calls its reaper, as far as its clients can tell.

Clients connect to port 8080 and send filters, a line each (`label=KEY=VALUE&label=…`), each of which is answered with `ACK`. When the last client is
gone and none has come back for a while, whatever the filters name is removed over the engine's socket, and the reaper ends."""

import http.client
import json
import os
import re
import socket
import socketserver
import threading
import urllib.parse

SOCKET = "/var/run/docker.sock"
UNITS = {"ms": 0.001, "s": 1, "m": 60}


def seconds(text):
    """How long `10s` is."""
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m)", text))


class Engine(http.client.HTTPConnection):
    """The engine behind its socket."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET)

    def call(self, method, path, **query):
        """One request; returns what is answered."""
        self.request(method, f"{path}?{urllib.parse.urlencode(query)}")
        answer = self.getresponse()
        text = answer.read()
        if answer.status >= 400 and answer.status not in (404, 409):
            print(f"reaper: {method} {path}: {answer.status} {text.decode()}")
        return json.loads(text) if text else None


def remove(line):
    """Removes what one line of filters names."""
    filters = {}
    for key, value in urllib.parse.parse_qsl(line, keep_blank_values=True):
        filters.setdefault(key, {})[value] = True
    filters = json.dumps(filters)
    engine = Engine("engine")
    for container in engine.call("GET", "/v1.44/containers/json", all=1, filters=filters):
        engine.call("DELETE", f"/v1.44/containers/{container['Id']}", force=1, v=1)
    for network in engine.call("GET", "/v1.44/networks", filters=filters):
        engine.call("DELETE", f"/v1.44/networks/{network['Id']}")
    for volume in engine.call("GET", "/v1.44/volumes", filters=filters)["Volumes"] or []:
        engine.call("DELETE", f"/v1.44/volumes/{volume['Name']}", force=1)
    for image in engine.call("GET", "/v1.44/images/json", filters=filters):
        engine.call("DELETE", f"/v1.44/images/{urllib.parse.quote(image['Id'])}", force=1)


class Clients:
    """Who is connected, and what they asked for."""

    def __init__(self):
        self.changed = threading.Condition()
        self.connected = 0
        self.lines = []

    def none_is_left(self):
        """Waits until nobody is connected, and nobody comes back in time."""
        first, again = seconds(os.environ.get("RYUK_CONNECTION_TIMEOUT", "60s")), seconds(os.environ.get("RYUK_RECONNECTION_TIMEOUT", "10s"))
        with self.changed:
            if not self.changed.wait_for(lambda: self.connected > 0, first):
                return
            while True:
                self.changed.wait_for(lambda: self.connected == 0)
                if not self.changed.wait_for(lambda: self.connected > 0, again):
                    return


CLIENTS = Clients()


class Client(socketserver.StreamRequestHandler):
    """One client."""

    def handle(self):
        with CLIENTS.changed:
            CLIENTS.connected += 1
            CLIENTS.changed.notify_all()
        try:
            for line in self.rfile:
                if line := line.decode().strip():
                    CLIENTS.lines.append(line)
                    self.wfile.write(b"ACK\n")
        except ConnectionError:
            pass
        with CLIENTS.changed:
            CLIENTS.connected -= 1
            CLIENTS.changed.notify_all()


def main():
    server = socketserver.ThreadingTCPServer(("", 8080), Client)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("reaper: Started!")
    CLIENTS.none_is_left()
    for line in dict.fromkeys(CLIENTS.lines):
        print(f"reaper: {line}")
        remove(line)


main()
