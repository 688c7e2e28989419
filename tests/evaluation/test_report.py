from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from undercast.errors import EvaluationError
from undercast.evaluation.evaluate import EvaluateOptions, evaluate
from undercast.evaluation.intervals import IntervalOptions
from undercast.evaluation.predictors import Predictor
from undercast.evaluation.report import Report, read_report, report_from_dict, write_report
from undercast.evaluation.sources import read_references


@pytest.fixture
def report(folder: Path, oracle: Callable[..., Predictor]) -> Report:
    options = EvaluateOptions(intervals=IntervalOptions(replicates=20))
    return evaluate(oracle(0.2), read_references(folder), options=options).report


def test_a_report_survives_its_file(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    write_report(report, path)
    assert read_report(path).to_dict() == report.to_dict()
    write_report(report, path)


def test_a_report_has_the_parts_that_others_read(report: Report) -> None:
    table = report.to_dict()
    assert (table["version"], table["kind"]) == (1, "undercast-evaluation")
    assert set(table["overall"]["cloud_f1"]) == {"value", "low", "high"}
    assert set(table["undefined"]) == {name for name, row in table["overall"].items() if row["value"] is None}
    assert set(table["strata"]["source"]["drawn"]) == {"scenes", "pixels", "figures", "undefined"}
    assert len(table["scenes"][0]["counts"]) == 16
    assert table["scenes"][0]["cloud_histogram"] is None
    assert table["stress"] is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"kind": "something"}, "expected a report of kind"),
        ({"version": 2}, "version 1, got 2"),
        ({"confusion": [[0] * 5] * 16}, "sum of its scenes"),
        ({"confusion": [[0.5] * 5] * 16}, "expected counts of shape"),
        ({"overall": {"cloud_f1": {"value": "high", "low": None, "high": None}}}, "that undercast evaluate writes"),
        ({"scenes": [{}]}, "key 'name' is missing"),
    ],
)
def test_what_is_no_report_is_refused(report: Report, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(EvaluationError, match=told):
        report_from_dict({**report.to_dict(), **changes})


def test_a_missing_part_is_named(report: Report) -> None:
    table = report.to_dict()
    del table["strata"]
    with pytest.raises(EvaluationError, match="key 'strata' is missing"):
        report_from_dict(table)


def test_a_file_that_is_no_report_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_report(path)
    path.write_text("{")
    with pytest.raises(EvaluationError, match="is not JSON"):
        read_report(path)
    path.write_text(json.dumps([1]))
    with pytest.raises(EvaluationError, match="got 'list'"):
        read_report(path)
