"""Several processors' labels become one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from undercast.errors import GridError, LabelError, OutputExistsError, UsageError
from undercast.types import UInt8
from undercast.weak_labels import label_files
from undercast.weak_labels.combining import RULES, Rule, consensus, consensus_files
from undercast.weak_labels.label_files import LabelFile, open_labels

CLEAR, THICK, THIN, SHADOW, OPEN = 1, 2, 4, 8, 15
CLOUD = THICK | THIN
labels = arrays(np.uint8, (3, 4), elements=st.integers(0, 15))
several = st.lists(labels, min_size=1, max_size=4)


def row(*sets: int) -> UInt8:
    return np.array([sets], np.uint8)


def test_what_all_hold_possible_is_left_and_contradictions_are_ignored() -> None:
    one = row(CLOUD, CLEAR | SHADOW, CLEAR, OPEN, 0, CLOUD)
    other = row(THIN, CLEAR, CLOUD, SHADOW, CLEAR, CLOUD)
    assert consensus([one, other]).tolist() == [[THIN, CLEAR, 0, SHADOW, 0, CLOUD]]


def test_the_majority_of_those_who_speak_decides() -> None:
    three = [
        row(CLEAR, CLOUD, THIN, OPEN, 0, CLEAR),
        row(CLEAR, CLEAR, CLOUD, CLEAR, 0, CLOUD),
        row(CLOUD, SHADOW, THICK, 0, OPEN, 0),
    ]
    assert consensus(three, "majority").tolist() == [[CLEAR, 0, CLOUD, CLEAR, 0, 0]]


@given(labels, st.sampled_from(RULES), st.integers(1, 4))
def test_one_processor_with_itself_is_itself(sets: UInt8, rule: Rule, times: int) -> None:
    np.testing.assert_array_equal(consensus([sets] * times, rule), sets)


@given(several)
def test_possible_sets_only_shrink_under_intersection(sets: list[UInt8]) -> None:
    out = consensus(sets)
    assert all((out & ~each == 0).all() for each in sets)


@given(several, st.sampled_from(RULES), st.randoms())
def test_the_order_does_not_matter(sets: list[UInt8], rule: Rule, random: object) -> None:
    shuffled = list(sets)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(consensus(sets, rule), consensus(shuffled, rule))


@given(several)
def test_the_majority_never_allows_what_everybody_rules_out(sets: list[UInt8]) -> None:
    assert (consensus(sets, "majority") & ~np.bitwise_or.reduce(sets) == 0).all()


def test_labels_of_different_shapes_are_refused() -> None:
    with pytest.raises(LabelError, match=r"labels of one shape, got \(1, 1\), \(1, 2\)"):
        consensus([row(1), row(1, 1)])
    with pytest.raises(LabelError, match="got none"):
        consensus([])


def test_files_are_combined_in_strips_with_their_agreement(
    tmp_path: Path, write_sets: Callable[..., LabelFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_files, "STRIP_ROWS", 7)
    rng = np.random.default_rng(0)
    one, other = (rng.choice(np.array([CLEAR, CLOUD, SHADOW, OPEN], np.uint8), (20, 30)) for _ in range(2))
    files = [
        write_sets(tmp_path / "a.tif", one, made_by="fmask"),
        write_sets(tmp_path / "b.tif", other, made_by="maja-clm"),
    ]
    notes = consensus_files(files, tmp_path / "out.tif")
    out = open_labels(tmp_path / "out.tif")
    np.testing.assert_array_equal(out.read(out.grid.full), one & other)
    assert json.loads((tmp_path / "out.json").read_text("utf-8")) == notes
    assert out.made_by == "consensus (intersect: fmask, maja-clm)"
    (pair,) = notes["agreement"]
    assert pair["between"] == ["fmask", "maja-clm"]
    assert pair["pixels"] == int(((one < OPEN) & (other < OPEN)).sum())
    assert [source["sha256"] for source in notes["sources"]] == [label_files.file_sha256(file.path) for file in files]


def test_labels_on_another_grid_are_brought_to_that_of_the_first(
    tmp_path: Path, write_sets: Callable[..., LabelFile]
) -> None:
    fine = write_sets(tmp_path / "a.tif", np.full((8, 8), CLEAR | SHADOW, np.uint8))
    coarse_sets = np.array([[CLEAR, SHADOW], [CLOUD, CLEAR]], np.uint8)
    coarse = write_sets(tmp_path / "b.tif", coarse_sets, gsd=20.0)
    consensus_files([fine, coarse], tmp_path / "out.tif")
    out = open_labels(tmp_path / "out.tif")
    read = out.read(out.grid.full)
    assert read[:4:2, :4:2].tolist() == [[CLEAR, SHADOW], [0, CLEAR]]
    assert not read[4:].any()


def test_labels_of_other_ground_one_alone_and_existing_files_are_refused(
    tmp_path: Path, write_sets: Callable[..., LabelFile]
) -> None:
    here = write_sets(tmp_path / "a.tif", np.full((8, 8), CLEAR, np.uint8))
    there = write_sets(tmp_path / "b.tif", np.full((8, 8), CLEAR, np.uint8), corner=(700_000.0, 5_000_000.0))
    with pytest.raises(GridError, match="expected labels of the same ground, got none in common"):
        consensus_files([here, there], tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()
    with pytest.raises(LabelError, match="two processors or more, got 1"):
        consensus_files([here], tmp_path / "out.tif")
    with pytest.raises(OutputExistsError, match="exists already"):
        consensus_files([here, here], tmp_path / "b.tif")
    with pytest.raises(UsageError, match="expected an output other than its input"):
        consensus_files([here, here], tmp_path / "a.tif", overwrite=True)
