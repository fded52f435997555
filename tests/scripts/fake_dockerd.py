"""An engine that answers only ping and version: `fake_dockerd.py SOCKET`."""

import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"OK" if self.path.endswith("_ping") else b'{"ApiVersion": "1.41"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "client"


Path(sys.argv[1]).unlink(missing_ok=True)
with UnixStreamServer(sys.argv[1], Handler) as server:
    server.serve_forever()
