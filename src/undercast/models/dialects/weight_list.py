"""Weight lists: `.pt2` files without an item, as mlstac takes them; FDR4VGT's input and output are assumed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from undercast.errors import ModelError
from undercast.models.members import MODEL_ROLE

ENDING = ".pt2"
"""Ending of the files of a list."""


def list_weights(folder: Path) -> tuple[Path, ...]:
    """List the `.pt2` files of a folder, sorted by name."""
    return tuple(sorted(path for path in folder.iterdir() if path.suffix == ENDING and path.is_file()))


def item_of_weights(paths: Sequence[Path], notes: list[str]) -> dict[str, Any]:
    """Make the item that a list of `.pt2` files lacks.

    Bands, scaling, window and classes are those of FDR4VGT-CLOUD, the model family that such lists come from.

    Args:
        paths: Files of one folder.
        notes: Is told that all of this is assumed.

    Raises:
        ModelError: If a file is no `.pt2` file, or they lie in several folders.
    """
    wrong = [str(path) for path in paths if path.suffix != ENDING]
    if not paths or wrong or len({path.parent for path in paths}) != 1:
        got = ", ".join(wrong) or "none, or files of several folders"
        msg = f"expected {ENDING} files of one folder, got {got}. Give the folder instead."
        raise ModelError(msg)
    notes.append(
        f"{len(paths)} {ENDING} files without an item: bands, scaling, window and class of FDR4VGT-CLOUD are assumed"
    )
    count = len(paths)
    structure = {"shape": [-1, 4, 512, 512], "dim_order": ["batch", "bands", "height", "width"]}
    return {
        "id": f"ENSEMBLE_ADHOC_{count}_MODELS",
        "properties": {
            "mlm:name": "adhoc_ensemble",
            "mlm:architecture": "unknown",
            "mlm:input": [
                {
                    "name": "reflectance",
                    "bands": [
                        "Blue (B0, ~450nm)",
                        "Red (B2, ~645nm)",
                        "Near-Infrared (B3, ~835nm)",
                        "SWIR (MIR, ~1665nm)",
                    ],
                    "input": {**structure, "data_type": "float32"},
                    "norm": {"type": "raw", "range": [0, 10000]},
                }
            ],
            "mlm:output": [
                {
                    "name": "cloud_probability",
                    "tasks": ["semantic-segmentation"],
                    "result": {**structure, "shape": [-1, 1, 512, 512], "data_type": "float32"},
                    "recommended_threshold": 0.4,
                    "standard_threshold": 0.5,
                }
            ],
            "custom:ensemble_size": count,
            "custom:recommended_overlap": 64,
        },
        "assets": {
            f"model_{number}_{path.stem}": {
                "href": path.name,
                "roles": [MODEL_ROLE],
                "mlm:artifact_type": "torch.export.save",
            }
            for number, path in enumerate(sorted(paths), start=1)
        },
    }
