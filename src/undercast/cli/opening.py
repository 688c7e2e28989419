"""What a person says about a scene that it does not say itself: options that `mask` and `info` share."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from undercast.errors import UsageError
from undercast.radiometry import Scaling
from undercast.sensors import load_sensor
from undercast.types import PRODUCT_LEVELS, ProductLevel

if TYPE_CHECKING:
    from undercast.readers.base import OpenOptions
    from undercast.scene import SunAngles

_REMOTE = re.compile(r"^([a-z][a-z0-9+.-]*://|/vsi)", re.IGNORECASE)
_BETWEEN_REMOTE = re.compile(r",(?=[a-z][a-z0-9+.-]*://|/vsi)", re.IGNORECASE)

_OPTIONS = (
    click.option(
        "--bands",
        metavar="NAMES",
        help="Band of each layer in file order, e.g. red,green,nir (common names, or the sensor's own);"
        " '-' leaves a layer out.",
    ),
    click.option("--sensor", metavar="S", help="Sensor id, alias, platform, or your own table (a path in .toml)."),
    click.option("--scale", type=float, metavar="F", help="Reflectance = stored value * F + offset."),
    click.option("--offset", type=float, metavar="F", help="Reflectance of the stored value 0; with --scale."),
    click.option("--level", type=click.Choice(PRODUCT_LEVELS), help="Kind of reflectance."),
    click.option(
        "--resolution",
        metavar="M",
        help="Metres per pixel that a product with bands of several resolutions is read at, e.g. 10, 20 or 60; native"
        " (the finest) unless given.",
    ),
    click.option(
        "--nodata",
        type=float,
        metavar="F",
        help="Stored value without data, beside those that the file declares.",
    ),
)

OPENING = ("bands", "sensor", "scale", "offset", "level", "nodata", "resolution")
"""Parameters of ``open_options``."""


def opening_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command; it hands them to ``open_options`` as they come."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def open_options(
    *,
    bands: str | None,
    sensor: str | None,
    scale: float | None,
    offset: float | None,
    level: ProductLevel | None,
    nodata: float | None,
    resolution: str | None = None,
) -> OpenOptions:
    """Make one value of the options.

    Raises:
        UsageError: If the scaling is impossible.
        SensorError: If the sensor is unknown or its table is wrong.
    """
    given = {
        "bands": None if bands is None else tuple(name.strip() for name in bands.split(",")),
        "sensor": None if sensor is None else load_sensor(sensor),
        "scaling": _scaling(scale, offset),
        "level": level,
        "nodata": nodata,
        "resolution": _resolution(resolution),
    }
    from undercast.readers.base import OpenOptions

    return OpenOptions(**given)  # type: ignore[arg-type]


def _resolution(text: str | None) -> float | None:
    if text is None or text == "native":
        return None
    (metres,) = numbers_of(text, "--resolution M", example="--resolution 20, or native")
    if metres <= 0.0:
        msg = f"expected --resolution above 0 metres, got {metres:g}. Try --resolution 20"
        raise UsageError(msg)
    return metres


def _scaling(scale: float | None, offset: float | None) -> Scaling | None:
    if scale is None and offset is None:
        return None
    formula = "reflectance = stored value * scale + offset, e.g. --scale 0.0001 --offset -0.1"
    if scale is None:
        msg = f"--offset needs --scale, got --offset {offset:g} alone: {formula}"
        raise UsageError(msg)
    if not math.isfinite(scale) or scale == 0.0 or not math.isfinite(offset or 0.0):
        got = f"{scale:g} and {offset or 0.0:g}"
        msg = f"expected a finite scale other than 0, and a finite offset; got {got}: {formula}"
        raise UsageError(msg)
    return Scaling(scale=scale, offset=offset or 0.0)


def split_source(argument: str) -> str | tuple[str, ...]:
    """Read a SCENE argument: one source, or the files of one scene with commas between them.

    A comma that belongs to the name of an existing file stays; in URLs only one before another URL counts.
    """
    if "," not in argument or os.path.exists(argument):  # noqa: PTH110 (URLs and GDAL's own names are no paths)
        return argument
    parts = _BETWEEN_REMOTE.split(argument) if _REMOTE.match(argument) else argument.split(",")
    files = tuple(part.strip() for part in parts if part.strip())
    return files[0] if len(files) == 1 else files


def sun_of(text: str) -> SunAngles:
    """Read the sun's angles.

    Raises:
        UsageError: If they are not two finite numbers.
    """
    from undercast.scene import SunAngles

    zenith, azimuth = numbers_of(text, "--sun ZENITH,AZIMUTH", example="--sun 35,150")
    return SunAngles(zenith=zenith, azimuth=azimuth)


def numbers_of(text: str, option: str, *, example: str) -> tuple[float, ...]:
    """Read numbers with commas between them.

    Args:
        text: What the person wrote.
        option: The option and the names of its numbers, such as ``--sun ZENITH,AZIMUTH``.
        example: A right use of it.

    Raises:
        UsageError: If they are not as many finite numbers as names.
    """
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != option.count(",") + 1 or not all(math.isfinite(number) for number in numbers):
        msg = f"expected {option} with that many numbers, got {text!r}. Try {example}"
        raise UsageError(msg)
    return numbers
