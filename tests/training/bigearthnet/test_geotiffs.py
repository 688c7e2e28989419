"""Folders of GeoTIFFs give the layers of a patch and its land cover; what is missing is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import TrainingError
from undercast.scene_labels import load_nomenclature
from undercast.training.bigearthnet.geotiffs import GeotiffPatches
from undercast.training.bigearthnet.records import PatchRecord


def test_layers_come_back_as_they_were_written(make: SimpleNamespace, tmp_path: Path, record: PatchRecord) -> None:
    layers = GeotiffPatches(make.write_geotiffs(tmp_path)).layers(record, ["B01", "B8A", "B02", "VV"])
    for name, layer in layers.items():
        np.testing.assert_array_equal(layer, make.drawn(make.RADAR_PATCH if name == "VV" else make.PATCH, name))


def test_labels_of_the_land_cover_map(make: SimpleNamespace, tmp_path: Path, record: PatchRecord) -> None:
    codes = GeotiffPatches(make.write_geotiffs(tmp_path)).reference_map(record)
    assert load_nomenclature().of_codes(codes) == ("Arable land", "Mixed forest")


def test_a_missing_band_is_told(make: SimpleNamespace, tmp_path: Path, record: PatchRecord) -> None:
    patches = GeotiffPatches(make.write_geotiffs(tmp_path, leave_out="B03"))
    with pytest.raises(TrainingError, match=r"layer B03 of patch S2A_MSIL2A_.* is missing or cannot be read"):
        patches.layers(record, ["B02", "B03"])


def test_a_damaged_file_is_told(make: SimpleNamespace, tmp_path: Path, record: PatchRecord) -> None:
    folder = make.write_geotiffs(tmp_path)
    (path,) = folder.rglob("*_B04.tif")
    path.write_bytes(b"II*\x00 no more")
    with pytest.raises(TrainingError, match="layer B04 of patch"):
        GeotiffPatches(folder).layers(record, ["B04"])


def test_radar_needs_its_name(make: SimpleNamespace, tmp_path: Path, record: PatchRecord) -> None:
    with pytest.raises(TrainingError, match="expected the name of its Sentinel-1 part"):
        GeotiffPatches(make.write_geotiffs(tmp_path)).layers(replace(record, s1_name=""), ["VV"])


def test_the_labels_of_the_real_land_cover_map_are_at_their_places(real_data: Path) -> None:
    patch = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57"
    record = PatchRecord(patch_id=patch, labels=(), split="test")
    codes = GeotiffPatches(real_data / "products" / "bigearthnet_tiff").reference_map(record)
    known = load_nomenclature()
    labels = known.of_codes(codes)
    assert labels == ("Arable land", "Broad-leaved forest", "Mixed forest", "Pastures")
    assert np.flatnonzero(known.vector(labels)).tolist() == [1, 3, 12, 15]
