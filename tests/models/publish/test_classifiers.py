"""The published schemas accept the items of scene classifiers, too."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

DATA = Path(__file__).parents[2] / "data"


@pytest.mark.real_data
@pytest.mark.parametrize("configuration", ["10m", "all"])
def test_the_published_schemas_accept_a_classifiers_item(
    configuration: str, tmp_path: Path, validate: Callable[[dict[str, Any]], list[str]]
) -> None:
    make = SimpleNamespace(**runpy.run_path(str(DATA / "classifiers" / "make.py")))
    folder = make.tiny_classifier(tmp_path / "package", make.tiny_spec(configuration))
    item = json.loads((folder / "item.json").read_text("utf-8"))
    assert item["properties"]["mlm:tasks"] == ["scene-classification"]
    assert validate(item) == []
