"""The loop is reproducible, goes on exactly where it stopped, and refuses what does not belong to it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from undercast.errors import TrainingError
from undercast.training import loop
from undercast.training.chips import Chip, file_hash
from undercast.training.loop import Batches, Pools, Trained, make_pools, train, validate
from undercast.training.recipe import Recipe


def weights(trained: Trained) -> dict[str, Tensor]:
    return dict(trained.network.state_dict())


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for key, value in left.items():
        assert torch.equal(value, right[key]), key


def lines(work: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (work / "log.jsonl").read_text("utf-8").splitlines()]


class Stopped(Exception):  # noqa: N818 (it is no error, it ends a run)
    """Raised to end a run in its middle."""


@pytest.fixture(scope="module")
def unbroken(recipe: Recipe, pools: Pools, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Path]:
    work = tmp_path_factory.mktemp("unbroken")
    return train(recipe, pools, work), work


def test_pools_hold_each_kind_of_chip_and_the_hashes_of_the_files_used(
    recipe: Recipe, pools: Pools, chips: Path
) -> None:
    assert {chip.name for chip in pools.real} == {
        "human.npz",
        "no_shadow.npz",
        "cloud_only.npz",
        "clear.npz",
        "holed.npz",
    }
    assert (len(pools.simulated), len(pools.on_real), len(pools.validation)) == (6, 4, 8)
    assert set(pools.hashes) == {chip.name for chip in pools.real}
    assert pools.hashes["clear.npz"] == file_hash(chips / "clear.npz")
    trained_on = {chip.stored.tobytes() for chip in pools.simulated}
    assert not trained_on & {chip.stored.tobytes() for chip in pools.validation}


def test_a_folder_without_labels_or_clear_images_is_refused(recipe: Recipe, chips: Path) -> None:
    sources = ("drawn_l8", "drawn_s2", "drawn_weak", "drawn_clear", "drawn_holed")
    nothing = replace(recipe, data=replace(recipe.data, leave_out=sources))
    with pytest.raises(TrainingError, match="holds no labelled chip with the bands of the recipe"):
        make_pools(nothing, chips)


def test_without_a_clear_image_no_clouds_are_simulated_on_real_ground(recipe: Recipe, chips: Path) -> None:
    labelled = ("drawn_s2", "drawn_clear", "drawn_holed")
    pools = make_pools(replace(recipe, data=replace(recipe.data, leave_out=labelled)), chips)
    assert pools.real
    assert not pools.on_real
    assert pools.simulated


def test_what_a_chip_was_made_from_counts_as_met(recipe: Recipe, chips: Path, tmp_path: Path) -> None:
    shutil.copytree(chips, tmp_path / "chips")
    rows = json.loads((chips / "manifest.json").read_text("utf-8"))
    rows = [row | {"made_from": {"file": row["file"], "sha256": "ab" * 32}} for row in rows]
    (tmp_path / "chips" / "manifest.json").write_text(json.dumps(rows), "utf-8")
    assert "ab" * 32 in make_pools(recipe, tmp_path / "chips").hashes.values()


def test_a_batch_depends_on_the_seed_and_its_number_alone(recipe: Recipe, pools: Pools) -> None:
    whole, rest = Batches(recipe, pools, 0), Batches(recipe, pools, 5)
    assert (len(whole), len(rest)) == (12, 7)
    for left, right in zip(whole[7], rest[2], strict=True):
        assert torch.equal(left, right)
    images, possible, weight = whole[0]
    assert images.shape == (2, 4, 32, 32)
    assert possible.shape == (2, 32, 32)
    assert weight.shape == (2,)
    assert not torch.equal(images, whole[1][0])


def test_a_run_logs_validates_and_leaves_a_checkpoint(unbroken: tuple[Trained, Path]) -> None:
    trained, work = unbroken
    told = lines(work)
    assert [line["step"] for line in told] == [3, 6, 9, 12]
    assert ["simulated_cloud_f1" in line for line in told] == [False, True, False, True]
    assert all(np.isfinite(line["loss"]) for line in told)
    assert (work / "checkpoint.pt").exists()
    assert not list(work.glob("*.tmp"))
    assert set(trained.validation) == {"simulated_cloud_f1", "simulated_shadow_f1"}
    assert all(0 <= value <= 1 for value in trained.validation.values())
    assert not trained.network.training
    assert all(torch.isfinite(value).all() for value in weights(trained).values())


def test_a_stopped_run_goes_on_to_the_same_weights(
    recipe: Recipe, pools: Pools, unbroken: tuple[Trained, Path], tmp_path: Path
) -> None:
    def stop(done: int, _total: int) -> None:
        if done == 8:
            raise Stopped

    with pytest.raises(Stopped):
        train(recipe, pools, tmp_path, progress=stop)
    seen: list[int] = []
    again = train(recipe, pools, tmp_path, progress=lambda done, _total: seen.append(done))
    assert seen == list(range(7, 13)), "the checkpoint is of step 6"
    same(weights(again), weights(unbroken[0]))
    assert again.validation == unbroken[0].validation


def test_a_finished_run_gives_its_weights_again_without_a_step(
    recipe: Recipe, pools: Pools, unbroken: tuple[Trained, Path]
) -> None:
    seen: list[int] = []
    again = train(recipe, pools, unbroken[1], progress=lambda done, _total: seen.append(done))
    assert seen == []
    same(weights(again), weights(unbroken[0]))
    assert again.seconds > 0.5 * unbroken[0].seconds, "the time of the steps is kept"
    assert again.validation == unbroken[0].validation


def test_a_checkpoint_of_another_recipe_is_refused(
    recipe: Recipe, pools: Pools, unbroken: tuple[Trained, Path]
) -> None:
    other = replace(recipe, optimise=replace(recipe.optimise, learning_rate=0.5))
    match = r"checkpoint\.pt is of another recipe, other data or other first weights"
    with pytest.raises(TrainingError, match=match):
        train(other, pools, unbroken[1])
    with pytest.raises(TrainingError, match=match):
        train(recipe, replace(pools, hashes={"other.npz": "0" * 64}), unbroken[1])
    with pytest.raises(TrainingError, match=match):
        train(recipe, pools, unbroken[1], initial=unbroken[0].network)


def test_a_checkpoint_is_kept_at_each_validation_also_between_log_lines(
    recipe: Recipe, pools: Pools, tmp_path: Path
) -> None:
    def stop(done: int, _total: int) -> None:
        if done == 3:
            raise Stopped

    plan = replace(recipe.optimise, log_every=5, validate_every=2)
    with pytest.raises(Stopped):
        train(replace(recipe, optimise=plan), pools, tmp_path, progress=stop)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 2


def test_a_frozen_encoder_stays_as_it_is_and_what_training_starts_from_too(
    recipe: Recipe, pools: Pools, unbroken: tuple[Trained, Path], tmp_path: Path
) -> None:
    start = unbroken[0].network
    before = {name: value.clone() for name, value in start.named_parameters()}
    frozen = replace(recipe, optimise=replace(recipe.optimise, frozen_steps=99, ema=0.0))
    after = dict(train(frozen, pools, tmp_path, initial=start).network.named_parameters())
    same({name: value.detach() for name, value in before.items()}, {n: v.detach() for n, v in start.named_parameters()})
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert any(name.startswith("head.") for name in moved)
    assert not any(name.startswith(("levels.", "deep.")) for name in moved)


def test_a_loss_that_is_no_number_ends_the_run(recipe: Recipe, pools: Pools, tmp_path: Path) -> None:
    wild = replace(recipe.optimise, learning_rate=1e30, warmup=0, log_every=1)
    with pytest.raises(TrainingError, match=r"no longer a number at step \d+\. Try a lower learning_rate\."):
        train(replace(recipe, optimise=wild), pools, tmp_path)


def test_the_learning_rate_rises_and_falls(recipe: Recipe) -> None:
    rates = [loop._learning_rate(step, recipe) for step in range(12)]
    assert rates[:3] == sorted(rates[:3])
    assert max(rates) == pytest.approx(recipe.optimise.learning_rate)
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert rates[-1] > 0


class Told(nn.Module):
    """Gives the same class everywhere."""

    def __init__(self, value: int) -> None:
        super().__init__()
        self.value = value

    def forward(self, image: Tensor) -> Tensor:
        logits = torch.zeros(len(image), 4, *image.shape[2:])
        logits[:, self.value] = 5.0
        return logits


def test_validation_counts_hand_drawn_pixels(recipe: Recipe) -> None:
    possible = np.full((32, 32), 1, np.uint8)
    possible[:8], possible[8:16], possible[16:20] = 0b0010, 0b1000, 0b0110
    drawn = Chip(name="", source="", stored=np.full((4, 32, 32), 1000, np.int16), possible=possible)
    cloud, shadow = (validate(Told(value), [drawn], recipe) for value in (1, 3))
    certain, wanted = 28 * 32, 8 * 32
    score = 2 * wanted / (certain + wanted)
    assert cloud == pytest.approx({"simulated_cloud_f1": score, "simulated_shadow_f1": 0.0})
    assert shadow == pytest.approx({"simulated_cloud_f1": 0.0, "simulated_shadow_f1": score})
