from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from undercast.errors import BandError, EvaluationError, RadiometryError, UsageError
from undercast.evaluation.evaluate import evaluate
from undercast.evaluation.predictors import Predicted
from undercast.evaluation.references import ReferenceEntry, References, ReferenceScene, reference_scene
from undercast.evaluation.stress import StressOptions, degrade, stress
from undercast.scene import scene_from_array


def scene_of(seed: int, bands: tuple[str, ...] = ("nir", "green", "red")) -> ReferenceScene:
    """A bright square on the dark ground; the bands are not in order of wavelength."""
    possible = np.ones((24, 24), np.uint8)
    possible[6:16, 6:16] = 2
    image = np.where(possible == 2, 0.6, 0.1) + np.random.default_rng(seed).normal(0, 0.01, (len(bands), 24, 24))
    image[:, 0, 0] = np.nan
    return reference_scene(scene_from_array(image, list(bands), name=f"scene {seed}"), possible, {})


def references_of(*makers: Callable[[], ReferenceScene]) -> References:
    return References(
        name="some", entries=tuple(ReferenceEntry(name=str(i), read=make) for i, make in enumerate(makers))
    )


@dataclass(frozen=True)
class Threshold:
    """Bright in the red is cloud; refuses scenes without red, or brighter than reflectance can be."""

    needs: str = "red"

    @property
    def identity(self) -> dict[str, Any]:
        return {"id": "threshold", "version": "1", "kind": "peer", "checksums": [], "options": {}}

    def predict(self, reference: ReferenceScene) -> Predicted:
        names = [band.common_name for band in reference.scene.bands]
        if self.needs not in names:
            raise BandError(self.needs)
        image = reference.scene.read(bands=[names.index(self.needs)])[0]
        if np.nanmax(image) > 3:
            raise RadiometryError(reference.name)
        class_map = (np.nan_to_num(image) > 0.35).astype(np.uint8)
        class_map[np.isnan(image)] = 255
        return Predicted(class_map=class_map)


TWO = references_of(partial(scene_of, 0), partial(scene_of, 1))


def test_the_loss_is_the_figure_of_the_untouched_images_minus_that_of_the_degraded_ones() -> None:
    rows = stress(Threshold(), TWO, options=StressOptions(severities={"offset": (0.0, 0.3)}))
    whole = evaluate(Threshold(), TWO).report.overall.values["cloud_precision"].value
    assert whole == 1.0
    untouched, degraded = rows
    assert untouched["figures"]["cloud_precision"] == whole
    assert set(untouched["loss"].values()) == {0.0, None}
    clouds, pixels = 2 * 100, 2 * (24 * 24 - 1)
    assert degraded["figures"]["cloud_precision"] == pytest.approx(clouds / pixels)
    assert degraded["loss"]["cloud_precision"] == pytest.approx(1 - clouds / pixels)
    assert (degraded["degradation"], degraded["severity"], degraded["unit"]) == ("offset", 0.3, "reflectance")


def test_the_longest_wavelengths_are_lost_first_whatever_the_order_of_the_bands() -> None:
    for count, left in ((1, {"green", "red"}), (2, {"green"})):
        degraded = degrade(scene_of(0), "missing_bands", count)
        assert {band.common_name for band in degraded.scene.bands} == left
        assert degraded.scene.read().shape[0] == len(left)


def test_a_band_without_data_before_the_degradation_stays() -> None:
    reference = scene_of(0)
    image = reference.scene.read()
    image[1] = np.nan
    empty = replace(reference, scene=scene_from_array(image, ["nir", "green", "red"], name="x"))
    assert [band.common_name for band in degrade(empty, "noise", 0.01).scene.bands] == ["nir", "green", "red"]


def test_refused_scenes_are_counted_and_losses_are_over_the_others() -> None:
    references = references_of(partial(scene_of, 0), partial(scene_of, 1, ("red",)))
    row = stress(Threshold(), references, options=StressOptions(severities={"missing_bands": (1,)}))[0]
    assert row["refused"] == 1
    assert row["figures"]["cloud_f1"] == 1.0
    assert row["loss"]["cloud_f1"] == 0.0


def test_where_every_scene_is_refused_nothing_is_defined() -> None:
    row = stress(Threshold(), TWO, options=StressOptions(severities={"gain": (9.0,)}))[0]
    assert row["refused"] == 2
    assert set(row["figures"].values()) == {None}
    assert set(row["loss"].values()) == {None}
    assert "cloud_f1" in row["figures"]


def test_a_predictor_that_takes_no_scene_is_told_so() -> None:
    with pytest.raises(EvaluationError, match="expected scenes"):
        stress(Threshold(needs="swir16"), TWO, options=StressOptions(severities={"noise": (0.1,)}))


def test_other_errors_of_a_predictor_are_not_taken_for_a_refusal() -> None:
    class Broken(Threshold):
        def predict(self, reference: ReferenceScene) -> Predicted:
            raise ZeroDivisionError(reference.name)

    with pytest.raises(ZeroDivisionError):
        stress(Broken(), TWO)


def test_the_same_seed_gives_the_same_rows_and_scenes_get_patterns_of_their_own() -> None:
    first, second = (degrade(scene_of(0), "noise", 0.1, seed=7).scene.read() for _ in range(2))
    assert np.array_equal(first, second, equal_nan=True)
    other = degrade(scene_of(1), "noise", 0.1, seed=7).scene.read() - scene_of(1).scene.read()
    assert not np.allclose(first - scene_of(0).scene.read(), other, equal_nan=True)


def test_all_degradations_are_tried_unless_told_otherwise_and_progress_is_reported() -> None:
    seen: list[tuple[int, int]] = []
    rows = stress(Threshold(), TWO, progress=lambda done, total: seen.append((done, total)))
    assert len(rows) == len(StressOptions().steps)
    assert seen == [(1, 2), (2, 2)]


def test_impossible_severities_are_refused_before_anything_runs() -> None:
    with pytest.raises(UsageError, match="noise"):
        StressOptions(severities={"noise": (-1.0,)})
