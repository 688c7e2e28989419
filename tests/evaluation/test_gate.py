from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from undercast.errors import EvaluationError
from undercast.evaluation.evaluate import EvaluateOptions, evaluate
from undercast.evaluation.gate import RuleVerdict, gate, parse_rules, read_rules
from undercast.evaluation.intervals import IntervalOptions
from undercast.evaluation.predictors import Predictor
from undercast.evaluation.protocols import load_protocol
from undercast.evaluation.report import Report, write_report
from undercast.evaluation.sources import read_references

Reports = Callable[..., Report]


@pytest.fixture
def reports(folder: Path, oracle: Callable[..., Predictor]) -> Reports:
    def make(wrong: float = 0.0, *, seed: int = 0, protocol: str = "pixel") -> Report:
        options = EvaluateOptions(intervals=IntervalOptions(replicates=200))
        return evaluate(oracle(wrong, seed=seed), read_references(folder), load_protocol(protocol), options).report

    return make


def verdict(report: Report, rule: str, folder: Path = Path()) -> RuleVerdict:
    (one,) = gate(report, parse_rules(f"[[rules]]\n{rule}", origin="rules"), folder=folder)
    return one


def test_thresholds_hold_or_are_broken(reports: Reports) -> None:
    report = reports(0.2)
    assert verdict(report, 'figure = "cloud_precision"\nmin = 0.99').passed
    broken = verdict(report, 'figure = "cloud_recall"\nmin = 0.99')
    assert not broken.passed
    assert broken.found == report.overall.values["cloud_recall"].value
    assert broken.rule == "cloud_recall >= 0.99"
    assert not verdict(report, 'figure = "cloud_recall"\nmin = 0.1\nmax = 0.5').passed


def test_the_lower_end_of_the_interval_is_stricter(reports: Reports) -> None:
    report = reports(0.2)
    figure = report.overall.values["cloud_recall"]
    assert figure.value is not None
    assert figure.low is not None
    middle = (figure.low + figure.value) / 2
    assert verdict(report, f'figure = "cloud_recall"\nmin = {middle}').passed
    assert not verdict(report, f'figure = "cloud_recall"\nmin = {middle}\nuse = "low"').passed


def test_the_worst_stratum_decides(reports: Reports) -> None:
    report = reports(0.2)
    worst = verdict(report, 'figure = "cloud_f1"\nmin = 0.2\nby = "source"')
    assert (worst.passed, worst.where) == (True, "drawn")
    few = verdict(report, 'figure = "cloud_f1"\nmin = 0.2\nby = "source"\nleast_scenes = 7')
    assert (few.passed, few.reason) == (False, "no stratum has 7 scenes")


def test_an_undefined_figure_fails_unless_the_rule_says_otherwise(reports: Reports) -> None:
    report = reports()
    rule = 'figure = "cloud_ece"\nmax = 0.05'
    assert not verdict(report, rule).passed
    assert "probabilities" in verdict(report, rule).reason
    assert verdict(report, f'{rule}\nundefined = "pass"').passed
    assert not verdict(report, 'figure = "clear_false_cloud"\nmax = 0.01').passed


def test_a_model_that_is_surely_worse_than_the_baseline_fails(reports: Reports, tmp_path: Path) -> None:
    write_report(reports(0.05), tmp_path / "baseline.json")
    rule = 'figure = "cloud_recall"\nbaseline = "baseline.json"'
    assert not verdict(reports(0.4), rule, tmp_path).passed
    assert verdict(reports(0.4), f"{rule}\nmargin = 0.6", tmp_path).passed
    assert verdict(reports(0.0), rule, tmp_path).passed
    assert verdict(reports(0.05), f'{rule}\nproof = "not worse"', tmp_path).passed


def test_proof_of_not_being_worse_is_harder_than_no_proof_of_being_worse(reports: Reports, tmp_path: Path) -> None:
    write_report(reports(0.2, seed=1), tmp_path / "baseline.json")
    rule = 'figure = "cloud_recall"\nbaseline = "baseline.json"'
    other = reports(0.2, seed=2)
    assert verdict(other, rule, tmp_path).passed
    assert not verdict(other, f'{rule}\nproof = "not worse"', tmp_path).passed


def test_a_baseline_of_another_protocol_is_refused(reports: Reports, tmp_path: Path) -> None:
    write_report(reports(protocol="cnes"), tmp_path / "baseline.json")
    with pytest.raises(EvaluationError, match="got cnes and pixel"):
        verdict(reports(), 'figure = "cloud_f1"\nbaseline = "baseline.json"', tmp_path)


@pytest.mark.parametrize("rule", ['figure = "nonsense"\nmin = 0.1', 'figure = "cloud_f1"\nmin = 0.1\nby = "colour"'])
def test_what_the_report_has_not_is_refused(reports: Reports, rule: str) -> None:
    with pytest.raises(EvaluationError, match=r"not in the report\. It has"):
        verdict(reports(), rule)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x =", "are not TOML"),
        ("", "got nothing"),
        ("x = 1\n[[rules]]\nfigure='a'\nmin=1", "and nothing else"),
        ("[[rules]]\nmin = 1", "expected 'figure'"),
        ("[[rules]]\nfigure = 'a'", "min, max or both, or else a baseline"),
        ("[[rules]]\nfigure = 'a'\nmin = 1\nbaseline = 'b'", "min, max or both, or else a baseline"),
        ("[[rules]]\nfigure = 'a'\nmin = 'b'", "min: expected a number"),
        ("[[rules]]\nfigure = 'a'\nmin = 1\nuse = 'b'", "use: expected value, low or high"),
        ("[[rules]]\nfigure = 'a'\nmin = 1\nleast_scenes = 0", "1 or more"),
        ("[[rules]]\nfigure = 'a'\nbaseline = 'b'\nby = 'source'", "not with a baseline"),
    ],
)
def test_wrong_rules_are_refused(text: str, told: str) -> None:
    with pytest.raises(EvaluationError, match=told):
        parse_rules(text, origin="rules")


def test_rules_are_read_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[[rules]]\nfigure = "cloud_f2"\nmin = 0.9\n')
    assert read_rules(path)[0].min == 0.9
    with pytest.raises(EvaluationError, match=r"missing\.toml cannot be read: No such file or directory\.$"):
        read_rules(tmp_path / "missing.toml")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(EvaluationError, match=r"rules\.toml cannot be read: it is not UTF-8\.$"):
        read_rules(path)
