"""Greets whoever opens the page."""

from http.server import BaseHTTPRequestHandler, HTTPServer

from greeting import greet

GUEST = "world"


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{greet(GUEST)}\n".encode())


HTTPServer(("", 8080), Page).serve_forever()
