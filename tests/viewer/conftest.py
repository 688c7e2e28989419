"""Fixtures of the viewer's tests: a desk, a server, a browser that is driven, and an annotator who knows the truth."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from undercast.annotation.points import written_classes
from undercast.classes import load_scheme
from undercast.scene import Scene, scene_from_array
from undercast.types import UInt8
from undercast.viewer.desk import Desk, DeskOptions
from undercast.viewer.saving import Destination
from undercast.viewer.server import LabelServer
from undercast.writers import OutputOptions

BROWSERS = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
    "--window-size=1200,900",
)
PER_ROUND = 60
"""Points that the annotator sets in a round."""
LABEL_OF = {0: 5, 1: 2, 2: 3, 3: 4}
"""Undercast's class -> ALCD's code that the annotator chooses."""


class Browser:
    """Chromium, driven through the pipe of its DevTools protocol; no library is needed for that."""

    def __init__(self, program: str, profile: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4; bash moves the pipes there.
        script = f'exec "$@" 3<&{to_read} 4>&{to_write}'
        command = ["bash", "-c", script, "bash", program, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(command, pass_fds=(to_read, to_write), stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self._numbers = itertools.count(1)
        self._rest = b""
        self._session: str | None = None
        self.complaints: list[str] = []
        target = next(found for found in self.call("Target.getTargets")["targetInfos"] if found["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask for something and wait for the answer."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result
            if answer.get("method") in {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"}:
                self.complaints.append(json.dumps(answer["params"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._read, 1 << 16)
            assert part, "the browser went away"
            self._rest += part
        text, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def evaluate(self, code: str) -> Any:
        """Give the value of JavaScript in the page."""
        answer = self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, url: str) -> None:
        """Open the page and wait until it is ready."""
        self.call("Page.navigate", url=url)
        self.wait("document.body && document.body.dataset.ready === 'yes'")

    def wait(self, condition: str, seconds: float = 60.0) -> None:
        """Wait until JavaScript says true."""
        until = time.monotonic() + seconds
        while not self.evaluate(condition):
            assert time.monotonic() < until, f"{condition}: {self.evaluate('document.body.innerText')}"
            time.sleep(0.02)

    def click(self, x: float, y: float, *, button: str = "left") -> None:
        """Press and release a button of the mouse."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, clickCount=1)

    def click_pixel(self, row: int, col: int, *, button: str = "left") -> None:
        """Click a pixel of the scene, and wait until the server knows it."""
        at = self.evaluate(f"toCanvas({row}, {col})")
        self.click(at["x"], at["y"], button=button)
        self.evaluate("queue.then(() => 0)")

    def press(self, key: str) -> None:
        """Press a key."""
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def close(self) -> None:
        """End the browser."""
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if program is None or shutil.which("bash") is None:
        pytest.skip("no Chromium on this machine (Debian, Ubuntu: apt install chromium)")
    driven = Browser(program, tmp_path_factory.mktemp("profile"))
    yield driven
    driven.close()


class Annotator:
    """Sets points like a person who knows the truth: in the middle of what is sure, as many of every class.

    In a round, half of the points of a class go where its labels are wrong, or as near as can be to where the page
    proposes; the others anywhere.
    """

    def __init__(self, possible: UInt8, usable: Any, seed: int = 0) -> None:
        self.possible = possible
        single = np.select([possible == 1 << value for value in range(4)], range(1, 5), 0)
        padded = np.pad(single, 1, mode="edge")
        height, width = single.shape
        around = [padded[row : row + height, col : col + width] for row in range(3) for col in range(3)]
        self.sure = np.logical_and.reduce([part == single for part in around]) & (single > 0) & usable
        self.truth = single - 1
        self.free = self.sure.copy()
        self.rng = np.random.default_rng(seed)

    def choose(self, class_map: UInt8 | None, proposals: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
        """Give rows, columns and labels of the next points."""
        classes = [value for value in range(4) if (self.sure & (self.truth == value)).any()]
        share = PER_ROUND // len(classes)
        chosen: list[tuple[int, int, int]] = []
        asked = np.zeros(self.truth.shape, np.bool_)
        for row, col in proposals:
            asked[row, col] = True
        for value in classes:
            here = self.truth == value
            taken = self._take(here & asked, share, value)
            if class_map is not None:
                taken += self._take(here & (class_map != value), max(share // 2 - len(taken), 0), value)
            taken += self._take(here, share - len(taken), value)
            chosen += taken
        return chosen

    def _take(self, candidates: Any, number: int, value: int) -> list[tuple[int, int, int]]:
        taken: list[tuple[int, int, int]] = []
        for place in self.rng.permutation(np.flatnonzero(candidates & self.free)):
            if len(taken) == number:
                break
            row, col = divmod(int(place), candidates.shape[1])
            if self.free[row, col]:
                self.free[max(row - 2, 0) : row + 3, max(col - 2, 0) : col + 3] = False
                taken.append((row, col, LABEL_OF[value]))
        return taken

    def agreement(self, labels: UInt8) -> float:
        """Give the share of pixels with a known class whose class is possible."""
        bits = np.uint8(1) << np.minimum(written_classes(labels), 7)
        known = self.possible > 0
        return float(((bits & self.possible) > 0)[known].mean())


@pytest.fixture
def annotator() -> type[Annotator]:
    return Annotator


def stripes(height: int = 24, width: int = 30) -> Scene:
    """Draw a scene of dark water, green land and bright cloud in three stripes, with a little noise."""
    reflectance = np.empty((4, height, width), np.float32)
    for part, values in enumerate(((0.05, 0.05, 0.04, 0.02), (0.05, 0.08, 0.06, 0.35), (0.6, 0.6, 0.6, 0.6))):
        reflectance[:, :, part * width // 3 : (part + 1) * width // 3] = np.array(values)[:, None, None]
    noise = np.random.default_rng(0).normal(0, 0.004, reflectance.shape)
    return scene_from_array(reflectance + noise, ["blue", "green", "red", "nir"], name="stripes", level="toa")


STRIPES = tuple(
    (row, col, label)
    for label, first in ((6, 2), (5, 12), (2, 22))
    for row in (3, 11, 19)
    for col in (first, first + 4)
)
"""Points on the stripes: water, land, low clouds."""


@pytest.fixture
def make_desk(tmp_path: Path) -> Callable[..., Desk]:
    """Make a desk with the output folder ``out``."""

    def make(scene: Scene | None = None, *, source: str | None = None, overwrite: bool = False, **more: Any) -> Desk:
        output = OutputOptions(
            folder=tmp_path / "out", scheme=load_scheme(), uncertainty=True, overwrite=overwrite, quicklook=False
        )
        options = DeskOptions(destination=Destination(output=output, source=source), **more)
        return Desk(scene or stripes(), options)

    return make


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


@pytest.fixture
def pointed(desk: Desk) -> Desk:
    """A desk with three classes of six points."""
    for row, col, label in STRIPES:
        desk.add(row, col, label)
    return desk


Serve = Callable[[Desk], LabelServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve desks until the test ends."""
    servers: list[LabelServer] = []

    def start(desk: Desk) -> LabelServer:
        server = LabelServer(desk)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def ask() -> Ask:
    """Send a request as it is written, and give status and answer."""

    def request(
        server: LabelServer,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        token: str | None = None,
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        key = server.token if token is None else token
        connection.request("GET" if body is None else "POST", f"/{key}/{path}", content, sent)
        answer = connection.getresponse()
        read = answer.read()
        connection.close()
        kind = answer.getheader("Content-Type") or ""
        return answer.status, json.loads(read) if kind == "application/json" else read

    return request
