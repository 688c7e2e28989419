"""Fixtures of the readers' tests."""

from __future__ import annotations

import runpy
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

DATA = Path(__file__).parents[1] / "data"
MAKE = DATA / "raster" / "make.py"


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The functions of ``tests/data/raster/make.py``."""
    return SimpleNamespace(**runpy.run_path(str(MAKE)))


@pytest.fixture(scope="session")
def rasters(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every fixture; not to be changed."""
    folder: Path = make.make(tmp_path_factory.mktemp("rasters"))
    return folder


@pytest.fixture(scope="session")
def fuzzing() -> SimpleNamespace:
    """The functions of ``fuzzing.py`` beside this file."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("fuzzing.py"))))


class RangeHandler(SimpleHTTPRequestHandler):
    """Serves files and parts of files, without a word."""

    def do_GET(self) -> None:
        """Answer with the whole file, or the bytes asked for."""
        asked = self.headers.get("Range")
        path = Path(self.translate_path(self.path))
        if asked is None or not path.is_file():
            super().do_GET()
            return
        data = path.read_bytes()
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last or len(data) - 1), len(data) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{stop}/{len(data)}")
        self.send_header("Content-Length", str(stop - start + 1))
        self.end_headers()
        self.wfile.write(data[start : stop + 1])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Keep quiet."""


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serves folders over http, and gives their addresses."""
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(RangeHandler, directory=str(folder)))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def served(serve: Callable[[Path], str], rasters: Path) -> str:
    """The address under which the fixtures are served over http."""
    return serve(rasters)
