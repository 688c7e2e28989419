"""GeoTIFFs: patches in the folders that BigEarthNet v2 is published in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from undercast.classifier_spec import RADAR
from undercast.errors import TrainingError
from undercast.training.bigearthnet.layers import LARGEST_SIDE, Layers, check_layers
from undercast.training.bigearthnet.records import LICENCES, PatchRecord
from undercast.training.chips import file_hash

S2, S1, REFERENCE = "BigEarthNet-S2", "BigEarthNet-S1", "Reference_Maps"
"""Folders of Sentinel-2, Sentinel-1 and the land cover maps."""


class GeotiffPatches:
    """Patches in folders of GeoTIFFs."""

    def __init__(self, folder: Path, *, metadata: Sequence[Path] = ()) -> None:
        """Name the folder.

        Args:
            folder: Folder that holds ``BigEarthNet-S2``, and ``BigEarthNet-S1`` and ``Reference_Maps`` if wanted.
            metadata: Parquet files that go with it.
        """
        self.folder = folder
        self.metadata = metadata

    def layers(self, record: PatchRecord, wanted: Sequence[str]) -> Layers:
        """Read layers of a patch, at their own resolutions.

        Raises:
            TrainingError: If a file is missing or damaged.
        """
        found: dict[str, NDArray[Any]] = {}
        for name in wanted:
            folder = _s1_folder(self.folder, record) if name in RADAR else _s2_folder(self.folder / S2, record)
            found[name] = _read(folder / f"{folder.name}_{name}.tif", f"layer {name} of patch {record.patch_id}")
        return check_layers(found, wanted, self.folder)

    def reference_map(self, record: PatchRecord) -> NDArray[np.uint16]:
        """Read the land cover codes of a patch, ``(y, x)``.

        Raises:
            TrainingError: If there are none.
        """
        folder = _s2_folder(self.folder / REFERENCE, record)
        what = f"land cover map of patch {record.patch_id}"
        return np.asarray(_read(folder / f"{folder.name}_reference_map.tif", what), np.uint16)

    def hashes(self) -> dict[str, str]:
        """Give file name -> SHA-256 of the metadata."""
        return {path.name: file_hash(path) for path in self.metadata}

    def licences(self) -> dict[str, str]:
        """Give source -> licence of its data."""
        return dict(LICENCES)


def _s2_folder(root: Path, record: PatchRecord) -> Path:
    """Give ``PRODUCT/PRODUCT_row_column``."""
    return root / record.patch_id.rsplit("_", 2)[0] / record.patch_id


def _s1_folder(root: Path, record: PatchRecord) -> Path:
    """Give ``PRODUCT/PRODUCT_tile_row_column``."""
    if not record.s1_name:
        msg = f"patch {record.patch_id}: expected the name of its Sentinel-1 part (s1_name in the metadata), got none."
        raise TrainingError(msg)
    return root / S1 / record.s1_name.rsplit("_", 3)[0] / record.s1_name


def _read(path: Path, what: str) -> NDArray[Any]:
    try:
        with rasterio.open(path, driver="GTiff") as dataset:
            if dataset.count != 1 or max(dataset.shape) > LARGEST_SIDE:
                msg = f"{path}: expected one band of at most {LARGEST_SIDE} px, got {dataset.count} of {dataset.shape}."
                raise TrainingError(msg)
            return np.asarray(dataset.read(1))
    except (RasterioError, OSError) as error:
        msg = f"{what} is missing or cannot be read: {path}: {error}."
        raise TrainingError(msg) from error
