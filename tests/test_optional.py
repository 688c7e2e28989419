"""Optional dependencies are imported, or answered with their pip line."""

from __future__ import annotations

from pathlib import Path

import pytest

from undercast._optional import is_installed, require
from undercast.errors import MissingDependencyError


def test_an_installed_module_is_given() -> None:
    assert require("json.decoder", extra="train", purpose="read").__name__ == "json.decoder"


def test_a_missing_module_is_answered_by_the_pip_line() -> None:
    with pytest.raises(MissingDependencyError) as caught:
        require("no_such_module_here", extra="train", purpose="train a model")
    assert str(caught.value) == (
        "no_such_module_here is needed to train a model and is not installed. Try: pip install 'undercast[train]'"
    )


def test_a_missing_submodule_counts_as_missing() -> None:
    with pytest.raises(MissingDependencyError, match=r"json\.no_such_part is needed"):
        require("json.no_such_part", extra="train", purpose="read")


def test_a_broken_module_is_not_called_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_one.py").write_text("import another_that_is_gone\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="another_that_is_gone") as caught:
        require("broken_one", extra="train", purpose="break")
    assert not isinstance(caught.value, MissingDependencyError)


@pytest.mark.parametrize(
    ("module", "there"), [("json", True), ("no_such_module_here", False), ("no_such_module_here.part", False)]
)
def test_is_installed_tells_without_failing(module: str, there: bool) -> None:
    assert is_installed(module) is there
