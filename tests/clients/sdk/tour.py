"""A tour of everything the Docker SDK for Python offers, on one engine at one version of the API.

Usage: tour.py unix://SOCKET VERSION [TOPIC ...]
The engine has the image busybox:test and nothing else, and a registry listens on 127.0.0.1:5000. Two engines that behave alike print the same."""

import http.client
import io
import sys

import docker
from docker.transport import unixconn

import container
import event
import execution
import image
import network
import stream
import system
import volume
from transcript import Transcript

TOPICS = {"system": system, "image": image, "container": container, "stream": stream, "execution": execution, "network": network,
          "volume": volume, "event": event}


class Response(http.client.HTTPResponse):
    """An answer of which no more is read than is asked for: of a stream, the SDK takes over the socket, and loses what was read ahead."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.fp = io.BufferedReader(self.fp.detach(), 1)


def clean(client, saved):
    """Makes the engine as it was before a topic."""
    for found in client.containers.list(all=True):
        found.remove(v=True, force=True)
    for found in client.networks.list():
        if found.name not in ("bridge", "host", "none"):
            found.remove()
    for found in client.volumes.list():
        found.remove()
    for found in client.images.list():
        if "busybox:test" not in found.tags:
            client.images.remove(found.id, force=True)
    if not any("busybox:test" in found.tags for found in client.images.list()):
        client.images.load(saved)


def main():
    """Makes the tour."""
    host, version, *topics = sys.argv[1:]
    unixconn.UnixHTTPConnection.response_class = Response
    client = docker.DockerClient(base_url=host, version=version, timeout=600)
    saved = b"".join(client.images.get("busybox:test").save(named="busybox:test"))
    for topic in topics or TOPICS:
        TOPICS[topic].tour(client, Transcript())
        clean(client, saved)
    client.close()


if __name__ == "__main__":
    main()
