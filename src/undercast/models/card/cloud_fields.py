"""Fields of a cloud model's card: classes, operating points, figures on held-out chips, data and training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from undercast.models.card.made import MOST_LABELS, SCENE_ONLY, TaskFields
from undercast.models.card.wording import band_names, cell, figure, is_number, mapping, none, table, told, words

NOT_A_CLASSIFIER = "a cloud model scores pixels, not labels of scenes"
"""Why a field of scene classifiers has no value."""

FIGURES = {
    "cloud_f1": "cloud F1",
    "cloud_f2": "cloud F2",
    "cloud_ece": "cloud calibration error",
    "shadow_f1": "shadow F1",
}
"""Key of a record's figures -> column."""

ON_REFERENCES = (
    *("cloud_f1", "cloud_f2", "cloud_precision", "cloud_recall", "cloud_iou"),
    *("thin_f1", "shadow_f1", "shadow_precision", "shadow_recall", "overall_accuracy"),
)
"""Figures of an evaluation report that a card shows."""

NOT_HELD_OUT = "the evaluation record has no held-out chips"


def cloud_fields(properties: Mapping[str, Any], record: Mapping[str, Any]) -> TaskFields:
    """Give the fields of a cloud model's card.

    Args:
        properties: Properties of the item.
        record: Evaluation record.
    """
    named = properties.get("undercast:optional_bands")
    optional = named if isinstance(named, list) else []
    bands = band_names(properties)
    presets = mapping(properties.get("undercast:presets"))
    points = [f"`{name}` {told(values)}" for name, values in presets.items()]
    fields = {
        **dict.fromkeys((*SCENE_ONLY, "EXAMPLE"), none(NOT_A_CLASSIFIER)),
        **{f"{kind}_{i}": none(NOT_A_CLASSIFIER) for i in range(1, MOST_LABELS + 1) for kind in ("LABEL", "SCORE")},
        "CLASS_WORD": "source",
        "SCORES": "\n\n".join((_on_references(record), _simulated(record))),
        "SCORES_BY_CLASS": _held_out(record),
        "BASELINE": none("figures beside other masks are in MODELS.md"),
        "DATA": _data(record),
        "TRAINING": _training(record, properties),
        "LIMITS": _limits(record),
    }
    facts = {
        "needs": told([name for name in bands if name not in optional], "the item names no bands"),
        "is better with": told([name for name in bands if name in optional], "it has no optional bands"),
        "product level": told(properties.get("undercast:levels"), "any"),
        "classes": told(properties.get("undercast:layers"), "the item names no classes"),
        "thresholds": "; ".join(points) or none("the most probable class"),
        "calibration": _calibration(record.get("calibration")),
    }
    return TaskFields(fields=fields, facts=facts, tags=("cloud-mask",))


def _calibration(found: Any) -> str:
    """Write the figures of a calibration and its data, and those of the one before it; not its scenes and warnings."""
    own, data = mapping(found), mapping(mapping(found).get("data"))
    parts = [told({key: value for key, value in own.items() if is_number(value)}, "it was not calibrated")]
    parts += [f"on {told(data.get('scenes'))} scenes of {told(data.get('name'))}"] if data else []
    parts += [f"before that: {_calibration(own['before'])}"] if own.get("before") else []
    return "; ".join(parts)


def _on_references(record: Mapping[str, Any]) -> str:
    """Write the figures on real scenes that no network was trained on, where the package was evaluated."""
    report = mapping(record.get("report"))
    overall = mapping(report.get("overall"))
    if not overall:
        return f"On references: {none('the package was not evaluated; undercast evaluate does')}."
    data, interval = mapping(report.get("data")), mapping(report.get("interval"))
    note = (
        f"On {told(data.get('scenes'))} scenes of {told(data.get('name'))} that it was not trained on; protocol"
        f" {told(mapping(report.get('protocol')).get('id'))}, intervals of {told(interval.get('level'))}."
    )
    undefined = mapping(report.get("undefined"))
    rows = [
        (words(key), figure(overall[key], 3, cell(str(undefined.get(key, "not defined")))))
        for key in ON_REFERENCES
        if key in overall
    ]
    return f"{note}\n\n{table(('figure', 'value'), rows)}"


def _simulated(record: Mapping[str, Any]) -> str:
    found = mapping(record.get("validation_on_simulated"))
    if not found:
        return f"On simulated chips: {none()}."
    note = (
        "On simulated chips of another seed: they say that the training worked, not how good the masks of real scenes"
        " are."
    )
    return f"{note}\n\n{table(('figure', 'value'), [(words(key), figure(value, 3)) for key, value in found.items()])}"


def _held_out(record: Mapping[str, Any]) -> str:
    """Write the figures on real chips by networks that had not seen them."""
    tables = mapping(record.get("held_out"))
    if not tables:
        return none(NOT_HELD_OUT)
    named = {"": tables} if "labelled" in tables else tables
    note = (
        "Each real chip, judged by the network of its fold, which had not seen it. The weights of this package were"
        " trained on all of them, or, in an ensemble, those of each member on all but one fold."
    )
    return "\n\n".join([note, *(_held_out_at(name, mapping(found)) for name, found in named.items())])


def _held_out_at(preset: str, found: Mapping[str, Any]) -> str:
    rows = [
        [cell(str(source)), *(figure(mapping(row).get(key), 3, "no reference tells it") for key in FIGURES)]
        for source, row in mapping(found.get("labelled")).items()
    ]
    clear = mapping(found.get("clear"))
    share = clear.get("false_cloud")
    worst = max((value for value in mapping(clear.get("worst")).values() if is_number(value)), default=0.0)
    at = f"At the threshold `{cell(preset)}`:\n\n" if preset else ""
    false_cloud = (
        f"False cloud on {told(clear.get('scenes'))} cloud-free scenes: {100 * share:.2f} % of the"
        f" pixels; {100 * worst:.1f} % of the worst scene."
        if share is not None and is_number(share)
        else f"False cloud on cloud-free scenes: {none()}."
    )
    return f"{at}{table(('source: bands', *FIGURES.values()), rows)}\n\n{false_cloud}"


def _data(record: Mapping[str, Any]) -> str:
    chips, licences = mapping(record.get("chips")), mapping(record.get("licences"))
    names = list(dict.fromkeys((*chips, *licences)))
    if not names:
        return none()
    rows = [(cell(name), told(chips.get(name)), told(licences.get(name), _why(name))) for name in names]
    hashes = mapping(record.get("data_sha256"))
    hashed = f"\n\nThe SHA-256 of each of the {len(hashes)} real files is in `evaluation.json`." if hashes else ""
    return table(("source", "chips", "licence of the data"), rows) + hashed


def _why(name: str) -> str:
    return "simulated" if name.startswith("simulated") else "the evaluation record names none"


def _training(record: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    recipe = mapping(record.get("recipe"))
    used = mapping(recipe.get("optimise")) or mapping(properties.get("mlm:hyperparameters"))
    if not used:
        return none()
    return table(("parameter", "used"), [(words(key), told(value, "not used")) for key, value in used.items()])


def _limits(record: Mapping[str, Any]) -> str:
    own = record.get("limits")
    lines = [str(line) for line in own] if isinstance(own, list) else []
    lines.append("Few real scenes were at hand: calibrate on your own where you have labels (`undercast calibrate`).")
    return "\n".join(f"- {' '.join(line.split())}" for line in lines)
