"""PixBox is read from its tables and the products beside them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from undercast.errors import EvaluationError
from undercast.evaluation.references import ReferenceScene

Read = Callable[[Path], list[ReferenceScene]]

SENTINEL2 = "S2A_MSIL1C_20171205T143751_N0206_R096_T19KEU_20171205T180316"
LANDSAT8 = "LC81970222014109LGN00"


def sentinel2(x: int, y: int, cloud: int, shadow: int, product: int = 5472572) -> dict[str, Any]:
    return {"PRODUCT_ID": product, "PIXEL_X": x, "PIXEL_Y": y, "CLOUD_CHARACTERISTICS_ID": cloud, "SHADOW_ID": shadow}


def landsat8(x: int, y: int, surface: int, shadow: int) -> dict[str, Any]:
    told = {"PIXEL_SURFACE_TYPE_ID": surface, "CLOUD_SHADOW_ID": shadow, "CLOUD_CHARACTERISTICS_ID": 0}
    return {"PRODUCT_ID": 1093075446, "PIXEL_X": x, "PIXEL_Y": y, **told}


def test_cloud_and_shadow_are_told_independently(
    make: SimpleNamespace, read: Read, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make.pixbox_product(tmp_path / "Sentinel-2_L1C", SENTINEL2)
    rows = [
        sentinel2(0, 3, 1, 1),  # clear
        sentinel2(1, 3, 2, 1),  # thick cloud
        sentinel2(2, 3, 4, 1),  # thin cloud
        sentinel2(3, 3, 12, 1),  # border of a cloud
        sentinel2(4, 3, 1, 3),  # cloud shadow
        sentinel2(5, 3, 1, 2),  # another shadow
        sentinel2(6, 3, 2, 3),  # a cloud in shadow
        sentinel2(0, 0, 1, 1, product=183807605),  # of a product that is not there
    ]
    make.write_csv(tmp_path / "labels" / "pixbox_sentinel2_cmix_20180425.csv", rows)
    with caplog.at_level(logging.WARNING):
        (one,) = read(tmp_path)
    assert "1 labelled pixels of products that are not there" in caplog.text
    assert one.possible[3, :7].tolist() == [1, 2, 4, 6, 8, 1, 10]
    assert one.possible.sum() == one.possible[3, :7].sum()
    assert one.stated is not None
    assert one.stated[3, 6] == 10
    assert one.name == SENTINEL2
    assert one.strata["labels"] == "points"


def test_the_table_of_landsat_tells_cloud_in_another_column(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    make.pixbox_product(tmp_path, LANDSAT8)
    rows = [landsat8(0, 0, 0, 0), landsat8(1, 0, 5, 0), landsat8(2, 0, 5, 1), landsat8(3, 0, 9, 0)]
    make.write_csv(tmp_path / "pixbox_landsat8_cmix_20150527.csv", rows)
    (one,) = read(tmp_path)
    assert one.possible[0, :4].tolist() == [6, 1, 8, 0]
    assert one.stated is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (sentinel2(99, 0, 1, 1), r"pixel \(99, 0\) lies outside"),
        (sentinel2(-1, 0, 1, 1), r"pixel \(-1, 0\) lies outside"),
        (sentinel2(0, 0, 13, 1), "expected CLOUD_CHARACTERISTICS_ID of 0 to 12"),
        (sentinel2(0, 0, 1, 5), "SHADOW_ID of 0 to 4"),
        (sentinel2(0, 0, 1, 1, product=1), "expected PRODUCT_ID of a product of the collection, got '1'"),
        ({**sentinel2(0, 0, 1, 1), "PIXEL_X": "x"}, "expected a whole number in the column PIXEL_X"),
        ({"PRODUCT_ID": 5472572, "PIXEL_X": 1, "PIXEL_Y": 1}, "column CLOUD_CHARACTERISTICS_ID, got None"),
    ],
)
def test_wrong_rows_are_refused_in_one_line(
    make: SimpleNamespace, read: Read, tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    make.pixbox_product(tmp_path, SENTINEL2)
    make.write_csv(tmp_path / "pixbox_sentinel2_cmix_20180425.csv", [row])
    with pytest.raises(EvaluationError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_table_without_its_products_is_refused(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    make.write_csv(tmp_path / "pixbox_sentinel2_cmix_20180425.csv", [sentinel2(0, 0, 1, 1)])
    with pytest.raises(EvaluationError, match="expected the products that PixBox's table names"):
        read(tmp_path)
