"""A connection to an engine over its unix socket; read by the scripts of the folders beside this one."""

import http.client
import socket


class Unix(http.client.HTTPConnection):
    """One connection, on which nothing is waited for longer than so many seconds."""

    def __init__(self, path, patience):
        super().__init__("engine", timeout=patience)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)
