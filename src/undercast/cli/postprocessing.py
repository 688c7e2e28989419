"""How a class map is cleaned: options of `mask`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from undercast.cli.opening import sun_of

if TYPE_CHECKING:
    from undercast.postprocessing import PostProcessing

SIZE = click.FloatRange(min=0)
"""A radius in metres or an area in square metres; 0 leaves the step out."""

POSTPROCESSING_OPTIONS = (
    click.option("--buffer", type=SIZE, default=0.0, metavar="M", help="Grow clouds and shadows by this many metres."),
    click.option(
        "--min-size", type=SIZE, default=0.0, metavar="M2", help="Drop clouds and shadows of fewer square metres."
    ),
    click.option(
        "--fill-holes", type=SIZE, default=0.0, metavar="M2", help="Fill clear holes of up to this many square metres."
    ),
    click.option(
        "--opening",
        type=SIZE,
        default=0.0,
        metavar="M",
        help="Drop parts of which no disc of this radius (m) fits in.",
    ),
    click.option("--check-shadows", is_flag=True, help="Drop shadows from which no cloud lies towards the sun."),
    click.option("--sun", metavar="ZENITH,AZIMUTH", help="Sun angles in degrees, where the scene does not say them."),
    click.option("--dem", metavar="FILE", help="Height of the ground in metres, in any CRS."),
    click.option(
        "--gsd",
        type=click.FloatRange(min=0, min_open=True),
        metavar="M",
        help="Side of a pixel in metres, where the scene does not say it.",
    ),
)


def take_postprocessing(given: dict[str, Any]) -> PostProcessing:
    """Take out how the class map is cleaned, all but ``dem``.

    Raises:
        UsageError: If an option is impossible.
    """
    from undercast.postprocessing import PostProcessing

    sun = given.pop("sun")
    return PostProcessing(
        check_shadows=given.pop("check_shadows"),
        opening_m=given.pop("opening"),
        min_size_m2=given.pop("min_size"),
        fill_holes_m2=given.pop("fill_holes"),
        buffer_m=given.pop("buffer"),
        sun=None if sun is None else sun_of(sun),
        gsd=given.pop("gsd"),
    )
