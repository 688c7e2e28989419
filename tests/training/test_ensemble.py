"""Members are trained one by one; what was trained is taken up again, and a wrong recipe is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from undercast.errors import TrainingError, UsageError
from undercast.training.augment import AugmentPlan
from undercast.training.chips import Chip
from undercast.training.coarse_chips import CoarsePlan, CoarsePools
from undercast.training.ensemble import (
    EnsemblePlan,
    EnsembleRecipe,
    certain,
    cloud_loss,
    draw_batch,
    is_ensemble,
    pools_of_member,
    probability,
    read_ensemble,
    train_member,
)

TOML = """
[ensemble]
id = "tiny-ensemble"
version = "0.0.1"
title = "Tiny"
members = ["unet-small", "1dpwseg-small"]
steps = 4
batch = 2

[coarse]
simulated = 2
on_real = 1
size = 64

[augment]
crop = 32
"""


@pytest.fixture
def tiny(coarse_plan: CoarsePlan) -> EnsembleRecipe:
    plan = EnsemblePlan(id="t", version="0", title="T", members=("unet-small", "1dpwseg-small"), steps=3, batch=2)
    return EnsembleRecipe(ensemble=plan, coarse=coarse_plan, augment=AugmentPlan(crop=32))


def write(folder: Path, text: str = TOML) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_recipe_with_members_is_one_of_an_ensemble(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert is_ensemble(path)
    recipe = read_ensemble(path)
    assert recipe.ensemble.members == ("unet-small", "1dpwseg-small")
    assert recipe.coarse == CoarsePlan(simulated=2, on_real=1, size=64)
    assert not is_ensemble(write(tmp_path, "[model]\n"))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[augment]", "[weather]", "unknown tables weather. Known: ensemble, coarse, augment."),
        ('"unet-small", ', "", "members must be two or more, got 1dpwseg-small."),
        ("steps = 4", "steps = 0", "steps and batch must be at least 1."),
        ("steps = 4", 'steps = "many"', "steps must be a whole number, got 'many'."),
        ("simulated = 2", "simulated = 2\nreal = 0.9\nground = 0.2", "shares, together at most 1, got 0.9, 0.2."),
        ("crop = 32", "crop = 96", "crop and [ensemble] sides must be multiples of 32 px up to"),
        ("steps = 4", "steps = 4\nsides = [32, 48]", "crop and [ensemble] sides must be multiples of 32 px up to"),
        ("steps = 4", "steps = 4\nshare = 0.0", "share must be in (0, 1], got 0."),
        ("steps = 4", "steps = 4\nsides = [0.5]", "sides must be a list of whole numbers, got [0.5]."),
    ],
)
def test_a_wrong_recipe_is_refused_by_name(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(TrainingError, match=r"recipe .*recipe\.toml: ") as caught:
        read_ensemble(write(tmp_path, TOML.replace(old, new)))
    assert told in str(caught.value)


def test_an_unknown_member_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="architecture 'oracle' is not known"):
        read_ensemble(write(tmp_path, TOML.replace("unet-small", "oracle")))


def test_a_member_is_trained_and_taken_up_again(
    tiny: EnsembleRecipe, coarse_pools: CoarsePools, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    first = train_member(tiny, 0, coarse_pools, tmp_path, lambda *values: told.append(values))
    assert told == [(1, 3), (2, 3), (3, 3)]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    assert [(line["member"], line["step"]) for line in lines] == [("unet-small", 3)]
    again = train_member(tiny, 0, coarse_pools, tmp_path, lambda *values: told.append(values))
    assert len(told) == 3
    image = torch.rand(1, 4, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(first(image), again(image))
    assert first(image).shape == (1, 1, 32, 32)
    other = replace(tiny, ensemble=replace(tiny.ensemble, steps=9))
    with pytest.raises(TrainingError, match="is of another recipe"):
        train_member(other, 0, coarse_pools, tmp_path)


def test_a_batch_depends_on_its_seed_alone_and_holds_every_band(
    tiny: EnsembleRecipe, coarse_pools: CoarsePools
) -> None:
    plan = replace(tiny.augment, holes=0.0)
    batches = [draw_batch(replace(tiny, augment=plan), coarse_pools, np.random.default_rng(7)) for _ in range(2)]
    for one, other in zip(*batches, strict=True):
        torch.testing.assert_close(one, other)
    images, possible, weight = batches[0]
    assert images.shape == (2, 4, 32, 32)
    assert possible.shape == (2, 32, 32)
    assert weight.shape == (2,)
    assert not (images == -1.0).all(dim=3).all(dim=2).any()


def test_batches_of_several_sides_have_as_many_pixels(tiny: EnsembleRecipe, coarse_pools: CoarsePools) -> None:
    several = replace(tiny, ensemble=replace(tiny.ensemble, batch=4, sides=(32, 64)))
    shapes = {tuple(draw_batch(several, coarse_pools, np.random.default_rng(seed))[1].shape) for seed in range(8)}
    assert shapes == {(4, 32, 32), (1, 64, 64)}


def test_every_member_learns_from_a_share_of_its_own_and_meets_every_source(
    tiny: EnsembleRecipe, coarse_pools: CoarsePools
) -> None:
    (chip,) = coarse_pools.real[:1]
    real = [
        replace(chip, name=f"{place}.npz:{size}", source=place[0])
        for place in ("a1", "a2", "a3", "a4", "b1")
        for size in (2, 4)
    ]
    pools = replace(coarse_pools, real=real, simulated=[replace(chip, name=f"1:{number}") for number in range(40)])
    plan = replace(tiny.ensemble, share=0.5)
    first, second, again = (pools_of_member(pools, plan, number) for number in (0, 1, 0))
    for seen in (first, second):
        files = {one.name.split(":")[0] for one in seen.real}
        assert ("b1.npz" in files, len(files), len(seen.real)) == (True, 3, 6)
        assert 5 < len(seen.simulated) < 35
        assert seen.validation is pools.validation
    assert [one.name for one in first.simulated] == [one.name for one in again.simulated]
    assert [one.name for one in first.simulated] != [one.name for one in second.simulated]
    assert pools_of_member(pools, tiny.ensemble, 0) is pools


def test_the_loss_is_of_certain_pixels_alone() -> None:
    possible = torch.tensor([[[0b0100, 0b1001], [0, 0b0011]]], dtype=torch.uint8)
    logits = torch.tensor([[[[2.0, -1.0], [9.0, -9.0]]]])
    wanted = (torch.log1p(torch.exp(torch.tensor(-2.0))) + torch.log1p(torch.exp(torch.tensor(-1.0)))) / 2
    torch.testing.assert_close(cloud_loss(logits, possible, torch.ones(1), dice=0.0), wanted)
    right = torch.tensor([[[[20.0, -20.0], [0.0, 0.0]]]])
    assert float(cloud_loss(right, possible, torch.ones(1), dice=1.0)) == pytest.approx(0.0, abs=1e-4)
    assert float(cloud_loss(-right, possible, torch.ones(1), dice=1.0)) > 1.0


def test_certain_pixels_are_those_whose_set_lies_on_one_side() -> None:
    cloud, other = certain(np.array([0, 0b0001, 0b0010, 0b0110, 0b1001, 0b0011], np.uint8))
    np.testing.assert_array_equal(cloud, [False, False, True, True, False, False])
    np.testing.assert_array_equal(other, [False, True, False, False, True, False])


def test_a_pixel_without_data_is_as_dark_as_0() -> None:
    stored = np.full((4, 32, 32), 3000, np.int16)
    empty, dark = stored.copy(), stored.copy()
    empty[:, 0], dark[:, 0] = -32768, 0
    network = torch.nn.Conv2d(4, 1, 3, padding=1)
    possible = np.ones((32, 32), np.uint8)
    seen = [
        probability(network, Chip(name="n", source="s", stored=values, possible=possible)) for values in (empty, dark)
    ]
    np.testing.assert_array_equal(seen[0], seen[1])
    assert seen[0].shape == (32, 32)
