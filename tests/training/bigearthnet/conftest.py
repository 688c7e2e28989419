"""Fixtures of the tests of scene classifiers: drawn patches in every kind of file."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from undercast.training.bigearthnet.records import PatchRecord


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Give the script that makes the patches."""
    script = Path(__file__).parents[2] / "data" / "bigearthnet" / "make.py"
    return SimpleNamespace(**runpy.run_path(str(script)))


@pytest.fixture(scope="session")
def chips(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of drawn chips."""
    folder: Path = make.write_chips(tmp_path_factory.mktemp("patches") / "chips")
    return folder


@pytest.fixture
def record(make: SimpleNamespace) -> PatchRecord:
    """Give the record of the drawn patch."""
    return PatchRecord(patch_id=make.PATCH, labels=(), split="train", s1_name=make.RADAR_PATCH)


@pytest.fixture
def known(real_data: Path) -> PatchRecord:
    """Give the record of the real patch that lies in LMDB and as GeoTIFFs."""
    assert (real_data / "products" / "bigearthnet_lmdb").is_dir()
    return PatchRecord(
        patch_id="S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_75_43",
        labels=(),
        split="train",
        s1_name="S1A_IW_GRDH_1SDV_20170613T165043_33UUP_70_48",
    )
