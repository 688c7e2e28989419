"""Hostile packages: each is refused in one line, before a runtime sees it, and none of its code runs."""

from __future__ import annotations

import contextlib
import io
import runpy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from undercast.errors import ModelError
from undercast.inference.backends import BackendChoice
from undercast.loading import load_model

MAKE = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "hostile" / "make.py")))

RUN_BY_TORCH = [
    "a pickled weight in a pt2",
    "an opaque constant in a pt2",
    "a pickle among the example inputs of a pt2",
    "a pickle of all weights in a pt2",
    "a pickle in the old layout of a pt2",
    "code as a guard of a pt2",
    "code as a shape in a pt2",
]
"""Packages whose code PyTorch itself runs."""


@pytest.fixture
def no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where weights reach a runtime."""
    monkeypatch.setattr(BackendChoice, "load", lambda *_: pytest.fail("a runtime opened the weights"))


@pytest.mark.usefixtures("no_runtime")
@pytest.mark.parametrize("name", list(MAKE.HOSTILE))
def test_it_is_refused_in_one_line_and_none_of_its_code_runs(name: str, tmp_path: Path) -> None:
    hostile = MAKE.HOSTILE[name]
    marker = tmp_path / "marker"
    hostile.make(tmp_path / "package", marker)
    with pytest.raises(ModelError, match=hostile.refusal) as caught:
        load_model(tmp_path / "package")
    assert "\n" not in str(caught.value)
    assert not marker.exists()


def test_they_are_twenty_and_more() -> None:
    assert len(MAKE.HOSTILE) >= 20


@pytest.mark.parametrize("name", RUN_BY_TORCH)
def test_torch_itself_would_run_the_code(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    MAKE.HOSTILE[name].make(tmp_path / "package", marker)
    with contextlib.suppress(Exception), quiet():
        torch.export.load(io.BytesIO((tmp_path / "package" / "member_1.pt2").read_bytes())).module()(
            torch.zeros(2, 3, 16, 24)
        )
    assert marker.exists()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
