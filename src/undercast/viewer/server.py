"""Server: the page and what it asks for, on 127.0.0.1, for who knows the address.

Other pages in the person's browser, and other users of the machine, must not reach it: every request carries a random
token in its path and names this machine in its Host header (a name that was made to point here, by DNS rebinding, is
refused), no answer may be framed or read by another origin, bodies are small, and nothing that a client says becomes
part of a file's name.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any

from undercast.errors import LabelError, UndercastError, UsageError
from undercast.viewer.desk import Desk

logger = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
"""Nothing else is listened on."""
LARGEST_BODY = 4096
"""Bytes of a request's body at most."""
PATIENCE_S = 30
"""Seconds that a client has to say what it wants."""
TOKEN_BYTES = 32
"""Random bytes in the address."""


class LabelServer(ThreadingHTTPServer):
    """Serves a desk until it is shut down."""

    daemon_threads = True

    def __init__(self, desk: Desk, port: int = 0) -> None:
        """Take a port; 0 takes a free one.

        Raises:
            UsageError: If the port cannot be had.
        """
        self.desk = desk
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            msg = f"port {port} of {ADDRESS} cannot be had: {error}. Choose another with --port, or 0 for a free one."
            raise UsageError(msg) from error

    @property
    def url(self) -> str:
        """Address of the page; who knows it can label."""
        return f"http://{ADDRESS}:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> tuple[str, str]:
        """What a Host header may say."""
        return f"{ADDRESS}:{self.server_port}", f"localhost:{self.server_port}"

    def finish(self) -> None:
        """Stop serving, from a thread that serves."""
        threading.Thread(target=self.shutdown).start()


class _Handler(BaseHTTPRequestHandler):
    server: LabelServer
    timeout = PATIENCE_S
    server_version = "undercast"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with the page, what it knows, or a picture."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Change points, train, save."""
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Log without the token."""
        logger.debug("%s", (format % args).replace(self.server.token, "..."))

    def _answer(self, action: Callable[[str], None]) -> None:
        try:
            place = self._allowed_place()
            if place is None:
                self._send_json({"error": "there is nothing here."}, HTTPStatus.NOT_FOUND)
            else:
                action(place)
        except UndercastError as error:
            self._send_json({"error": " ".join(str(error).split())}, HTTPStatus.BAD_REQUEST)
        except (ConnectionError, TimeoutError):
            logger.debug("the client went away")
        except Exception:
            logger.exception("a request failed")
            self._send_json({"error": "this is a defect of undercast; see its log."}, HTTPStatus.INTERNAL_SERVER_ERROR)

    def _allowed_place(self) -> str | None:
        """Give what follows the token in the path; None for a request that is none of our page's."""
        # What follows a question mark only keeps the browser from showing an older picture.
        _, token, *rest = (*self.path.partition("?")[0].split("/", 2), "", "")
        origin = self.headers.get("Origin")
        known = secrets.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode())
        own = self.headers.get("Host") in self.server.hosts
        same = origin is None or origin in {f"http://{host}" for host in self.server.hosts}
        return rest[0] if known and own and same else None

    def _get(self, place: str) -> None:
        desk = self.server.desk
        kind, _, number = place.partition("/")
        if place == "":
            self._send_page()
        elif place == "state":
            self._send_json(desk.state())
        elif place in {"labels", "confidence"}:
            self._send(desk.overlay(place), "image/png")
        elif kind == "view" and number.isascii() and number.isdigit() and len(number) <= 3:
            self._send(desk.view(int(number)), "image/png")
        else:
            self._send_json({"error": "there is nothing here."}, HTTPStatus.NOT_FOUND)

    def _post(self, place: str) -> None:
        desk = self.server.desk
        body = self._body()
        if place == "add":
            desk.add(*(_whole(body, name) for name in ("row", "col", "label")))
        elif place == "remove":
            desk.remove(*(_whole(body, name) for name in ("row", "col")))
        elif place == "train":
            desk.train()
        elif place in {"save", "finish"}:
            desk.save()
        else:
            self._send_json({"error": "there is nothing here."}, HTTPStatus.NOT_FOUND)
            return
        self._send_json(desk.state())
        if place == "finish":
            self.server.finish()

    def _body(self) -> Mapping[str, Any]:
        """Read a small JSON object."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and len(length) <= 9) or int(length) > LARGEST_BODY:
            self.close_connection = True
            msg = f"expected a body of at most {LARGEST_BODY} bytes that says how long it is, got {length[:20]!r}."
            raise LabelError(msg)
        if self.headers.get_content_type() != "application/json":
            msg = f"expected application/json, got {self.headers.get_content_type()[:40]!r}."
            raise LabelError(msg)
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            msg = f"expected JSON: {error}."
            raise LabelError(msg) from error
        if not isinstance(body, dict):
            msg = f"expected a JSON object, got {type(body).__name__}."
            raise LabelError(msg)
        return body

    def _send_page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        text = (resources.files("undercast.viewer") / "page.html").read_text("utf-8").replace("NONCE", nonce)
        policy = (
            f"default-src 'none'; img-src 'self' data:; connect-src 'self'; script-src 'nonce-{nonce}';"
            f" style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self._send(text.encode(), "text/html; charset=utf-8", {"Content-Security-Policy": policy})

    def _send_json(self, value: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(json.dumps(value, allow_nan=False).encode(), "application/json", status=status)

    def _send(
        self, content: bytes, kind: str, more: Mapping[str, str] | None = None, *, status: HTTPStatus = HTTPStatus.OK
    ) -> None:
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            **(more or {}),
        }
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)


def _whole(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    if type(value) is not int:
        msg = f"expected a whole number {name!r}, got {str(value)[:40]!r}."
        raise LabelError(msg)
    return value
