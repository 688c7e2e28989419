"""LMDB: patches as rico-hdl packs them, one safetensors file for each key (https://github.com/rsim-tu-berlin/rico-hdl)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast._optional import require
from undercast.classifier_spec import RADAR
from undercast.errors import TrainingError
from undercast.models.trust.safetensors_header import check_safetensors
from undercast.training.bigearthnet.layers import Layers, check_layers
from undercast.training.bigearthnet.records import LICENCES, PatchRecord
from undercast.training.chips import file_hash

MAP_BYTES = 8 * 1024**3
"""Address space for the file, in bytes, as published loaders reserve."""
LARGEST_VALUE = 16 * 1024**2
"""Size of a patch, at most, in bytes; one with all bands takes 0.25 MB."""
REFERENCE_MAP = "_reference_map"
"""Ending of the key of a patch's land cover map."""
REFERENCE_LAYER = "Data"
"""Its layer."""


class LmdbPatches:
    """Patches in an LMDB file."""

    def __init__(self, path: Path, *, metadata: Sequence[Path] = ()) -> None:
        """Name the file; it is opened when the first patch is read.

        Args:
            path: Folder with ``data.mdb``, or such a file.
            metadata: Parquet files that go with it.
        """
        self.path = path
        self.metadata = metadata
        self._opened: Any = None

    def layers(self, record: PatchRecord, wanted: Sequence[str]) -> Layers:
        """Read layers of a patch, at their own resolutions.

        Raises:
            TrainingError: If a key or a layer is missing, or the file cannot be read.
            TrustError: If what lies under a key is no proper safetensors file.
        """
        radar = [name for name in wanted if name in RADAR]
        optical = [name for name in wanted if name not in RADAR]
        found: dict[str, NDArray[Any]] = {}
        for key, names in ((record.patch_id, optical), (record.s1_name or record.patch_id, radar)):
            if names:
                found |= check_layers(self._tensors(key), names, f"{self.path}: {key}")
        return found

    def reference_map(self, record: PatchRecord) -> NDArray[np.uint16]:
        """Read the land cover codes of a patch, ``(y, x)``.

        Raises:
            TrainingError: If there are none.
        """
        key = f"{record.patch_id}{REFERENCE_MAP}"
        layers = check_layers(self._tensors(key), [REFERENCE_LAYER], f"{self.path}: {key}")
        return np.asarray(layers[REFERENCE_LAYER], np.uint16)

    def hashes(self) -> dict[str, str]:
        """Give file name -> SHA-256 of the metadata; the file itself has hundreds of gigabytes."""
        return {path.name: file_hash(path) for path in self.metadata}

    def licences(self) -> dict[str, str]:
        """Give source -> licence of its data."""
        return dict(LICENCES)

    def _tensors(self, key: str) -> dict[str, NDArray[Any]]:
        load = require("safetensors.numpy", extra="scenes", purpose="read patches").load
        with self._environment().begin() as transaction:
            value = transaction.get(key.encode())
        if value is None:
            msg = f"{self.path}: expected a patch under the key {key!r}, got none. {self._some_keys()}"
            raise TrainingError(msg)
        if len(value) > LARGEST_VALUE:
            msg = f"{self.path}: {key}: expected a patch of at most {LARGEST_VALUE:,} bytes, got {len(value):,}."
            raise TrainingError(msg)
        data = bytes(value)
        check_safetensors(data, origin=f"{self.path}: {key}")
        return dict(load(data))

    def _some_keys(self) -> str:
        with self._environment().begin() as transaction:
            count = transaction.stat()["entries"]
            with transaction.cursor() as cursor:
                first = next(iter(cursor.iternext(values=False)), b"")
        return f"It has {count} keys, such as {bytes(first).decode(errors='replace')!r}."

    def _environment(self) -> Any:
        library = require("lmdb", extra="scenes", purpose="read LMDB files")
        if self._opened is None:
            try:
                self._opened = library.open(
                    str(self.path),
                    subdir=self.path.is_dir(),
                    create=False,
                    readonly=True,
                    lock=False,
                    map_size=MAP_BYTES,
                )
            except library.Error as error:
                msg = f"{self.path} cannot be opened as LMDB: {error}. It is a folder with data.mdb, or that file."
                raise TrainingError(msg) from error
        return self._opened

    def __getstate__(self) -> dict[str, Any]:
        """Travel to another process without the open file, which LMDB forbids to take along."""
        return {"path": self.path, "metadata": self.metadata, "_opened": None}
