"""Bands: name, common name, centre wavelength and width; matched by wavelength with the distance stated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from undercast.errors import BandError

COMMON_WAVELENGTHS: dict[str, tuple[float, float]] = {
    "coastal": (0.44, 0.03),
    "blue": (0.48, 0.07),
    "green05": (0.531, 0.036),
    "green": (0.56, 0.06),
    "yellow": (0.60, 0.02),
    "red": (0.66, 0.06),
    "rededge": (0.70, 0.02),
    "rededge071": (0.705, 0.015),
    "rededge075": (0.74, 0.015),
    "rededge078": (0.783, 0.02),
    "nir": (0.84, 0.11),
    "nir08": (0.865, 0.03),
    "nir09": (0.945, 0.02),
    "cirrus": (1.375, 0.03),
    "swir16": (1.61, 0.09),
    "swir22": (2.20, 0.19),
}
"""Common name -> (centre wavelength, full width at half maximum) in micrometres, typical of the sensors here.

The names are those of the STAC eo extension; the centres stand in for a band that came with a name only.
"""

SYNONYMS: dict[str, str] = {
    "b": "blue",
    "g": "green",
    "r": "red",
    "n": "nir",
    "rededge1": "rededge071",
    "rededge2": "rededge075",
    "rededge3": "rededge078",
    "water_vapour": "nir09",
    "swir": "swir16",
    "swir1": "swir16",
    "swir2": "swir22",
    "nir1": "nir",
    "nira": "nir08",
    "ultrablue": "coastal",
}
"""Other spellings that people and products use -> common name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One spectral band."""

    name: str
    """The provider's name, such as ``B04``; the common name where there is none."""
    common_name: str
    """Common name of the STAC eo extension, such as ``nir08``."""
    center_wavelength: float
    """Centre wavelength, in micrometres."""
    full_width_half_max: float
    """Width, in micrometres."""
    gsd: float | None = None
    """Ground sample distance, in metres, where it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandMatch:
    """One wanted band and the band that stands for it."""

    wanted: Band
    """What the model or the sensor asks for."""
    index: int | None
    """Position in the offered bands, or None where nothing is near enough."""
    distance_um: float
    """Distance between the two centre wavelengths, in micrometres; 0 where nothing matched."""


def canonical_name(text: str) -> str | None:
    """Give the common name for what a person or a file calls a band, or None if it says nothing."""
    key = text.strip().lower().replace(" ", "").replace("-", "").replace("_", "")
    for name in (text.strip().lower(), key, SYNONYMS.get(text.strip().lower(), ""), SYNONYMS.get(key, "")):
        if name in COMMON_WAVELENGTHS:
            return name
    return None


def band_from_name(text: str, *, gsd: float | None = None) -> Band:
    """Make a band from a common name alone, with the typical wavelength of that name.

    Raises:
        BandError: If the name is not known.
    """
    name = canonical_name(text)
    if name is None:
        msg = f"band {text!r} is not a known common name. Known: {', '.join(COMMON_WAVELENGTHS)}"
        raise BandError(msg)
    center, width = COMMON_WAVELENGTHS[name]
    return Band(name=text.strip(), common_name=name, center_wavelength=center, full_width_half_max=width, gsd=gsd)


def tolerance_um(wanted: Band) -> float:
    """Largest distance at which another band may stand for ``wanted``, in micrometres.

    Half the wanted band's width plus 3 % of its wavelength: nir (0.84) takes 0.76-0.92, and blue no green.
    """
    return 0.5 * wanted.full_width_half_max + 0.03 * wanted.center_wavelength


def match_bands(wanted: Sequence[Band], offered: Sequence[Band]) -> tuple[BandMatch, ...]:
    """Match bands by wavelength, nearest first; every offered band is used at most once.

    A common name that agrees wins over a nearer wavelength, so that ``nir`` takes ``nir`` and not ``nir08``
    beside it.

    Returns:
        One match per wanted band, in their order.
    """
    pairs = sorted(
        (
            (want.common_name != have.common_name, abs(want.center_wavelength - have.center_wavelength), i, j)
            for i, want in enumerate(wanted)
            for j, have in enumerate(offered)
            if abs(want.center_wavelength - have.center_wavelength) <= tolerance_um(want)
        ),
    )
    chosen: dict[int, tuple[int, float]] = {}
    taken: set[int] = set()
    for _, distance, i, j in pairs:
        if i not in chosen and j not in taken:
            chosen[i] = (j, distance)
            taken.add(j)
    matches = []
    for i, want in enumerate(wanted):
        index, distance = chosen.get(i, (None, 0.0))
        matches.append(BandMatch(wanted=want, index=index, distance_um=distance))
    return tuple(matches)
