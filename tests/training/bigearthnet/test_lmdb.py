"""LMDB gives back what rico-hdl put in; missing keys and bands, and what is no safetensors, are refused."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import TrainingError, TrustError
from undercast.scene_labels import load_nomenclature
from undercast.training.bigearthnet.geotiffs import GeotiffPatches
from undercast.training.bigearthnet.lmdb import LmdbPatches
from undercast.training.bigearthnet.records import PatchRecord

EVERY = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12", "VV", "VH"]


def test_layers_come_back_as_they_were_written(make: SimpleNamespace, tmp_path: Path, record: PatchRecord) -> None:
    layers = LmdbPatches(make.write_lmdb(tmp_path / "lmdb")).layers(record, ["B01", "B05", "B02", "VH"])
    assert list(layers) == ["B01", "B05", "B02", "VH"]
    for name, layer in layers.items():
        np.testing.assert_array_equal(layer, make.drawn(make.RADAR_PATCH if name == "VH" else make.PATCH, name))
        assert layer.dtype == (np.float32 if name == "VH" else np.uint16)


def test_labels_of_the_land_cover_map(make: SimpleNamespace, tmp_path: Path, record: PatchRecord) -> None:
    codes = LmdbPatches(make.write_lmdb(tmp_path / "lmdb")).reference_map(record)
    assert load_nomenclature().of_codes(codes) == ("Arable land", "Mixed forest")


def test_the_file_itself_may_be_named(make: SimpleNamespace, tmp_path: Path, record: PatchRecord) -> None:
    folder = make.write_lmdb(tmp_path / "lmdb")
    assert list(LmdbPatches(folder / "data.mdb").layers(record, ["B02"])) == ["B02"]


def test_a_missing_key_is_told(make: SimpleNamespace, tmp_path: Path, record: PatchRecord) -> None:
    patches = LmdbPatches(make.write_lmdb(tmp_path / "lmdb"))
    with pytest.raises(
        TrainingError, match=r"expected a patch under the key 'gone', got none\. It has 3 keys, such as"
    ):
        patches.layers(replace(record, patch_id="gone"), ["B02"])


def test_a_missing_band_is_told(make: SimpleNamespace, tmp_path: Path, record: PatchRecord) -> None:
    patches = LmdbPatches(make.write_lmdb(tmp_path / "lmdb", leave_out="B03"))
    with pytest.raises(TrainingError, match=r"expected the layers B02, B03, got no B03\."):
        patches.layers(record, ["B02", "B03"])


@pytest.mark.parametrize("value", [b"", b"\xff" * 64, b"\x02\x00\x00\x00\x00\x00\x00\x00[]"])
def test_what_is_no_safetensors_is_refused(
    value: bytes, make: SimpleNamespace, tmp_path: Path, record: PatchRecord
) -> None:
    patches = LmdbPatches(make.write_lmdb(tmp_path / "lmdb", wrong=value))
    with pytest.raises(TrustError):
        patches.layers(replace(record, patch_id="wrong"), ["B02"])


def test_a_folder_without_lmdb_is_refused(tmp_path: Path, record: PatchRecord) -> None:
    with pytest.raises(TrainingError, match="cannot be opened as LMDB"):
        LmdbPatches(tmp_path / "gone").layers(record, ["B02"])


def test_it_travels_to_another_process_unopened(make: SimpleNamespace, tmp_path: Path, record: PatchRecord) -> None:
    patches = LmdbPatches(make.write_lmdb(tmp_path / "lmdb"))
    patches.layers(record, ["B02"])
    # Our own object, as a loader's worker gets it.
    packed = pickle.dumps(patches)
    patches._opened.close()
    again = pickle.loads(packed)  # noqa: S301
    assert list(again.layers(record, ["B02"])) == ["B02"]


def test_the_real_patch_is_the_same_in_lmdb_and_as_geotiffs(real_data: Path, known: PatchRecord) -> None:
    products = real_data / "products"
    packed = LmdbPatches(products / "bigearthnet_lmdb").layers(known, EVERY)
    tiled = GeotiffPatches(products / "bigearthnet_tiff").layers(known, EVERY)
    assert {name: layer.shape[0] for name, layer in packed.items()} == {
        **dict.fromkeys(EVERY, 120),
        **dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12"), 60),
        **dict.fromkeys(("B01", "B09"), 20),
    }
    for name in EVERY:
        assert packed[name].dtype == tiled[name].dtype
        np.testing.assert_array_equal(packed[name], tiled[name])
