"""Metadata become records; columns, splits, names and labels that are wrong are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from undercast.errors import LabelError, TrainingError
from undercast.training.bigearthnet.records import clear_of_snow_and_clouds, read_records


def test_a_row_becomes_a_record(make: SimpleNamespace, tmp_path: Path) -> None:
    (record,) = read_records(make.write_metadata(tmp_path / "metadata.parquet"))
    assert (record.patch_id, record.s1_name, record.split) == (make.PATCH, make.RADAR_PATCH, "train")
    assert record.labels == ("Arable land", "Pastures")
    assert (record.country, record.snow, record.cloud) == ("Austria", False, False)


def test_several_files_are_read_as_one(make: SimpleNamespace, tmp_path: Path) -> None:
    snowy = [row | {"contains_seasonal_snow": True} for row in make.rows(2)]
    paths = make.write_metadata(tmp_path / "a.parquet"), make.write_metadata(tmp_path / "b.parquet", snowy)
    records = read_records(*paths)
    assert [record.snow for record in records] == [False, True, True]
    assert clear_of_snow_and_clouds(records) == records[:1]


def test_patches_under_clouds_are_left_out(make: SimpleNamespace, tmp_path: Path) -> None:
    (record,) = read_records(make.write_metadata(tmp_path / "metadata.parquet"))
    assert clear_of_snow_and_clouds([record, replace(record, cloud=True)]) == (record,)


def test_metadata_without_a_split_are_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    path = make.write_metadata(tmp_path / "metadata.parquet", leave_out="split")
    with pytest.raises(TrainingError, match=r"expected the columns patch_id, labels, split, .* got no split\."):
        read_records(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"split": None}, "expected a split of train, validation, test, got None"),
        ({"split": "val"}, "got 'val'"),
        ({"patch_id": "../../secret"}, "expected names of letters, digits and '_', got '../../secret'"),
        ({"s1_name": "a/b"}, "got 'a/b'"),
    ],
)
def test_wrong_rows_are_refused(
    change: dict[str, str | None], told: str, make: SimpleNamespace, tmp_path: Path
) -> None:
    path = make.write_metadata(tmp_path / "metadata.parquet", [make.rows()[0] | change])
    with pytest.raises(TrainingError) as error:
        read_records(path)
    assert told in str(error.value)


def test_an_unknown_label_is_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    path = make.write_metadata(tmp_path / "metadata.parquet", [make.rows()[0] | {"labels": ["Cheese"]}])
    with pytest.raises(LabelError, match="got Cheese"):
        read_records(path)


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata.parquet").write_bytes(b"PAR1 no, not really")
    for path in (tmp_path / "metadata.parquet", tmp_path / "gone.parquet"):
        with pytest.raises(TrainingError, match="cannot be read as Parquet"):
            read_records(path)
