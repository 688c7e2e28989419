"""`undercast adapt`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from undercast.models.package import find_package, read_package
from undercast.sensors import load_sensor
from undercast.training import adapt as module
from undercast.training.adaptation import plan_adaptation

if TYPE_CHECKING:
    from click.testing import Result


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand in for the training, and keep what it was asked for."""
    told: dict[str, Any] = {}

    def stand_in(model: str, to: str, out: Path, **more: Any) -> SimpleNamespace:
        told.update(model=model, to=to, out=out, **more)
        figure = {"value": 0.9, "interval": [0.8, 0.95]}
        plan = plan_adaptation(read_package(find_package(model)).spec, load_sensor(to))
        figures = {"cloud_f2": dict.fromkeys(("original", "matched", "adapted"), figure), "scenes": 3}
        return SimpleNamespace(package=out, plan=plan, figures=figures)

    monkeypatch.setattr(module, "adapt", stand_in)
    return told


def test_it_says_how_each_band_was_matched_and_what_was_gained(
    cli: Callable[..., Result], asked: dict[str, Any], tmp_path: Path
) -> None:
    result = cli("adapt", "embedded", "--to", "spot-5-hrg", "-o", tmp_path / "spot", "--steps", "50")
    assert result.exit_code == 0, result.stderr
    assert asked["options"].steps == 50
    assert asked["options"].frozen_steps == 10
    lines = result.stdout.splitlines()
    assert any(line.split() == ["green", "subset", "15", "nm"] for line in lines)
    assert any(line.split() == ["blue", "absent", "-"] for line in lines)
    assert lines[-1] == str(tmp_path / "spot")


def test_json_is_one_object(cli: Callable[..., Result], asked: dict[str, Any], tmp_path: Path) -> None:
    result = cli("adapt", "embedded", "--to", "pleiades-hiri", "-o", tmp_path / "p", "--data", tmp_path, "--json")
    told = json.loads(result.stdout)
    assert asked["data"] == tmp_path
    assert told["sensor"] == "pleiades-hiri"
    assert {row["band"]: row["choice"] for row in told["bands"]}["swir16"] == "absent"


def test_a_sensor_table_with_impossible_bands_is_one_line(cli: Callable[..., Result], tmp_path: Path) -> None:
    table = tmp_path / "s.toml"
    table.write_text('id = "s"\ngsd = 10.0\n[[bands]]\nname = "a"\ncenter_wavelength = 490\nfull_width_half_max = 65\n')
    result = cli("adapt", "embedded", "--to", table, "-o", tmp_path / "new")
    assert result.exit_code == 2
    assert "must be 0.3 to 15 micrometres, got 490 (nanometres?)" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "new").exists()
