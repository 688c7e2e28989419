"""Scaling: MLM's value scaling as a gain and an offset per band, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from undercast.errors import ModelError
from undercast.model_spec import ModelSpec
from undercast.models.table import Table

Affine: TypeAlias = tuple[float, float]
"""Gain and offset: ``value * gain + offset``."""

KINDS = ("scale", "offset", "z-score", "min-max")
"""Types of MLM's value scaling that are a gain and an offset; clipping and expressions are not."""

SMALLEST = 1e-12
"""Smallest and, inverted, largest divisor: beyond them nothing is left of a float32."""


def value_scaling(spec: ModelSpec) -> list[dict[str, Any]] | None:
    """Give the scaling of reflectance as MLM writes it: one division, or one z-score per band; None: as it is."""
    if all(wanted.gain == 1.0 and wanted.offset == 0.0 for wanted in spec.bands):
        return None if spec.scale == 1.0 else [{"type": "scale", "value": 1.0 / spec.scale}]
    gains = [spec.scale * wanted.gain for wanted in spec.bands]
    return [
        {"type": "z-score", "mean": -wanted.offset / gain, "stddev": 1.0 / gain}
        for wanted, gain in zip(spec.bands, gains, strict=True)
    ]


def read_scaling(model_input: Table, bands: int) -> tuple[Affine, ...]:
    """Read ``value_scaling``: nothing, one object for all bands, or one for each.

    Args:
        model_input: The object of ``mlm:input``.
        bands: Number of bands.

    Returns:
        One gain (never 0) and offset per band, or one for all; none: as it is.

    Raises:
        ModelError: If it is no gain and offset (clipping, an expression), or its number is wrong.
    """
    steps = model_input.tables("value_scaling", default=())
    if len(steps) not in {0, 1, bands}:
        expected = f"one for all bands or one for each of {bands}"
        raise model_input.wrong(key="value_scaling", expected=expected, got=f"{len(steps)} of them")
    return tuple(_affine(step) for step in steps)


def per_band(scaling: Sequence[Affine], bands: int) -> tuple[Affine, ...]:
    """Give one gain and offset per band of what ``read_scaling`` gave."""
    return tuple(scaling) * bands if len(scaling) == 1 else tuple(scaling) or ((1.0, 0.0),) * bands


def _affine(step: Table) -> Affine:
    kind = step.text("type")
    if kind == "offset":
        return 1.0, -step.number("value")
    if kind == "scale":
        divisor, start = step.number("value"), 0.0
    elif kind == "z-score":
        divisor, start = step.number("stddev"), step.number("mean")
    elif kind == "min-max":
        start = step.number("minimum")
        divisor = step.number("maximum") - start
    else:
        raise _unusable(step, kind)
    if not SMALLEST <= abs(divisor) <= 1.0 / SMALLEST or abs(start) > 1.0 / SMALLEST:
        raise _unusable(step, f"{kind} from {start:g} by {divisor:g}")
    return _rounded(1.0 / divisor), _rounded(-start / divisor)


def _unusable(step: Table, got: str) -> ModelError:
    return step.wrong(
        key="type", expected=f"value_scaling of {', '.join(KINDS)}, by a number that is neither 0 nor huge", got=got
    )


def _rounded(value: float) -> float:
    """Drop what a division and its inverse leave behind the 12th digit, so that what is written is what is read."""
    return float(f"{value:.12g}") + 0.0
