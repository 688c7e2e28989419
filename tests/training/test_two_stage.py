"""Three classes on all data sets, then a new head of four classes on some."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from undercast.errors import OutputExistsError, TrainingError
from undercast.evaluation.sources import read_references
from undercast.models.package import read_package
from undercast.training import loop, two_stage
from undercast.training.chips import Chip
from undercast.training.loop import Pools
from undercast.training.networks import ARCHITECTURES
from undercast.training.sentinel2_networks import ONE_CLOUD, Normalised, OneCloud
from undercast.training.two_stage import (
    TwoStageRecipe,
    cut,
    harmonise,
    is_two_stage,
    make_pools,
    read_two_stage,
    run_two_stages,
)

RECIPES = Path(__file__).parents[2] / "recipes"
MAKE = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "datasets" / "make.py")))


class Tiny(nn.Module):
    """Two layers, named as in the networks that change their head."""

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(bands, 8, 3, padding=1)
        self.segmentation_head = nn.Sequential(nn.Conv2d(8, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.segmentation_head(torch.relu(self.encoder(x)))
        return logits


@pytest.fixture(scope="module", autouse=True)
def tiny() -> Iterator[None]:
    """Register the tiny network, with four classes and with one cloud; two chips are validated on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "tiny", lambda bands, classes: Normalised(Tiny(bands, classes), None))
        patch.setitem(
            ARCHITECTURES,
            f"tiny{ONE_CLOUD}",
            lambda bands, classes: OneCloud(Normalised(Tiny(bands, classes - 1), None)),
        )
        patch.setattr(loop, "VALIDATION_CHIPS", 2)
        yield


@pytest.fixture(scope="module")
def recipe() -> TwoStageRecipe:
    """Give the recipe of the repository, made tiny."""
    told = read_two_stage(RECIPES / "clouds2mask.toml")
    first = replace(
        told.first,
        model=replace(told.first.model, architecture="tiny"),
        bank=replace(told.first.bank, simulated=3, size=32),
        augment=replace(told.first.augment, crop=32),
        optimise=replace(told.first.optimise, steps=2, batch=2, warmup=1, log_every=1, validate_every=2),
    )
    return TwoStageRecipe(first=first, stages=replace(told.stages, steps=2, warmup=1))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small CloudSEN12, KappaSet and Sentinel-2 Cloud Mask Catalogue."""
    folder = tmp_path_factory.mktemp("data")
    MAKE.cloudsen12(folder / "CloudSEN12", MAKE.columns((0, 1, 2, 3), side=48))
    MAKE.kappaset(folder / "KappaSet", MAKE.columns((1, 2, 3, 4), side=32))
    MAKE.s2_catalogue(folder / "catalogue", {"one": (MAKE.columns((0, 1, 2), side=32), 1)})
    (folder / "notes").mkdir()
    return folder


@pytest.fixture(scope="module")
def package(recipe: TwoStageRecipe, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the tiny recipe once."""
    return run_two_stages(recipe, data, tmp_path_factory.mktemp("run") / "out")


def chip(possible: list[int]) -> Chip:
    sets = np.array([possible], np.uint8)
    return Chip(name="a", source="drawn", stored=np.zeros((1, *sets.shape), np.int16), possible=sets)


def test_the_recipe_of_the_repository_is_sound() -> None:
    told = read_two_stage(RECIPES / "clouds2mask.toml")
    assert is_two_stage(RECIPES / "clouds2mask.toml")
    assert not is_two_stage(RECIPES / "embedded.toml")
    assert told.first.model.needs_all
    assert len(told.first.bands) == 13


def test_harmonised_labels_tell_cloud_alone() -> None:
    # ignored, clear, thick, thin, either, clear or thin, shadow, anything
    got = harmonise(chip([0, 1, 2, 4, 6, 5, 8, 15]))
    assert got.possible.tolist() == [[0, 1, 6, 6, 6, 7, 8, 15]]


def test_references_are_cut_into_chips_and_keep_their_labels(data: Path, recipe: TwoStageRecipe) -> None:
    (reference,) = read_references(data / "CloudSEN12")
    chips = list(cut(reference, recipe.first.bands, 32))
    assert [one.possible.shape for one in chips] == [(32, 32), (32, 16), (16, 32), (16, 16)]
    np.testing.assert_array_equal(chips[1].possible, reference.possible[:32, 32:])
    assert chips[0].stored[1, 0, 0] == 2010
    empty = replace(reference, possible=np.where(np.arange(48) < 2, reference.possible, 0).astype(np.uint8))
    assert len(list(cut(empty, recipe.first.bands, 32))) == 2


def test_pools_hold_every_data_set_of_the_folder(data: Path, recipe: TwoStageRecipe) -> None:
    pools = make_pools(recipe, data)
    assert {one.source for one in pools.real} == {"cloudsen12", "kappaset", "s2-cloud-mask-catalogue"}
    assert len(pools.hashes) == 3
    assert all((one.stored != -32768).all() for one in pools.simulated)


def test_the_package_gives_four_classes_and_says_what_it_was_trained_on(package: Path) -> None:
    read = read_package(package)
    assert len(read.spec.bands) == 13
    assert all(band.required for band in read.spec.bands)
    (weights,) = package.rglob("*.onnx")
    session = onnxruntime.InferenceSession(weights.read_bytes(), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"reflectance": np.full((1, 13, 32, 64), 0.2, np.float32)})
    assert got.shape == (1, 4, 32, 64)
    assert np.abs(got[:, 1] - got[:, 2]).max() > 1e-3
    record = json.loads((package / "evaluation.json").read_text("utf-8"))
    assert set(record["validation_on_simulated"]) == {"three classes", "four classes"}
    (card,) = package.glob("*.md")
    assert "| s2-cloud-mask-catalogue | 1 | first |" in card.read_text("utf-8")
    assert "| kappaset | 1 | both |" in card.read_text("utf-8")


def test_the_first_stage_learns_cloud_alone_and_is_judged_by_labels_that_score(
    recipe: TwoStageRecipe, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Pools] = []

    def stop(_: object, pools: Pools, *__: object, **___: object) -> None:
        seen.append(pools)
        raise KeyboardInterrupt

    monkeypatch.setattr(two_stage, "train", stop)
    with pytest.raises(KeyboardInterrupt):
        run_two_stages(recipe, data, tmp_path / "out")
    (pools,) = seen
    taught = {int(value) for one in (*pools.real, *pools.simulated) for value in np.unique(one.possible)}
    assert 6 in taught
    assert not taught & {2, 4}
    assert {int(value) for one in pools.validation for value in np.unique(one.possible)} & {2, 4}


def test_the_second_stage_begins_with_the_body_of_the_first(package: Path) -> None:
    work = package.with_name("out.work")
    three = torch.load(work / "three-classes" / "checkpoint.pt", weights_only=True)
    four = torch.load(work / "four-classes" / "checkpoint.pt", weights_only=True)
    assert three["network"]["network.network.segmentation_head.0.weight"].shape[0] == 3
    assert four["network"]["network.segmentation_head.0.weight"].shape[0] == 4
    key = "encoder.weight"
    distance = (three["averaged"][f"module.network.network.{key}"] - four["network"][f"network.{key}"]).abs().max()
    # Two steps of at most 1e-3 each, weight decay included, from the averaged weights of the first stage.
    assert 0 < distance < 3e-3


def test_a_package_that_exists_is_left_alone(package: Path, recipe: TwoStageRecipe, data: Path) -> None:
    with pytest.raises(OutputExistsError):
        run_two_stages(recipe, data, package)


def test_a_source_without_chips_is_told(recipe: TwoStageRecipe, data: Path) -> None:
    wrong = replace(recipe, stages=replace(recipe.stages, sources=("elsewhere",)))
    with pytest.raises(TrainingError, match=r"expected chips of elsewhere, .* got chips of cloudsen12, kappaset"):
        make_pools(wrong, data)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('architecture = "regnety-unet"', 'architecture = "spectral-spatial"', "cannot change its head"),
        ("warmup = 20\n", "warmup = -1\n", r"\[stages\]: steps must be at least 1"),
        ("on_real = 0.0", "on_real = 0.2", "has no folds, on_real or pretrain_steps"),
        ("[stages]\n", "[stages]\nepochs = 3\n", r"\[stages\]: unknown keys epochs"),
        ("real = 0.7", "real = 7.0", "must be shares"),
    ],
)
def test_wrong_recipes_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (RECIPES / "clouds2mask.toml").read_text("utf-8")
    assert text.count(old) >= 1
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(TrainingError, match=message):
        read_two_stage(path)
