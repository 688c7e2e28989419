"""Evidence: the package, the report and the gate that a step of a model's life rests on, each with its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undercast.errors import EvaluationError, TransitionError, TrustError
from undercast.evaluation.evaluate import make_report
from undercast.evaluation.gate import Rule, RuleVerdict, parse_rules
from undercast.evaluation.intervals import IntervalOptions
from undercast.evaluation.packages import EVALUATION, TRAINING_KEY, Met, evaluation_record, met_data
from undercast.evaluation.protocols import protocol_from_dict
from undercast.evaluation.references import data_hash
from undercast.evaluation.report import Report, report_from_dict
from undercast.evaluation.statistics import Figures, figure_options
from undercast.models.documents import load_json
from undercast.models.package import ModelPackage, find_package, read_package
from undercast.models.trust.checksums import multihash
from undercast.models.trust.weights import verified_bytes

LARGEST_FILE = 256 * 1024**2
"""Largest report or gate that is read, in bytes."""
MOST_REPLICATES = 10_000
"""Most resamples that a report's intervals are computed from again."""
SAME = 1e-9
"""Largest difference between a figure of a report and the same figure from its counts."""
SHOWN = 12
"""Digits of a hash that a message shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model package that takes a step."""

    package: ModelPackage
    """The package; its weights and its evaluation record match their checksums."""
    met: Met
    """Data that it was trained and calibrated on."""
    facts: Mapping[str, Any]
    """id, version, weights, item_sha256 and training, as a ledger has them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgement:
    """A report that is about a candidate."""

    report: Report
    """The report, its figures computed again from its counts."""
    facts: Mapping[str, Any]
    """file, sha256, created, data and protocol, as a ledger has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFile:
    """The rules of a gate."""

    rules: tuple[Rule, ...]
    """The rules."""
    folder: Path
    """Where relative paths of baselines begin."""
    facts: Mapping[str, Any]
    """file, sha256 and the hashes of its baselines."""


def take_package(model: str | Path) -> Candidate:
    """Read a package and compare its weights and its evaluation record with the checksums of its item.

    Args:
        model: A name of ``undercast models list``, or the path of a package.

    Raises:
        TrustError: If something does not match its checksum, or has none.
        TransitionError: If the package does not say what it was trained on.
        ModelError: If the package is wrong or not known.
    """
    package = read_package(find_package(model))
    for member in package.members:
        verified_bytes(member)
    _check_record(package)
    if TRAINING_KEY not in evaluation_record(package):
        msg = (
            f"{package.root}: expected {TRAINING_KEY!r} in its {EVALUATION}, got none: nobody can say whether a report"
            " is of data that it was trained on. Give file names with their SHA-256; {} where it met no file."
        )
        raise TransitionError(msg)
    met = met_data(package)
    return Candidate(package=package, met=met, facts=_model_facts(package, met))


def take_report(path: Path, candidate: Candidate) -> Judgement:
    """Read a report and hold it against the package that it is to speak for.

    Args:
        path: The report, or the folder of its ``report.json``.
        candidate: The package.

    Raises:
        TransitionError: If the report is of another model, its hash or its figures do not follow from its scenes, or
            it is of scenes that the model was made with; the message names the first.
        EvaluationError: If it is no report.
    """
    file = path / "report.json" if path.is_dir() else path
    data = read_bounded(file, "report")
    try:
        table = json.loads(data)
    except (ValueError, RecursionError) as error:
        msg = f"report {file} is not JSON: {error}. Evaluate again: undercast evaluate MODEL --data DATA -o REPORT"
        raise EvaluationError(msg) from error
    report = report_from_dict(table, origin=str(file))
    _check_model(report, candidate, file)
    _check_scenes(report, candidate.met, file)
    return Judgement(report=_computed_again(report, file), facts=report_facts(report, file, data))


def report_facts(report: Report, file: Path, data: bytes) -> dict[str, Any]:
    """Say which report it is, as a ledger has it.

    Args:
        report: The report.
        file: Its file.
        data: The bytes of the file.
    """
    return {
        "file": str(file),
        "sha256": hashlib.sha256(data).hexdigest(),
        "created": report.created,
        "data": {key: report.data[key] for key in ("name", "hash", "scenes")},
        "protocol": report.protocol.get("id"),
    }


def take_gate(path: Path) -> GateFile:
    """Read the rules of a gate.

    Raises:
        EvaluationError: If the file is missing or wrong, or a baseline is missing.
    """
    data = read_bounded(path, "gate")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        msg = f"gate {path} is not UTF-8: {error}."
        raise EvaluationError(msg) from error
    rules = parse_rules(text, origin=str(path))
    baselines = {rule.baseline for rule in rules if rule.baseline is not None}
    hashes = {name: _sha256(read_bounded(path.parent / name, "baseline")) for name in sorted(baselines)}
    return GateFile(
        rules=rules,
        folder=path.parent,
        facts={"file": str(path), "sha256": _sha256(data), "baselines": hashes},
    )


def verdict_facts(gate: GateFile, verdicts: Sequence[RuleVerdict]) -> dict[str, Any]:
    """Say which gate it was and what became of it, as a ledger has it."""
    return {
        **gate.facts,
        "passed": all(verdict.passed for verdict in verdicts),
        "rules": [verdict.to_dict() for verdict in verdicts],
    }


def read_bounded(path: Path, what: str) -> bytes:
    """Read a file that is not larger than such files are.

    Raises:
        EvaluationError: If it cannot be read, or is larger.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        msg = f"{what} {path} cannot be read: {error.strerror or error}."
        raise EvaluationError(msg) from error
    if len(data) > LARGEST_FILE:
        msg = f"{what} {path}: expected at most {LARGEST_FILE} bytes, got more."
        raise EvaluationError(msg)
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_record(package: ModelPackage) -> None:
    """Compare the evaluation record, which says what the model was trained on, with the item's checksum."""
    path = package.root / EVALUATION
    if not path.exists():
        return
    assets = load_json(package.item).get("assets") if package.item.is_file() else None
    asset = assets.get("evaluation") if isinstance(assets, Mapping) else None
    declared = asset.get("file:checksum") if isinstance(asset, Mapping) else None
    found = multihash(read_bounded(path, "evaluation record"))
    if declared != found:
        got = "no checksum" if declared is None else f"{str(declared)[: SHOWN + 4]}..."
        msg = (
            f"{path}: expected an item that declares its checksum {found[: SHOWN + 4]}..., got {got}:"
            " the record was changed or damaged. Install the model package again."
        )
        raise TrustError(msg)


def _model_facts(package: ModelPackage, met: Met) -> dict[str, Any]:
    return {
        "id": package.spec.id,
        "version": package.spec.version,
        "weights": {member.name: member.checksum for member in package.members},
        "item_sha256": _sha256(package.item.read_bytes()),
        "training": {"files": len(met.trained), "sha256": data_hash(tuple(met.trained))},
    }


def _check_model(report: Report, candidate: Candidate, file: Path) -> None:
    predictor = report.predictor
    wanted = candidate.facts
    told = (str(predictor.get("id")), str(predictor.get("version")))
    if predictor.get("kind") != "package" or told != (wanted["id"], wanted["version"]):
        msg = (
            f"report {file}: expected one of {wanted['id']} {wanted['version']}, got one of {' '.join(told)}."
            " Evaluate this package: undercast evaluate MODEL --data DATA -o REPORT"
        )
        raise TransitionError(msg)
    checksums = predictor.get("checksums")
    if not isinstance(checksums, list) or set(map(str, checksums)) != set(wanted["weights"].values()):
        msg = (
            f"report {file}: expected one of the weights of this package, got one of other weights of {wanted['id']}"
            f" {wanted['version']}. Evaluate this package: undercast evaluate MODEL --data DATA -o REPORT"
        )
        raise TransitionError(msg)
    spec, options = candidate.package.spec, predictor.get("options")
    point = (options.get("thresholds"), options.get("aggregation")) if isinstance(options, Mapping) else (None, None)
    if point != (dict(spec.thresholds), spec.aggregation):
        msg = (
            f"report {file}: expected one at the operating point that masks are made at (thresholds"
            f" {dict(spec.thresholds) or 'none'}, {spec.aggregation}), got {point[0]}, {point[1]}."
            " Evaluate without --preset, --threshold and --aggregation, or change the package: undercast calibrate"
        )
        raise TransitionError(msg)


def _check_scenes(report: Report, met: Met, file: Path) -> None:
    """Hold the scenes against the report's data hash, and against what the model was made with."""
    found = data_hash([scene.hash for scene in report.scenes])
    if not report.scenes or report.data.get("hash") != found or report.data.get("scenes") != len(report.scenes):
        msg = (
            f"report {file}: expected scenes with the data hash that it states, got {len(report.scenes)} scenes with"
            f" {found[:SHOWN]}...: it was changed. Evaluate again: undercast evaluate MODEL --data DATA -o REPORT"
        )
        raise TransitionError(msg)
    for hashes, what in ((met.trained, "trained"), (met.calibrated, "calibrated")):
        for scene in report.scenes:
            common = {scene.hash, scene.file_hash} & hashes
            if common:
                msg = (
                    f"report {file}: the model was {what} on its scene {scene.name}"
                    f" (SHA-256 {str(common.pop())[:SHOWN]}...), so it cannot be judged by it."
                    " Evaluate on data that it has not met."
                )
                raise TransitionError(msg)


def _computed_again(report: Report, file: Path) -> Report:
    """Compute a report's figures from the counts of its scenes, and refuse one that states others."""
    protocol, intervals = protocol_from_dict(report.protocol, origin=str(file)), _intervals(report, file)
    told = figure_options(protocol, report.predictor)
    again = make_report(report.predictor, protocol, report.scenes, told, intervals=intervals)
    stated = {"overall": report.overall} | _strata(report)
    for where, figures in ({"overall": again.overall} | _strata(again)).items():
        other = _different(stated.get(where), figures)
        if other is not None:
            msg = (
                f"report {file}: its figure {other} ({where}) is not what its counts give: it was changed."
                " Evaluate again: undercast evaluate MODEL --data DATA -o REPORT"
            )
            raise TransitionError(msg)
    return again


def _intervals(report: Report, file: Path) -> IntervalOptions:
    level, replicates, seed = (report.interval.get(key) for key in ("level", "replicates", "seed"))
    if (
        isinstance(level, float)
        and (isinstance(replicates, int) and replicates <= MOST_REPLICATES)
        and (isinstance(seed, int) and seed >= 0)
    ):
        return IntervalOptions(level=level, replicates=replicates, seed=seed)
    msg = (
        f"report {file}: expected intervals with level, seed and at most {MOST_REPLICATES} replicates, got"
        f" {level!r}, {seed!r} and {replicates!r}. Evaluate again: undercast evaluate MODEL --data DATA -o REPORT"
    )
    raise TransitionError(msg)


def _strata(report: Report) -> dict[str, Figures]:
    return {
        f"{key} {name}": stratum.figures for key, strata in report.strata.items() for name, stratum in strata.items()
    }


def _different(stated: Figures | None, computed: Figures) -> str | None:
    """Name a figure that is stated otherwise than it is computed; intervals are not compared."""
    for name, figure in computed.values.items():
        one = None if stated is None else stated.values.get(name)
        if one is None or (one.value is None) != (figure.value is None):
            return name
        if one.value is not None and figure.value is not None and abs(one.value - figure.value) > SAME:
            return name
    return None
