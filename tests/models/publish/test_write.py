"""Model packages are written whole, or not at all."""

from __future__ import annotations

import errno
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from undercast.bands import Band, band_from_name
from undercast.errors import ModelError, OutputError, OutputExistsError
from undercast.model_spec import ModelBand, ModelSpec
from undercast.models.publish.write import write_package

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "data" / "models" / "make.py")))

WEIGHTS = {"first": b"one", "second": b"three"}


def full_spec() -> ModelSpec:
    spec: ModelSpec = make.tiny_spec(
        bands=(
            ModelBand(band=band_from_name("green", gsd=10.0)),
            ModelBand(
                band=Band(name="B8", common_name="nir", center_wavelength=0.833, full_width_half_max=0.106, gsd=None),
                required=False,
            ),
        ),
        classes=("clear", "cloud", "cloud_shadow"),
        levels=("toa",),
        scale=2.5,
        fill=-3.0,
        window=256,
        multiple=64,
        overlap=16,
        aggregation="median",
        uncertainty="mutual_information",
        presets={"balanced": {"cloud": 0.4, "cloud_shadow": 0.3}, "f2": {"cloud": 0.2}},
        preset="balanced",
    )
    return spec


def test_the_same_package_written_twice_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_package(tmp_path / name, full_spec(), WEIGHTS, make.tiny_details())
    assert (tmp_path / "a" / "item.json").read_bytes() == (tmp_path / "b" / "item.json").read_bytes()


def test_an_existing_folder_is_never_replaced(tmp_path: Path) -> None:
    make.tiny_package(tmp_path / "model")
    before = (tmp_path / "model" / "item.json").read_bytes()
    with pytest.raises(OutputExistsError, match=r"exists already"):
        write_package(tmp_path / "model", full_spec(), WEIGHTS, make.tiny_details())
    assert (tmp_path / "model" / "item.json").read_bytes() == before


def test_nothing_is_left_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"cannot be written: No space left on device"):
        write_package(tmp_path / "model", full_spec(), WEIGHTS, make.tiny_details())
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"expected a folder at"):
        write_package(tmp_path / "file" / "model", full_spec(), WEIGHTS, make.tiny_details())


def test_a_full_disk_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(OutputError, match=r"cannot be written: No space left on device"):
        write_package(tmp_path / "model", full_spec(), WEIGHTS, make.tiny_details())


@pytest.mark.parametrize("weights", [{}, {"../x": b""}, {"a/b": b""}, {"": b""}, {".x": b""}, {"card": b""}])
def test_weights_without_a_usable_name_are_refused(tmp_path: Path, weights: dict[str, bytes]) -> None:
    with pytest.raises(ModelError, match=r"at least one member|member name"):
        write_package(tmp_path / "model", full_spec(), weights, make.tiny_details())
