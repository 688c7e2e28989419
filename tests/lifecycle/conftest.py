"""Fixtures of the lifecycle's tests: packages that say what they were trained on, chips, reports and gates."""

from __future__ import annotations

import json
import runpy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.evaluation.evaluate import EvaluateOptions, evaluate
from undercast.evaluation.intervals import IntervalOptions
from undercast.evaluation.packages import open_package
from undercast.evaluation.report import write_report
from undercast.evaluation.sources import read_references
from undercast.masking import MaskOptions

DATA = Path(__file__).parents[1] / "data"
MODELS = SimpleNamespace(**runpy.run_path(str(DATA / "models" / "make.py")))
DRAWN = SimpleNamespace(**runpy.run_path(str(DATA / "references" / "make.py")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Makes what a life needs, in one folder."""

    folder: Path

    @property
    def ledger(self) -> Path:
        return self.folder / "life.jsonl"

    def package(self, version: str = "1.0.0", *, cloud: float = 0.5, trained: Mapping[str, str] | None = None) -> Path:
        """Write a package whose network takes reflectance above a threshold for cloud, below 0.05 for shadow."""
        weights = np.zeros((4, 3, 1, 1), np.float32)
        weights[1], weights[3] = 40.0 / 3, -200.0 / 3
        bias = np.array([0.0, -40.0 * cloud, -20.0, 10.0], np.float32)
        network = MODELS.convolution(weights, bias, end="Softmax")
        details = MODELS.tiny_details(evaluation={"data_sha256": dict(trained or {})})
        path = self.folder / f"model-{version}"
        written: Path = MODELS.write_package(path, MODELS.tiny_spec(version=version), {"one": network}, details)
        return written

    def chips(self, name: str, count: int = 4, *, gain: float = 1.0, first: int = 0) -> Path:
        """Write labelled chips of clear, cloud and shadow, each with its own noise; a gain dims all of them."""
        folder = self.folder / name
        folder.mkdir()
        mask = DRAWN.stripes(codes=(0, 1, 3))
        rows = []
        for number in range(first, first + count):
            stored = DRAWN.scene_of(mask, seed=number, wrong=0.02)
            DRAWN.write_scene(folder, f"{name}_{number}", np.round(stored * gain).astype(np.int16), mask)
            rows.append(DRAWN.row_of(f"{name}_{number}", mask))
        (folder / "manifest.json").write_text(json.dumps(rows), "utf-8")
        return folder

    def report(self, package: Path, chips: Path, options: MaskOptions | None = None) -> Path:
        """Evaluate a package, whatever it was trained on."""
        how = EvaluateOptions(intervals=IntervalOptions(replicates=20))
        found = evaluate(open_package(package, options), read_references(chips), None, how).report
        path = self.folder / f"{package.name}-{chips.name}" / "report.json"
        path.parent.mkdir()
        write_report(found, path)
        return path

    def gate(self, name: str, rules: Sequence[str]) -> Path:
        path = self.folder / f"{name}.toml"
        path.write_text("\n".join(f"[[rules]]\n{rule}" for rule in rules), "utf-8")
        return path


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(folder=tmp_path)
