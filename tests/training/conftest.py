"""Fixtures of the training tests: tiny chips, a tiny recipe, and both put together."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from undercast.training import loop
from undercast.training.coarse_chips import CoarsePlan, CoarsePools, make_coarse_pools
from undercast.training.loop import Pools, make_pools
from undercast.training.recipe import Recipe, read_recipe


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Give the script that makes the chips."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "chips" / "make.py")))


@pytest.fixture(scope="session")
def chips(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of tiny chips."""
    folder = tmp_path_factory.mktemp("chips")
    make.write_folder(folder)
    return folder


@pytest.fixture(scope="session")
def recipe(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Give the tiny recipe."""
    return read_recipe(make.write_recipe(tmp_path_factory.mktemp("recipe") / "tiny.toml"))


@pytest.fixture(scope="session")
def pools(recipe: Recipe, chips: Path) -> Pools:
    """Give the pools of the tiny recipe, with eight validation chips."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "VALIDATION_CHIPS", 8)
        return make_pools(recipe, chips)


@pytest.fixture(scope="session")
def coarse_folder(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of tiny chips with the bands of SPOT-VGT."""
    folder = tmp_path_factory.mktemp("coarse")
    make.write_coarse_folder(folder)
    return folder


@pytest.fixture(scope="session")
def coarse_plan() -> CoarsePlan:
    """Give the plan of a few tiny chips."""
    return CoarsePlan(simulated=2, on_real=1, size=64, validation=1)


@pytest.fixture(scope="session")
def coarse_pools(coarse_plan: CoarsePlan, coarse_folder: Path) -> CoarsePools:
    """Give the pools of this plan."""
    return make_coarse_pools(coarse_plan, coarse_folder)
