"""Processors: the masks of existing processing chains as the predictions of a competitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from undercast.errors import GridError, SceneError
from undercast.evaluation.predictors import Predicted
from undercast.types import NODATA, Bool
from undercast.weak_labels.mask_files import read_mask
from undercast.weak_labels.rules import ProcessorMask

if TYPE_CHECKING:
    from undercast.evaluation.references import ReferenceScene


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProcessorPredictor:
    """A processor's own masks as the predictions of a competitor."""

    product: ProcessorMask
    """How the product writes its mask."""
    masks: Path | Mapping[str, NDArray[np.number[Any]]]
    """Folder of rasters named as the scenes (with any of ``suffixes``), or an array for each scene's name."""
    suffixes: tuple[str, ...] = (".tif", ".TIF", ".tiff", ".jp2", ".img", ".hdf")
    """Ends of the rasters' names, in the order in which they are tried."""
    band: int = 1
    """Band of the raster that holds the mask."""

    @property
    def identity(self) -> dict[str, Any]:
        """Which processor it is, for the report."""
        return {
            "id": self.product.id,
            "version": "",
            "kind": "processor",
            "checksums": [],
            "options": {"title": self.product.title, "codes": self.product.source},
        }

    def predict(self, reference: ReferenceScene) -> Predicted:
        """Read the mask that the processor gave a scene.

        Raises:
            SceneError: If the scene has no mask, or its file cannot be read.
            GridError: If the mask has not the scene's shape.
            LabelError: If it holds values that the product does not know.
        """
        stored, given = self._stored(reference.name)
        shape = reference.scene.grid.shape
        if stored.shape != shape:
            msg = f"{self.product.title} of {reference.name}: expected shape {shape}, got {stored.shape}."
            raise GridError(msg)
        class_map = np.full(shape, NODATA, np.uint8)
        class_map[given] = self.product.decode(stored[given])
        return Predicted(class_map=class_map)

    def _stored(self, name: str) -> tuple[NDArray[np.number[Any]], Bool]:
        """Give a scene's stored mask, and where the file does not declare it as nodata."""
        if isinstance(self.masks, Path):
            path = _find_mask(self.masks, name, self.suffixes)
            return read_mask(path, band=self.band, layers=self.product.layers)
        if name not in self.masks:
            msg = f"{self.product.title}: expected a mask for each scene, got none for {name}."
            raise SceneError(msg)
        stored = np.asarray(self.masks[name])
        return stored, np.ones(stored.shape, np.bool_)


def _find_mask(folder: Path, name: str, suffixes: Sequence[str]) -> Path:
    for suffix in suffixes:
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return path
    msg = f"expected a mask {folder / name} with one of {', '.join(suffixes)}, got none. Name masks as the scenes."
    raise SceneError(msg)
