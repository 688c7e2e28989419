"""Packages become networks, in the precision that holds."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast import loading
from undercast.errors import BackendError
from undercast.inference.backends import BackendChoice, Network, Weights
from undercast.inference.processor import processor_key
from undercast.loading import FEWEST_PIXELS, Agreement, Model, Proof, load_member, load_model
from undercast.models.optimized import Optimized, keep_optimized
from undercast.models.trust.checksums import multihash
from undercast.models.trust.weights import MemberWeights
from undercast.types import Float32, Precision

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "data" / "models" / "make.py")))


class Rough:
    """A backend that takes bf16 unasked, and whose answers are those of a brightness threshold."""

    kinds: tuple[str, ...] = ("onnx",)

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def precisions(self, device: str) -> tuple[Precision, ...]:
        assert device == "cpu"
        return ("bf16", "f32")

    def advantage(self, device: str) -> str | None:
        return f"rough on {device}"

    def windows(self, device: str) -> int:
        assert device == "cpu"
        return 2

    def load(self, weights: Weights, *, device: str, precision: Precision) -> Network:
        assert (weights.kind, device) == ("onnx", "cpu")

        def run(batch: Float32) -> Float32:
            cloud = (batch[:, :1] > (0.5 if precision == "f32" else 0.4)).astype(np.float32)
            return np.concatenate([1 - cloud, cloud, 0 * cloud, 0 * cloud], axis=1)

        return run


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERCAST_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder: Path = make.tiny_package(tmp_path / "m", members=2)
    return folder


@pytest.fixture
def rough(monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(kind: str, name: str, device: str, precision: str) -> BackendChoice:
        assert (kind, name) == ("onnx", "auto")
        asked: Precision | None = None if precision == "auto" else "f32"
        assert device in {"auto", "cpu"}
        return BackendChoice(name="rough", backend=Rough(), devices=("cpu",), precision=asked)

    monkeypatch.setattr(loading, "choose_backend", choose)


@pytest.mark.usefixtures("rough")
def test_a_precision_that_nobody_asked_for_comes_with_its_proof(package: Path) -> None:
    model = load_model(package)
    assert (model.precision, model.backend, model.windows, len(model.networks)) == ("bf16", "rough", 2, 2)
    assert model.proof is not None
    assert model.proof.outcome() is None
    assert model.proof.exact().precision == "f32"


@pytest.mark.usefixtures("rough")
def test_a_precision_that_was_asked_for_needs_none(package: Path) -> None:
    model = load_model(package, precision="f32")
    assert (model.precision, model.proof) == ("f32", None)


@pytest.mark.usefixtures("rough")
@pytest.mark.parametrize(("share", "precision"), [(0.9999, "bf16"), (0.99, "f32")])
def test_an_outcome_is_kept_for_the_next_run(package: Path, share: float, precision: str) -> None:
    proof = load_model(package).proof
    assert proof is not None
    proof.keep(Agreement(share=share, pixels=FEWEST_PIXELS))
    model = load_model(package)
    assert (model.precision, model.proof) == (precision, None)
    assert model.agreement == Agreement(share=share, pixels=FEWEST_PIXELS)


@pytest.mark.usefixtures("rough")
@pytest.mark.parametrize(
    ("told", "settled"),
    [
        ({"rough bf16": {"share": 0.9991, "pixels": FEWEST_PIXELS}}, True),
        ({"rough bf16": {"share": 0.9989, "pixels": FEWEST_PIXELS}}, False),
        ({"rough bf16": {"share": 0.9991, "pixels": FEWEST_PIXELS - 1}}, False),
        ({"openvino bf16": {"share": 1.0, "pixels": FEWEST_PIXELS}}, False),
        ({"rough bf16": {"share": "all", "pixels": None}}, False),
        ({"rough bf16": [1.0]}, False),
        ("yes", False),
    ],
)
def test_a_package_that_tells_of_its_agreement_needs_no_proof(package: Path, told: object, settled: bool) -> None:
    item = package / "item.json"
    text = json.loads(item.read_text("utf-8"))
    text["properties"]["undercast:agreement"] = told
    item.write_text(json.dumps(text), "utf-8")
    model = load_model(package)
    assert (model.precision, model.proof is None) == ("bf16", settled)
    assert (model.agreement == Agreement(share=0.9991, pixels=FEWEST_PIXELS)) is settled


@pytest.mark.usefixtures("rough")
def test_a_comparison_of_few_pixels_settles_nothing_for_the_next_run(package: Path) -> None:
    proof = load_model(package).proof
    assert proof is not None
    proof.keep(Agreement(share=0.5, pixels=FEWEST_PIXELS - 1))
    model = load_model(package)
    assert (model.precision, model.proof is None) == ("bf16", False)
    assert model.agreement == Agreement(share=0.5, pixels=FEWEST_PIXELS - 1)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=5))
def test_comparisons_count_by_their_pixels(counts: list[tuple[int, int]]) -> None:
    """A comparison is so many pixels with the same class and so many without."""
    parts = [Agreement(share=same / max(same + other, 1), pixels=same + other) for same, other in counts]
    whole = reduce(add, parts)
    same, pixels = sum(same for same, _ in counts), sum(same + other for same, other in counts)
    assert whole.pixels == pixels
    assert whole.share * pixels == pytest.approx(same)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '{"agreement": "much", "pixels": 9}', '{"agreement": null, "pixels": 9}', '{"agreement": 1.0}'],
)
def test_a_damaged_outcome_is_no_outcome(tmp_path: Path, text: str) -> None:
    path = tmp_path / "outcome.json"
    path.write_text(text)
    assert Proof(exact=lambda: pytest.fail("loaded"), path=path).outcome() is None


def test_an_outcome_that_cannot_be_kept_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    proof = Proof(exact=lambda: pytest.fail("loaded"), path=tmp_path / "file" / "outcome.json")
    proof.keep(Agreement(share=1.0, pixels=FEWEST_PIXELS))
    assert not (tmp_path / "file" / "outcome.json").exists()
    assert proof.outcome() is True


def test_of_weights_that_nobody_vouches_for_a_process_keeps_the_outcome_to_itself() -> None:
    proof = Proof(exact=lambda: pytest.fail("loaded"), path=None)
    assert proof.outcome() is None
    proof.keep(Agreement(share=0.9, pixels=FEWEST_PIXELS))
    assert proof.outcome() is False
    assert Proof(exact=lambda: pytest.fail("loaded"), path=None).outcome() is None


def test_members_that_expect_the_same_run_together(package: Path) -> None:
    model = load_model(package, precision="f32")
    assert [len(group.networks) for group in model.groups] == [2]
    small = replace(model.spec, window=16)
    first, second = model.package.members
    mixed: Model = replace(model, package=replace(model.package, members=(first, replace(second, spec=small))))
    assert [(group.spec.window, group.networks) for group in mixed.groups] == [
        (32, model.networks[:1]),
        (16, model.networks[1:]),
    ]


def exported(package: Path, data: bytes) -> MemberWeights:
    """A member that is an exported program, as far as its kind goes."""
    path = package / "member.pt2"
    path.write_bytes(data)
    return MemberWeights(name="m", kind="pt2", path=path, checksum=multihash(data), size=len(data))


def test_a_converted_member_runs_as_converted(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "scanned_bytes", lambda member: member.path.read_bytes())
    model = load_model(package, precision="f32")
    member = exported(package, b"the original")
    onnx = Optimized(onnx=make.brightness_network(), difference=0.0)
    keep_optimized(multihash(b"the original"), processor_key(), onnx)
    name, loaded = load_member(model.package, member, backend="onnxruntime")
    assert name == "onnxruntime"
    batch = np.full((1, 3, 8, 8), 0.3, np.float32)
    np.testing.assert_allclose(loaded.network(batch), model.networks[0](batch), atol=1e-6)


def test_a_runtime_that_cannot_run_a_program_is_answered_with_the_way_out(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "scanned_bytes", lambda member: member.path.read_bytes())
    model = load_model(package, precision="f32")
    with pytest.raises(BackendError, match=r"'onnxruntime' does not run exported programs.*undercast models optimize"):
        load_member(model.package, exported(package, b"another"), backend="onnxruntime")
