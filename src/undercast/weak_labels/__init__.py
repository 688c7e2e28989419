"""Weak labels: the masks of processing chains as possible sets, what they agree on, and chips cut with them."""

from __future__ import annotations

from undercast.weak_labels.chips import ChipOptions, ChipScene, make_chips
from undercast.weak_labels.combining import consensus, consensus_files
from undercast.weak_labels.importing import ImportOptions, import_file, import_mask
from undercast.weak_labels.label_files import LabelFile, open_labels
from undercast.weak_labels.places import Split

__all__ = [
    "ChipOptions",
    "ChipScene",
    "ImportOptions",
    "LabelFile",
    "Split",
    "consensus",
    "consensus_files",
    "import_file",
    "import_mask",
    "make_chips",
    "open_labels",
]
