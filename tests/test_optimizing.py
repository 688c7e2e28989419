"""Exported programs, converted once for this processor."""

from __future__ import annotations

import io
import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from undercast import optimizing
from undercast.errors import BackendError, ModelError, TrustError
from undercast.inference import conversion
from undercast.loading import load_model
from undercast.models.trust.checksums import multihash
from undercast.optimizing import optimize, trial_windows

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "data" / "models" / "make.py")))


class Small(nn.Module):
    """Two convolutions and a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.second(torch.relu(self.first(x))))


@pytest.fixture(scope="module")
def program() -> bytes:
    """An exported program of free batch, whose free sides are multiples of 8, as those of real packages are."""
    batch = torch.export.Dim("batch", min=1, max=64)
    rows, cols = (torch.export.Dim(name, min=1, max=64) for name in ("rows", "cols"))
    shapes = {"x": {0: batch, 2: 8 * rows, 3: 8 * cols}}
    stored = io.BytesIO()
    exported = torch.export.export(Small().eval(), (torch.zeros(2, 3, 32, 48),), dynamic_shapes=shapes)
    torch.export.save(exported, stored)
    return stored.getvalue()


@pytest.fixture
def package(program: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose one member is an exported program, and a cache of its own."""
    monkeypatch.setenv("UNDERCAST_CACHE", str(tmp_path / "cache"))
    spec = make.tiny_spec(classes=("cloud",), multiple=32)
    folder: Path = make.write_package(
        tmp_path / "m", spec, {"member_1": make.network_bytes(3, 1, end="Sigmoid")}, make.tiny_details()
    )
    (folder / "member_1.onnx").unlink()
    (folder / "member_1.pt2").write_bytes(program)
    item = json.loads((folder / "item.json").read_text())
    item["assets"]["member_1"].update(
        {
            "href": "./member_1.pt2",
            "mlm:artifact_type": "torch.export.save",
            "file:size": len(program),
            "file:checksum": multihash(program),
        }
    )
    (folder / "item.json").write_text(json.dumps(item))
    return folder


def test_a_program_is_converted_once_and_runs_as_converted_from_then_on(package: Path, tmp_path: Path) -> None:
    before = load_model(package)
    assert before.backend == "torch"
    (made,) = optimize(package)
    assert (made.name, made.made) == ("member_1", True)
    assert made.difference <= 1e-4
    assert made.path is not None
    assert tmp_path / "cache" in made.path.parents
    (found,) = optimize(package)
    assert (found.made, found.path, found.difference) == (False, made.path, made.difference)
    after = load_model(package, precision="f32")
    assert after.backend != "torch"
    window = trial_windows(after.spec)[:1]
    for some in (window, window[..., :16, :24]):
        np.testing.assert_allclose(after.networks[0](some), before.networks[0](some), atol=1e-4)
    assert load_model(package, backend="torch").backend == "torch"


def test_a_member_without_a_checksum_is_converted_where_a_person_vouches_for_it(package: Path) -> None:
    item = json.loads((package / "item.json").read_text())
    for key in ("undercast:package_version", "undercast:version"):
        del item["properties"][key]
    del item["assets"]["member_1"]["file:checksum"]
    (package / "item.json").write_text(json.dumps(item))
    with pytest.raises(TrustError, match=r"--allow-unverified"):
        optimize(package)
    assert optimize(package, allow_unverified=True)[0].made


def test_a_network_that_gives_other_answers_is_not_kept(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make.network_bytes(3, 1, seed=1, end="Sigmoid")
    monkeypatch.setattr(conversion, "program_to_onnx", lambda _: other)
    with pytest.raises(ModelError, match=r"member_1 as ONNX differs by 0\.\d+ in probability, more than 0.0001"):
        optimize(package)
    assert not (tmp_path / "cache" / "optimized").exists()


def test_onnx_members_run_as_they_are(tmp_path: Path) -> None:
    told: list[str] = []
    gains = optimize(make.tiny_package(tmp_path / "onnx", members=2), progress=told.append)
    assert [gain.path for gain in gains] == [None, None]
    assert told == ["member_1", "member_2"]


def test_what_cannot_be_converted_is_told_in_one_line() -> None:
    with pytest.raises(BackendError, match=r"cannot convert the network to ONNX: ") as caught:
        conversion.program_to_onnx(b"no program")
    assert "\n" not in str(caught.value)


def test_trial_windows_have_data_and_none(tmp_path: Path) -> None:
    spec = make.tiny_spec(scale=10.0, fill=-1.0)
    windows = trial_windows(spec)
    assert windows.shape == (optimizing.TRIALS, 3, 32, 32)
    assert (windows[-1, :, -4:, -4:] == -1.0).all()
    assert 0.0 <= windows[0].min() < windows[0].max() <= 10.5
