"""Gate: rules that a report must keep before its model is released, as a TOML table."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from undercast.errors import EvaluationError
from undercast.evaluation.compare import check_same_protocol, differences, paired
from undercast.evaluation.intervals import IntervalOptions
from undercast.evaluation.protocols import protocol_from_dict
from undercast.evaluation.report import Report, Stratum, read_report
from undercast.evaluation.scene_record import SceneRecord
from undercast.evaluation.statistics import Figure, figure_options, lower_is_better

End = Literal["value", "low", "high"]
"""What of a figure is held against a threshold."""
Proof = Literal["worse", "not worse"]
"""What the interval of a difference must show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: thresholds on a figure, or no loss against a baseline."""

    figure: str
    """Name of the figure, such as ``cloud_f2``, ``cloud_ece`` or ``clear_false_cloud``."""
    min: float | None = None
    """The figure must not be lower."""
    max: float | None = None
    """The figure must not be higher."""
    use: End = "value"
    """The figure itself, or an end of its interval."""
    by: str | None = None
    """Key of strata: the worst stratum is held against the threshold; None: all scenes together."""
    least_scenes: int = 1
    """Strata with fewer scenes are not looked at."""
    baseline: str | None = None
    """Report, relative to the rules, against which the model must not be worse."""
    margin: float = 0.0
    """Loss against the baseline that is allowed."""
    proof: Proof = "worse"
    """With a baseline, what must be sure: to fail, that it is worse; or to pass, that it is not worse."""
    undefined: Literal["fail", "pass"] = "fail"
    """Verdict where the figure is undefined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVerdict:
    """What became of one rule."""

    rule: str
    """The rule in words."""
    passed: bool
    """Whether the report keeps it."""
    found: float | None
    """What was found; None where it is undefined."""
    where: str
    """Stratum that decided, or ``overall``."""
    reason: str
    """Why, in words."""

    def to_dict(self) -> dict[str, Any]:
        """Give the verdict as JSON values."""
        return {
            "rule": self.rule,
            "passed": self.passed,
            "found": self.found,
            "where": self.where,
            "reason": self.reason,
        }


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Read a table of rules.

    Raises:
        EvaluationError: If the file is missing or wrong.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"rules {path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}."
        raise EvaluationError(msg) from error
    return parse_rules(text, origin=str(path))


def parse_rules(text: str, *, origin: str) -> tuple[Rule, ...]:
    """Parse rules: one table ``[[rules]]`` each.

    Args:
        text: TOML.
        origin: Where it comes from, for messages.

    Raises:
        EvaluationError: If a key is unknown, missing or of an impossible value, or there is no rule.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"rules {origin} are not TOML: {error}."
        raise EvaluationError(msg) from error
    rows = table.get("rules")
    if not isinstance(rows, list) or not rows or set(table) != {"rules"}:
        msg = f"rules {origin}: expected tables [[rules]] and nothing else, got {', '.join(table) or 'nothing'}."
        raise EvaluationError(msg)
    return tuple(_rule(row, f"{origin}: rule {number}") for number, row in enumerate(rows, start=1))


def gate(report: Report | SceneRecord, rules: Sequence[Rule], *, folder: Path = Path()) -> tuple[RuleVerdict, ...]:
    """Hold a report against rules.

    Args:
        report: The report of a mask, or the record of a scene classifier.
        rules: The rules.
        folder: Where relative paths of baselines begin.

    Raises:
        EvaluationError: If a rule names a figure or strata that the report has not, or a baseline of other data.
    """
    return tuple(
        _against_baseline(report, rule, folder) if rule.baseline is not None else _threshold(report, rule)
        for rule in rules
    )


def _rule(row: Any, origin: str) -> Rule:
    known = {field.name for field in fields(Rule)}
    if not isinstance(row, Mapping) or "figure" not in row or set(row) - known:
        msg = f"{origin}: expected 'figure' and any of {', '.join(sorted(known - {'figure'}))}, got {', '.join(row)}."
        raise EvaluationError(msg)
    rule = Rule(**row)
    checks: list[tuple[str, Callable[[], bool], str]] = [
        ("min", lambda: rule.min is None or _is_number(rule.min), "a number"),
        ("max", lambda: rule.max is None or _is_number(rule.max), "a number"),
        ("use", lambda: rule.use in get_args(End), "value, low or high"),
        ("by", lambda: isinstance(rule.by, str | None), "a text"),
        ("least_scenes", lambda: _is_number(rule.least_scenes) and rule.least_scenes >= 1, "1 or more"),
        ("baseline", lambda: isinstance(rule.baseline, str | None), "a path"),
        ("margin", lambda: _is_number(rule.margin) and rule.margin >= 0, "0 or more"),
        ("proof", lambda: rule.proof in get_args(Proof), "'worse' or 'not worse'"),
        ("undefined", lambda: rule.undefined in {"fail", "pass"}, "fail or pass"),
    ]
    for key, right, expected in checks:
        if not right():
            msg = f"{origin}: {key}: expected {expected}, got {row[key]!r}."
            raise EvaluationError(msg)
    thresholds = (rule.min is not None) + (rule.max is not None)
    if (thresholds > 0) == (rule.baseline is not None):
        msg = f"{origin}: expected min, max or both, or else a baseline, got {', '.join(row)}."
        raise EvaluationError(msg)
    if rule.baseline is not None and (rule.by is not None or rule.use != "value"):
        msg = f"{origin}: by and use go with min and max, not with a baseline."
        raise EvaluationError(msg)
    return rule


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _threshold(report: Report | SceneRecord, rule: Rule) -> RuleVerdict:
    what = _words(rule)
    places = _places(report, rule)
    found = {name: getattr(figure, rule.use) for name, (figure, _) in places.items()}
    undefined = [name for name, value in found.items() if value is None]
    defined = {name: value for name, value in found.items() if value is not None}
    broken = {name: value for name, value in defined.items() if not _keeps(value, rule)}
    if broken:
        worst = _worst(broken, rule)
        return _verdict(what, passed=False, found=broken[worst], where=worst, reason="the threshold is not kept")
    if undefined and (rule.undefined == "fail" or not defined):
        why = places[undefined[0]][1]
        passed = rule.undefined == "pass"
        return _verdict(what, passed=passed, found=None, where=undefined[0], reason=f"undefined: {why}")
    if not defined:
        reason = f"no stratum has {rule.least_scenes} scenes"
        return _verdict(what, passed=rule.undefined == "pass", found=None, where=str(rule.by), reason=reason)
    worst = _worst(defined, rule)
    return _verdict(what, passed=True, found=defined[worst], where=worst, reason="kept")


def _verdict(rule: str, *, passed: bool, found: float | None, where: str, reason: str) -> RuleVerdict:
    return RuleVerdict(rule=rule, passed=passed, found=found, where=where, reason=reason)


def _places(report: Report | SceneRecord, rule: Rule) -> dict[str, tuple[Figure, str]]:
    """Give the figure of each place that the rule looks at, with the reason why it, or its end, would be undefined."""
    if rule.figure not in report.overall.values:
        msg = f"figure {rule.figure!r} is not in the report. It has: {', '.join(report.overall.values)}"
        raise EvaluationError(msg)
    no_interval = "too few scenes for an interval"
    if rule.by is None:
        reason = report.overall.undefined.get(rule.figure, no_interval)
        return {"overall": (report.overall.values[rule.figure], reason)}
    if rule.by not in report.strata:
        msg = f"strata by {rule.by!r} are not in the report. It has: {', '.join(report.strata)}"
        raise EvaluationError(msg)
    strata: Mapping[str, Stratum] = report.strata[rule.by]
    return {
        name: (stratum.figures.values[rule.figure], stratum.figures.undefined.get(rule.figure, no_interval))
        for name, stratum in strata.items()
        if stratum.scenes >= rule.least_scenes
    }


def _keeps(value: float, rule: Rule) -> bool:
    return (rule.min is None or value >= rule.min) and (rule.max is None or value <= rule.max)


def _worst(values: Mapping[str, float], rule: Rule) -> str:
    """Name the place that lies worst: the highest where there is only an upper threshold, else the lowest."""
    highest = rule.min is None
    return (max if highest else min)(values, key=lambda name: values[name])


def _against_baseline(report: Report | SceneRecord, rule: Rule, folder: Path) -> RuleVerdict:
    """Fail where the loss is surely larger than the margin, or pass where it surely is not, as the rule says."""
    if isinstance(report, SceneRecord):
        msg = (
            f"rule on {rule.figure!r}: the record of a scene classifier has no other report to be compared with."
            " Set min on AP_macro_over_baseline instead."
        )
        raise EvaluationError(msg)
    baseline = read_report(folder / str(rule.baseline))
    check_same_protocol(baseline, report)
    rules = protocol_from_dict(report.protocol, origin="of the report")
    options = figure_options(rules, baseline.predictor, report.predictor)
    if rule.figure not in report.overall.values:
        msg = f"figure {rule.figure!r} is not in the report. It has: {', '.join(report.overall.values)}"
        raise EvaluationError(msg)
    intervals = IntervalOptions(**{key: report.interval[key] for key in ("level", "replicates", "seed")})
    (row,) = differences(paired(baseline, report), [rule.figure], options, intervals)
    what = _words(rule)
    if row.difference is None or row.low is None or row.high is None:
        reason = "undefined in one of the reports" if row.difference is None else "too few scenes for an interval"
        return _verdict(what, passed=rule.undefined == "pass", found=row.difference, where="overall", reason=reason)
    losses = (row.low, row.high) if lower_is_better(rule.figure) else (-row.high, -row.low)
    loss = losses[0] if rule.proof == "worse" else losses[1]
    reason = f"difference {row.difference:+.4f}, interval {row.low:+.4f} to {row.high:+.4f}"
    return _verdict(what, passed=loss <= rule.margin, found=row.difference, where="overall", reason=reason)


def _words(rule: Rule) -> str:
    what = rule.figure if rule.use == "value" else f"{rule.figure} ({rule.use} end)"
    where = "" if rule.by is None else f" in every {rule.by}"
    if rule.baseline is not None:
        sure = "not surely" if rule.proof == "worse" else "surely not"
        return f"{what} {sure} worse than {rule.baseline} by more than {rule.margin:g}"
    bounds = [f">= {rule.min:g}"] if rule.min is not None else []
    bounds += [f"<= {rule.max:g}"] if rule.max is not None else []
    return f"{what} {' and '.join(bounds)}{where}"
