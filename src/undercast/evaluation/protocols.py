"""Protocols: which pixels are scored on which tasks, as tables; every report names its protocol."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from undercast.classes import CLASS_NAMES, THIN_CLOUD
from undercast.errors import EvaluationError, UsageError
from undercast.evaluation.references import ReferenceScene
from undercast.types import Bool, UInt8

Task = Literal["cloud", "thick", "thin", "shadow", "clear"]
"""One class, or both kinds of cloud, against the rest."""
TASKS: tuple[Task, ...] = get_args(Task)

ThinRule = Literal["cloud", "ignore"]
"""Whether reference pixels of thin cloud are scored."""
CollisionRule = Literal["ignore", "priority"]
"""What becomes of pixels for which the reference states several classes."""

DEFAULT_PROTOCOL = "pixel"
"""The protocol that is meant where none is named."""

_THIN = 1 << THIN_CLOUD


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationProtocol:
    """A protocol."""

    id: str
    """Name on the command line."""
    title: str
    """Name for people."""
    description: str
    """What it scores, in a sentence."""
    source: str
    """Who does it this way."""
    tasks: tuple[Task, ...]
    """Tasks that are scored."""
    thin: ThinRule
    """Reference pixels of thin cloud count as cloud, or are left out."""
    buffer_m: float
    """Pixels nearer than this to a border between two labels are left out, in metres."""
    collisions: CollisionRule
    """Pixels with several stated classes are left to their possible set, or get the first of ``priority``."""
    priority: tuple[str, ...] = ()
    """Class names, first come first; used with ``collisions = "priority"``."""
    betas: tuple[float, ...] = (1.0, 2.0)
    """Which F-beta are given; above 1 weighs recall more."""
    headline: tuple[str, ...] = ()
    """Figures that a table of few columns shows."""

    def to_dict(self) -> dict[str, Any]:
        """Give the protocol as JSON values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def protocol_ids() -> tuple[str, ...]:
    """List the protocols that come with undercast, sorted."""
    folder = resources.files("undercast") / "data" / "protocols"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_protocol(name: str | Path = DEFAULT_PROTOCOL) -> EvaluationProtocol:
    """Load a protocol by its id, or from a person's own TOML file.

    Raises:
        UsageError: If there is no such protocol.
        EvaluationError: If the file is wrong.
    """
    if str(name) in protocol_ids():
        text = (resources.files("undercast") / "data" / "protocols" / f"{name}.toml").read_text("utf-8")
        return parse_protocol(text, origin=str(name))
    path = Path(name)
    if path.suffix != ".toml":
        msg = f"protocol {str(name)!r} is not known. Known: {', '.join(protocol_ids())}; or the path of your own .toml"
        raise UsageError(msg)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"protocol {path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}."
        raise EvaluationError(msg) from error
    return parse_protocol(text, origin=str(path))


def parse_protocol(text: str, *, origin: str) -> EvaluationProtocol:
    """Parse a protocol.

    Args:
        text: TOML.
        origin: Where it comes from, for messages.

    Raises:
        EvaluationError: If a key is missing, unknown, or of an impossible value.
    """
    try:
        return protocol_from_dict(tomllib.loads(text), origin=origin)
    except tomllib.TOMLDecodeError as error:
        msg = f"protocol {origin} is not TOML: {error}."
        raise EvaluationError(msg) from error


def protocol_from_dict(table: Mapping[str, Any], *, origin: str) -> EvaluationProtocol:
    """Make a protocol of a table.

    Raises:
        EvaluationError: If a key is missing, unknown, or of an impossible value.
    """
    known = [field.name for field in fields(EvaluationProtocol)]
    unknown = [key for key in table if key not in known]
    if unknown:
        msg = f"protocol {origin}: key {unknown[0]!r} is not known. Known: {', '.join(known)}"
        raise EvaluationError(msg)
    try:
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
        }
        protocol = EvaluationProtocol(**values)
    except TypeError as error:
        msg = f"protocol {origin}: a key is missing: {error}."
        raise EvaluationError(msg) from error
    _check(protocol, origin)
    return protocol


def scored_sets(reference: ReferenceScene, protocol: EvaluationProtocol) -> UInt8:
    """Give the possible sets that a protocol scores.

    Returns:
        As ``reference.possible``; 0 where a pixel is left out.

    Raises:
        EvaluationError: If the protocol needs a gsd that the reference does not tell.
    """
    possible = reference.possible.copy()
    if reference.stated is not None and protocol.collisions == "priority":
        for name in reversed(protocol.priority):
            bit = 1 << CLASS_NAMES.index(name)
            possible[(reference.stated & bit) > 0] = bit
    if protocol.buffer_m > 0.0:
        if reference.gsd is None:
            msg = (
                f"{reference.name}: protocol {protocol.id!r} leaves out {protocol.buffer_m:g} m along borders and"
                " needs the gsd of the scene, which is not told. Georeference it, or take protocol pixel."
            )
            raise EvaluationError(msg)
        possible[near_border(possible, protocol.buffer_m / reference.gsd)] = 0
    if protocol.thin == "ignore":
        possible[possible == _THIN] = 0
    return possible


def near_border(possible: UInt8, distance_px: float) -> Bool:
    """Tell which pixels have a pixel of another label within a distance.

    Distances are between pixel centres; pixels without label make no border.

    Args:
        possible: Possible sets ``(y, x)``.
        distance_px: In pixels; below 1 nothing is near.

    Returns:
        True = near a border, ``(y, x)``.
    """
    reach = int(distance_px)
    near = np.zeros(possible.shape, bool)
    for rows in range(reach + 1):
        for cols in range(-reach, reach + 1):
            if 0 < rows * rows + cols * cols <= distance_px * distance_px and (rows > 0 or cols > 0):
                _compare_shifted(possible, near, rows, cols)
    return near


def _compare_shifted(possible: UInt8, near: Bool, rows: int, cols: int) -> None:
    """Mark both pixels of every pair that lies ``rows`` and ``cols`` apart and differs."""
    height, width = possible.shape
    if rows >= height or abs(cols) >= width:
        return
    here = (slice(0, height - rows), slice(max(0, -cols), width - max(0, cols)))
    there = (slice(rows, height), slice(max(0, cols), width + min(0, cols)))
    first, second = possible[here], possible[there]
    differs = (first != second) & (first > 0) & (second > 0)
    near[here] |= differs
    near[there] |= differs


def _check(protocol: EvaluationProtocol, origin: str) -> None:
    tasks = set(protocol.tasks)
    wrong = [
        ("tasks", protocol.tasks, f"some of {', '.join(TASKS)}", bool(tasks) and tasks <= {*TASKS}),
        ("thin", protocol.thin, "cloud or ignore", protocol.thin in get_args(ThinRule)),
        ("collisions", protocol.collisions, "ignore or priority", protocol.collisions in get_args(CollisionRule)),
        ("buffer_m", protocol.buffer_m, "0 or more", _is_number(protocol.buffer_m) and protocol.buffer_m >= 0),
        ("betas", protocol.betas, "numbers above 0", all(_is_number(beta) and beta > 0 for beta in protocol.betas)),
        ("priority", protocol.priority, f"some of {', '.join(CLASS_NAMES)}", set(protocol.priority) <= {*CLASS_NAMES}),
    ]
    for key, value, expected, right in wrong:
        if not right:
            msg = f"protocol {origin}: {key}: expected {expected}, got {value!r}."
            raise EvaluationError(msg)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
