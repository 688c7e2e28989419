"""Fields of a scene classifier's card: scores with intervals, all labels, baseline, data, training and the example.

The names of single fields (``AP_MACRO``, ``LABEL_1`` ...) are those of the template of reben-training-scripts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from undercast.models.card.made import MOST_LABELS, TaskFields
from undercast.models.card.wording import (
    NOT_RECORDED,
    band_names,
    cell,
    figure,
    is_number,
    mapping,
    none,
    table,
    told,
    words,
)

AVERAGES = ("macro", "micro", "sample")
"""How scores are averaged over labels, in the columns of the table."""

PER_LABEL = ("AP", "AUROC", "F1", "F2", "precision", "recall", "specificity", "accuracy")
"""Scores of each label, in the columns of the table."""

TOP = 5
"""Labels that a hub's widget shows."""

RECORD_ONLY = frozenset({"sha256", "split"})
"""Entries of a record's data that are too long for a card; they are counted."""

NO_EXAMPLE = "the evaluation record has no example"


def scene_fields(properties: Mapping[str, Any], record: Mapping[str, Any], picture: str | None) -> TaskFields:
    """Give the fields of a scene classifier's card.

    Args:
        properties: Properties of the item.
        record: Evaluation record.
        picture: Name of the example picture; None: there is none.
    """
    spec = mapping(properties.get("undercast:classifier"))
    layers = band_names(properties)
    scores = mapping(record.get("scores"))
    example = _ranked(mapping(mapping(record.get("example")).get("scores")))
    name = cell(str(properties.get("mlm:name", "")))
    window = f"{told(spec.get('side_px'))} px of {told(spec.get('gsd'))} m"
    fields = {
        **_single(properties, record, spec, layers),
        **_example_fields(example),
        "CLASS_WORD": "label",
        "EXAMPLE": _example(record, example, picture, layers),
        "SCORES": _scores(record, scores),
        "SCORES_BY_CLASS": _by_label(record),
        "BASELINE": _baseline(record),
        "DATA": _data(record),
        "TRAINING": _training(record),
        "LIMITS": _limits(record, spec),
    }
    facts = {
        "input": f"windows of {window}: {', '.join(layers)}, in this order",
        "band configuration": f"{fields['BAND_CONFIG']}, channel order of {fields['CHANNEL_ORDER']}",
        "product level": told(spec.get("levels"), "the item states no level"),
        "output": f"{told(_count(spec.get('labels')))} labels; a label is given from a score of"
        f" {told(spec.get('threshold'))}",
    }
    widget = _widget(name, example, picture)
    return TaskFields(fields=fields, facts=facts, tags=("scene-classification",), widget=widget)


def _single(
    properties: Mapping[str, Any], record: Mapping[str, Any], spec: Mapping[str, Any], layers: Sequence[str]
) -> dict[str, str]:
    """Give the fields that are one word or number."""
    data, training, scores = mapping(record.get("data")), mapping(record.get("training")), mapping(record.get("scores"))
    architecture = cell(str(properties.get("mlm:architecture", "")))
    dataset = told(data.get("name"), "the evaluation record does not name the data")
    configuration = told(spec.get("configuration"), "the item states no configuration")
    order = told(spec.get("channel_order"), "the item states no channel order")
    found = {
        "LEARNING_RATE": ("learning_rate", "lr"),
        "DROPOUT_RATE": ("dropout", "drop_rate"),
        "DROP_PATH_RATE": ("drop_path", "drop_path_rate"),
        "WARMUP_STEPS": ("warmup_steps", "warmup"),
        "EPOCHS": ("epochs_run", "epochs"),
        "BATCH_SIZE": ("batch", "batch_size"),
    }
    return {
        "MODEL_NAME": told(architecture.capitalize(), "the item states no architecture"),
        "MODEL_NAME_RAW": f"{architecture}-{configuration}-{order}",
        "BAND_CONFIG": configuration,
        "CHANNEL_ORDER": order,
        "BANDS_USED": _sensors(layers),
        "VIS_BANDS": ", ".join(picture_layers(layers)),
        "DATASET_NAME": dataset,
        "DATASET_NAME_FULL": dataset,
        "DATASET_NAME_FULL_2": dataset,
        **{
            name: told(next((training[key] for key in keys if training.get(key) is not None), None))
            for name, keys in found.items()
        },
        **{
            f"{name.upper()}_{average.upper()}": figure(_value(scores.get(f"{name}_{average}")), 6)
            for name in ("AP", "F1", "precision")
            for average in ("macro", "micro")
        },
    }


def picture_layers(layers: Sequence[str]) -> tuple[str, ...]:
    """Choose the layers for red, green and blue: natural colour, else false colour, else the first in grey."""
    for wanted in (("B04", "B03", "B02"), ("B08", "B04", "B03")):
        if set(wanted) <= set(layers):
            return wanted
    return tuple(layers[:1]) * 3


def _sensors(layers: Sequence[str]) -> str:
    kinds = ["Sentinel-1" if name in {"VV", "VH"} else "Sentinel-2" for name in layers]
    return " & ".join(sorted(set(kinds))) or none("the item names no bands")


def _ranked(scores: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Order labels by their scores on the example, the highest first."""
    return sorted(((str(label), float(value)) for label, value in scores.items() if is_number(value)), key=_by_score)


def _by_score(row: tuple[str, float]) -> tuple[float, str]:
    return -row[1], row[0]


def _example_fields(example: Sequence[tuple[str, float]]) -> dict[str, str]:
    """Give each label of the example and its score, by number; further ones than there are labels say so."""
    why = "the model has no more labels" if example else NO_EXAMPLE
    fields = {}
    for number in range(1, max(MOST_LABELS, len(example)) + 1):
        there = example[number - 1] if number <= len(example) else None
        fields[f"LABEL_{number}"] = none(why) if there is None else cell(there[0])
        fields[f"SCORE_{number}"] = none(why) if there is None else f"{there[1]:.6f}"
    return fields


def _widget(name: str, example: Sequence[tuple[str, float]], picture: str | None) -> tuple[str, ...]:
    if picture is None or not example:
        return ()
    lines = ["widget:", f"- src: {json.dumps(picture)}", f"  example_title: {json.dumps(name)}", "  output:"]
    for label, score in example[:TOP]:
        lines += [f"  - label: {json.dumps(label)}", f"    score: {score:.6f}"]
    return tuple(lines)


def _example(
    record: Mapping[str, Any], example: Sequence[tuple[str, float]], picture: str | None, layers: Sequence[str]
) -> str:
    if not example:
        return none(NO_EXAMPLE)
    about = mapping(record.get("example"))
    image = f"![Example]({picture})\n\n" if picture is not None else ""
    shown = f" Shown: {', '.join(picture_layers(layers))}." if picture is not None else ""
    names = {"file": "the record does not name it", "split": "the record does not say it", "labels": "not on record"}
    said = "; ".join(f"{name}: {told(about.get(name), why)}" for name, why in names.items()) + "."
    rows = ((cell(label), f"{score:.6f}") for label, score in example)
    return f"{image}{said}{shown}\n\n{table(('label', 'score'), rows)}"


def _scores(record: Mapping[str, Any], scores: Mapping[str, Any]) -> str:
    if not scores:
        return none()
    kinds = list(dict.fromkeys(key.rpartition("_")[0] for key in scores))
    undefined = mapping(record.get("undefined"))
    rows = [[words(kind), *(_score(scores, undefined, f"{kind}_{average}") for average in AVERAGES)] for kind in kinds]
    interval = mapping(record.get("interval"))
    over = f"Intervals of {told(interval.get('level'))}, drawn by {told(interval.get('unit'))}. " if interval else ""
    scored = _count(record.get("scored_labels"))
    macro = f"Macro averages are over the {scored} labels that held patches have. " if scored else ""
    note = told(mapping(record.get("data")).get("note"), "the record has no remark on the data")
    return f"{over}{macro}Data: {note.rstrip('.')}.\n\n{table(('score', *AVERAGES), rows)}"


def _score(scores: Mapping[str, Any], undefined: Mapping[str, Any], key: str) -> str:
    return figure(scores[key], 4, cell(str(undefined.get(key, NOT_RECORDED)))) if key in scores else none("not defined")


def _by_label(record: Mapping[str, Any]) -> str:
    per_label = mapping(record.get("per_label"))
    if not per_label:
        return none()
    rows = [
        [cell(str(label)), *(_of_label(mapping(row), key) for key in ("support", "train_support", *PER_LABEL))]
        for label, row in per_label.items()
    ]
    return table(("label", "held", "trained", *PER_LABEL), rows)


def _of_label(row: Mapping[str, Any], key: str) -> str:
    if key.endswith("support"):
        return told(row.get(key))
    return figure(row.get(key), 4, "no held patch has it" if row.get("support") == 0 else NOT_RECORDED)


def _baseline(record: Mapping[str, Any]) -> str:
    baseline = mapping(record.get("baseline"))
    theirs, ours = mapping(baseline.get("scores")), mapping(record.get("scores"))
    if not theirs:
        return none("the evaluation record has no baseline")
    keys = [key for key in theirs if key in ours and key.rpartition("_")[0] in {"AP", "F1", "AUROC"}]
    rows = [(words(key), figure(ours[key]), figure(theirs[key])) for key in keys]
    return f"Baseline: {told(baseline.get('name'))}.\n\n{table(('score', 'this model', 'baseline'), rows)}"


def _data(record: Mapping[str, Any]) -> str:
    data = mapping(record.get("data"))
    if not data:
        return none()
    rows = [(words(key), told(value)) for key, value in data.items() if key not in RECORD_ONLY]
    files = _count(data.get("sha256"))
    hashed = f"\n\nThe SHA-256 of each of the {files} files is in `evaluation.json`." if files else ""
    return table(("", ""), rows) + hashed


def _training(record: Mapping[str, Any]) -> str:
    training = mapping(record.get("training"))
    if not training:
        return none()
    return table(("parameter", "used"), [(words(key), told(value, "not used")) for key, value in training.items()])


def _limits(record: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    own = record.get("limits")
    lines = [str(line) for line in own] if isinstance(own, list) else []
    lines.append(
        f"Trained on {told(spec.get('levels'))} reflectance of the sensors above; other sensors and levels are a guess."
    )
    lines.append("It knows no clouds: windows under cloud or shadow are flagged by a mask before it is asked.")
    return "\n".join(f"- {' '.join(line.split())}" for line in lines)


def _value(score: Any) -> Any:
    return score.get("value") if isinstance(score, Mapping) else score


def _count(values: Any) -> int | None:
    return len(values) if isinstance(values, list | tuple | Mapping) else None
