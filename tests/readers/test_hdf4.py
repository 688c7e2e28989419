from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from undercast.errors import SceneError
from undercast.readers import hdf4
from undercast.readers.hdf4 import read_hdf4

pyhdf = pytest.importorskip("pyhdf.SD", reason="HDF4 is read where its library is")


def write(path: Path, values: np.ndarray[tuple[int, ...], np.dtype[np.int16]], name: str = "PIXEL DATA") -> str:
    file = pyhdf.SD(str(path), pyhdf.SDC.WRITE | pyhdf.SDC.CREATE)
    dataset = file.create(name, pyhdf.SDC.INT16, values.shape)
    dataset[:] = values
    dataset.SCALE = 2000.0
    dataset.MAPPING = "Geographic"
    file.end()
    return str(path)


def test_numbers_and_attributes_come_back_as_they_were_written(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.int16).reshape(3, 4)
    source = write(tmp_path / "a.hdf", values)
    numbers, attributes = read_hdf4(source, "")
    Path(source).unlink()
    gc.collect()
    np.testing.assert_array_equal(numbers, values)
    assert attributes == {"SCALE": 2000.0, "MAPPING": "Geographic"}


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    source = write(tmp_path / "a.hdf", np.zeros((2, 2), np.int16))
    assert read_hdf4(source, "")[0].sum() == 0
    Path(source).unlink()
    write(tmp_path / "a.hdf", np.ones((3, 3), np.int16))
    assert read_hdf4(source, "")[0].sum() == 9


def test_what_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    source = write(tmp_path / "a.hdf", np.zeros(4, np.int16))
    with pytest.raises(SceneError, match="expected a data set with two dimensions, got PIXEL DATA"):
        read_hdf4(source, "")
    with pytest.raises(SceneError, match="expected B0 with two dimensions"):
        read_hdf4(source, "B0")


def test_a_library_that_dies_or_hangs_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "a.hdf", np.zeros((2, 2), np.int16))
    dying = tmp_path / "dies"
    dying.write_text("#!/bin/sh\nkill -ABRT $$\n", "utf-8")
    dying.chmod(0o755)
    monkeypatch.setattr("undercast.readers.hdf4.sys.executable", str(dying))
    with pytest.raises(SceneError, match=r"truncated or damaged\. The HDF4 library says: it ended with status -6"):
        read_hdf4(source, "dies")
    dying.write_text("#!/bin/sh\nexec sleep 30\n", "utf-8")
    monkeypatch.setattr(hdf4, "TIMEOUT_S", 0.2)
    with pytest.raises(SceneError, match="did not come to an end"):
        read_hdf4(source, "hangs")
