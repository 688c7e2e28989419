"""From an ensemble's recipe to a package that says what it was made of and how well it does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from undercast.errors import OutputExistsError
from undercast.models.package import read_package
from undercast.training import ensemble_judgement, ensemble_run
from undercast.training.augment import AugmentPlan
from undercast.training.chips import Chip, file_hash
from undercast.training.coarse_chips import CoarsePlan
from undercast.training.ensemble import EnsemblePlan, EnsembleRecipe
from undercast.training.ensemble_judgement import judged_by
from undercast.training.ensemble_run import choose_thresholds, example_scene, run_ensemble

MEMBERS = ("1dpwseg-small", "unet-small")


@pytest.fixture(scope="module")
def tiny() -> EnsembleRecipe:
    plan = EnsemblePlan(id="tiny-ensemble", version="0.0.1", title="Tiny", members=MEMBERS, steps=2, batch=2)
    coarse = CoarsePlan(simulated=1, on_real=1, size=32, validation=1)
    return EnsembleRecipe(ensemble=plan, coarse=coarse, augment=AugmentPlan(crop=32))


@pytest.fixture(scope="module")
def package(tiny: EnsembleRecipe, coarse_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the tiny recipe once; it is judged by one small scene of each kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensemble_judgement, "judged_by", lambda data: judged_by(data, count=1, size=16))
        patch.setattr(ensemble_run, "EXAMPLE_SIZE", 32)
        return run_ensemble(tiny, coarse_folder, tmp_path_factory.mktemp("run") / "tiny-ensemble")


def test_the_package_holds_every_member_twice_and_what_mlstac_needs(package: Path) -> None:
    names = {path.name for path in package.iterdir()}
    weights = {f"{name}{ending}" for name in MEMBERS for ending in (".onnx", ".pt2")}
    others = {"item.json", "mlm.json", "load.py", "example_data.safetensor", "card.md", "evaluation.json"}
    assert names == weights | others
    read = read_package(package)
    assert [member.name for member in read.members] == list(MEMBERS)
    assert (read.spec.classes, read.spec.uncertainty, read.spec.preset) == (("cloud",), "std", "f2")


def test_the_record_says_what_the_weights_depend_on_and_how_they_do(package: Path, coarse_folder: Path) -> None:
    record = json.loads((package / "evaluation.json").read_text("utf-8"))
    assert record["data_sha256"]["cloudy-1.npz"] == file_hash(coarse_folder / "cloudy-1.npz")
    assert set(record["thresholds"]) == set(record["f2_on_chips_for_thresholds"]) == {"ensemble", *MEMBERS}
    (judged,) = record["judged"]
    assert set(judged["members"]) == set(MEMBERS)
    assert judged["best_member"] in MEMBERS
    gain = judged["gains"][judged["best_member"]]
    best = judged["members"][judged["best_member"]]["cloud_f2"]
    assert gain["difference"] == pytest.approx(judged["ensemble"]["cloud_f2"] - best)
    assert judged["report"]["kind"] == "undercast-evaluation"


def test_the_card_has_the_figures_and_the_sources(package: Path) -> None:
    text = (package / "card.md").read_text("utf-8")
    assert "### Simulated scenes of SPOT-VGT and PROBA-V (4 scenes)" in text
    assert "| ensemble | " in text
    assert "| what the ensemble adds |" in text
    assert any(f"beforehand, it was {name}" in text for name in MEMBERS)
    assert "| drawn | not stated |" in text


def test_an_existing_package_is_refused_before_anything_is_done(tiny: EnsembleRecipe, tmp_path: Path) -> None:
    with pytest.raises(OutputExistsError, match="exists already"):
        run_ensemble(tiny, tmp_path / "no data", tmp_path)


class Layer(nn.Module):
    """A network whose logit is 10 times a band less 5."""

    def __init__(self, band: int) -> None:
        super().__init__()
        self.band = band

    def forward(self, x: Tensor) -> Tensor:
        return 10 * x[:, self.band : self.band + 1] - 5


def test_thresholds_are_those_with_the_best_f_score() -> None:
    stored = np.zeros((4, 32, 32), np.int16)
    stored[1, :16] = 4000  # probability 0.27
    stored[1, 16:] = 2000  # probability 0.05
    possible = np.where(np.arange(32)[:, None] < 16, 0b0110, 0b1001).astype(np.uint8).repeat(32, axis=1)
    chip = Chip(name="n", source="s", stored=stored, possible=possible)
    chosen, reached = choose_thresholds({"red": Layer(1)}, [chip])
    assert reached == {"": 1.0, "red": 1.0}
    for name in ("", "red"):
        assert chosen[name]["standard"] == {"cloud": 0.5}
        for preset in ("f2", "balanced"):
            assert 0.05 <= chosen[name][preset]["cloud"] <= 0.27


def test_the_ensembles_threshold_is_on_the_mean_of_the_members() -> None:
    stored = np.zeros((4, 32, 32), np.int16)
    stored[1] = 9000
    possible = np.full((32, 32), 0b0110, np.uint8)
    chip = Chip(name="n", source="s", stored=stored, possible=possible)
    rest = replace(chip, possible=np.full((32, 32), 0b1001, np.uint8), stored=np.zeros_like(stored))
    chosen, _ = choose_thresholds({"red": Layer(1), "blue": Layer(0)}, [chip, rest])
    assert chosen[""]["balanced"]["cloud"] < 0.5
    assert torch.sigmoid(torch.tensor(4.0)) / 2 > chosen[""]["balanced"]["cloud"]


def test_the_example_is_whole_and_in_numbers_of_10000() -> None:
    example = example_scene()
    assert example.shape == (4, ensemble_run.EXAMPLE_SIZE, ensemble_run.EXAMPLE_SIZE)
    assert example.min() >= 1
    assert 1000 < example.max() <= 32767
