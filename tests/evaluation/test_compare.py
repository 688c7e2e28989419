from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from undercast.errors import EvaluationError
from undercast.evaluation.compare import Difference, compare, judge
from undercast.evaluation.evaluate import EvaluateOptions, evaluate
from undercast.evaluation.intervals import IntervalOptions
from undercast.evaluation.predictors import Predictor
from undercast.evaluation.protocols import load_protocol
from undercast.evaluation.report import Report
from undercast.evaluation.sources import read_references

QUICK = IntervalOptions(replicates=200)
Reports = Callable[..., Report]


@pytest.fixture
def reports(folder: Path, oracle: Callable[..., Predictor]) -> Reports:
    def make(wrong: float = 0.0, *, seed: int = 0, protocol: str = "pixel", data: Path = folder) -> Report:
        options = EvaluateOptions(intervals=QUICK)
        predictor = oracle(wrong, name=f"oracle-{wrong}", seed=seed)
        return evaluate(predictor, read_references(data), load_protocol(protocol), options).report

    return make


def found(rows: tuple[Difference, ...], name: str) -> Difference:
    return next(row for row in rows if row.name == name)


def test_a_predictor_is_not_better_than_itself(reports: Reports) -> None:
    report = reports(0.2)
    for row in compare(report, report, intervals=QUICK).overall:
        assert row.verdict in {"noise", "undefined"}
        if row.difference is not None:
            assert row.difference == 0.0


def test_a_surely_better_predictor_is_called_better_and_the_other_way_round_worse(reports: Reports) -> None:
    good, bad = reports(0.05), reports(0.4)
    forth, back = compare(bad, good, intervals=QUICK), compare(good, bad, intervals=QUICK)
    assert found(forth.overall, "cloud_recall").verdict == "better"
    assert found(back.overall, "cloud_recall").verdict == "worse"
    row = found(forth.overall, "cloud_f1")
    assert row.difference == pytest.approx(-(found(back.overall, "cloud_f1").difference or 0.0))
    assert row.scenes == 6
    assert found(forth.strata["source"]["drawn"], "cloud_f1") == row


def test_predictors_that_err_elsewhere_equally_often_differ_by_noise(reports: Reports) -> None:
    comparison = compare(reports(0.2, seed=1), reports(0.2, seed=2), intervals=QUICK)
    assert found(comparison.overall, "cloud_f1").verdict == "noise"


def test_pairing_the_scenes_makes_the_interval_narrower_than_the_figures_own(reports: Reports) -> None:
    row = found(compare(reports(0.30), reports(0.20), intervals=QUICK).overall, "cloud_f1")
    assert row.low is not None
    assert row.high is not None
    assert row.low > 0.0


def test_reports_of_another_protocol_are_refused(reports: Reports) -> None:
    with pytest.raises(EvaluationError, match="one protocol, got pixel and cnes"):
        compare(reports(), reports(protocol="cnes"))
    other = reports()
    other = replace(other, protocol={**other.protocol, "buffer_m": 30.0})
    with pytest.raises(EvaluationError, match="two versions of pixel"):
        compare(reports(), other)


def test_reports_without_a_common_scene_are_refused(reports: Reports, tmp_path: Path, drawn: SimpleNamespace) -> None:
    other = drawn.write_folder(tmp_path / "other", {"x": drawn.stripes(codes=(1, 0))})
    with pytest.raises(EvaluationError, match="none in common"):
        compare(reports(), reports(data=other))


def test_scenes_of_one_report_only_are_left_out_with_a_warning(reports: Reports) -> None:
    whole = reports(0.1)
    part = replace(whole, scenes=whole.scenes[:4])
    comparison = compare(whole, part, intervals=QUICK)
    assert len(comparison.scenes) == 4
    assert any(line.startswith("2 scenes are in one of the reports only") for line in comparison.warnings)
    assert any(line.startswith("4 scenes, fewer than 5") for line in comparison.warnings)


def test_unknown_strata_are_refused(reports: Reports) -> None:
    report = reports()
    with pytest.raises(EvaluationError, match="strata by 'colour'"):
        compare(report, report, by=("colour",))


@pytest.mark.parametrize(
    ("name", "ends", "verdict"),
    [
        ("cloud_f1", (0.1, 0.2), "better"),
        ("cloud_f1", (-0.2, -0.1), "worse"),
        ("cloud_f1", (-0.1, 0.2), "noise"),
        ("cloud_f1", (0.0, 0.2), "noise"),
        ("cloud_ece", (0.1, 0.2), "worse"),
        ("clear_false_cloud", (-0.2, -0.1), "better"),
    ],
)
def test_an_interval_that_holds_zero_is_noise(name: str, ends: tuple[float, float], verdict: str) -> None:
    assert judge(name, ends) == verdict


def test_a_comparison_is_plain_values(reports: Reports) -> None:
    table = compare(reports(0.1), reports(0.2), intervals=QUICK).to_dict()
    assert table["kind"] == "undercast-comparison"
    assert {"figure", "first", "second", "difference", "low", "high", "scenes", "verdict"} == set(table["overall"][0])


def test_one_scene_says_nothing_of_others(reports: Reports) -> None:
    def alone(report: Report) -> Report:
        return replace(report, scenes=report.scenes[:1])

    comparison = compare(alone(reports(0.4)), alone(reports(0.1)), intervals=QUICK)
    assert found(comparison.overall, "cloud_f1").verdict == "one scene"
