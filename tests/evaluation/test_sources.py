from __future__ import annotations

from pathlib import Path

import pytest

from undercast.errors import EvaluationError
from undercast.evaluation.sources import read_references


def test_a_folder_with_a_manifest_is_read_as_such(folder: Path) -> None:
    assert len(read_references(folder)) == 6
    assert [reference.name for reference in read_references(str(folder))][:2] == ["scene_0", "scene_1"]


def test_what_is_no_source_is_refused_with_what_could_be_one(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="got a folder without either"):
        read_references(tmp_path)
    with pytest.raises(EvaluationError, match="got none of them"):
        read_references(tmp_path / "missing.csv")
