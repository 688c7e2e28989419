from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from undercast.errors import EvaluationError, GridError
from undercast.evaluation.manifest import (
    file_hash,
    kind_of_labels,
    manifest_references,
    possible_sets,
    read_manifest,
)
from undercast.windows import Window

CLEAR, THICK, THIN, SHADOW = 1, 2, 4, 8


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "human"),
        ({"shadow_labelled": False}, "human, shadow not labelled"),
        ({"shadow_labelled": None, "mask_counts": {"0": 1, "1": 1}}, "human, cloud only"),
        ({"shadow_labelled": None, "source": "ukis_csmask"}, "human, thickness not told"),
        ({"thickness_labelled": False}, "human, thickness not told"),
        ({"labels": "weak"}, "weak"),
        ({"labels": "none", "use": "clear-negative (no cloud)"}, "clear"),
        ({"labels": "none"}, None),
    ],
)
def test_the_kind_of_labels_follows_from_the_row(
    drawn: SimpleNamespace, changes: dict[str, Any], kind: str | None
) -> None:
    assert kind_of_labels(drawn.row_of("scene", drawn.stripes(), **changes)) == kind


@pytest.mark.parametrize(
    ("kind", "sets"),
    [
        ("human", [CLEAR, THICK, THIN, SHADOW]),
        ("human, thickness not told", [CLEAR, THICK | THIN, THIN, SHADOW]),
        ("human, shadow not labelled", [CLEAR | SHADOW, THICK, THIN, SHADOW]),
        ("human, cloud only", [CLEAR | SHADOW, THICK | THIN, THIN, SHADOW]),
        ("weak", [CLEAR | SHADOW, THICK | THIN, THICK | THIN, SHADOW]),
    ],
)
def test_a_stored_mask_is_read_as_what_its_labels_can_tell(kind: str, sets: list[int]) -> None:
    np.testing.assert_array_equal(possible_sets(np.array([0, 1, 2, 3, 255], np.uint8), kind), [*sets, 0])


def test_a_folder_gives_scenes_in_reflectance_with_their_strata(folder: Path) -> None:
    references = manifest_references(folder)
    assert (references.name, len(references), references.label_kinds) == ("data", 6, ("human",))
    reference = next(iter(references))
    assert reference.name == "scene_0"
    assert reference.scene.level == "toa"
    assert reference.gsd == 10.0
    assert dict(reference.strata)["sensor"] == "Sentinel-2 MSI"
    assert reference.file_hash == file_hash(folder / "scene_0.npz")
    assert set(np.unique(reference.possible)) == {CLEAR, THICK}
    cloud = reference.scene.read()[:, reference.possible == THICK]
    assert np.median(cloud) == pytest.approx(0.8, abs=0.01)


def test_scenes_without_labels_are_left_out_and_clear_ones_are_all_clear(
    tmp_path: Path, drawn: SimpleNamespace
) -> None:
    rows = {"none": {"labels": "none"}, "clear": {"labels": "none", "use": "clear-negative"}}
    folder = drawn.write_folder(
        tmp_path, {"none": drawn.stripes(codes=(0, 3)), "clear": drawn.stripes(codes=(1, 3))}, rows=rows
    )
    (reference,) = manifest_references(folder)
    assert reference.name == "clear"
    assert (reference.possible == CLEAR).all()


def test_pixels_without_any_data_are_ignored(tmp_path: Path, drawn: SimpleNamespace) -> None:
    mask = drawn.stripes()
    drawn.write_folder(tmp_path, {"one": mask})
    bands = drawn.scene_of(mask)
    bands[:, :4], bands[0, 4:8] = drawn.NODATA, drawn.NODATA
    drawn.write_scene(tmp_path, "one", bands, mask)
    (reference,) = manifest_references(tmp_path)
    assert not reference.possible[:4].any()
    assert reference.possible[4:].all()
    assert np.isnan(reference.scene.read()[0, :8]).all()


def test_stored_possible_sets_take_the_masks_place(tmp_path: Path, drawn: SimpleNamespace) -> None:
    mask = drawn.stripes()
    drawn.write_folder(tmp_path, {"one": mask})
    sets = np.where(mask == 0, CLEAR | THIN, 15).astype(np.uint8)
    with np.load(tmp_path / "one.npz") as stored:
        arrays = dict(stored)
    np.savez(tmp_path / "one.npz", possible=sets, **arrays)
    (reference,) = manifest_references(tmp_path)
    np.testing.assert_array_equal(reference.possible, np.where(mask == 0, CLEAR | THIN, 0))
    for wrong in (sets + 1, sets[:4], sets.astype(np.int16)):
        np.savez(tmp_path / "one.npz", possible=wrong, **arrays)
        with pytest.raises(EvaluationError, match=r"expected possible sets \(uint8, 0 to 15\)"):
            list(manifest_references(tmp_path))


def test_unknown_codes_in_a_mask_are_refused(tmp_path: Path, drawn: SimpleNamespace) -> None:
    mask = drawn.stripes()
    drawn.write_folder(tmp_path, {"one": mask})
    drawn.write_scene(tmp_path, "one", drawn.scene_of(mask), mask + 40)
    with pytest.raises(EvaluationError, match="got 40, 41, 43"):
        list(manifest_references(tmp_path))


def test_a_mask_of_another_shape_is_refused(tmp_path: Path, drawn: SimpleNamespace) -> None:
    drawn.write_folder(tmp_path, {"one": drawn.stripes()})
    drawn.write_scene(tmp_path, "one", drawn.scene_of(drawn.stripes()), drawn.stripes(16, 16))
    with pytest.raises(GridError, match=r"\(32, 32\) px as the bands, got \(16, 16\)"):
        list(manifest_references(tmp_path))


def test_a_truncated_or_missing_file_is_refused(tmp_path: Path, drawn: SimpleNamespace) -> None:
    drawn.write_folder(tmp_path, {"one": drawn.stripes()})
    path = tmp_path / "one.npz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(EvaluationError, match="truncated"):
        list(manifest_references(tmp_path))
    path.unlink()
    with pytest.raises(EvaluationError, match="cannot be read: No such file"):
        list(manifest_references(tmp_path))


def test_a_ground_sample_distance_that_is_none_is_refused(tmp_path: Path, drawn: SimpleNamespace) -> None:
    drawn.write_folder(tmp_path, {"one": drawn.stripes()})
    rows = read_manifest(tmp_path)
    for gsd in ("ten", -10, [10], float("nan")):
        (tmp_path / "manifest.json").write_text(json.dumps([rows[0] | {"gsd_m": gsd}]))
        with pytest.raises(EvaluationError, match=r"expected gsd_m in metres above 0, or null, got "):
            list(manifest_references(tmp_path))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not JSON"),
        ("{}", "a list of objects"),
        ("[]", "labelled scenes"),
        ('{"simulated": true, "scenes": []}', "Cut chips from them with `undercast chips make`"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(EvaluationError, match=told):
        manifest_references(tmp_path)


def test_a_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"expected .*manifest\.json"):
        read_manifest(tmp_path)


def test_a_row_without_its_arrays_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps([{"file": "one.npz", "labels": "weak"}]))
    np.savez(tmp_path / "one.npz", bands=np.zeros((1, 8, 8), np.int16))
    with pytest.raises(EvaluationError, match="got no band_names, common_names, wavelength_nm"):
        list(manifest_references(tmp_path))


def test_bands_of_another_type_or_number_are_refused(tmp_path: Path, drawn: SimpleNamespace) -> None:
    drawn.write_folder(tmp_path, {"one": drawn.stripes()})
    for bands in (drawn.scene_of(drawn.stripes()).astype(float), drawn.scene_of(drawn.stripes())[:2]):
        drawn.write_scene(tmp_path, "one", bands, None)
        with pytest.raises(EvaluationError, match="each with a name, got"):
            list(manifest_references(tmp_path))


@pytest.mark.real_data
def test_a_stored_elevation_becomes_the_ground_of_the_scene(tmp_path: Path, drawn: SimpleNamespace) -> None:
    folder = drawn.write_folder(tmp_path, {"a": drawn.stripes()})
    assert next(iter(manifest_references(folder))).terrain is None
    with np.load(folder / "a.npz") as stored:
        arrays = dict(stored)
    rising = np.repeat(np.arange(32, dtype=np.float32)[None], 32, axis=0)
    np.savez(folder / "a.npz", **arrays, dem=rising, sza=np.float32(0.0), saa=np.float32(0.0))
    ground = next(iter(manifest_references(folder))).terrain
    assert ground is not None
    layers = ground.read(Window(row=8, col=8, height=4, width=4), ("slope", "sun_cosine"))
    np.testing.assert_allclose(layers[0], 0.1, atol=1e-5)
    np.testing.assert_allclose(layers[1], 1 / np.sqrt(1.01), atol=1e-5)
    np.savez(folder / "a.npz", **arrays, dem=rising[:4])
    with pytest.raises(EvaluationError, match="expected dem of shape"):
        next(iter(manifest_references(folder)))


def test_every_real_validation_scene_is_read(real_data: Path) -> None:
    references = list(manifest_references(real_data / "val"))
    assert len(references) == 11
    assert {reference.source for reference in references} == {"l8biome_lkpeng", "oncloudn", "rio_tiler", "ukis_csmask"}
    assert "Barren" in {reference.strata["surface"] for reference in references}
    assert len({reference.hash for reference in references}) == 11
