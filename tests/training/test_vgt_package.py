"""A package in FDR4VGT's layout: valid items, and the same numbers from undercast and from mlstac."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from undercast.errors import OutputExistsError
from undercast.masking import MaskOptions, load_model, predict
from undercast.models.lint.defects import lint_file
from undercast.models.package import read_package
from undercast.models.publish.write import PackageDetails
from undercast.models.trust.checksums import multihash
from undercast.scene import scene_from_array
from undercast.training.coarse_chips import CoarsePlan
from undercast.training.ensemble import EnsemblePlan, EnsembleRecipe
from undercast.training.ensemble_run import spec_of
from undercast.training.networks import build
from undercast.training.vgt_networks import CloudProbability
from undercast.training.vgt_package import export_member, write_vgt_package
from undercast.trials import run_trial

MEMBERS = ("1dpwseg-small", "unet-small")


def details() -> PackageDetails:
    return PackageDetails(
        architecture="two", created=datetime(2026, 1, 1, tzinfo=UTC), description="A test.", card="# card\n"
    )


def image(height: int, width: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).uniform(100, 9000, (4, height, width)).astype(np.float32)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a package of two small members with random weights that say something."""
    plan = EnsemblePlan(id="tiny-ensemble", version="0.0.1", title="Tiny", members=MEMBERS, steps=1)
    recipe = EnsembleRecipe(ensemble=plan, coarse=CoarsePlan(simulated=1, on_real=0))
    exported = {}
    for seed, name in enumerate(MEMBERS):
        torch.manual_seed(seed)
        network = build(name, bands=4, classes=1).eval()
        exported[name] = export_member(CloudProbability(network), 4)
    spec = spec_of(recipe, {"f2": {"cloud": 0.4}, "standard": {"cloud": 0.5}})
    return write_vgt_package(tmp_path_factory.mktemp("vgt") / "tiny-ensemble", spec, exported, details(), image(64, 64))


def test_every_file_is_an_asset_with_size_and_checksum(package: Path) -> None:
    item = json.loads((package / "mlm.json").read_text("utf-8"))
    hrefs = {asset["href"][2:] for asset in item["assets"].values()}
    assert hrefs == {path.name for path in package.iterdir()} - {"mlm.json"}
    for asset in item["assets"].values():
        data = (package / asset["href"]).read_bytes()
        assert (asset["file:size"], asset["file:checksum"]) == (len(data), multihash(data))
    models = [name for name, asset in item["assets"].items() if "mlm:model" in asset["roles"]]
    assert models == ["model_01_1dpwseg-small", "model_02_unet-small"]


def test_the_item_of_fdr4vgts_layout_has_no_defect(package: Path) -> None:
    assert lint_file(package / "mlm.json") == ()


def test_undercast_reads_both_items_as_the_same_ensemble(package: Path) -> None:
    ours, theirs = read_package(package), read_package(package / "mlm.json")
    assert [member.kind for member in ours.members] == ["onnx", "onnx"]
    assert [member.kind for member in theirs.members] == ["pt2", "pt2"]
    assert theirs.spec.thresholds == ours.spec.thresholds == {"cloud": 0.4}
    assert (theirs.spec.scale, theirs.spec.fill, theirs.spec.version) == (10_000.0, 0.0, "0.0.1")
    assert [wanted.band.common_name for wanted in theirs.spec.bands] == ["blue", "red", "nir", "swir16"]
    assert {"spot-vgt-1", "spot-vgt-2", "proba-v"} == set(theirs.applicability.sensors)


@pytest.mark.parametrize("item", ["item.json", "mlm.json"])
def test_the_example_gives_what_was_recorded(package: Path, item: str) -> None:
    trial = run_trial(load_model(package / item, backend="onnxruntime" if item == "item.json" else "torch"))
    assert trial.passed, trial.problems
    assert [outcome.difference is not None for outcome in trial.members] == [True, True]
    assert all((outcome.difference or 0.0) < 1e-4 for outcome in (*trial.members, *trial.together))


def test_mlstac_gives_the_same_numbers(package: Path) -> None:
    mlstac = pytest.importorskip("mlstac")
    loader = mlstac.load(str(package))
    assert loader.is_ensemble
    assert loader.thr == 0.4
    numbers = image(150, 117)
    numbers[:, :9, :30] = 0.0
    reflectance = np.where(numbers > 0, numbers, np.nan) * np.float32(1e-4)
    bands = [wanted.band for wanted in read_package(package).spec.bands]
    scene = scene_from_array(reflectance, bands, name="drawn", level="toa")
    model = load_model(package, backend="onnxruntime")
    for mode in ("mean", "max", "min"):
        theirs = loader.predict_large(image=numbers, model=loader.compiled_model(mode=mode), chunk_size=64, overlap=16)
        ours = predict(scene, model, MaskOptions(aggregation=mode, window=64, overlap=16, radiometry="warn"))
        for mine, other in zip((ours.probabilities[1], ours.uncertainty), theirs, strict=True):
            assert np.isnan(other[0][:9, :30]).all()
            np.testing.assert_allclose(mine, other[0], atol=1e-4)
    example = loader.example_data()
    assert example.shape == (1, 4, 64, 64)
    probability, uncertainty = loader.compiled_model(mode="mean")(example)
    assert probability.shape == uncertainty.shape == (1, 1, 64, 64)
    assert set(loader.display_results()) == {"image", "probability", "uncertainty"}
    assert sum(values.requires_grad for part in loader.trainable_model() for values in part.parameters()) > 0


def test_a_folder_that_exists_is_refused(package: Path) -> None:
    with pytest.raises(OutputExistsError, match="exists already"):
        write_vgt_package(package, read_package(package).spec, {}, details(), image(32, 32))
