"""Windows under cloud are found first, then left out or weighed down; the others are scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rasterio.warp import transform_bounds

from undercast.classification.classifier import Classifier, load_classifier, try_network
from undercast.classification.classify import ClassifyOptions, classify
from undercast.classification.package import read_classifier
from undercast.classification.sentinel1 import Radar
from undercast.errors import BandError, UsageError
from undercast.grids import Grid
from undercast.loading import Model, load_model
from undercast.masking import MaskOptions
from undercast.readers import open_scene
from undercast.readers.areas import Area
from undercast.scene import ArrayPixels, Scene
from undercast.types import Float32

MakeScene = Callable[..., Scene]


def drawn(scene: Scene, values: np.ndarray) -> Scene:
    return replace(scene, pixels=ArrayPixels(reflectance=values.astype(np.float32)))


@pytest.fixture
def cloudy(make_scene: MakeScene) -> Scene:
    """Four windows: clear, all under cloud, a fifth under shadow, half without data."""
    scene = make_scene()
    values = np.full((4, 240, 240), 0.15)
    values[:, :120, 120:] = 0.8
    values[:, 120:144, :120] = 0.01
    values[:, 120:, 180:] = np.nan
    return drawn(scene, values)


def test_windows_under_cloud_and_without_data_have_no_scores(
    cloudy: Scene, classifier: Classifier, cloud_model: Model
) -> None:
    found = classify(cloudy, classifier, cloud_model)
    assert [window.status for window in found.windows] == ["scored", "cloudy", "cloudy", "nodata"]
    clear, cloud, shadow, empty = found.windows
    assert clear.scores is not None
    # Blue of 0.15 is 1500 dn: one deviation above the mean.
    assert np.isclose(clear.scores[0], 1 / (1 + np.exp(-1.0)), atol=1e-6)
    assert clear.labels == ("Agro-forestry areas",)
    assert (cloud.cloud, cloud.contains_cloud_or_shadow, cloud.scores, cloud.labels) == (1.0, True, None, ())
    assert (shadow.cloud, round(shadow.shadow, 6)) == (0.0, 0.2)
    assert (empty.valid, empty.weight, empty.scores) == (0.5, 0.0, None)
    assert found.mean_scores() == dict(zip(classifier.spec.labels, clear.scores, strict=True))


def test_weighed_windows_keep_scores_and_lose_weight(cloudy: Scene, classifier: Classifier, cloud_model: Model) -> None:
    found = classify(cloudy, classifier, cloud_model, ClassifyOptions(clouds="weight"))
    assert [window.status for window in found.windows] == ["scored", "scored", "scored", "nodata"]
    assert [round(window.weight, 6) for window in found.windows] == [1.0, 0.0, 0.8, 0.0]
    first, _, third, _ = (window.scores for window in found.windows)
    assert first is not None
    assert third is not None
    means = found.mean_scores()
    assert means is not None
    assert np.isclose(means["Agro-forestry areas"], (first[0] + 0.8 * third[0]) / 1.8)


def test_of_an_area_its_own_clouds_and_windows_are_told(
    cloudy: Scene, classifier: Classifier, cloud_model: Model
) -> None:
    a, _, west, _, _, north = cloudy.grid.transform
    east = west + 240 * a
    bounds = transform_bounds(cloudy.grid.crs, "EPSG:4326", west + 121 * a, north - 119 * a, east - a, north - a)
    options = ClassifyOptions(max_cloud=0.5, masking=MaskOptions(area=Area(bounds=bounds)))
    found = classify(cloudy, classifier, cloud_model, options)
    assert {window.status for window in found.windows} == {"cloudy"}
    assert all(window.cloud > 0.9 for window in found.windows)
    assert found.grid.transform[2] == pytest.approx(west + 120 * a, abs=3 * a)


def test_kept_windows_are_flagged_all_the_same(cloudy: Scene, classifier: Classifier, cloud_model: Model) -> None:
    found = classify(cloudy, classifier, cloud_model, ClassifyOptions(clouds="keep"))
    assert [window.weight for window in found.windows] == [1.0, 1.0, 1.0, 0.0]
    assert [window.contains_cloud_or_shadow for window in found.windows] == [False, True, True, False]


def test_a_larger_share_of_cloud_can_be_allowed(cloudy: Scene, classifier: Classifier, cloud_model: Model) -> None:
    found = classify(cloudy, classifier, cloud_model, ClassifyOptions(max_cloud=0.25))
    assert [window.status for window in found.windows] == ["scored", "cloudy", "scored", "nodata"]
    with pytest.raises(UsageError, match=r"in \[0, 1\), got 1"):
        ClassifyOptions(max_cloud=1.0)


def test_a_missing_band_is_named_and_never_filled(
    make_scene: MakeScene, classifier: Classifier, cloud_model: Model
) -> None:
    scene = make_scene()
    without = replace(scene, bands=scene.bands[:3], pixels=ArrayPixels(reflectance=scene.read(bands=[0, 1, 2])))
    with pytest.raises(BandError, match="needs B02, B03, B04, B08; nothing in the scene stands for B08"):
        classify(without, classifier, cloud_model)


def test_other_bands_order_in_the_scene_does_not_matter(
    make_scene: MakeScene, classifier: Classifier, cloud_model: Model
) -> None:
    scene = make_scene(120, 120)
    values = np.full((4, 120, 120), 0.15)
    values[0] = 0.2
    straight = drawn(scene, values)
    turned = replace(drawn(scene, values[::-1]), bands=scene.bands[::-1])
    one, other = (classify(each, classifier, cloud_model).windows[0].scores for each in (straight, turned))
    assert one == other


def test_enlarged_pixels_and_another_product_level_are_told(
    make_scene: MakeScene, classifier: Classifier, cloud_model: Model
) -> None:
    scene = replace(make_scene(40, 40, 30.0), level="toa")
    told = classify(scene, classifier, cloud_model).warnings
    assert told == (
        "drawn: toa reflectance, the classifier was trained on surface reflectance",
        "drawn: pixels of 30 m are enlarged to 10 m, which the classifier never saw",
    )


def test_progress_ends_with_all_windows(cloudy: Scene, classifier: Classifier, cloud_model: Model) -> None:
    seen: list[tuple[int, int]] = []
    classify(cloudy, classifier, cloud_model, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 1)]


class FixedRadar(Radar):
    """Sentinel-1 of -10 dB, with some columns without data."""

    missing = 0

    def read(self, names: Sequence[str], grid: Grid, side: int) -> Float32:  # noqa: ARG002 (as Radar)
        values = np.full((2, side, side), -10.0, np.float32)
        values[:, :, : self.missing] = np.nan
        return values


@pytest.fixture(scope="module")
def with_radar(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """Label 0 is the brightness of VV."""
    spec = make.tiny_spec("10m_s1")
    return load_classifier(read_classifier(make.tiny_classifier(tmp_path_factory.mktemp("radar") / "tiny", spec)))


def test_radar_goes_to_its_own_layers(make_scene: MakeScene, with_radar: Classifier, cloud_model: Model) -> None:
    scene = make_scene(120, 120)
    scores = classify(scene, with_radar, cloud_model, radar=FixedRadar(layers={})).windows[0].scores
    assert scores is not None
    assert np.isclose(scores[0], 1 / (1 + np.exp(-1.0)), atol=1e-6)
    with pytest.raises(BandError, match="needs Sentinel-1"):
        classify(scene, with_radar, cloud_model)


def test_a_window_that_radar_does_not_cover_is_without_data(
    make_scene: MakeScene, with_radar: Classifier, cloud_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FixedRadar, "missing", 20)
    found = classify(make_scene(120, 120), with_radar, cloud_model, radar=FixedRadar(layers={}))
    assert [(window.status, window.weight) for window in found.windows] == [("nodata", 0.0)]
    assert found.mean_scores() is None


@pytest.mark.real_data
def test_a_real_patch_reads_as_its_digital_numbers(real_data: Path, make: SimpleNamespace, cloud_model: Model) -> None:
    root = real_data / "products" / "bigearthnet_tiff"
    (patch,) = (root / "BigEarthNet-S2").glob("*/*")
    scene = open_scene(patch)
    values = scene.read(bands=[1])[0] * 10_000
    spec = make.tiny_spec("all")
    network = make.mean_network(12, layer=spec.layers.index("B02"), scale=0.01)
    own = try_network(spec, network)
    found = classify(scene, own, cloud_model, ClassifyOptions(clouds="keep"), radar=FixedRadar(layers={}))
    scores = found.windows[0].scores
    assert scores is not None
    expected = 0.01 * (values.mean() - 1000.0) / 500.0
    assert np.isclose(scores[0], 1 / (1 + np.exp(-expected)), atol=1e-6)


@pytest.mark.real_data
@pytest.mark.slow
def test_a_real_scene_with_clouds_has_flagged_and_scored_windows(real_data: Path, classifier: Classifier) -> None:
    scene = open_scene(real_data / "products" / "landsat8_l1" / "LC80200392015216LGN00")
    found = classify(scene, classifier, load_model())
    assert len(found.windows) == 16 * 16
    statuses = {window.status for window in found.windows}
    assert {"scored", "cloudy"} <= statuses
    assert all(window.cloud + window.shadow > 0.1 for window in found.windows if window.status == "cloudy")
