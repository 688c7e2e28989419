"""Session: the points of one scene and the history of its rounds, as a value and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from undercast.annotation.points import LABELS, Point
from undercast.errors import LabelError

KIND = "undercast annotation session"
"""What the JSON says of itself."""
LARGEST_TEXT = 16_000_000
"""Characters of a session's JSON at most."""
MOST_POINTS = 5_000
"""Points of a session at most."""
_CODES = frozenset(entry.value for entry in LABELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One training of the forest."""

    number: int
    """Which round, from 1."""
    finished: str
    """When, as ISO 8601 in UTC."""
    points: Mapping[str, int]
    """Class -> points that it was trained on."""
    added: int
    """Points set since the round before."""
    removed: int
    """Points taken away since the round before."""
    mean_confidence: float
    """Mean over the scene, in (0, 1]."""
    changed_percent: float | None
    """Share of the labelled pixels whose class is another than in the round before; None in the first."""
    seconds: float
    """Time of training and labelling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The points of one scene and the history of its rounds."""

    scene: str
    """Name of the scene."""
    shape: tuple[int, int]
    """Height and width of the working grid, in pixels."""
    fingerprint: str
    """SHA-256 of the working pixels: a session goes on with the same pixels only."""
    points: tuple[Point, ...] = ()
    """Points, in the order in which they were set."""
    rounds: tuple[Round, ...] = ()
    """Rounds, in their order."""
    removed: int = 0
    """Points taken away since the last round."""

    @property
    def round(self) -> int:
        """Number of the round that is being prepared, from 1."""
        return len(self.rounds) + 1


def with_point(session: Session, row: int, col: int, label: int) -> Session:
    """Set a point; one that the pixel has already is replaced.

    Raises:
        LabelError: If the pixel is outside, the class unknown, or there are too many points.
    """
    height, width = session.shape
    if not (0 <= row < height and 0 <= col < width):
        msg = f"expected a pixel inside {height} x {width}, got row {row}, column {col}."
        raise LabelError(msg)
    if label not in _CODES:
        msg = f"expected a class of {', '.join(f'{entry.value} {entry.name}' for entry in LABELS)}, got {label}."
        raise LabelError(msg)
    if len(session.points) >= MOST_POINTS:
        msg = f"expected at most {MOST_POINTS} points, got one more. Remove some first."
        raise LabelError(msg)
    others = tuple(point for point in session.points if (point.row, point.col) != (row, col))
    point = Point(row=row, col=col, label=label, round=session.round)
    return replace(session, points=(*others, point))


def without_point(session: Session, row: int, col: int) -> Session:
    """Take a point away; nothing happens where there is none."""
    kept = tuple(point for point in session.points if (point.row, point.col) != (row, col))
    return replace(session, points=kept, removed=session.removed + len(session.points) - len(kept))


def with_round(session: Session, done: Round) -> Session:
    """Add a finished round."""
    return replace(session, rounds=(*session.rounds, done), removed=0)


def to_json(session: Session, more: Mapping[str, Any] | None = None) -> str:
    """Write a session as JSON; ``more`` is for the records and is not read back."""
    value = {"kind": KIND, **asdict(session), "more": dict(more or {})}
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str, wanted: Session) -> Session:
    """Read a session of a scene back.

    Args:
        text: What ``to_json`` wrote, or anything else.
        wanted: An empty session of the scene that is open.

    Raises:
        LabelError: If it is none, damaged, or of another scene.
    """
    try:
        return _read(json.loads(text) if len(text) <= LARGEST_TEXT else None, wanted)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        told = f"no entry {error}" if isinstance(error, KeyError) else str(error)
        msg = f"this is no session that can go on: {told.rstrip('.')}. Move the file away to begin a new one."
        raise LabelError(msg) from error


def _read(value: Any, wanted: Session) -> Session:
    if not isinstance(value, dict) or value.get("kind") != KIND:
        msg = f"expected JSON of the kind {KIND!r}"
        raise TypeError(msg)
    if value["fingerprint"] != wanted.fingerprint:
        msg = "its points belong to other pixels: another scene, resolution or scaling"
        raise ValueError(msg)
    session = wanted
    for entry in value["points"]:
        session = with_point(session, *(_number(entry[key]) for key in ("row", "col", "label")))
        session = replace(
            session, points=(*session.points[:-1], replace(session.points[-1], round=_number(entry["round"])))
        )
    rounds = tuple(_round(entry) for entry in value["rounds"])
    return replace(session, rounds=rounds, removed=_number(value["removed"]))


def _number(value: Any) -> int:
    if type(value) is not int:
        msg = f"expected a whole number, got {str(value)[:40]!r}"
        raise TypeError(msg)
    return value


def _real(value: Any) -> float:
    if type(value) not in {int, float} or not abs(value) < 1e12:
        msg = f"expected a number, got {str(value)[:40]!r}"
        raise TypeError(msg)
    return float(value)


def _round(entry: Any) -> Round:
    changed = entry["changed_percent"]
    return Round(
        number=_number(entry["number"]),
        finished=str(entry["finished"])[:40],
        points={str(name)[:40]: _number(number) for name, number in entry["points"].items()},
        added=_number(entry["added"]),
        removed=_number(entry["removed"]),
        mean_confidence=_real(entry["mean_confidence"]),
        changed_percent=None if changed is None else _real(changed),
        seconds=_real(entry["seconds"]),
    )
