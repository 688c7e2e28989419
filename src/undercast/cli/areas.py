"""Which part of a scene is masked: options of `mask`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undercast.cli.opening import numbers_of
from undercast.errors import UsageError

if TYPE_CHECKING:
    from undercast.readers.areas import Area

AREA_OPTIONS = (
    click.option(
        "--bounds",
        metavar="W,S,E,N",
        help="Mask only this part, in degrees of longitude and latitude; little more is read.",
    ),
    click.option(
        "--geometry",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Mask only the polygons of this GeoJSON file; what lies around them becomes nodata.",
    ),
)


def take_area(given: dict[str, Any]) -> Area | None:
    """Take out which part of a scene is masked; None is all of it.

    Raises:
        UsageError: If the bounds are none, or both are given.
        SceneError: If the file cannot be read or holds no polygon.
    """
    bounds, geometry = given.pop("bounds"), given.pop("geometry")
    if bounds is None and geometry is None:
        return None
    if bounds is not None and geometry is not None:
        msg = "give --bounds or --geometry, not both."
        raise UsageError(msg)
    from undercast.readers.areas import Area, read_area

    if geometry is not None:
        return read_area(geometry)
    west, south, east, north = numbers_of(bounds, "--bounds W,S,E,N", example="--bounds 10.9,45.1,11.2,45.3")
    return Area(bounds=(west, south, east, north))
