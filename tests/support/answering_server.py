"""A small server that takes records like a collector, and gives prepared answers."""

import gzip
import json
import socket
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answering:
    """A server with prepared answers. `answers` holds (status, headers) for the next requests; afterwards it answers 202."""

    def __init__(self):
        self.answers, self.bodies, self.headers, self.lines = [], [], [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
                outer.bodies.append(body)
                outer.headers.append(dict(self.headers) | {"path": self.path})
                status, headers, rejected = (*outer.answers.pop(0), {}, [])[:3] if outer.answers else (202, {}, [])
                if status == 0:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if status == 202:
                    outer.lines += body.splitlines()
                answer = json.dumps({"accepted": 1, "rejected": rejected}).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/base/"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def ids(self):
        return Counter(json.loads(line)["id"] for line in self.lines)
