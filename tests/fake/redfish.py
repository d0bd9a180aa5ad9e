#!/usr/bin/env python3
"""Management controllers that speak Redfish, one a port.

    redfish.py [--tls CERT KEY] MACHINE...      prints a port for each and serves 127.0.0.1 until its stdin ends

With --tls all of them speak TLS. `locked` wants the user `reader` with the password `of-the-test`; `flaky` answers
twice what it draws, and then 503.
"""
import base64
import json
import socketserver
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler

CHASSIS = "/redfish/v1/Chassis"
WORD = "Basic " + base64.b64encode(b"reader:of-the-test").decode()


def link(path):
    return {"@odata.id": path}


def members(*ids):
    return {CHASSIS: {"Members": [link(f"{CHASSIS}/{i}/") for i in ids], "Members@odata.count": len(ids)}}


def chassis(ident, around=None, metrics=None, power=None):
    """A chassis and what hangs below it."""
    me, docs = f"{CHASSIS}/{ident}", {}
    docs[me] = {"Id": ident, "Links": {"ContainedBy": link(f"{CHASSIS}/{around}")} if around else {}}
    for name, doc in (("EnvironmentMetrics", metrics), ("Power", power)):
        if doc is not None:
            docs[me][name] = link(f"{me}/{name}")
            docs[f"{me}/{name}"] = doc
    return docs


def watts(x):
    return {"PowerWatts": {"Reading": x}}


def control(*of, **metrics):
    return {"PowerControl": [{"Name": name, "PowerConsumedWatts": x, "PowerMetrics": metrics} for name, x in of]}


MACHINES = {
    "new": members("1") | chassis("1", metrics=watts(220.5), power=control(("System", 999))),
    "old": members("Enclosure", "1") | chassis("Enclosure") |
    chassis("1", metrics={"PowerWatts": {"Reading": None}}, power=control(("System Input Power", 344), ("CPU", 100))),
    "mean": members("1") | chassis("1", power=control(("System", None), AverageConsumedWatts=319, IntervalInMin=20)),
    "joules": members("1") | chassis("1", metrics={"EnergyJoules": {"Reading": "by the clock"}, **watts(1)}),
    "kwh": members("1") | chassis("1", metrics={"EnergykWh": {"Reading": 325.25}}),
    "nested": members("Board", "Tray", "GPU") | chassis("Board", around="Tray", metrics=watts(700)) |
    chassis("Tray", metrics=watts(900)) | chassis("GPU", around="Board", metrics=watts(600)),
    "two": members("A", "B") | chassis("A", metrics=watts(110)) | chassis("B", metrics=watts(120)),
    "partly": members("Gone", "1") | chassis("1", metrics=watts(160)),
    "inside": members("Gone", "1") | chassis("1", around="Gone", metrics=watts(160)),
    "zero": members("1") | chassis("1", power=control(("System", 0))),
    "parts": members("1") | chassis("1", power=control(("System", None), ("CPU", 100))),
    "garbage": {CHASSIS: "<html>"},
    "elsewhere": members("1") | {f"{CHASSIS}/1": {"Power": link("//example.org/Power")}},
    "locked": members("1") | chassis("1", metrics=watts(150)),
    "flaky": members("1") | chassis("1", metrics=watts(130)),
    "moved": members("1") | chassis("1", metrics=watts(140)),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, doc, **headers):
        body = doc.encode() if isinstance(doc, str) else json.dumps(doc).encode()
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        server, path = self.server, self.path.rstrip("/")
        doc = MACHINES[server.name].get(path)
        if server.name == "locked" and self.headers.get("Authorization") != WORD:
            return self.answer(401, {"error": {"message": "who are you?"}})
        if server.name == "moved" and self.path == CHASSIS:
            return self.answer(308, {}, Location=CHASSIS + "/")
        if doc is None:
            return self.answer(404, {"error": {"message": "not here"}})
        if "EnergyJoules" in doc:
            doc = {"EnergyJoules": {"Reading": round(100 * time.monotonic(), 3)}}
        if path.endswith("EnvironmentMetrics"):
            server.asked += 1
            if server.name == "flaky" and server.asked > 4:
                return self.answer(503, {})
        return self.answer(200, doc)

    def log_message(self, *args):
        """Says nothing."""


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that hangs up is no error of ours."""


def main():
    args, tls, ports = sys.argv[1:], None, []
    if args[0] == "--tls":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(args[1], args[2])
        args = args[3:]
    for name in args:
        server = Server(("127.0.0.1", 0), Handler)
        server.name, server.asked = name, 0
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ports.append(server.server_address[1])
    print(*ports, flush=True)
    sys.stdin.read()


main()
