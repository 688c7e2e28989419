"""Coarse references know what the fine ones knew of cloud; those that cannot be made coarse are left out."""

from __future__ import annotations

import numpy as np
import pytest

from undercast.bands import band_from_name
from undercast.evaluation.coarse import degrade_to, degraded_references, in_memory, simulated_references
from undercast.evaluation.references import ReferenceEntry, References, ReferenceScene, reference_scene
from undercast.scene import scene_from_array
from undercast.sensors import load_sensor
from undercast.simulation.scenes import BIT_CLEAR, BIT_SHADOW, BIT_THICK, BIT_THIN

PROBA_V = load_sensor("proba-v")
BANDS = ("blue", "red", "nir", "swir16")


def fine(names: tuple[str, ...] = BANDS, *, size: int = 96, gsd: float | None = 30.0) -> ReferenceScene:
    image = np.full((len(names), size, size), 0.1, np.float32)
    possible = np.full((size, size), BIT_CLEAR, np.uint8)
    image[:, :, : size // 2] = 0.7
    possible[:, : size // 2] = BIT_THICK
    scene = scene_from_array(image, [band_from_name(name) for name in names], name="drawn", level="toa")
    strata = {"source": "drawn", "sensor": "Landsat-8", "labels": "human"}
    return reference_scene(scene, possible, strata, gsd=gsd, file_hash="f" * 64)


def test_a_reference_is_degraded_with_its_labels_and_keeps_its_file() -> None:
    coarse = degrade_to(fine(), PROBA_V, 333.0)
    assert coarse is not None
    assert coarse.possible.shape == (9, 9)
    assert coarse.gsd == pytest.approx(330.0)
    assert coarse.strata["gsd"] == "330 m"
    assert coarse.strata["sensor"] == "proba-v of Landsat-8"
    assert coarse.file_hash == "f" * 64
    assert (coarse.possible[:, :4] == BIT_THICK | BIT_THIN).all()
    assert (coarse.possible[:, 5:] == BIT_CLEAR | BIT_SHADOW).all()
    reflectance = coarse.scene.read()
    np.testing.assert_allclose(reflectance[:3, :, 0], 0.7, atol=1e-3)
    np.testing.assert_allclose(reflectance[:3, :, -1], 0.1, atol=1e-3)


@pytest.mark.parametrize(
    "reference",
    [fine(BANDS[:3]), fine(gsd=None), fine(size=40), fine(gsd=3000.0)],
    ids=["without a band", "without gsd", "too small", "too coarse"],
)
def test_what_cannot_be_degraded_is_none(reference: ReferenceScene) -> None:
    assert degrade_to(reference, PROBA_V, 333.0) is None


def test_references_are_degraded_once_and_held() -> None:
    read: list[str] = []

    def entry(name: str, scene: ReferenceScene) -> ReferenceEntry:
        def reader() -> ReferenceScene:
            read.append(name)
            return scene

        return ReferenceEntry(name=name, read=reader)

    references = References(name="val", entries=(entry("a", fine()), entry("b", fine(BANDS[:3]))))
    coarse = degraded_references(references, PROBA_V, 333.0)
    assert [one.name for one in (*coarse, *coarse)] == ["drawn at 330 m"] * 2
    assert read == ["a", "b"]
    assert not len(degraded_references(References(name="val", entries=references.entries[1:]), PROBA_V, 333.0))


def test_simulated_references_are_the_same_on_every_walk() -> None:
    references = simulated_references([(PROBA_V, 333.0)], count=2, size=16, seed=5)
    held = in_memory(references, references)
    assert [one.hash for one in references] == [one.hash for one in held]
    assert len({one.hash for one in held}) == 2
    assert {one.strata["labels"] for one in held} == {"simulated"}
    other = simulated_references([(PROBA_V, 333.0)], count=2, size=16, seed=6)
    assert not {one.hash for one in other} & {one.hash for one in held}
