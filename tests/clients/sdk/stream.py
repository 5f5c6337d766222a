"""Streams of a container: logs, attached ones, sockets, archives, figures."""

import io
import json
import tarfile
import time
import urllib.parse
from socket import AF_UNIX, socket as Socket

import websocket

from container import IMAGE, RUNS, ready
from image import tar_of


def members(pieces):
    """What a tar has in it."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        return [(entry.name, entry.type.decode(), oct(entry.mode), entry.size) for entry in tar]


def read_all(socket):
    """Everything a raw socket has to say."""
    read = socket.read if hasattr(socket, "read") else socket.recv
    said = b""
    while piece := read(4096):
        said += piece
    socket.close()
    return said


def spoken(framed):
    """What each stream said, in whatever pieces it came."""
    said = {}
    while framed:
        size = int.from_bytes(framed[4:8])
        said[framed[0]] = said.get(framed[0], b"") + framed[8:8 + size]
        framed = framed[8 + size:]
    return {str(stream): text for stream, text in said.items()}


def tour(client, transcript):
    """The topic's steps."""
    step = transcript.step
    said = client.containers.run(IMAGE, ["sh", "-c", "for i in 1 2 3; do echo out $i; echo err $i >&2; done"], name="said", detach=True)
    said.wait()
    lines = lambda text: sorted(text.splitlines())
    step("stream.logs", said.logs, lines)
    step("stream.logs.out", lambda: said.logs(stderr=False))
    step("stream.logs.err", lambda: said.logs(stdout=False))
    step("stream.logs.tail", lambda: said.logs(tail=2), lambda it: len(it.splitlines()))
    step("stream.logs.nothing", lambda: said.logs(stdout=False, stderr=False))
    step("stream.logs.times", lambda: said.logs(stderr=False, timestamps=True))
    step("stream.logs.since", lambda: said.logs(since=int(time.time()) + 1000))
    step("stream.logs.until", lambda: said.logs(until=1))
    step("stream.logs.follow", lambda: list(said.logs(stream=True, follow=True, stderr=False)), b"".join)
    step("stream.attach.logs", lambda: said.attach(logs=True, stream=False), lines)
    step("stream.attach.demux", lambda: said.attach(logs=True, stream=False, demux=True))
    said.remove()

    asks = client.containers.create(IMAGE, ["sh", "-c", "read line; echo got $line; read rest; echo done $rest"], stdin_open=True, name="asks")
    socket = step("stream.socket", lambda: asks.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}), lambda it: type(it).__name__)
    asks.start()
    if socket:
        inner = getattr(socket, "_sock", socket)
        inner.sendall(b"a line\n")
        inner.sendall(b"the rest\n")
        step("stream.socket.said", lambda: read_all(socket), spoken)
        step("stream.socket.exit", asks.wait)
    asks.remove(force=True)
    typed = client.containers.create(IMAGE, ["sh", "-c", "read line; echo got $line"], stdin_open=True, tty=True, name="typed")
    socket = step("stream.terminal", lambda: typed.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1}), lambda it: type(it).__name__)
    typed.start()
    step("stream.terminal.resize", lambda: typed.resize(30, 100))
    if socket:
        getattr(socket, "_sock", socket).sendall(b"typed\n")
        step("stream.terminal.said", lambda: read_all(socket))
        step("stream.terminal.exit", typed.wait)
    typed.remove(force=True)
    web_sockets(client, step)
    archives(client, step)
    figures(client, step)


def web_sockets(client, step):
    """The same streams over WebSockets."""
    web = client.containers.create(IMAGE, ["sh", "-c", "read line; echo got $line"], stdin_open=True, tty=True, name="web")
    typed = web_socket(client, "web", stdin=1, stdout=1, stream=1)
    web.start()
    typed.send("from the web\n")
    step("stream.websocket.terminal", lambda: messages(typed))
    web.remove(force=True)
    said = client.containers.run(IMAGE, ["seq", "1", "5"], name="said", detach=True)
    said.wait()
    step("stream.websocket.logs", lambda: messages(web_socket(client, "said", stdout=1, logs=1)))
    said.remove()
    step("stream.websocket.absent", lambda: refusal(client))


def web_socket(client, name, **params):
    """A WebSocket to a container. The SDK makes them over TCP only."""
    inner = Socket(AF_UNIX)
    inner.settimeout(600)
    inner.connect(client.api._custom_adapter.socket_path)
    path = urllib.parse.urlsplit(client.api._url("/containers/{0}/attach/ws", name)).path
    return websocket.create_connection(f"ws://localhost{path}?{urllib.parse.urlencode(params)}", socket=inner)


def refusal(client):
    """What is said to one who wants a WebSocket to a container that is not there."""
    try:
        return messages(web_socket(client, "said", stdout=1, stream=1))
    except websocket.WebSocketBadStatusException as refused:
        return [refused.status_code, json.loads(refused.resp_body)]


def messages(web):
    """All that a WebSocket says until its end: in messages of which kind, and what."""
    kinds, said = set(), b""
    # Not `recv`, which answers a farewell: dockerd is gone by then.
    while (frame := web.recv_frame()).opcode != websocket.ABNF.OPCODE_CLOSE:
        kinds.add(frame.opcode)
        said += frame.data
    web.shutdown()
    return [sorted(kinds), said, frame.data]


def archives(client, step):
    """Files in and out."""
    it = client.containers.create(IMAGE, RUNS, name="files")
    step("archive.put", lambda: it.put_archive("/tmp", tar_of({"one": "1\n", "two": "22\n"})))
    step("archive.put.nowhere", lambda: it.put_archive("/nowhere", tar_of({"one": "1\n"})))
    step("archive.put.file", lambda: it.put_archive("/etc/passwd", tar_of({"one": "1\n"})))
    step("archive.put.nonsense", lambda: it.put_archive("/tmp", b"no tar at all"))
    step("archive.get", lambda: it.get_archive("/tmp/one"), lambda got: [members(got[0]), {key: got[1][key] for key in ("name", "size", "mode", "linkTarget")}])
    step("archive.get.folder", lambda: it.get_archive("/tmp"), lambda got: sorted(members(got[0])))
    step("archive.get.link", lambda: it.get_archive("/bin/sh"), lambda got: [members(got[0]), got[1]["linkTarget"], got[1]["name"]])
    step("archive.get.absent", lambda: it.get_archive("/absent"))
    step("archive.export", it.export, lambda pieces: sorted(entry for entry in members(pieces) if entry[0] in ("tmp/one", "tmp/two")))
    it.remove()


def figures(client, step):
    """What a container uses."""
    it = client.containers.run(IMAGE, RUNS, name="figures", detach=True)
    ready(it)
    step("figures.once", lambda: it.stats(stream=False), kinds)
    step("figures.one-shot", lambda: client.api.stats("figures", stream=False, one_shot=True), kinds)
    stream = it.stats(stream=True, decode=True)
    step("figures.stream", lambda: [next(stream), next(stream)], lambda it: [piece["name"] for piece in it])
    stream.close()
    it.remove(force=True)


def kinds(value):
    """Which figures there are, but for those that depend on the version of control groups."""
    if isinstance(value, str):
        value = json.loads(value)
    depends = ("networks", "percpu_usage", "max_usage", "stats")
    of = lambda item: {key: of(inner) for key, inner in item.items() if key not in depends} if isinstance(item, dict) else type(item).__name__
    return of(value)
