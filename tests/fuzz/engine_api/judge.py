"""Sends a request to the engine, and judges the answer.

The head of an answer must come within the engine's patience, with a status that says whose fault it was: 500 never. What comes must be as
the description has it, and what is said to be JSON must be JSON. Streams are listened to for a moment.
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
            content, whole = read_body(prepared.method, status, answer_head, rest, engine)
        if status >= 500 and status not in HONEST:
            self.find(label, f"status {status}", head + body, content)
        self.compare(case, prepared, status, answer_head, content, whole, head + body)
        return status, content

    def compare(self, case, prepared, status, head, content, whole, request):
        """Holds an answer to its description."""
        headers = {}
        for line in head.split(b"\r\n")[1:]:
            name, value = line.decode("latin-1").split(":", 1)
            headers.setdefault(name.lower(), []).append(value.strip())
        checks = CHECKS
        if headers.get("content-type", [""])[0].startswith("application/json"):
            try:
                content = first_value(content, whole, "content-length" not in headers)
            except ValueError as error:
                return self.find(case.operation.label, f"status {status} with JSON that is none\n    {error}", request, content)
            if content is None:
                # Nothing has come that could be looked at; what was said of it can.
                content, checks = b"", [check for check in CHECKS if check is not response_schema_conformance]
        response = Response(status_code=status, headers=headers, content=content, request=prepared, elapsed=0.0, verify=False)
        try:
            case.validate_response(response, checks=checks)
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
    """An answer's body, as far as it comes in a moment, and whether that is all that comes: none, where there is to be none, is not."""
    if method == "HEAD" or status in (101, 204, 304):
        return b"", False
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    chunked = re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head)
    wanted = int(length[1]) if length else None
    deadline = time.monotonic() + STREAM_SECONDS
    while True:
        if wanted is not None:
            whole = len(body) >= wanted
        else:
            whole = bool(chunked) and (b"\r\n" + body).endswith(b"\r\n0\r\n\r\n")
        # What has a length or is no stream comes whole.
        patience = max(0, deadline - time.monotonic()) if wanted is None else 10
        if whole or len(body) >= STREAM_BYTES or not select.select([engine], [], [], patience)[0]:
            break
        try:
            piece = engine.recv(1 << 16)
        except ConnectionResetError:
            break
        if not piece:
            # So ends what has neither a length nor chunks; anything else is cut short, and judged as it is.
            whole = True
            break
        body += piece
    return (unchunk(body) if chunked else body), whole


def unchunk(body):
    content = []
    while b"\r\n" in body:
        size, body = body.split(b"\r\n", 1)
        content.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    return b"".join(content)


def first_value(content, whole, is_stream):
    """The whole where that is one piece of JSON; of a stream the first of its lines, each of which is one, or nothing where nothing has come."""
    try:
        json.loads(content)
        return content
    except ValueError:
        if whole and not is_stream:
            raise
        lines = content.split(b"\n")
    # What follows the end of the last line may go on yet.
    if not whole or not lines[-1].strip():
        lines.pop()
    for line in lines:
        json.loads(line)
    return lines[0] if lines else None


def text(data):
    return data[:3000].decode("utf-8", "backslashreplace").replace("\r\n", " | ")
