"""Sends a request to the engine, and judges the answer.

The head of an answer must come within the engine's patience, with a status that says whose fault it was: 500 never. What comes must be as
the description has it. Streams are listened to for a moment.
"""

import json
import re
import select
import socket
import time
from collections import Counter

import requests
from schemathesis import Response
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_headers_conformance, response_schema_conformance, status_code_conformance

load_all_checks()
HEAD = re.compile(rb"^HTTP/1\.1 (\d{3})")
# Statuses that say that the engine refused what it does not do, or that nothing can be done without a swarm: no failures of its own.
HONEST = (501, 503)
STREAM_SECONDS, STREAM_BYTES = 0.3, 1 << 20
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance, response_headers_conformance]


class Judge:
    def __init__(self, engine_socket, patience):
        self.engine_socket, self.patience = engine_socket, patience
        self.findings, self.statuses = {}, Counter()
        self.slowest = (0.0, "")

    def find(self, label, what, request, answer):
        """Keeps the first example of each kind of finding."""
        self.findings.setdefault((label, what.split("\n")[0][:160]), f"{label}: {what}\n    {text(request)}\n    {text(answer)}")

    def ask(self, case):
        """Sends a request; returns the answer's status and body, or nothing."""
        prepared = requests.Request(**case.as_transport_kwargs(base_url="http://engine")).prepare()
        head, body = raw(prepared)
        label = case.operation.label
        began = time.monotonic()
        answer = b""
        with socket.socket(socket.AF_UNIX) as engine:
            engine.settimeout(self.patience)
            engine.connect(self.engine_socket)
            try:
                engine.sendall(head + body)
            except (BrokenPipeError, ConnectionResetError):
                # It has answered before it has read it all.
                pass
            try:
                while b"\r\n\r\n" not in answer and (piece := engine.recv(1 << 16)):
                    answer += piece
            except TimeoutError:
                return self.find(label, "no answer in time", head + body, b"")
            except ConnectionResetError:
                pass
            match = HEAD.match(answer)
            if not match:
                return self.find(label, "the connection broke", head + body, answer)
            self.slowest = max(self.slowest, (time.monotonic() - began, text(head.split(b"\r\n")[0])))
            status = int(match[1])
            self.statuses[f"{label} {status}"] += 1
            answer_head, rest = answer.split(b"\r\n\r\n", 1)
            content = read_body(prepared.method, status, answer_head, rest, engine)
        if status >= 500 and status not in HONEST:
            self.find(label, f"status {status}", head + body, content)
        self.compare(case, prepared, status, answer_head, content, head + body)
        return status, content

    def compare(self, case, prepared, status, head, content, request):
        """Holds an answer to its description."""
        headers = {}
        for line in head.split(b"\r\n")[1:]:
            name, value = line.decode("latin-1").split(":", 1)
            headers.setdefault(name.lower(), []).append(value.strip())
        if headers.get("content-type", [""])[0].startswith("application/json"):
            # Of lines of JSON the first is enough; where a stream's first has not come, there is nothing to look at.
            content = first_value(content)
            if content is None:
                return
        response = Response(status_code=status, headers=headers, content=content, request=prepared, elapsed=0.0, verify=False)
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                self.find(case.operation.label, f"status {status} not as described: {failure.title}", request, f"{failure.message} {text(content)}".encode())


def raw(prepared):
    """A request as it is on the wire: a head, and a body whose length is told."""
    body = prepared.body or b""
    body = body.encode() if isinstance(body, str) else body
    target = prepared.path_url
    # A WebSocket's request says itself what becomes of the connection.
    headers = {"Connection": "close", **prepared.headers, "Host": "engine", "Content-Length": str(len(body))}
    lines = [f"{prepared.method} {tame(prepared.method, target)} HTTP/1.1", *(f"{name}: {shown(value)}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape"), body


def shown(value):
    value = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return re.sub(r"[\r\n\0]", " ", value)


def tame(method, target):
    """A request that does not keep the next one waiting: a stop that may take for ever takes a second."""
    if method == "POST" and re.match(r"/containers/[^/]+/(stop|restart)(\?|$)", target):
        target = re.sub(r"([?&])t=(?![01](&|$))-?\d+", r"\1t=1", target)
        if not re.search(r"[?&]t=", target):
            target += ("&" if "?" in target else "?") + "t=1"
    return target


def read_body(method, status, head, body, engine):
    """An answer's body, as far as it comes in a moment."""
    if method == "HEAD" or status in (101, 204, 304):
        return b""
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    chunked = re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head)
    wanted = int(length[1]) if length else None
    deadline = time.monotonic() + STREAM_SECONDS
    while len(body) < STREAM_BYTES and (wanted is None or len(body) < wanted) and not (chunked and body.endswith(b"0\r\n\r\n")):
        # What has a length or is no stream comes whole.
        patience = max(0, deadline - time.monotonic()) if wanted is None else 10
        if not select.select([engine], [], [], patience)[0]:
            break
        try:
            piece = engine.recv(1 << 16)
        except ConnectionResetError:
            break
        if not piece:
            break
        body += piece
    return unchunk(body) if chunked else body


def unchunk(body):
    content = []
    while b"\r\n" in body:
        size, body = body.split(b"\r\n", 1)
        content.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    return b"".join(content)


def first_value(content):
    """The whole where that is one piece of JSON, else its first line where that is; else nothing."""
    for candidate in (content, content.split(b"\n", 1)[0]):
        try:
            json.loads(candidate)
            return candidate
        except ValueError:
            pass
    return None


def text(data):
    return data[:3000].decode("utf-8", "backslashreplace").replace("\r\n", " | ")
