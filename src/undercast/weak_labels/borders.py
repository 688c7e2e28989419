"""Borders: pixels near which the classes change, and whose labels are therefore unsure."""

from __future__ import annotations

import numpy as np

from undercast.postprocessing.morphology import dilated
from undercast.types import UInt8
from undercast.weak_labels.rules import IGNORE


def eroded(sets: UInt8, half_widths: tuple[int, ...]) -> UInt8:
    """Ignore the pixels that have one within a disc around them whose set shares no class with theirs.

    Ignored pixels make no border, and neither does the array's edge.

    Args:
        sets: Possible sets ``(y, x)``.
        half_widths: The disc, as ``postprocessing.morphology.disc`` gives it.

    Returns:
        The same sets, or ``IGNORE``.
    """
    out = sets.copy()
    for value in np.unique(sets[sets != IGNORE]).tolist():
        contrary = (sets != IGNORE) & (sets & value == 0)
        if contrary.any():
            out[(sets == value) & dilated(contrary, half_widths)] = IGNORE
    return out
