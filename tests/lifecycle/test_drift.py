from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from undercast.errors import EvaluationError, LedgerError, SceneError, TransitionError
from undercast.evaluation.gate import Rule
from undercast.lifecycle import drift as drifts
from undercast.lifecycle.distributions import BINS, histogram
from undercast.lifecycle.drift import Seen, SeenScene, drift, hold, see, seen_from_dict
from undercast.lifecycle.new_scenes import OpenedScene, find_scenes
from undercast.loading import load_model
from undercast.scene import Scene, scene_from_array
from undercast.types import Float32
from undercast.windows import Window

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Workshop


def seen(bands: Mapping[str, float], *, cloud: float = 0.25, uncertainty: float = 0.5, kind: str = "entropy") -> Seen:
    """Give what was seen in one scene of one reflectance per band."""
    scene = SeenScene(name="a", sha256="ab", file_sha256=None, cloud_fraction=cloud, uncertainty=uncertainty)
    counts = {name: histogram(np.full(100, value, np.float32)) for name, value in bands.items()}
    return Seen(scenes=(scene,), bands=counts, uncertainty_kind=kind)


def test_a_model_sees_reflectance_and_says_cloud_and_uncertainty(workshop: Workshop) -> None:
    found = see(find_scenes([str(workshop.chips("a", 2))]), load_model(workshop.package()))
    assert [scene.name for scene in found.scenes] == ["a_0", "a_1"]
    assert found.cloud_fraction == pytest.approx(1 / 3, abs=0.03)
    assert 0 < found.uncertainty < 0.2
    assert {name: int(counts.sum()) for name, counts in found.bands.items()} == dict.fromkeys(
        ("blue", "green", "red"), 2 * 32 * 32
    )
    assert seen_from_dict(found.to_dict(), origin="life").to_dict() == found.to_dict()


def test_progress_is_told_scene_by_scene_and_no_scene_is_refused(workshop: Workshop) -> None:
    told: list[tuple[int, int]] = []
    model = load_model(workshop.package())
    see(find_scenes([str(workshop.chips("a", 2))]), model, progress=lambda *done: told.append(done))
    assert told == [(1, 2), (2, 2)]
    with pytest.raises(TransitionError, match="at least one scene"):
        see((), model)
    with pytest.raises(EvaluationError, match="a_0 and a_0 have the same"):
        see(find_scenes([str(workshop.folder / "a")] * 2), model)


class Counting:
    """Pixels that remember how many were read at once."""

    def __init__(self) -> None:
        self.largest = 0
        self.read_in_all = 0

    def read(self, window: Window, bands: Sequence[int]) -> Float32:
        self.largest = max(self.largest, window.height * window.width * len(bands))
        self.read_in_all += window.height * window.width * len(bands)
        return np.full((len(bands), window.height, window.width), 0.2, np.float32)


def test_of_a_large_scene_some_blocks_of_rows_are_counted(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drifts, "MOST_PIXELS", 10_000)
    monkeypatch.setattr(drifts, "ROWS_AT_ONCE", 16)
    pixels = Counting()
    small = scene_from_array(np.zeros((3, 400, 100), np.float32), ["blue", "green", "red"])
    scene = Scene(name="large", bands=small.bands, grid=small.grid, pixels=pixels)
    counts = drifts._seen_bands(scene, load_model(workshop.package()))
    assert pixels.largest == 16 * 100
    assert pixels.read_in_all == 3 * 13 * 16 * 100
    assert counts["red"].sum() == 13 * 16 * 50


def test_a_scene_without_prediction_is_refused(workshop: Workshop) -> None:
    values = np.full((3, 32, 32), np.nan, np.float32)
    scene = scene_from_array(values, ["blue", "green", "red"], name="empty")
    with pytest.raises(SceneError, match="empty"):
        see((lambda: OpenedScene(scene=scene, sha256="ab"),), load_model(workshop.package()))


def test_what_did_not_change_has_no_drift() -> None:
    same = seen({"red": 0.2, "nir": 0.3})
    found = drift(same, same)
    assert {name: found.figure(name)[0] for name in drifts.FIGURES} == dict.fromkeys(drifts.FIGURES, 0.0)


def test_drift_is_that_of_the_worst_band_and_of_the_means() -> None:
    before = seen({"red": 0.2, "nir": 0.3})
    found = drift(before, seen({"red": 0.2, "nir": 0.4}, cloud=0.15, uncertainty=0.8))
    distance, band = found.figure("band_distance")
    assert distance == pytest.approx(0.1)
    assert band == "nir"
    psi, band = found.figure("band_psi")
    assert (psi is not None and psi > 1, band) == (True, "nir")
    assert found.figure("cloud_fraction_change")[0] == pytest.approx(0.1)
    assert found.figure("uncertainty_change")[0] == pytest.approx(0.3)


def test_a_band_that_is_gone_is_no_small_drift() -> None:
    found = drift(seen({"red": 0.2, "nir": 0.3}), seen({"red": 0.2}))
    assert found.figure("band_psi") == (None, "nir")
    (strict,) = hold(found, [Rule(figure="band_psi", max=0.25)])
    (lenient,) = hold(found, [Rule(figure="band_psi", max=0.25, undefined="pass")])
    assert (strict.passed, strict.where, lenient.passed) == (False, "nir", True)


def test_two_kinds_of_uncertainty_are_not_compared() -> None:
    with pytest.raises(TransitionError, match="'entropy' as before, got 'std'"):
        drift(seen({"red": 0.2}), seen({"red": 0.2}, kind="std"))


def test_a_rule_on_drift_has_an_upper_threshold_and_nothing_else() -> None:
    found = drift(seen({"red": 0.2}), seen({"red": 0.21}))
    (verdict,) = hold(found, [Rule(figure="band_distance", max=0.005)])
    assert (verdict.rule, verdict.passed, verdict.where) == ("band_distance <= 0.005", False, "red")
    assert verdict.found == pytest.approx(0.01)
    for rule in (Rule(figure="band_psi", min=0.1), Rule(figure="band_psi", max=0.1, by="sensor")):
        with pytest.raises(EvaluationError, match="rule on band_psi"):
            hold(found, [rule])


@pytest.mark.parametrize(
    "change",
    [
        {"bands": {"red": [1, 2]}},
        {"bands": {"red": [-1] * BINS}},
        {"bands": {"red": "many"}},
        {"bands": None},
        {"bins": {"low": 0.0, "high": 1.0, "count": BINS}},
        {"scenes": []},
        {"scenes": [{"name": "a"}]},
    ],
)
def test_a_foreign_summary_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(LedgerError, match=r"^ledger life: expected"):
        seen_from_dict({**seen({"red": 0.2}).to_dict(), **change}, origin="life")
