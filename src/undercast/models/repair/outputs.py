"""Repair of a model's tasks and outputs: closed sets, classes, functions told in prose."""

from __future__ import annotations

import re
from typing import Any

from undercast.models.lint.mlm_rules import EXPRESSIONS, TASKS
from undercast.models.repair.log import RepairLog

TASK_NAMES = {"uncertainty-quantification": "regression", "uncertainty-estimation": "regression"}
"""Task that MLM has not -> the task of MLM that it is."""

USUAL_TASK = "semantic-segmentation"
"""Task of an output whose tasks are none of MLM."""


def repair_tasks(item: dict[str, Any], log: RepairLog) -> None:
    """Put MLM's tasks for others, of the model and of its outputs."""
    _tasks(item["properties"], "mlm:tasks", "mlm:tasks", log)
    for position, row in enumerate(_rows(item, "mlm:output")):
        _tasks(row, "tasks", f"mlm:output/{position}/tasks", log)


def repair_outputs(item: dict[str, Any], log: RepairLog) -> None:
    """Mend the classes, shapes and functions of a model's outputs."""
    for position, row in enumerate(_rows(item, "mlm:output")):
        where = f"mlm:output/{position}"
        if "classification_classes" in row and "classification:classes" not in row:
            row["classification:classes"] = row.pop("classification_classes")
            log.changes.append(f"{where}: classification_classes is called classification:classes")
        classes = row.get("classification:classes")
        for one in classes if isinstance(classes, list) else []:
            if isinstance(one, dict):
                _class(one, f"{where}: class {one.get('name', one.get('value'))}", log)
        whole_sizes(row, "result", where, log)
        mend_function(row, "post_processing_function", where, log)


def whole_sizes(row: dict[str, Any], key: str, where: str, log: RepairLog) -> None:
    """Write the sizes of a shape without a point."""
    structure = row.get(key)
    shape = structure.get("shape") if isinstance(structure, dict) else None
    if isinstance(structure, dict) and isinstance(shape, list) and any(isinstance(size, float) for size in shape):
        structure["shape"] = [_whole(size) for size in shape]
        log.changes.append(f"{where}: sizes of the shape are written as whole numbers")


def mend_function(row: dict[str, Any], key: str, where: str, log: RepairLog) -> None:
    """Keep a function that is told in prose as an expression in the format ``text``, which nothing runs."""
    value = row.get(key)
    if isinstance(value, str):
        row[key] = {"format": "text", "expression": value}
        log.changes.append(f"{where}: {key} is prose; it is kept as an expression of format text, which nothing runs")
    elif next(EXPRESSIONS(value, ()), None) is not None:
        del row[key]
        log.changes.append(f"{where}: {key} is no expression and left out")


def _rows(item: dict[str, Any], key: str) -> list[dict[str, Any]]:
    rows = item["properties"].get(key)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _tasks(values: dict[str, Any], key: str, where: str, log: RepairLog) -> None:
    tasks = values.get(key)
    if not isinstance(tasks, list):
        return
    unknown = [task for task in tasks if task not in TASKS]
    mended = [TASK_NAMES.get(str(task), "") if task in unknown else str(task) for task in tasks]
    values[key] = list(dict.fromkeys(task for task in mended if task)) or [USUAL_TASK]
    if unknown:
        log.changes.append(
            f"{where}: {', '.join(map(str, unknown))} is no task of MLM; {', '.join(values[key])} is written"
        )


def _class(one: dict[str, Any], where: str, log: RepairLog) -> None:
    if isinstance(one.get("value"), float):
        one["value"] = _whole(one["value"])
        log.changes.append(f"{where}: the value is written {one['value']}, without a point")
    if not isinstance(one.get("description"), str):
        one["description"] = str(one.get("name", one.get("value")))
        log.changes.append(f"{where}: the name stands for the missing description")
    color = one.get("color_hint")
    if "color_hint" in one and not (isinstance(color, str) and re.fullmatch(r"[0-9A-Fa-f]{6}", color)):
        digits = _hexadecimal(color)
        if digits is None:
            del one["color_hint"]
            log.changes.append(f"{where}: color_hint {color!r} is no colour and left out")
        else:
            one["color_hint"] = digits
            log.changes.append(f"{where}: color_hint {color!r} is written {digits}, without transparency")
    for key in [key for key in ("title", "name") if key in one and one[key] is None]:
        del one[key]


def _hexadecimal(color: object) -> str | None:
    """Give a colour as six hexadecimal digits; None where it is none."""
    if isinstance(color, list) and len(color) >= 3 and all(isinstance(c, int) and 0 <= c <= 255 for c in color[:3]):
        return "".join(f"{c:02X}" for c in color[:3])
    found = re.fullmatch(r"#?([0-9A-Fa-f]{6})(?:[0-9A-Fa-f]{2})?", color) if isinstance(color, str) else None
    return None if found is None else found.group(1)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
