"""Fixtures of the command line's tests: a tiny model package, small scenes, and ways to run commands."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner, Result

from undercast.cli.app import main
from undercast.models import package as packages

DATA = Path(__file__).parents[1] / "data"
SCENES = SimpleNamespace(**runpy.run_path(str(DATA / "scenes" / "make.py")))

Cli = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def cli() -> Cli:
    """Run a command in this process."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="undercast")

    return run


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a command in a process of its own, ended with the test; ``first`` is Python that runs before it."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: object, first: str = "") -> subprocess.Popen[str]:
        code = f"{first}\nfrom undercast.cli.app import main\nmain(prog_name='undercast')"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *(str(argument) for argument in arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        with process:
            pass


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The functions of ``tests/data/models/make.py``."""
    return SimpleNamespace(**runpy.run_path(str(DATA / "models" / "make.py")))


@pytest.fixture(scope="session")
def package(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model package that takes blue, green and red; bright is thick cloud. Not to be changed."""
    folder: Path = make.tiny_package(tmp_path_factory.mktemp("models") / "tiny")
    return folder


@pytest.fixture
def embedded(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the model that comes with undercast."""
    models = tmp_path_factory.mktemp("embedded")
    folder: Path = make.tiny_package(models / "embedded", members=2)
    monkeypatch.setattr(packages, "_models_folder", lambda: models)
    return folder


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A scene of 64 x 64 px, its left half under cloud."""
    dn = np.round(SCENES.half_cloudy() * 10_000).astype(np.uint16)
    path: Path = SCENES.write_raster(tmp_path / "scene.tif", dn, scale=1e-4, nodata=0)
    return path
