"""Failings: what processors are known to get wrong, so that it can be left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.errors import LabelError, UsageError
from undercast.postprocessing.morphology import disc, opened
from undercast.types import Bool, UInt8
from undercast.weak_labels.rules import (
    CLEAR_SET,
    CLOUD_SET,
    IGNORE,
    SHADOW_SET,
    THIN_SET,
    Codes,
    ProcessorMask,
    any_bit,
    bit_field,
    numbers,
)

NARROW_M = 150.0
"""Radius, in metres, of the disc that fits into a cloud that is not a roof or a beach; undercast's choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """Something that processors are known to get wrong."""

    id: str
    """Name on the command line."""
    meaning: str
    """What goes wrong."""
    source: str
    """Who found it."""
    adds: int
    """Classes that become possible where it may go wrong, as bits."""
    codes: Mapping[str, Codes]
    """Processor -> stored values that may be wrong."""
    radius_m: float = 0.0
    """Only where a disc of this radius does not fit into the pixels that hold those values; 0: everywhere."""


FAILINGS: dict[str, Failing] = {
    failing.id: failing
    for failing in (
        Failing(
            id="snow",
            meaning="cloud over snow is called snow",
            source="Stillinger et al. 2019, doi 10.1029/2019WR024932 (CFMask and MODIS; recall of CFMask 0.86)",
            adds=CLOUD_SET,
            codes={
                "fmask": numbers(3),
                "python-fmask": numbers(4),
                "hls-fmask": any_bit(4),
                "qa-pixel": any_bit(5),
                "bqa-c1": bit_field(9, 10, 3),
                "bqa-pre": bit_field(10, 11, 3),
                "scl": numbers(11),
                "maja-mg2": any_bit(2),
                "s2-classi": any_bit(2),
                "proba-v-sm": bit_field(0, 2, 0b100),
                "spot-vgt-sm": any_bit(2),
            },
        ),
        Failing(
            id="bright-ground",
            meaning="roofs, beaches and the borders of snow are called cloud where they are narrow",
            source=(
                "Qiu, Zhu and He 2019, doi 10.1016/j.rse.2019.05.024 (Fmask; urban areas, snow on mountains);"
                " Stillinger et al. 2019 (CFMask; borders of snow); Earth Engine, COPERNICUS/S2_CLOUD_PROBABILITY"
                " (s2cloudless; roofs, snow); Zekoll et al. 2021, doi 10.3390/rs13010137 (Sentinel-2 processors)"
            ),
            adds=CLEAR_SET,
            radius_m=NARROW_M,
            codes={
                "fmask": numbers(4),
                "python-fmask": numbers(2),
                "hls-fmask": any_bit(1),
                "qa-pixel": any_bit(3),
                "bqa-c1": any_bit(4),
                "scl": numbers(8, 9),
                "s2cloudless": numbers(*range(65, 101)),
                "s2cloudless-percent": numbers(*range(65, 101)),
                "s2cloudless-byte": numbers(*range(166, 256)),
            },
        ),
        Failing(
            id="high-ground",
            meaning="mountains under dry air, and snow on them, are called cirrus by the band at 1.38 um",
            source="Baetens, Desjardins and Hagolle 2019, doi 10.3390/rs11040433, section 3; Stillinger et al. 2019",
            adds=CLEAR_SET,
            codes={
                "qa-pixel": any_bit(2),
                "bqa-c1": bit_field(11, 12, 3),
                "bqa-pre": bit_field(12, 13, 3),
                "scl": numbers(10),
                "maja-clm": any_bit(7),
                "maja-cld": any_bit(7),
                "s2-classi": any_bit(1),
            },
        ),
        Failing(
            id="thin-cloud",
            meaning="the thinnest clouds are called clear",
            source="USGS, CFMask algorithm, known issues (usgs.gov/landsat-missions/cfmask-algorithm)",
            adds=THIN_SET,
            codes={
                "fmask": numbers(0, 1, 3),
                "python-fmask": numbers(1, 4, 5),
                "hls-fmask": Codes(bits=0b1110, values=(0,)),
                "qa-pixel": Codes(bits=0b1_1111, values=(0,)),
                # No fill, no cloud, neither shadow nor cirrus of high confidence.
                "bqa-c1": Codes(
                    bits=0b1_1001_1001_0011,
                    values=tuple(shadow << 7 | cirrus << 11 for shadow in range(3) for cirrus in range(3)),
                ),
            },
        ),
        Failing(
            id="outside-shadow",
            meaning="shadows that clouds outside the scene may cast are called shadow whether they are there or not",
            source="CNES/MAJA product format, CLM: no cloud is seen that would say where the shadow falls",
            adds=CLEAR_SET,
            codes={"maja-clm": any_bit(6), "maja-cld": any_bit(3)},
        ),
        Failing(
            id="dark-water",
            meaning="shadow is called water",
            source="Zekoll et al. 2021, doi 10.3390/rs13010137",
            adds=SHADOW_SET,
            codes={"scl": numbers(6), "fmask": numbers(1), "python-fmask": numbers(5)},
        ),
    )
}
"""Name on the command line -> failing."""


def find_failings(names: Sequence[str], product: ProcessorMask) -> tuple[Failing, ...]:
    """Find failings of a processor by name; ``all`` stands for all that it is known for.

    Raises:
        UsageError: If there is none of a name, or the processor is not known for it.
    """
    own = {name: failing for name, failing in FAILINGS.items() if product.id in failing.codes}
    if "all" in names:
        return tuple(own.values())
    unknown = [name for name in names if name not in own]
    if unknown:
        msg = f"{product.title} is not known for {unknown[0]!r}. Known: {', '.join(own) or 'nothing'}"
        raise UsageError(msg)
    return tuple(own[name] for name in own if name in names)


def left_open(
    sets: UInt8,
    stored: NDArray[np.integer[Any]],
    product: ProcessorMask,
    failings: Sequence[Failing],
    pixel_m: tuple[float, float] | None,
) -> UInt8:
    """Let pixels be what a processor may have missed there.

    Args:
        sets: Possible sets ``(y, x)``; what is ignored stays so.
        stored: What the processor stored there, as ``ProcessorMask.codes`` gives it.
        product: The processor.
        failings: What it gets wrong.
        pixel_m: Height and width of a pixel, in metres; only failings with a radius need it.

    Returns:
        Sets that hold all that they held, and more.

    Raises:
        LabelError: If the size of a pixel is needed and not told.
    """
    out = sets.copy()
    for failing in failings:
        where = failing.codes[product.id].cover(stored)
        if failing.radius_m:
            where &= ~_wide(where, failing, sets == IGNORE, pixel_m)
        out[where & (sets != IGNORE)] |= failing.adds
    return out


def _wide(where: Bool, failing: Failing, unknown: Bool, pixel_m: tuple[float, float] | None) -> Bool:
    if pixel_m is None:
        msg = f"{failing.id}: expected the size of a pixel in metres, got none. Give a georeferenced mask, or --gsd M."
        raise LabelError(msg)
    return opened(where, disc(failing.radius_m, pixel_m), unknown)
