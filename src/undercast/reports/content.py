"""Content: what every kind of evaluation report says, in which order, before it is set in HTML or Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from undercast.classes import CLASS_NAMES
from undercast.evaluation.degradations import DEGRADATIONS
from undercast.evaluation.intervals import FEW_SCENES
from undercast.evaluation.metrics import MERGED, merged_confusion
from undercast.evaluation.report import Report, report_from_dict
from undercast.reports.pictures import error_share
from undercast.reports.wording import UNDEFINED, figure_wording, number, plain, set_name, share, whole

Row = Mapping[str, Any]
"""A part of a report."""

KEY_FIGURES = (
    "cloud_f1",
    "cloud_f2",
    "cloud_precision",
    "cloud_recall",
    "cloud_iou",
    "shadow_f1",
    "overall_accuracy",
    "kappa",
    "clear_false_cloud",
    "abstention_gain",
)
"""Figures that stand first."""

STRATUM_FIGURES = (
    "cloud_f1",
    "cloud_f2",
    "cloud_precision",
    "cloud_recall",
    "cloud_iou",
    "shadow_f1",
    "clear_false_cloud",
)
"""Figures of the table by stratum; the first one is also drawn."""

SCENE_FIGURES = ("cloud_f1", "cloud_precision", "cloud_recall", "shadow_f1")
"""Figures of the table of scenes."""

STRESSED = ("cloud_f1", "cloud_precision", "cloud_recall", "shadow_f1")
"""Figures of the stress table."""

CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "cloud": "Cloud (thick or thin)",
        "thick": "Thick cloud",
        "thin": "Thin cloud",
        "shadow": "Cloud shadow",
        "clear": "Clear",
    }
)
"""Beginning of a figure's name -> the class that it is about."""

OF_CLASS: Mapping[str, str] = MappingProxyType(
    {
        "precision": "Precision",
        "recall": "Recall",
        "f1": "F1",
        "f2": "F2",
        "iou": "IoU",
        "balanced_accuracy": "Balanced accuracy",
        "ap": "AP",
        "ece": "ECE",
    }
)
"""End of a figure's name -> head of its column."""

CODES = frozenset({"Checksum", "Hash"})
"""Facts that are set in a monospaced face."""

MOST_SCENES = 60
"""Rows of the table of scenes; more are in the JSON report."""

HASH_LENGTH = 16
"""Characters of a hash that are shown."""

PROTOCOL_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "id": "Name",
        "description": "Scores",
        "source": "After",
        "thin": "Thin cloud",
        "buffer_m": "Border, m",
        "collisions": "Collisions",
        "priority": "Priority",
    }
)
"""Entries of a protocol that are shown -> what they are called; empty ones are not."""

MATRIX_HEAD = "Reference \N{DOWNWARDS ARROW}  Prediction \N{RIGHTWARDS ARROW}"
"""Head of the first column of a matrix."""

STRATA_EXPLAINED = (
    "Each figure is computed from the summed pixels of a stratum's scenes, with its interval below it. The bar "
    "shows {figure} and its interval; the dashed line is the value over all scenes."
)
INTERVALS_EXPLAINED = (
    "Small figures and bars are intervals. A dash is an undefined value, never a zero; the letter beside it leads "
    "to the reason."
)
CONFUSION_EXPLAINED = (
    "Rows are what the reference says, columns what was predicted. A reference that cannot tell two classes apart "
    "gives a possible set, such as clear or shadow, and every class of the set is right. Bold cells agree with "
    "the reference; in colour, blue cells agree, orange ones do not, and a darker cell is a larger share of its "
    "row. The first matrix holds the pixels whose set lies inside clear, cloud or shadow."
)
CALIBRATION_EXPLAINED = (
    "Reliability: where the model says 0.8, the class should be there in 80 % of the cases, which is the dashed "
    "line. Abstention: the error rate that is left when the most uncertain pixels are dropped."
)
STRESS_EXPLAINED = (
    "The same evaluation on images that were degraded on purpose. Loss is the figure of the untouched images "
    "minus that of the degraded ones, over the scenes that were predicted in both; above zero the figure fell. A "
    "model may refuse a scene that lacks a band it needs or whose values cannot be reflectance: such scenes are "
    "counted as refused."
)
GALLERY_EXPLAINED = (
    "The scenes with the largest share of errors. Thick for thin cloud is shown, but is no error in that share. "
    "Mixed colours are possible sets: there the reference leaves the class open."
)
SCENES_EXPLAINED = (
    "Errors: share of the scored and predicted pixels whose class is outside their possible set, thick for thin "
    "cloud left aside. The table begins with the largest share."
)
UNDEFINED_EXPLAINED = (
    f"{UNDEFINED} undefined: reference and prediction hold no pixel of the class that the figure needs, or nothing "
    "was predicted."
)


def as_dict(report: Report | Mapping[str, Any]) -> dict[str, Any]:
    """Give a report as the dict that its file holds.

    Raises:
        EvaluationError: If a dict is not a report.
    """
    return (report if isinstance(report, Report) else report_from_dict(report)).to_dict()


def title(report: Row) -> str:
    """Give the title of a report."""
    return f"Evaluation of {report['predictor']['id']} {report['predictor']['version']}"


def lead(report: Row) -> str:
    """Say in a line what was judged on what."""
    scenes = report["data"]["scenes"]
    return (
        f"{whole(scenes)} scene{'' if scenes == 1 else 's'} of {report['data']['name']},"
        f" {whole(pixels(report))} scored pixels, protocol {report['protocol']['title']}"
    )


def pixels(report: Row) -> int:
    """Count the scored pixels of all scenes."""
    return sum(scene["scored"] for scene in report["scenes"])


def facts(report: Row) -> dict[str, list[tuple[str, str]]]:
    """Give what a reader must know of model, data, protocol and intervals: group -> names and values."""
    predictor, data, between = report["predictor"], report["data"], report["interval"]
    kinds = {"package": "model package", "processor": "processor's mask", "peer": "other software"}
    return {
        "Model": [
            ("Name", str(predictor["id"])),
            ("Version", str(predictor["version"])),
            ("Kind", kinds.get(predictor["kind"], predictor["kind"])),
            *(("Checksum", shortened(checksum)) for checksum in predictor["checksums"]),
            *((_spaced(name), plain(value)) for name, value in predictor["options"].items()),
        ],
        "Data": [
            ("Name", str(data["name"])),
            ("Scenes", whole(data["scenes"])),
            ("Labels", plain(data["label_kinds"])),
            ("Hash", shortened(data["hash"])),
        ],
        "Protocol": [
            (head, plain(report["protocol"][name]))
            for name, head in PROTOCOL_FACTS.items()
            if report["protocol"].get(name) not in (None, "", [])
        ],
        "Intervals": [
            ("Level", f"{100 * between['level']:g} %"),
            ("Method", f"bootstrap over {between['unit']}s, {whole(between['replicates'])} replicates"),
            ("Seed", str(between["seed"])),
            ("Meaning", f"how far a figure moves when other {between['unit']}s of the same kind are drawn"),
        ],
    }


def shortened(digest: str) -> str:
    """Give the beginning of a hash or checksum."""
    return digest if len(digest) <= HASH_LENGTH else digest[:HASH_LENGTH] + "\N{HORIZONTAL ELLIPSIS}"


def columns(report: Row) -> tuple[str, ...]:
    """Choose the figures of the table by stratum: the usual ones that the report has."""
    return _present(STRATUM_FIGURES, report["overall"])


def scene_columns(report: Row) -> tuple[str, ...]:
    """Choose the figures of the table of scenes."""
    return _present(SCENE_FIGURES, {name for scene in report["scenes"] for name in scene["figures"]})


def _present(wanted: Sequence[str], figures: Iterable[str]) -> tuple[str, ...]:
    found = set(figures)
    return tuple(name for name in wanted if name in found)


def any_few(report: Row) -> bool:
    """Tell whether some stratum, or the whole, has few scenes."""
    rows = [row["scenes"] for strata in report["strata"].values() for row in strata.values()]
    return any(scenes < FEW_SCENES for scenes in (report["data"]["scenes"], *rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Counts of pixels: possible set x prediction."""

    rows: tuple[int, ...]
    """Possible sets."""
    columns: tuple[str, ...]
    """Names of what can be predicted."""
    sets: tuple[int, ...]
    """Possible set of each column; 0 where nothing is predicted."""
    counts: tuple[tuple[int, ...], ...]
    """Pixels, by row."""

    def agrees(self, possible: int) -> tuple[bool | None, ...]:
        """Tell for each column whether it is right for a possible set; None where nothing is predicted."""
        return tuple(bool(column & possible) if column else None for column in self.sets)

    def name(self, possible: int) -> str:
        """Name a row as the columns are named where there is such a column."""
        return self.columns[self.sets.index(possible)] if possible in self.sets else set_name(possible)


CLASS_TITLES = tuple(name.replace("_", " ").capitalize() for name in CLASS_NAMES)
"""Names of the classes at the head of a column."""


def set_matrix(counts: Sequence[Sequence[int]]) -> Matrix:
    """Give the possible sets that occur against the predicted classes."""
    kept = [possible for possible in range(1, len(counts)) if any(counts[possible])]
    kept.sort(key=lambda possible: (possible.bit_count(), possible))
    missing = any(counts[possible][-1] for possible in kept)
    width = len(CLASS_NAMES) + missing
    return Matrix(
        rows=tuple(kept),
        columns=(*CLASS_TITLES, "Not predicted")[:width],
        sets=(*(1 << value for value in range(len(CLASS_NAMES))), 0)[:width],
        counts=tuple(tuple(counts[possible][:width]) for possible in kept),
    )


def merged_matrix(counts: Sequence[Sequence[int]]) -> Matrix:
    """Give clear, cloud and shadow against each other, from the sets that lie inside one of them."""
    sets = tuple(sum(1 << value for value in values) for values in MERGED)
    table = merged_confusion(np.asarray(counts))
    return Matrix(
        rows=sets,
        columns=("Clear", "Cloud", "Shadow"),
        sets=sets,
        counts=tuple(tuple(int(count) for count in row) for row in table),
    )


def stress_groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Sort stress rows by degradation, in the order of their first row, and by severity."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["degradation"], []).append(row)
    return {name: sorted(group, key=lambda row: row["severity"]) for name, group in groups.items()}


def degradation_title(name: str) -> str:
    """Give a degradation's name for people."""
    known = DEGRADATIONS.get(name)
    return known.title if known else name.replace("_", " ").capitalize()


def degradation_label(name: str, rows: Sequence[Row]) -> str:
    """Give a degradation's name with what its severity is."""
    known = DEGRADATIONS.get(name)
    meaning = f"{known.severity}, {rows[0]['unit']}" if known else rows[0]["unit"]
    return f"{degradation_title(name)} ({meaning})"


def loss_curve(rows: Sequence[Row], name: str) -> list[tuple[float, float]]:
    """Give (severity, loss) of a figure, sorted, with the untouched image as (0, 0)."""
    points = {0.0: 0.0} | {row["severity"]: row["loss"][name] for row in rows if row["loss"].get(name) is not None}
    return sorted(points.items())


def loss_range(rows: Sequence[Row], names: Iterable[str]) -> tuple[float, float]:
    """Give the smallest and largest loss of some figures, with 0 and 0.1 inside and a little room."""
    wanted = tuple(names)
    losses = [row["loss"][name] for row in rows for name in wanted if row["loss"].get(name) is not None]
    low, high = min(0.0, *losses, 0.0), max(0.1, *losses, 0.1)
    room = 0.05 * (high - low)
    return (low - room if low < 0 else 0.0, high + room)


def about_scene(scene: Row) -> str:
    """Say in a line what is known of a scene."""
    strata = [value for key, value in scene["strata"].items() if key != "source"]
    values = [
        f"{figure_wording(name).title} {number(name, scene['figures'][name])}"
        for name in ("cloud_f1", "shadow_f1")
        if name in scene["figures"]
    ]
    return " \N{MIDDLE DOT} ".join(
        [f"errors {share(error_share(scene['counts']), 1)}", *values, scene["source"], *strata]
    )


def explained(report: Row) -> tuple[str, ...]:
    """List the figures whose meaning stands at the end: those that tables and cards show for all clouds."""
    shown = dict.fromkeys((*KEY_FIGURES, *STRATUM_FIGURES, "cloud_balanced_accuracy", "cloud_ap", "cloud_ece"))
    return tuple(name for name in shown if name in report["overall"])


def _spaced(name: str) -> str:
    return name.replace("_", " ").capitalize()
