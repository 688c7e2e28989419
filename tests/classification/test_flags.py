"""Flags of metadata and flags of the mask are counted against each other."""

from __future__ import annotations

from undercast.classification.classify import SceneLabels, WindowLabels
from undercast.classification.flags import compare_flags, predicted_flag
from undercast.grids import Grid
from undercast.prediction import ModelIdentity
from undercast.windows import Window


def patch(name: str, *flags: bool) -> SceneLabels:
    windows = tuple(
        WindowLabels(
            window=Window(row=0, col=120 * place, height=120, width=120),
            status="scored",
            valid=1.0,
            cloud=0.0,
            shadow=0.0,
            contains_cloud_or_shadow=flag,
            weight=1.0,
            scores=(),
            labels=(),
        )
        for place, flag in enumerate(flags)
    )
    model = ModelIdentity(id="tiny", version="1")
    grid = Grid(shape=(120, 120))
    return SceneLabels(scene=name, grid=grid, spec=None, classifier=model, cloud_model=model, windows=windows)  # type: ignore[arg-type]


def test_one_window_under_cloud_flags_the_patch() -> None:
    assert predicted_flag(patch("a", False, True))
    assert not predicted_flag(patch("a", False))


def test_each_patch_is_counted_once() -> None:
    patches = [patch("a", True), patch("b", True), patch("c", False), patch("d", False), patch("e", False)]
    found = compare_flags(patches, {"a": True, "b": False, "c": True, "d": False})
    assert found.to_dict() == {
        "both": 1,
        "mask_only": 1,
        "stated_only": 1,
        "neither": 1,
        "not_stated": 1,
        "agreement": 0.5,
    }


def test_without_stated_flags_there_is_no_agreement() -> None:
    assert compare_flags([patch("a", True)], {}).agreement is None
