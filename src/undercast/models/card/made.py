"""Made: the fields of a card that one task has in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFields:
    """What a task adds to a card."""

    fields: Mapping[str, str]
    """Placeholder -> text."""
    facts: Mapping[str, str]
    """Rows of the table at the top."""
    tags: tuple[str, ...]
    """Tags for a hub."""
    widget: tuple[str, ...] = ()
    """Lines of front matter by which a hub shows an example."""


SCENE_ONLY = (
    *("MODEL_NAME", "MODEL_NAME_RAW", "BAND_CONFIG", "BANDS_USED", "CHANNEL_ORDER", "VIS_BANDS"),
    *("DATASET_NAME", "DATASET_NAME_FULL", "DATASET_NAME_FULL_2"),
    *("LEARNING_RATE", "DROPOUT_RATE", "DROP_PATH_RATE", "WARMUP_STEPS", "EPOCHS", "BATCH_SIZE"),
    *("AP_MACRO", "AP_MICRO", "F1_MACRO", "F1_MICRO", "PRECISION_MACRO", "PRECISION_MICRO"),
)
"""Fields of scene classifiers, by the names that reBEN's template gives them; with LABEL_i and SCORE_i."""

MOST_LABELS = 19
"""Labels that a template can name by number."""
