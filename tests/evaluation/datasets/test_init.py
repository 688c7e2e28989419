"""A data set is recognised by its files, and no other folder is."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from undercast.errors import EvaluationError
from undercast.evaluation.datasets import DATA_SETS, data_set_references
from undercast.evaluation.sources import read_references


@pytest.fixture
def folders(make: SimpleNamespace, tmp_path: Path) -> dict[str, Path]:
    make.cloudsen12(tmp_path / "cloudsen12", make.columns((0, 1)))
    make.kappaset(tmp_path / "kappaset", make.columns((1, 4)))
    make.s2_catalogue(tmp_path / "s2-cloud-mask-catalogue", {"one": (make.columns((0, 1)), 1)})
    name = "S2A_MSIL1C_20171205T143751_N0206_R096_T19KEU_20171205T180316"
    make.pixbox_product(tmp_path / "pixbox", name)
    row = {"PRODUCT_ID": 5472572, "PIXEL_X": 1, "PIXEL_Y": 1, "CLOUD_CHARACTERISTICS_ID": 1, "SHADOW_ID": 0}
    make.write_csv(tmp_path / "pixbox" / "pixbox_sentinel2_cmix_1.csv", [row])
    make.l8_biome(tmp_path / "l8-biome", make.columns((128, 255)))
    make.sparcs(tmp_path / "sparcs", make.columns((4, 5)))
    make.cloud38(tmp_path / "38-cloud", make.columns((0, 255)))
    return {name: tmp_path / name for name in DATA_SETS}


def test_each_folder_is_taken_by_its_own_module_alone(folders: dict[str, Path]) -> None:
    for name, folder in folders.items():
        takers = [other for other, module in DATA_SETS.items() if importlib.import_module(module).accepts(folder)]
        assert takers == [name]
        found = data_set_references(folder)
        assert found is not None
        assert [one.strata["source"] for one in found] == [name]


def test_other_folders_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0")
    assert data_set_references(tmp_path) is None
    assert data_set_references(tmp_path / "none") is None
    with pytest.raises(EvaluationError, match="or a data set as it is published"):
        read_references(tmp_path)
