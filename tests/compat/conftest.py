"""A stand-in for the models that come with undercast, in which bright is cloud."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from undercast.bands import band_from_name
from undercast.model_spec import ModelBand
from undercast.models import package as packages

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages `embedded` and `embedded-ensemble` that take red, green and nir."""
    make = SimpleNamespace(**runpy.run_path(str(DATA / "models" / "make.py")))
    bands = tuple(ModelBand(band=band_from_name(name)) for name in ("red", "green", "nir"))
    folder = tmp_path / "models"
    for name, members in {"embedded": 1, "embedded-ensemble": 2}.items():
        make.tiny_package(folder / name, members=members, spec=make.tiny_spec(id=name, bands=bands))
    monkeypatch.setattr(packages, "_models_folder", lambda: folder)
    return folder
