#!/usr/bin/env python3
"""A model server that does what it is told, wrong things most of all.

    server.py [--tls CERT KEY]      prints "PORT TLS_PORT" and serves 127.0.0.1 until its stdin ends

The first part of a URL's path says how it behaves: /gzip/v1/chat/completions is answered compressed. NAMExN does it
for the first N questions and is "ok" from then on (gatherxN and judgesxN answer none before N are there, diesxN is
gone after them); what follows a dash only keeps counts apart: /resetx1-a. /said-NAME is the stream in
tests/fixtures/streams/NAME.sse.
It speaks OpenAI's chat and completions, Ollama's chat and generate, and as a proxy.
"""
import gzip
import json
import os
import re
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from email.utils import formatdate

TEXT = ["Hel", "lo ", "wörld", " ☃", " 𝄞!"]
THOUGHT = ["Hmm", ", well. "]
counts, lock, gathered = {}, threading.Lock(), threading.Condition()


class Gone(Exception):
    """The connection is done with."""


class Answer:
    """One answer being written: chunked (HTTP/1.1), until the connection closes (1.0), or byte by byte."""

    def __init__(self, sock, cut=0, http10=False, zipped=False):
        self.sock, self.cut, self.http10, self.zipped, self.zip = sock, cut, http10, zipped, None

    def head(self, status, kind, *headers):
        length = "Connection: close" if self.http10 else "Transfer-Encoding: chunked"
        coding = ["Content-Encoding: gzip"] if self.zipped else []
        lines = [f"HTTP/1.{0 if self.http10 else 1} {status} Whatever", f"Content-Type: {kind}", length, *coding, *headers]
        self.sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        if self.zipped:
            self.zip = gzip.GzipFile(fileobj=self, mode="wb", mtime=0)

    def write(self, data):  # what goes out, and what gzip writes to
        size = self.cut or len(data) or 1
        for i in range(0, len(data), size):
            piece = data[i:i + size]
            self.sock.sendall(piece if self.http10 else b"%x\r\n%s\r\n" % (len(piece), piece))
        return len(data)

    def flush(self):
        """What gzip expects of a file."""

    def put(self, data):
        if self.zip:
            self.zip.write(data)
            self.zip.flush()
        else:
            self.write(data)

    def end(self):
        if self.zip:
            self.zip.close()
        if self.http10:
            raise Gone
        self.sock.sendall(b"0\r\n\r\n")


def whole(sock, status, value, kind="application/json", *headers):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    sock.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)


def usage(kind):
    good = {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21, "prompt_tokens_details": {"cached_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 4}}
    wrong = {"prompt_tokens": -5, "completion_tokens": "nine", "prompt_tokens_details": {"cached_tokens": 1e9},
             "completion_tokens_details": [1]}
    return wrong if kind == "wrongusage" else good


def logprobs(kind, body, i):
    """Those of the tokens of piece i, as objects or numbers; one is wrong where the kind says."""
    values = [[-0.5], [-0.25, 0.0], [-1.0], [], [-0.25]][i]
    if i == 2:
        wrong = {"lphigh": ["high"], "lpabove": [0.7], "lpnines": [-9999.0], "lpobject": [{"logprob": [1]}], "lpshape": "high",
                 "lpnull": [None], "lpgone": None}
        values = wrong.get(kind, values)
    objects = "messages" in body or "options" in body or kind == "llama"
    return [{"token": "t", "logprob": v} for v in values] if objects and isinstance(values, list) else values


def verdict(body):
    """A judge's: numbers that are even are right."""
    number = int(re.search(r"number (\d+)\?", json.dumps(body))[1])
    return json.dumps({"reason": f"it is {number}", "verdict": number % 2 == 0})


def openai_pieces(kind, body, echo):
    """The answer as the objects of a stream."""
    chat, texts = "messages" in body, [echo] if kind in ("echo", "judges") else TEXT
    base = {"id": "x", "model": "mock-1", "object": "chat.completion.chunk"}

    def piece(key, text, finish=None):
        delta = {"delta": {key: text} if text is not None else {}} if chat else {"text": text or ""}
        return {**base, "choices": [{"index": 0, **delta, "finish_reason": finish}]}

    if chat:
        yield {**base, "choices": [{"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": None}]}
    if kind in ("thinks", "vllm"):
        for t in THOUGHT:
            yield piece("reasoning_content" if kind == "thinks" else "reasoning", t)
    for i, t in enumerate(texts):
        p = piece("content", t)
        if body.get("logprobs") and kind not in ("deaf", "echo"):
            key = "content" if chat or kind == "llama" else "token_logprobs"
            p["choices"][0]["logprobs"] = {key: logprobs(kind, body, i)}
        yield p
    yield piece("content", None, "length" if kind == "length" else "stop")
    last = {**base, "choices": []}
    if kind == "llama":
        last["timings"] = {"cache_n": 5, "prompt_n": 7, "prompt_ms": 12.5, "predicted_n": 9, "predicted_ms": 90.25}
        yield last
    elif kind != "nousage" and body.get("stream_options", {}).get("include_usage"):
        yield {**last, "usage": usage(kind)}


def openai_whole(kind, body, echo):
    text = echo if kind == "echo" else "".join(TEXT)
    message = {"message": {"role": "assistant", "content": text}} if "messages" in body else {"text": text}
    return {"model": "mock-1", "choices": [{"index": 0, **message, "finish_reason": "stop"}], "usage": usage(kind)}


def ollama_pieces(kind, body, n, echo):
    chat, base = "messages" in body, {"model": body["model"], "created_at": "2026-01-01T00:00:00Z"}

    def piece(key, text, **more):
        return {**base, **({"message": {"role": "assistant", key: text}} if chat else
                           {"response" if key == "content" else key: text}), "done": False, **more}

    if body.get("think"):
        for t in THOUGHT:
            yield piece("thinking", t)
    for i, t in enumerate([echo] if kind == "echo" else TEXT):
        yield piece("content", t, **({"logprobs": logprobs(kind, body, i)} if body.get("logprobs") and kind != "echo" else {}))
    last = {"done": True, "done_reason": "stop", "total_duration": 5, "load_duration": 1000, "prompt_eval_duration": 2000,
            "eval_count": 9, "eval_duration": 3000, "prompt_eval_count": 12}
    if kind == "cached":  # an old server: counts what it evaluated
        last["prompt_eval_count"] = 12 if n == 1 else 2
    if kind == "uncounted":
        del last["prompt_eval_count"]
    if kind == "new":
        last["prompt_eval_cached_count"] = 8
    yield piece("content", "", **last)


def event(piece, end=b"\n"):
    return b"data: " + (piece if isinstance(piece, bytes) else json.dumps(piece, ensure_ascii=False).encode()) + end + end


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Gone


def wait_for_close(sock):
    sock.settimeout(600)
    try:
        sock.recv(1)
    except OSError:
        pass
    raise Gone


def huge(sock, kind):
    """A hundred megabytes, in the place the name says."""
    a, block = Answer(sock), b"x" * 65536
    if kind == "hugeerror":
        a.head(500, "text/plain")
    else:
        a.head(200, "text/event-stream" if kind != "hugewhole" else "application/json")
    if kind == "hugewhole":
        a.put(b'{"choices": [{"message": {"content": "')
    if kind == "hugeline":
        a.put(b"data: ")
    for _ in range(100 * 16):
        a.put(event({"choices": [{"index": 0, "delta": {"content": block.decode()}}]}) if kind == "huge" else block)
    a.end()


def fail(sock, kind, headers):
    """The behaviours that are no answer; False when it is one."""
    if kind == "silent":
        wait_for_close(sock)
    elif kind == "reset":
        reset(sock)
    elif kind == "retrydate":
        when = formatdate(time.time() + 2.5, usegmt=True)
        whole(sock, 429, {"error": {"message": "slow down"}}, "application/json", f"Retry-After: {when}")
    elif kind == "retrypast":  # by a clock that is years behind
        whole(sock, 429, {"error": {"message": "slow down"}}, "application/json", f"Retry-After: {formatdate(0, usegmt=True)}")
    elif kind == "retrylong":
        whole(sock, 429, {"error": {"message": "come back tomorrow"}}, "application/json", "Retry-After: 86400")
    elif kind == "quota":
        whole(sock, 429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}})
    elif kind == "toolong":
        whole(sock, 400, {"error": {"message": "This model's maximum context length is 4096 tokens.", "code": 400}})
    elif kind == "filter":  # Azure's, and its moderated siblings
        whole(sock, 400, {"error": {"code": "content_filter", "param": "prompt", "message": "The response was filtered due "
                                    "to the prompt triggering Azure OpenAI's content management policy."}})
    elif kind == "moderated":
        whole(sock, 403, {"error": {"code": 403, "message": "Your chosen model requires moderation and your input was flagged"}})
    elif kind == "oldllama":  # llama-server until September 2025: a field of its own
        a = Answer(sock)
        a.head(200, "text/event-stream")
        a.put(b'error: {"code": 400, "message": "the request exceeds the available context size"}\n\n')
        a.put(event(b"[DONE]"))
        a.end()
    elif kind == "nothing":
        a = Answer(sock)
        a.head(200, "text/event-stream")
        a.put(event({"choices": [], "prompt_filter_results": []}))
        a.put(event(b"[DONE]"))
        a.end()
    elif kind.isdigit():
        key = headers.get("authorization", "")
        whole(sock, int(kind), {"error": {"message": f"no {kind} for {key}", "type": "mock"}})
    elif kind == "html":
        whole(sock, 200, b"<!DOCTYPE html><title>Welcome to nginx!</title>", "text/html")
    elif kind == "plain":
        whole(sock, 200, b"Hello", "text/plain")
    elif kind == "empty":
        whole(sock, 200, b"", "text/event-stream")
    elif kind == "redirect":
        whole(sock, 302, b"", "text/plain", "Location: http://127.0.0.1:1/")
    elif kind == "nohttp":
        sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        raise Gone
    elif kind.startswith("huge"):
        huge(sock, kind)
    else:
        return False
    return True


def stream_events(sock, kind, pieces):
    a = Answer(sock, cut=1 if kind in ("bytes", "cr") else 0, http10=kind == "http10", zipped=kind == "gzip")
    a.head(200, "application/octet-stream" if kind == "wrongtype" else "text/event-stream; charset=utf-8")
    end = {"cr": b"\r", "bytes": b"\r\n"}.get(kind, b"\n")
    if kind == "comments":
        a.put(b"\xef\xbb\xbf: hello" + end + b"retry: 10" + end + b"event: message" + end)
    for i, p in enumerate(pieces):
        if kind == "slow":
            time.sleep(0.02)
        if kind == "lines":  # an event's data over several lines
            a.put(b"".join(b"data: " + l.encode() + end for l in json.dumps(p, indent=1).split("\n")) + end)
        elif kind == "malformed" and i == 2:
            a.put(event(b'{"choices": [{"delta": {"content": '))
        elif kind == "stops" and i == 3:
            a.put(event({"error": {"message": "out of memory", "code": 400}}))
        elif kind == "brokenutf8" and i == 2:
            a.put(event(b'{"choices": [{"index": 0, "delta": {"content": "\xe2\x98"}}]}'))
        else:
            a.put(event(p, end))
        if i == 3 and kind == "stall":
            wait_for_close(sock)
        if i == 3 and kind == "breaks":
            reset(sock)
        if i == 3 and kind == "cut":
            return a.end()
    if kind != "nodone":
        a.put(event(b"[DONE]", end))
    a.end()


def answer(sock, kind, n, times, method, path, headers, body):
    echo = verdict(body) if kind == "judges" and body else json.dumps({"path": path, "headers": headers, "body": body})
    if kind == "list" and method == "GET":
        return whole(sock, 200, {"data": [{"id": "phi"}, {"id": "qwen"}], "models": [{"name": "phi"}, {"name": "qwen"}]})
    if method == "GET":
        if kind == "401" or (kind == "key" and headers.get("authorization") != "Bearer sk-secret-of-the-test"):
            return whole(sock, 401, {"error": {"message": f"not with {headers.get('authorization')}"}})
        if kind == "nolist":
            return whole(sock, 404, {"detail": "Not Found"})
        if kind == "otherlist":
            return whole(sock, 200, {"models": {"mock": {}}})
        if kind == "weblist":
            return whole(sock, 200, b"<html>", "text/html")
        return whole(sock, 200, {"object": "list", "data": [{"id": "mock", "max_model_len": 4096}],
                                 "models": [{"name": "mock:latest"}]})
    if path.endswith("/api/show"):
        return whole(sock, 200, {"details": {"family": "llama", "quantization_level": "Q4_K_M"}, "model_info": {
            "general.architecture": "llama", "general.parameter_count": 8030261312, "llama.context_length": 8192}})
    if kind == "refuses" and "stream_options" in body:
        return whole(sock, 400, {"error": {"message": "Unrecognized request argument supplied: stream_options"}})
    if kind == "nologprobs" and "logprobs" in body:
        return whole(sock, 400, {"error": {"message": "'logprobs' is not supported with this model"}})
    if kind == "said":
        name = path.split("/")[1][len("said-"):]
        with open(os.path.join(os.path.dirname(__file__), "../fixtures/streams", name + ".sse"), "rb") as f:
            return whole(sock, 200, f.read(), "text/event-stream")
    if kind == "reasons":  # OpenAI's reasoning models, a field at a time
        for word, why in (("max_tokens", "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                           "'max_completion_tokens' instead."), ("temperature", "Unsupported value: 'temperature' does not "
                           "support 0 with this model. Only the default (1) value is supported.")):
            if word in body:
                return whole(sock, 400, {"error": {"message": why, "type": "invalid_request_error", "param": word}})
    if kind == "mistral" and "seed" in body:
        return whole(sock, 422, {"object": "error", "type": "invalid_request_error", "code": None, "message": {"detail": [
            {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 7}]}})
    if kind == "toohot":  # a value, not the field
        return whole(sock, 400, [{"error": {"code": 400, "message": "temperature must be between 0 and 1"}}])
    if kind == "newname" and "max_tokens" in body:
        return whole(sock, 400, {"error": {"message": "Use 'max_completion_tokens' instead."}})
    if kind in ("gather", "judges"):
        with gathered:
            gathered.notify_all()
            gathered.wait_for(lambda: counts[path.split("/")[1]] >= times)
    if fail(sock, kind, headers):
        return None
    if "/api/" in path:
        a = Answer(sock, cut=1 if kind == "bytes" else 0)
        a.head(200, "application/x-ndjson")
        for i, p in enumerate(ollama_pieces(kind, body, n, echo)):
            if kind == "cut" and i == 3:
                break
            a.put(b'{"error": "model runner has stopped"}\n' if kind == "stops" and i == 3 else
                  json.dumps(p, ensure_ascii=False).encode() + b"\n")
        return a.end()
    if kind == "nostream" or body.get("stream") is False:
        return whole(sock, 200, openai_whole(kind, body, echo))
    return stream_events(sock, kind, openai_pieces(kind, body, echo))


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = self.request.makefile("rb")
        try:
            while self.one(lines):
                pass
        except (Gone, OSError, ssl.SSLError):
            pass

    def one(self, lines):
        first = lines.readline().decode().split()
        if len(first) != 3:
            return False
        headers = {}
        while (line := lines.readline().decode().strip()):
            key, _, value = line.partition(":")
            headers[key.lower()] = value.strip()
        raw = lines.read(int(headers.get("content-length", 0)))
        path = re.sub(r"^http://[^/]*", "", first[1])
        part = path.split("/")[1]
        name, times = re.match(r"([a-z0-9]*?)(?:x(\d+))?(?:-.*)?$", part).groups()
        with lock:
            n = counts[part] = counts.get(part, 0) + (first[0] == "POST" and not path.endswith("/show"))
        if name == "dies" and n > int(times):
            os._exit(0)
        if times and n > int(times):
            name = "ok"
        answer(self.request, name, n, int(times or 0), first[0], path, headers, json.loads(raw) if raw else {})
        return True


class Server(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 512
    tls = None

    def get_request(self):
        sock, who = super().get_request()
        return (self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) if self.tls else sock), who

    def handle_error(self, request, client_address):
        pass


def main():
    server, tls_port = Server(("127.0.0.1", 0), Handler), 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    if len(sys.argv) == 4 and sys.argv[1] == "--tls":
        secure = Server(("127.0.0.1", 0), Handler)
        secure.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.tls.load_cert_chain(sys.argv[2], sys.argv[3])
        threading.Thread(target=secure.serve_forever, daemon=True).start()
        tls_port = secure.server_address[1]
    print(server.server_address[1], tls_port, flush=True)
    sys.stdin.read()


main()
