"""Make web servers on this machine: well-behaved ones, ones that fail, and ones that lie."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

Route: TypeAlias = "bytes | Callable[[Handler], None]"
"""A file; or what answers a request."""


class Handler(BaseHTTPRequestHandler):
    """Answers as the site says, and writes down what was asked."""

    protocol_version = "HTTP/1.1"
    server: Site
    body = b""

    def do_POST(self) -> None:
        """Answer a request that brings something."""
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def do_PUT(self) -> None:
        """Answer a request that brings a file."""
        self.do_POST()

    def do_GET(self) -> None:
        """Answer a request for a file."""
        self.server.asked.append((self.path, {name.title(): text for name, text in self.headers.items()}))
        self.answer(self.server.routes.get(self.path.partition("?")[0]))

    def answer(self, route: Route | None) -> None:
        """Answer with a file, with what the route does, or with 404."""
        if route is None:
            self.reply(404, b"no such file")
        elif isinstance(route, bytes):
            self.give(route)
        else:
            route(self)

    def give(self, body: bytes) -> None:
        """Give a file, or the part of it that was asked for."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        if start >= len(body) and start:
            self.reply(416, b"")
        elif start:
            self.reply(206, body[start:], {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"})
        else:
            self.reply(200, body)

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send an answer; its length is what the headers say, or else right."""
        self.send_response(status)
        told = {"Content-Length": str(len(body)), **(headers or {})}
        for name, value in told.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Say nothing."""


class Site(ThreadingHTTPServer):
    """A server with routes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes: dict[str, Route] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        """Address without the last slash."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [path for path, _ in self.asked]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""


@contextmanager
def serving() -> Iterator[Site]:
    """Run a site until the block ends."""
    site = Site()
    thread = threading.Thread(target=lambda: site.serve_forever(poll_interval=0.01))
    thread.start()
    try:
        yield site
    finally:
        site.closing.set()
        site.shutdown()
        site.server_close()
        thread.join()


def as_json(value: Any) -> Route:
    """Answer with JSON."""
    return lambda handler: handler.reply(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def stand_in_for_hub(site: Site, repo: str, branch: str = "main") -> dict[str, bytes]:
    """Let a site answer as a Hugging Face hub does when files are sent to it.

    Files that end in ``.onnx`` go by LFS, others inside the commit.

    Returns:
        File in the repository -> its bytes, filled as commits arrive; the commit's title stands under ``commit``.
    """
    stored: dict[str, bytes] = {}
    uploaded: dict[str, bytes] = {}

    def modes(handler: Handler) -> None:
        files = [file["path"] for file in json.loads(handler.body)["files"]]
        told = [
            {"path": path, "uploadMode": "lfs" if path.endswith(".onnx") else "regular", "shouldIgnore": False}
            for path in files
        ]
        handler.answer(as_json({"files": told}))

    def batch(handler: Handler) -> None:
        objects = json.loads(handler.body)["objects"]
        for row in objects:
            site.routes[f"/lfs/{row['oid']}"] = put
            row["actions"] = {"upload": {"href": f"{site.url}/lfs/{row['oid']}"}}
        handler.answer(as_json({"transfer": "basic", "objects": objects}))

    def put(handler: Handler) -> None:
        uploaded[handler.path.rsplit("/", 1)[1]] = handler.body
        handler.reply(200, b"")

    def commit(handler: Handler) -> None:
        for line in handler.body.splitlines():
            row = json.loads(line)
            value = row["value"]
            if row["key"] == "header":
                stored["commit"] = value["summary"].encode()
            elif row["key"] == "file":
                stored[value["path"]] = base64.b64decode(value["content"])
            else:
                stored[value["path"]] = uploaded[value["oid"]]
        handler.answer(as_json({"commitUrl": f"{site.url}/{repo}/commit/1", "commitOid": "1"}))

    site.routes |= {
        "/api/repos/create": as_json({"url": f"{site.url}/{repo}", "name": repo}),
        f"/api/models/{repo}/preupload/{branch}": modes,
        f"/{repo}.git/info/lfs/objects/batch": batch,
        f"/api/models/{repo}/commit/{branch}": commit,
    }
    return stored


def status(code: int, **headers: str) -> Route:
    """Answer with a status and nothing else."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.reply(code, b"", told)


def in_turn(*routes: Route) -> Route:
    """Answer the first request with the first route, and so on; the last stays."""
    left = list(routes)
    lock = threading.Lock()

    def answer(handler: Handler) -> None:
        with lock:
            route = left.pop(0) if len(left) > 1 else left[0]
        handler.answer(route)

    return answer


def cut(body: bytes, at: int) -> Route:
    """Promise a file, give its first bytes, and hang up."""

    def answer(handler: Handler) -> None:
        handler.reply(200, body[:at], {"Content-Length": str(len(body))})
        handler.close_connection = True

    return answer


def stalled(body: bytes, at: int) -> Route:
    """Promise a file, give its first bytes, and say nothing more."""

    def answer(handler: Handler) -> None:
        handler.reply(200, body[:at], {"Content-Length": str(len(body))})
        handler.wfile.flush()
        handler.server.closing.wait()
        handler.close_connection = True

    return answer


def dripping(body: bytes, pause_s: float) -> Route:
    """Give a file byte by byte."""

    def answer(handler: Handler) -> None:
        handler.reply(200, b"", {"Content-Length": str(len(body))})
        for start in range(len(body)):
            if handler.server.closing.is_set():
                break
            handler.wfile.write(body[start : start + 1])
            handler.wfile.flush()
            time.sleep(pause_s)
        handler.close_connection = True

    return answer


def endless() -> Route:
    """Give zeros without end and without saying how many."""

    def answer(handler: Handler) -> None:
        handler.reply(200, b"", {"Content-Length": "", "Connection": "close"})
        while not handler.server.closing.is_set():
            handler.wfile.write(bytes(2**16))

    return answer


def as_if(body: bytes, length: int) -> Route:
    """Give a file with another length than it has."""

    def answer(handler: Handler) -> None:
        handler.reply(200, body, {"Content-Length": str(length)})
        handler.close_connection = True

    return answer


def with_headers(body: bytes, **headers: str) -> Route:
    """Give a file with further headers."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.reply(200, body, told)
