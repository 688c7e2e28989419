"""`undercast demo`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from undercast.cli import demo
from undercast.sensors import load_sensor
from undercast.simulation.scenes import simulate

if TYPE_CHECKING:
    from click.testing import Result


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "SIZE", 64)


def test_the_demo_says_where_mask_picture_and_item_are(
    cli: Callable[..., Result], tmp_path: Path, package: Path, small: None
) -> None:
    words = cli("demo", "-o", tmp_path, "--model", package).stdout

    for name in ("demo_class_map.tif", "demo_quicklook.png", "demo_mask.json", "demo.tif"):
        assert f" {tmp_path / name}\n" in words
        assert (tmp_path / name).is_file()
    assert "% of pixels in class" in words


def test_the_demo_as_json_is_one_line(cli: Callable[..., Result], tmp_path: Path, package: Path, small: None) -> None:
    result = cli("demo", "-o", tmp_path, "--model", package, "--json")
    told = json.loads(result.stdout)

    assert (result.stderr, result.stdout.count("\n")) == ("", 1)
    assert Path(told["class_map"]).is_file()
    assert 0.0 <= told["agreement"]["classes"] <= told["agreement"]["cloud"] <= 100.0


def test_a_second_demo_replaces_the_first(
    cli: Callable[..., Result], tmp_path: Path, package: Path, small: None
) -> None:
    assert [cli("demo", "-o", tmp_path, "--model", package).exit_code for _ in range(2)] == [0, 0]


def test_the_demo_uses_the_model_that_comes_with_undercast(
    cli: Callable[..., Result], tmp_path: Path, embedded: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert cli("demo").exit_code == 0
    assert (tmp_path / "undercast-demo" / "demo_class_map.tif").is_file()


def test_an_unknown_model_leaves_nothing_behind(cli: Callable[..., Result], tmp_path: Path) -> None:
    result = cli("demo", "-o", tmp_path / "out", "--model", "oracle")

    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_the_demos_scene_holds_clear_land_cloud_and_shadow_in_good_parts() -> None:
    simulated = simulate(load_sensor(demo.SENSOR), size=demo.SIZE, seed=demo.SEED, level=demo.LEVEL)
    shares = np.bincount(simulated.reference.ravel(), minlength=256) / simulated.reference.size

    assert shares[0] > 0.3
    assert shares[1] + shares[2] > 0.1
    assert shares[3] > 0.05


def test_agreement_counts_where_both_say_something() -> None:
    class_map = np.array([[0, 1, 2, 3, 255, 0]], np.uint8)
    reference = np.array([[0, 2, 2, 0, 0, 255]], np.uint8)

    assert demo.agreement(class_map, reference) == {"classes": 50.0, "cloud": 100.0, "compared": 66.67}
    assert demo.agreement(class_map, np.full_like(reference, 255))["classes"] is None
