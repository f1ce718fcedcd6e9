"""A real HTTP server for the tests: Python's own. Says its port, and then what it was sent, a JSON object in a line."""

import hashlib
import hmac
import http.server
import json
import ssl
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def respond(self, status, body=b"", kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def tell(self, body):
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = {"method": self.command, "path": self.path, "headers": headers, "body": body[:20000].decode("utf-8", "replace")}
        told["sha256"] = hashlib.sha256(body).hexdigest()
        told["port"] = self.client_address[1]
        print(json.dumps(told), flush=True)

    def do_GET(self):
        self.tell(b"")
        self.respond(200, b"hello")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.tell(body)
        word = self.path.strip("/").split("/")
        if word[0] == "status":
            self.respond(int(word[1]), b"x")
        elif word[0] == "signed":
            parts = dict(part.split("=") for part in self.headers["X-Postgate-Signature"].split(","))
            expected = hmac.new(b"topsecret", parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
            self.respond(204 if hmac.compare_digest(expected, parts["v1"]) else 401)
        elif word[0] == "hooks":
            self.respond(200, json.loads(sys.argv[1])[word[1]].encode(), "application/json")
        else:
            self.respond(200, str(len(body)).encode() + b" " + hashlib.sha256(body).hexdigest().encode())

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
