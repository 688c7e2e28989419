from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from undercast.sensors import load_sensor
from undercast.simulation.files import write_simulated
from undercast.simulation.scenes import simulate


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    made = simulate(load_sensor("spot-5-hrg"), size=32, seed=1, gsd=60.0, level="toa")
    write_simulated(made, tmp_path, name="small", seed=1, software="test")
    return tmp_path / "small.tif"


def post(url: str, path: str, body: dict[str, int]) -> dict[str, Any]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.request("POST", parts.path + path, json.dumps(body), {"Content-Type": "application/json"})
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return answer


@pytest.mark.slow
def test_a_session_ends_with_the_paths_of_what_was_saved(start: Any, scene: Path, tmp_path: Path) -> None:
    process = start("label", scene, "-o", tmp_path / "out", "--no-browser", "--json")
    told = json.loads(process.stdout.readline())
    assert told["notice"] is None
    for number in range(4):
        for col, label in ((3, 5), (20, 2)):
            post(told["url"], "add", {"row": 4 * number, "col": col, "label": label})
    assert post(told["url"], "train", {})["trained"]
    post(told["url"], "finish", {})
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    saved = json.loads(output)
    assert Path(saved["class_map"]).exists()
    assert Path(saved["references"]).read_text("utf-8").splitlines()[1].startswith(str(scene))
    assert np.isclose(sum(saved["percent"].values()), 100)


def test_a_mask_that_is_there_is_not_replaced(cli: Any, scene: Path, tmp_path: Path) -> None:
    (tmp_path / "small_class_map.tif").write_bytes(b"mine")
    result = cli("label", scene, "-o", tmp_path, "--no-browser")
    assert result.exit_code == 2
    assert "small_class_map.tif exists already" in result.stderr


def test_a_number_of_megapixels_that_is_none_is_one_line(cli: Any, scene: Path, tmp_path: Path) -> None:
    result = cli("label", scene, "-o", tmp_path / "out", "--no-browser", "--megapixels", "nan")
    assert result.exit_code == 2
    assert result.stderr.startswith("UsageError: --megapixels: expected a number from 0.01 to 100, got nan.")
    assert result.stderr.count("\n") == 1


def test_a_damaged_session_is_one_line(cli: Any, scene: Path, tmp_path: Path) -> None:
    (tmp_path / "small_points.json").write_text("{}", "utf-8")
    result = cli("label", scene, "-o", tmp_path, "--no-browser")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "small_points.json: this is no session" in result.stderr
