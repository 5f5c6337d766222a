"""Testcontainers for Python: PostgreSQL, Redis and containers of one's own.

Usage: tour.py [stay]
With `stay`, what was started stays until the process is gone, which is told its number first."""

import os
import pathlib
import sys

import pg8000.native
from testcontainers.community.postgres import PostgresContainer
from testcontainers.community.redis import RedisContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.image import DockerImage
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy

DOCKERFILE = """FROM busybox:test
RUN mkdir -p /www && echo hello from the page > /www/index.html
CMD ["httpd", "-f", "-v", "-p", "80", "-h", "/www"]
"""


def query(postgres, text):
    """What the database answers, over the port that it is published on."""
    with pg8000.native.Connection(
        "test", password="test", database="test", host=postgres.get_container_host_ip(), port=int(postgres.get_exposed_port(5432))
    ) as connection:
        return connection.run(text)


def services():
    """A database and a cache."""
    with PostgresContainer("postgres:15", driver=None) as postgres, RedisContainer("redis:7", password="secret") as redis:
        query(postgres, "create table goods (name text); insert into goods values ('lamp'), ('bell')")
        print("postgres:", query(postgres, "select name from goods order by name"))
        print("postgres in the container:", postgres.exec(["psql", "-U", "test", "-tAc", "select count(*) from goods"]).output.decode().strip())
        client = redis.get_client()
        client.set("visits", 41)
        print("redis:", client.incr("visits"))
        print("redis in the container:", redis.exec("redis-cli -a secret --no-auth-warning get visits").output.decode().strip())


def own():
    """Containers of one's own: built, on a network of their own, with files, waited for."""
    folder = pathlib.Path("built")
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE)
    with DockerImage(path=folder, tag="built:tour", clean_up=True) as image, Network() as network:
        print("image:", image.tag)
        web = DockerContainer(str(image)).with_exposed_ports(80).with_network(network).with_network_aliases("web")
        with web.waiting_for(HttpWaitStrategy(80, "/index.html").for_status_code(200)):
            print("status:", web.status)
            asks = DockerContainer("busybox:test").with_network(network).with_command(["sh", "-c", "wget -qO- http://web/index.html; cat /copied; echo asked; sleep 1000"])
            with asks.with_copy_into_container(b"copied in\n", "/copied").waiting_for(LogMessageWaitStrategy("asked")):
                print("logs:", asks.get_logs()[0].decode().split("\n"))
                copied = pathlib.Path("copied")
                asks.copy_from_container("/copied", copied)
                print("copied out:", copied.read_text().strip())


def stay():
    """Starts both, says so, and ends only when it is ended."""
    print("process:", os.getpid(), flush=True)
    postgres = PostgresContainer("postgres:15", driver=None).start()
    RedisContainer("redis:7").start()
    print("postgres:", query(postgres, "select 1"), flush=True)
    print("both are up", flush=True)
    sys.stdin.read()


if sys.argv[1:] == ["stay"]:
    stay()
else:
    services()
    own()
    print("the tour is over")
