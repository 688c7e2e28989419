from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from undercast._optional import is_installed
from undercast.errors import (
    BackendError,
    BandError,
    MissingDependencyError,
    RadiometryError,
    SceneError,
    UsageError,
)
from undercast.evaluation.manifest import manifest_references
from undercast.evaluation.peers import (
    OmniCloudMask,
    S2cloudless,
    UkisCsmask,
    open_peer,
)
from undercast.evaluation.references import ReferenceScene, reference_scene
from undercast.models.trust.checksums import multihash
from undercast.scene import scene_from_array
from undercast.sensors import load_sensor
from undercast.types import ProductLevel

SIX = ("blue", "green", "red", "nir08", "swir16", "swir22")
PLACEHOLDERS = ("ukis_csmask", "s2cloudless", "omnicloudmask")

# Stand-ins with the peers' own signatures (ukis-csmask 1.0.0, s2cloudless 1.7.3, omnicloudmask 1.8.1): they say where a
# band is bright, and keep what they were given.
UKIS = """
import numpy as np
CALLS = []
class CSmask:
    def __init__(self, img, band_order, product_level="l1c", nodata_value=None, invalid_buffer=4,
                 intra_op_num_threads=0, inter_op_num_threads=0, providers=None, batch_size=1):
        CALLS.append({"img": img, "band_order": band_order, "product_level": product_level})
        bright = img[:, :, band_order.index("blue")] > 0.5
        dark = img[:, :, band_order.index("nir")] < 0.05
        self.csm = np.where(bright, 1, np.where(dark, 2, 0)).astype(np.uint8)[:, :, None]
"""
S2CLOUDLESS = """
CALLS = []
class S2PixelCloudDetector:
    def __init__(self, threshold=0.4, all_bands=False, average_over=1, dilation_size=1, model_filename=None):
        self.threshold = threshold
    def get_cloud_probability_maps(self, data):
        CALLS.append(data)
        return data[..., 1]
    def get_mask_from_prob(self, cloud_probs):
        return (cloud_probs > self.threshold).astype("uint8")
"""
OMNICLOUDMASK = """
import numpy as np
CALLS = []
def predict_from_array(input_array, no_data_value=0, export_confidence=False, destination_model_dir=None):
    CALLS.append({"input_array": input_array, "folder": destination_model_dir})
    red = input_array[0]
    known = (input_array != no_data_value).all(axis=0)
    return np.stack([1 - red, red, 0 * red, 0 * red]) * known
"""
OCM_DOWNLOAD = """
from pathlib import Path
def get_model_data_dir():
    return Path("its-own-folder")
def get_models(model_dir=None):
    if model_dir is None:
        raise ConnectionError("no route to host")
    return []
"""


def install(folder: Path, package: str, **modules: str) -> None:
    """Write a package that can be imported and has a version."""
    (folder / package).mkdir()
    for name, text in {"__init__": "", **modules}.items():
        (folder / package / f"{name}.py").write_text(text, "utf-8")
    distribution = package.replace("_", "-")
    about = folder / f"{package}-9.9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 9.9\n", "utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder from which packages are imported before any other."""
    forgotten = [name for name in sys.modules if name.partition(".")[0] in PLACEHOLDERS]
    for name in forgotten:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in PLACEHOLDERS]:
        del sys.modules[name]


def calls(module: str) -> list[Any]:
    return list(sys.modules[module].CALLS)


def scene_of(reflectance: NDArray[np.float32], bands: Any, *, level: ProductLevel | None = "toa") -> ReferenceScene:
    scene = scene_from_array(reflectance, bands, name="a", level=level)
    return reference_scene(scene, np.ones(scene.grid.shape, np.uint8), {})


def flat(bands: int, side: int = 8, value: float = 0.1) -> NDArray[np.float32]:
    return np.full((bands, side, side), value, np.float32)


def test_ukis_gets_a_scene_band_last_and_its_codes_become_classes(site: Path) -> None:
    install(site, "ukis_csmask", mask=UKIS)
    reflectance = flat(6)
    reflectance[:, 0, 0] = 0.9
    reflectance[:, 0, 1] = 0.01
    reflectance[3, 0, 2] = np.nan
    predicted = UkisCsmask().predict(scene_of(reflectance, SIX))
    assert predicted.class_map[0, :4].tolist() == [1, 3, 255, 0]
    call = calls("ukis_csmask.mask")[0]
    assert call["band_order"] == ["blue", "green", "red", "nir", "swir16", "swir22"]
    assert call["img"].shape == (8, 8, 6)
    assert call["img"].dtype == np.float32
    assert call["img"][0, 2].tolist() == [0.0] * 6


def test_ukis_takes_its_four_band_model_where_swir_is_missing_and_the_level_of_the_scene(site: Path) -> None:
    install(site, "ukis_csmask", mask=UKIS)
    UkisCsmask().predict(scene_of(flat(5), SIX[:5], level="surface"))
    UkisCsmask().predict(scene_of(flat(4), ("nir", "red", "green", "blue")))
    first, second = calls("ukis_csmask.mask")
    assert (first["band_order"], first["product_level"]) == (["blue", "green", "red", "nir"], "l2a")
    assert second["product_level"] == "l1c"


def test_ukis_refuses_scenes_without_its_bands_or_without_a_level(site: Path) -> None:
    install(site, "ukis_csmask", mask=UKIS)
    with pytest.raises(BandError, match="ukis-csmask needs blue as well; this scene has green, red, nir"):
        UkisCsmask().predict(scene_of(flat(3), ("green", "red", "nir")))
    with pytest.raises(RadiometryError, match="the scene does not say"):
        UkisCsmask().predict(scene_of(flat(6), SIX, level=None))


def test_the_identity_holds_version_and_checksums_of_the_weights(site: Path) -> None:
    install(site, "ukis_csmask", mask=UKIS)
    (site / "ukis_csmask" / "model.onnx").write_bytes(b"weights")
    identity = open_peer("ukis-csmask").identity
    assert identity["id"] == "ukis-csmask"
    assert identity["version"] == "9.9"
    assert identity["kind"] == "peer"
    assert identity["checksums"] == [multihash(b"weights")]


def test_s2cloudless_gets_its_ten_bands_and_tells_nothing_of_shadow(site: Path) -> None:
    install(site, "s2cloudless")
    (site / "s2cloudless" / "__init__.py").write_text(S2CLOUDLESS, "utf-8")
    bands = load_sensor("sentinel-2").bands
    reflectance = np.stack([np.full((8, 8), 0.01 * number, np.float32) for number in range(len(bands))])
    reflectance[[band.name for band in bands].index("B02"), 0, 0] = 0.75
    reflectance[0, 0, 1] = np.nan
    predicted = S2cloudless().predict(scene_of(reflectance, bands))
    assert predicted.class_map[0, :3].tolist() == [1, 255, 0]
    assert predicted.probabilities is not None
    assert predicted.probabilities[:3, 0, 0].tolist() == [0.25, 0.75, 0.0]
    assert np.isnan(predicted.probabilities[3]).all()
    assert np.isnan(predicted.probabilities[:, 0, 1]).all()
    given = calls("s2cloudless")[0]
    assert given.shape == (1, 8, 8, 10)
    order = [0, 1, 3, 4, 7, 8, 9, 10, 11, 12]
    assert np.allclose(given[0, 5, 5], [0.01 * index for index in order])


def test_s2cloudless_refuses_surface_reflectance_and_other_sensors(site: Path) -> None:
    install(site, "s2cloudless")
    (site / "s2cloudless" / "__init__.py").write_text(S2CLOUDLESS, "utf-8")
    bands = load_sensor("sentinel-2").bands
    with pytest.raises(RadiometryError, match="top-of-atmosphere"):
        S2cloudless().predict(scene_of(flat(len(bands)), bands, level="surface"))
    with pytest.raises(BandError, match="s2cloudless needs B01"):
        S2cloudless().predict(scene_of(flat(6), SIX))


def test_omnicloudmask_gets_red_green_nir_and_gives_probabilities(site: Path) -> None:
    install(site, "omnicloudmask", download_models=OCM_DOWNLOAD)
    (site / "omnicloudmask" / "__init__.py").write_text(OMNICLOUDMASK, "utf-8")
    reflectance = flat(4, side=32)
    reflectance[2, 0, 0] = 0.75
    reflectance[0, 0, 1] = np.nan
    reflectance[1, 0, 2] = np.nan
    predicted = OmniCloudMask(weights=site).predict(scene_of(reflectance, ("blue", "green", "red", "nir")))
    # Blue is none of its bands.
    assert predicted.class_map[0, :4].tolist() == [1, 0, 255, 0]
    assert predicted.probabilities is not None
    assert predicted.probabilities[:, 0, 0].tolist() == [0.25, 0.75, 0.0, 0.0]
    assert np.isnan(predicted.probabilities[:, 0, 2]).all()
    call = calls("omnicloudmask")[0]
    assert call["folder"] == site
    assert np.allclose(call["input_array"][:, 0, 0], [0.75, 0.1, 0.1])


def test_omnicloudmask_says_that_its_weights_cannot_be_had(site: Path) -> None:
    install(site, "omnicloudmask", download_models=OCM_DOWNLOAD)
    (site / "omnicloudmask" / "__init__.py").write_text(OMNICLOUDMASK, "utf-8")
    with pytest.raises(BackendError, match=r"its weights cannot be had: ConnectionError: no route.*its-own-folder"):
        OmniCloudMask().predict(scene_of(flat(3, side=32), ("red", "green", "nir")))
    with pytest.raises(SceneError, match="at least 32 px"):
        OmniCloudMask().predict(scene_of(flat(3), ("red", "green", "nir")))


def test_a_missing_peer_is_answered_with_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undercast.evaluation.peers.is_installed", lambda _: False)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ukis-csmask\[cpu\]'"):
        open_peer("ukis-csmask")
    with pytest.raises(MissingDependencyError, match="pip install 's2cloudless'"):
        open_peer("s2cloudless")


def test_a_peer_that_lacks_its_own_dependencies_says_so(site: Path) -> None:
    install(site, "ukis_csmask", mask="import a_package_that_nobody_has")
    with pytest.raises(MissingDependencyError, match="ukis_csmask is installed, but does not import: No module"):
        UkisCsmask().predict(scene_of(flat(6), SIX))


def test_an_unknown_peer_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'idepix' is not known\. Known: ukis-csmask, s2cloudless, omnicloudmask"):
        open_peer("idepix")


# Cloud F1, cloud F2, shadow F1 of ukis-csmask 1.0 on val, as measured by another program.
PUBLISHED = {
    "ukis_csmask": (0.894, 0.875, 0.780),
    "l8biome_lkpeng": (0.941, 0.973, 0.663),
    "oncloudn": (0.836, 0.761, None),
}


def f_score(possible: NDArray[Any], positive: int, called: NDArray[np.bool_], beta: float = 1.0) -> float:
    surely = (possible & ~np.uint8(positive)) == 0
    surely_not = (possible & np.uint8(positive)) == 0
    hits, false, missed = (called & surely).sum(), (called & surely_not).sum(), (~called & surely).sum()
    return float((1 + beta**2) * hits / ((1 + beta**2) * hits + beta**2 * missed + false))


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.skipif(not is_installed("ukis_csmask"), reason="ukis-csmask is not installed: make bench installs it")
def test_the_real_ukis_csmask_reaches_the_figures_that_were_measured_elsewhere(
    real_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    peer = open_peer("ukis-csmask")
    told: dict[str, list[tuple[NDArray[Any], NDArray[Any]]]] = {}
    for reference in manifest_references(real_data / "val"):
        if reference.source in PUBLISHED:
            class_map = peer.predict(reference).class_map
            labelled = reference.possible > 0
            pair = (reference.possible[labelled], class_map[labelled])
            told.setdefault(reference.source, []).append(pair)
    for source, (f1, f2, shadow) in PUBLISHED.items():
        possible, class_map = (np.concatenate(parts) for parts in zip(*told[source], strict=True))
        cloud = np.isin(class_map, (1, 2))
        assert f_score(possible, 6, cloud) == pytest.approx(f1, abs=0.005)
        assert f_score(possible, 6, cloud, beta=2) == pytest.approx(f2, abs=0.005)
        # Shadow counts where the reference tells it apart from clear on the whole scene.
        pairs = [pair for pair in told[source] if not (pair[0] == 0b1001).any()]
        if shadow is None:
            assert pairs == []
            continue
        possible, class_map = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        assert f_score(possible, 8, class_map == 3) == pytest.approx(shadow, abs=0.005)
