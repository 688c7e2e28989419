"""Simulated scenes as files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from undercast.errors import OutputError, OutputExistsError
from undercast.scene import SunAngles
from undercast.sensors import load_sensor
from undercast.simulation import files
from undercast.simulation.files import SimulatedFiles, place, refuse_existing, write_manifest, write_simulated
from undercast.simulation.scenes import Simulated

SPOT = load_sensor("spot-5-hrg")


def drawn(reflectance: np.ndarray | None = None) -> Simulated:
    """A scene of 2 x 3 px: every class once, one open pixel, and one of unknown shade."""
    values = np.full((4, 2, 3), 0.25, np.float32) if reflectance is None else reflectance
    return Simulated(
        reflectance=values,
        possible=np.array([[0b0001, 0b0010, 0b0100], [0b1000, 0, 0b1001]], np.uint8),
        optical_thickness=np.zeros((2, 3), np.float32),
        level="toa",
        gsd=20.0,
        sun=SunAngles(zenith=30.0, azimuth=150.0),
        sensor=SPOT,
        elevation=np.array([[0, 1, 2], [3, 4, 5]], np.float32),
    )


def write(folder: Path, simulated: Simulated) -> SimulatedFiles:
    return write_simulated(simulated, folder, name="one", seed=9, software="undercast 1")


def test_the_scene_declares_scaling_nodata_bands_and_that_it_is_made_up(tmp_path: Path) -> None:
    told = write(tmp_path, drawn())
    with rasterio.open(tmp_path / told.scene) as raster:
        assert raster.dtypes == ("uint16",) * 4
        assert raster.nodata == 0
        assert raster.scales == (1e-4,) * 4
        assert raster.offsets == (-0.1,) * 4
        assert raster.descriptions == tuple(band.name for band in SPOT.bands)
        assert raster.crs.to_epsg() == 32631
        assert raster.res == (20.0, 20.0)
        assert raster.tags()["UNDERCAST_SIMULATED"] == "yes"
        assert raster.tags()["UNDERCAST_SEED"] == "9"
        assert raster.tags()["TIFFTAG_SOFTWARE"] == "undercast 1"
        np.testing.assert_array_equal(raster.read(), 3500)


def test_the_reference_holds_what_is_certain(tmp_path: Path) -> None:
    told = write(tmp_path, drawn())
    with rasterio.open(tmp_path / told.reference) as raster:
        assert raster.nodata == 255
        assert raster.colormap(1)[1] == (0, 114, 178, 255)
        np.testing.assert_array_equal(raster.read(1), [[0, 1, 2], [3, 255, 255]])


@given(
    npst.arrays(np.float32, (4, 2, 3), elements=st.floats(-0.5, 8.0, width=32, allow_nan=False, allow_infinity=False))
)
def test_reflectance_survives_to_half_a_digital_number_and_is_never_nodata(
    tmp_path_factory: pytest.TempPathFactory, values: NDArray[np.float32]
) -> None:
    folder = tmp_path_factory.mktemp("scene")
    told = write(folder, drawn(values))
    with rasterio.open(folder / told.scene) as raster:
        dn = raster.read()

    assert dn.min() > 0
    np.testing.assert_allclose(dn * 1e-4 - 0.1, np.clip(values, -0.0999, 6.4535), atol=0.51e-4)


def test_a_pixel_without_data_is_nodata(tmp_path: Path) -> None:
    values = np.full((4, 2, 3), 0.25, np.float32)
    values[:, 1, 2] = np.nan
    told = write(tmp_path, drawn(values))
    with rasterio.open(tmp_path / told.scene) as raster:
        assert raster.dataset_mask().tolist() == [[255, 255, 255], [255, 255, 0]]


def test_the_elevation_is_in_metres(tmp_path: Path) -> None:
    told = write(tmp_path, drawn())
    with rasterio.open(tmp_path / told.elevation) as raster:
        assert raster.units == ("m",)
        np.testing.assert_array_equal(raster.read(1), [[0, 1, 2], [3, 4, 5]])


def test_the_largest_sensor_pixel_still_lies_in_the_zone(tmp_path: Path) -> None:
    told = write(tmp_path, replace(drawn(), gsd=1000.0))
    with rasterio.open(tmp_path / told.scene) as raster:
        assert (raster.bounds.left + raster.bounds.right) / 2 == 500_000.0


def test_the_manifest_lists_the_scenes(tmp_path: Path) -> None:
    told = write(tmp_path, drawn())
    path = write_manifest(tmp_path, [told], software="undercast 1")

    assert json.loads(path.read_text()) == {
        "software": "undercast 1",
        "simulated": True,
        "scenes": [told.to_dict()],
    }


def test_the_manifest_holds_no_number_that_json_has_not(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_manifest(tmp_path, [replace(write(tmp_path, drawn()), gsd=float("nan"))], software="undercast 1")
    assert not (tmp_path / "manifest.json").exists()


def test_an_existing_file_is_refused(tmp_path: Path) -> None:
    refuse_existing(tmp_path, ["a.tif"])
    (tmp_path / "a.tif").touch()
    with pytest.raises(OutputExistsError, match="--overwrite"):
        refuse_existing(tmp_path, ["a.tif"])


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def full(self: Path, content: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left on device"):
        place(path, b"new")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        files.make_folder(tmp_path / "file" / "out")
