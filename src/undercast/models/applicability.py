"""Applicability: which scenes and which machine an item says that its model is for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from undercast.models.table import Table
from undercast.scene import Scene
from undercast.sensors import Sensor, load_sensors
from undercast.types import PRODUCT_LEVELS, ProductLevel

LEVEL_WORDS: dict[ProductLevel, str] = {
    "toa": r"toa|top[ -]of[ -]atmosphere|l1c|level[ -]?1c",
    "surface": r"toc|boa|top[ -]of[ -]canopy|bottom[ -]of[ -]atmosphere|surface[ -]reflectance|l2a|level[ -]?2a",
}
"""Product level -> words for it, as a regular expression."""

_RESOLUTION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(km|m|meters?|metres?)\s*", re.IGNORECASE)


PROCESSORS = ("amd64", "intel-ipex-cpu", "macos-arm", "cpu")
"""MLM's accelerators that are processors."""

LARGEST_RESOLUTION_RATIO = 1.5
"""Ratio of the larger to the smaller of a scene's and the stated ground sample distance up to which they are the
same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicability:
    """What an item states about the scenes and the machine; an empty or absent field states nothing."""

    sensors: tuple[str, ...] = ()
    """Ids of undercast's sensors where it knows them, else the names as they stand."""
    start: datetime | None = None
    """First date of acquisition, with time zone."""
    end: datetime | None = None
    """Last date of acquisition, with time zone; None: open."""
    gsd: float | None = None
    """Ground sample distance, in metres."""
    levels: tuple[ProductLevel, ...] = ()
    """Product levels that are stated."""
    accelerator: str | None = None
    """Accelerator as in MLM: ``cuda``, ``amd64``, ..."""
    accelerator_required: bool = False
    """Whether the model runs on nothing else."""
    batch_size: int | None = None
    """Windows that the network is meant to get at once."""


def mismatches(stated: Applicability, scene: Scene) -> tuple[str, ...]:
    """Say in what a scene differs from what a model is for; what either does not tell is no difference.

    Returns:
        One phrase per difference, which names what was expected and what came.
    """
    return tuple(phrase for phrase in (_sensor(stated, scene), _when(stated, scene), *_what(stated, scene)) if phrase)


def machine_mismatch(stated: Applicability, device: str) -> str | None:
    """Say that a model which runs on nothing but an accelerator runs on a processor, or the other way round."""
    if not stated.accelerator_required or stated.accelerator is None:
        return None
    if (stated.accelerator in PROCESSORS) == (device == "cpu"):
        return None
    return f"accelerator: expected {stated.accelerator}, runs on {device}"


def _sensor(stated: Applicability, scene: Scene) -> str | None:
    if scene.sensor is None or not stated.sensors or scene.sensor.lower() in map(str.lower, stated.sensors):
        return None
    return f"sensor: expected {' or '.join(stated.sensors)}, got {scene.sensor}"


def _when(stated: Applicability, scene: Scene) -> str | None:
    acquired = scene.acquired
    if acquired is None:
        return None
    acquired = acquired if acquired.tzinfo is not None else acquired.replace(tzinfo=UTC)
    early = stated.start is not None and acquired < stated.start
    late = stated.end is not None and acquired > stated.end
    if not early and not late:
        return None
    bounds = [
        f"{word} {date:%Y-%m-%d}" for word, date in (("from", stated.start), ("to", stated.end)) if date is not None
    ]
    return f"date: expected {' '.join(bounds)}, got {acquired:%Y-%m-%d}"


def _what(stated: Applicability, scene: Scene) -> tuple[str | None, str | None]:
    resolution = level = None
    gsd = scene.grid.gsd
    if stated.gsd is not None and gsd is not None:
        ratio = max(gsd / stated.gsd, stated.gsd / gsd)
        if ratio > LARGEST_RESOLUTION_RATIO:
            resolution = f"resolution: expected about {stated.gsd:g} m, got {gsd:.4g} m"
    if stated.levels and scene.level is not None and scene.level not in stated.levels:
        level = f"product level: expected {' or '.join(stated.levels)} reflectance, got {scene.level}"
    return resolution, level


def read_applicability(properties: Table) -> Applicability:
    """Read what an item's properties state: in STAC's own fields, or in the ``custom:`` ones of FDR4VGT.

    Raises:
        ModelError: If a field is there and wrong.
    """
    return Applicability(
        sensors=_sensors(properties),
        start=_date(properties, "custom:applicable_start") or _date(properties, "start_datetime"),
        end=_date(properties, "custom:applicable_end") or _date(properties, "end_datetime"),
        gsd=_gsd(properties),
        levels=stated_levels(properties),
        accelerator=properties.optional_text("mlm:accelerator"),
        accelerator_required=properties.values.get("mlm:accelerator_constrained") is True,
        batch_size=properties.integer("mlm:batch_size_suggestion", default=0) or None,
    )


def stated_levels(properties: Table) -> tuple[ProductLevel, ...]:
    """Give the product levels that an item states: in ``undercast:levels``, or in words on its input."""
    if "undercast:levels" in properties.values:
        return properties.choices("undercast:levels", PRODUCT_LEVELS, default=PRODUCT_LEVELS)
    return levels_in(" ".join(_texts(properties.tables("mlm:input", default=()))))


def levels_in(text: str) -> tuple[ProductLevel, ...]:
    """Give the product levels that a text names, in words such as TOC or top of atmosphere."""
    apart = text.replace("_", " ")
    return tuple(level for level, words in LEVEL_WORDS.items() if re.search(rf"\b(?:{words})\b", apart, re.IGNORECASE))


def _texts(inputs: tuple[Table, ...]) -> list[str]:
    found = []
    for row in inputs:
        norm = row.values.get("norm")
        places = [row.values, norm if isinstance(norm, dict) else {}]
        found += [str(place[key]) for place in places for key in ("name", "description", "type") if key in place]
    return found


def _sensors(properties: Table) -> tuple[str, ...]:
    names = properties.texts("custom:sensors", default=()) or properties.texts("instruments", default=())
    known = [sensor.id if (sensor := find_sensor(name)) is not None else name for name in names]
    return tuple(dict.fromkeys(known))


def find_sensor(name: str) -> Sensor | None:
    """Find a sensor that comes with undercast by its id, an alias or a platform; never a file."""
    wanted = name.strip().lower()
    sensors = load_sensors()
    return next((sensor for sensor in sensors if wanted in {sensor.id, *sensor.aliases, *sensor.platforms}), None)


def _date(properties: Table, key: str) -> datetime | None:
    text = properties.optional_text(key)
    if text is None:
        return None
    try:
        date = datetime.fromisoformat(text)
    except ValueError as error:
        raise properties.wrong(key=key, expected="a date as in ISO 8601", got=repr(text)) from error
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _gsd(properties: Table) -> float | None:
    stated = properties.optional_number("gsd")
    if stated is not None:
        return stated
    value = properties.values.get("custom:spatial_resolution")
    if value is None:
        return None
    found = _RESOLUTION.fullmatch(str(value)) or _RESOLUTION.fullmatch(f"{value} m")
    if found is None:
        expected = "a length such as 1km or 300 m"
        raise properties.wrong(key="custom:spatial_resolution", expected=expected, got=repr(value))
    return float(found.group(1)) * (1000.0 if found.group(2).lower() == "km" else 1.0)
