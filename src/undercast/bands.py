"""Bands: name, common name, centre wavelength and width; matched by wavelength with the distance stated."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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

COMMON_RANGES: dict[str, tuple[float, float]] = {
    "pan": (0.40, 1.00),
    "coastal": (0.40, 0.45),
    "blue": (0.45, 0.53),
    "green": (0.51, 0.60),
    "green05": (0.51, 0.55),
    "yellow": (0.58, 0.62),
    "red": (0.62, 0.69),
    "rededge": (0.69, 0.79),
    "rededge071": (0.69, 0.73),
    "rededge075": (0.73, 0.76),
    "rededge078": (0.76, 0.79),
    "nir": (0.76, 1.00),
    "nir08": (0.80, 0.90),
    "nir09": (0.90, 1.00),
    "cirrus": (1.35, 1.40),
    "swir16": (1.55, 1.75),
    "swir22": (2.08, 2.35),
    "lwir": (10.4, 12.5),
    "lwir11": (10.5, 11.5),
    "lwir12": (11.5, 12.5),
}
"""Common name -> shortest and longest wavelength in micrometres that it usually stands for.

Source: the table of the STAC eo extension 2.0, https://github.com/stac-extensions/eo#common-band-names.
"""
RANGE_MARGIN = 0.03
"""How far a centre may lie beyond its name's range, over the centre: 0.61 um may be red, and 0.56 um may not."""

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


MOST_COMBINED = 3
"""Bands that together may stand for one."""
GAIN_OF_ONE_MORE = 0.5
"""Misfit, over that of fewer bands, below which one more band is worth it."""
WIDTH_OF_GAUSSIAN = 2.3548
"""Full width at half maximum of a Gaussian over its standard deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One spectral band."""

    name: str
    """The provider's name, such as ``B04``; the common name where there is none."""
    common_name: str
    """Common name of the STAC eo extension, such as ``nir08``; the lower-case name where no common name is near."""
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


def may_be_called(common_name: str, center_wavelength: float) -> bool:
    """Tell whether a common name may stand for a band of this centre wavelength, in micrometres."""
    shortest, longest = COMMON_RANGES[common_name]
    margin = RANGE_MARGIN * center_wavelength
    return shortest - margin <= center_wavelength <= longest + margin


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


def response_weights(wanted: Band, offered: Sequence[Band]) -> NDArray[np.float64]:
    """Weigh bands so that together they see nearly what another one sees.

    Spectral responses are taken as Gaussians of the bands' centres and widths. Of the bands that are near enough, at
    most ``MOST_COMBINED`` are combined, by least squares, and only as many as improve the fit.

    Returns:
        Weights ``(offered band,)``, none negative, that sum to 1; all 0 where no band is near enough.
    """
    near = [
        place
        for place, band in enumerate(offered)
        if abs(band.center_wavelength - wanted.center_wavelength) <= tolerance_um(wanted)
    ]
    weights = np.zeros(len(offered))
    if not near:
        return weights
    reach = 2 * tolerance_um(wanted)
    at = np.linspace(wanted.center_wavelength - reach, wanted.center_wavelength + reach, 401)
    aim = _response(wanted, at)
    best = np.inf
    for count in range(1, min(MOST_COMBINED, len(near)) + 1):
        for places in itertools.combinations(near, count):
            responses = np.stack([_response(offered[place], at) for place in places], axis=1)
            shares = np.linalg.lstsq(responses, aim, rcond=None)[0] if count > 1 else np.ones(1)
            if (shares <= 0).any():
                continue
            shares /= shares.sum()
            misfit = float(((responses @ shares - aim) ** 2).sum())
            if misfit < GAIN_OF_ONE_MORE * best or (count == 1 and misfit < best):
                best = misfit
                weights[:] = 0.0
                weights[list(places)] = shares
    return weights


def _response(band: Band, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give a band's response at wavelengths in micrometres, of area 1."""
    sigma = band.full_width_half_max / WIDTH_OF_GAUSSIAN
    return np.asarray(np.exp(-0.5 * ((at - band.center_wavelength) / sigma) ** 2) / sigma, np.float64)
