"""Exported programs: harmless ones pass, in either layout; what torch would evaluate is looked at."""

from __future__ import annotations

import io
import json
import runpy
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from undercast.errors import TrustError
from undercast.models.trust.exported_program import check_exported_program

MAKE = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "data" / "hostile" / "make.py")))


class Rich(torch.nn.Module):
    """Uses what segmentation networks use: normalisation, resizing, padding, words as options, no gradient inside."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.GELU())
        self.scale: torch.Tensor
        self.register_buffer("scale", torch.ones(1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layers(torch.nn.functional.pad(x, (1, 1, 1, 1), mode="reflect"))
        y = torch.nn.functional.interpolate(y, size=x.shape[2:], mode="bilinear")
        y = torch.nn.functional.adaptive_avg_pool2d(y, 1) * self.scale + y
        with torch.no_grad():
            y = torch.einsum("bchw,dc->bdhw", y, torch.ones(1, 4))
        return torch.sigmoid(torch.div(y, 2.0, rounding_mode=None))


def test_a_program_as_torch_writes_it_passes() -> None:
    check_exported_program(MAKE.exported(), origin="x")


def test_a_program_in_the_layout_of_older_torch_passes() -> None:
    check_exported_program(MAKE.flat(), origin="x")


def test_a_program_of_what_networks_use_passes() -> None:
    batch = torch.export.Dim("batch", min=1, max=8)
    rows, cols = (torch.export.Dim(name, min=2, max=64) for name in ("rows", "cols"))
    shapes = {"x": {0: batch, 2: 8 * rows, 3: 8 * cols}}
    program = torch.export.export(Rich().eval(), (torch.zeros(2, 3, 16, 24),), dynamic_shapes=shapes)
    stored = io.BytesIO()
    torch.export.save(program, stored, extra_files={"note.txt": "for people"})
    check_exported_program(stored.getvalue(), origin="x")


def test_a_compressed_copy_passes() -> None:
    check_exported_program(MAKE.zipped(MAKE.records(), compressed=True), origin="x")


def test_every_byte_that_is_cut_off_is_noticed() -> None:
    data = MAKE.exported()
    for length in (0, 3, 21, 500, len(data) // 2, len(data) - 1):
        with pytest.raises(TrustError, match=r"^weights x.* are refused"):
            check_exported_program(data[:length], origin="x")


def test_no_graph_is_no_program() -> None:
    records = {name: data for name, data in MAKE.records().items() if "/models/" not in name}
    with pytest.raises(TrustError, match=r"no exported program"):
        check_exported_program(MAKE.zipped(records), origin="x")


def test_messages_of_assertions_are_free_texts_and_nothing_more() -> None:
    records = MAKE.records()
    name = f"{MAKE.ROOT}/models/model.json"
    graph = json.loads(records[name])
    inputs = graph["graph_module"]["graph"]["nodes"][0]["inputs"]
    inputs.append({"name": "assert_msg", "arg": {"as_string": "Is s0 > 0? (no!)"}, "kind": 1})
    records[name] = json.dumps(graph).encode()
    check_exported_program(MAKE.zipped(records), origin="x")

    inputs[-1]["arg"] = {"as_string": "fine", "as_operator": "torch.os.system"}
    records[name] = json.dumps(graph).encode()
    with pytest.raises(TrustError, match=r"the operation 'torch.os.system'"):
        check_exported_program(MAKE.zipped(records), origin="x")


def test_a_tensor_that_is_not_there_is_refused() -> None:
    records = {name: data for name, data in MAKE.records().items() if not name.endswith("/weight_0")}
    with pytest.raises(TrustError, match=r"a tensor that is not there \('weight_0'\)"):
        check_exported_program(MAKE.zipped(records), origin="x")


def test_the_archive_that_was_checked_is_the_one_that_torch_reads() -> None:
    with zipfile.ZipFile(io.BytesIO(MAKE.exported())) as archive:
        seen = {name.split("/", 1)[1] for name in archive.namelist()}
    read = torch._C.PyTorchFileReader(io.BytesIO(MAKE.exported())).get_all_records()
    assert seen == set(read)
