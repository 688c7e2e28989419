"""Peers: other cloud maskers that a person has installed, run as they are and judged on the same scenes.

None of them is a dependency: a peer is imported when it is first asked for, and a missing one is answered by its pip
line.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from undercast._optional import is_installed
from undercast.bands import Band, band_from_name, match_bands
from undercast.classes import CLEAR, CLOUD_SHADOW, THICK_CLOUD
from undercast.errors import BackendError, BandError, MissingDependencyError, RadiometryError, SceneError, UsageError
from undercast.evaluation.predictors import Predicted, Predictor
from undercast.models.trust.checksums import multihash
from undercast.scene import Scene
from undercast.sensors import load_sensor
from undercast.types import NODATA, Bool, Float32, ProductLevel, UInt8

if TYPE_CHECKING:
    from undercast.evaluation.references import ReferenceScene

log = logging.getLogger(__name__)

UKIS_BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
"""Bands of ukis-csmask's six-band models; the first four are those of its four-band models."""
UKIS_FEWEST_BANDS = 4
UKIS_LEVELS: dict[ProductLevel, str] = {"toa": "l1c", "surface": "l2a"}
"""Product level -> what ukis-csmask calls it."""
UKIS_CLASSES = (CLEAR, THICK_CLOUD, CLOUD_SHADOW)
"""Background, clouds, cloud shadows -> class; the thickness of a cloud is not told."""

S2CLOUDLESS_BANDS = ("B01", "B02", "B04", "B05", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Sentinel-2 bands of s2cloudless, in its order."""
S2CLOUDLESS_THRESHOLD = 0.4
"""Its default, with which its published figures were made."""

OCM_BANDS = ("red", "green", "nir")
"""Bands of OmniCloudMask, in its order."""
OCM_SMALLEST_PX = 32
"""Smallest side that it takes."""
OCM_NODATA = 0.0
"""What it takes for no data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UkisCsmask:
    """ukis-csmask 1.0: TOA scenes by its l1c models, surface ones by its l2a models; six bands where there, else four.

    The package cuts a scene into tiles of 256 px that overlap by 51 px. It mirrors the scene beyond its edges, smaller
    ones too, so a scene needs neither padding nor a least size; it works best at about 30 m.
    """

    threads: int = 0
    """Threads of its runtime; 0: as it chooses."""

    @property
    def identity(self) -> dict[str, Any]:
        """Which peer it is, for the report."""
        folder = Path(_module("ukis_csmask", pip="ukis-csmask[cpu]").__file__ or "").parent
        return _identity("ukis-csmask", sorted(folder.glob("*.onnx")), {"threads": self.threads})

    def predict(self, reference: ReferenceScene) -> Predicted:
        """Predict a scene.

        Raises:
            MissingDependencyError: If the peer is not installed.
            BandError: If blue, green, red or nir is missing.
            RadiometryError: If the scene does not say which reflectance it holds.
        """
        mask = _module("ukis_csmask.mask", pip="ukis-csmask[cpu]")
        scene = reference.scene
        names = _ukis_names(scene)
        reflectance, valid = _pixels(scene, [band_from_name(name) for name in names], peer="ukis-csmask")
        with warnings.catch_warnings():
            # It warns of scenes below its tile size; `UkisCsmask` says what it does with them.
            warnings.filterwarnings("ignore", message="Your input image is smaller", category=UserWarning)
            csmask = mask.CSmask(
                img=np.ascontiguousarray(np.moveaxis(reflectance, 0, -1)),
                band_order=list(names),
                product_level=UKIS_LEVELS[_level(scene, "ukis-csmask")],
                intra_op_num_threads=self.threads,
            )
        return Predicted(class_map=_class_map(csmask.csm[..., 0], UKIS_CLASSES, valid))


@dataclass(frozen=True, slots=True, kw_only=True)
class S2cloudless:
    """s2cloudless: cloud or not, pixel by pixel, from ten bands of Sentinel-2 Level-1C.

    Its convolution and dilation are those of its defaults (one pixel each), its shadows none: every pixel that is not
    cloud is clear to it.
    """

    threshold: float = S2CLOUDLESS_THRESHOLD
    """Probability of cloud from which a pixel is cloud."""

    @property
    def identity(self) -> dict[str, Any]:
        """Which peer it is, for the report."""
        folder = Path(_module("s2cloudless", pip="s2cloudless").__file__ or "").parent / "models"
        return _identity("s2cloudless", sorted(folder.glob("*.txt")), {"threshold": self.threshold})

    def predict(self, reference: ReferenceScene) -> Predicted:
        """Predict a scene.

        Raises:
            MissingDependencyError: If the peer is not installed.
            BandError: If a band is missing.
            RadiometryError: If the scene is not top-of-atmosphere reflectance.
        """
        s2cloudless = _module("s2cloudless", pip="s2cloudless")
        scene = reference.scene
        if _level(scene, "s2cloudless") != "toa":
            msg = f"{scene.name}: s2cloudless needs top-of-atmosphere reflectance (Level-1C), got surface reflectance."
            raise RadiometryError(msg)
        bands = {band.name: band for band in load_sensor("sentinel-2").bands}
        wanted = [bands[name] for name in S2CLOUDLESS_BANDS]
        reflectance, valid = _pixels(scene, wanted, peer="s2cloudless")
        detector = s2cloudless.S2PixelCloudDetector(threshold=self.threshold)
        cloud = detector.get_cloud_probability_maps(np.moveaxis(reflectance, 0, -1)[None])
        class_map = _class_map(detector.get_mask_from_prob(cloud)[0], (CLEAR, THICK_CLOUD), valid)
        return Predicted(class_map=class_map, probabilities=_cloud_probabilities(cloud[0], valid))


@dataclass(frozen=True, slots=True, kw_only=True)
class OmniCloudMask:
    """OmniCloudMask: undercast's four classes from red, green and nir.

    Its weights are not in its wheel: it downloads them when it first runs, and keeps them in the user's data folder.
    """

    weights: Path | None = None
    """Folder with its weights; None: its own."""
    options: dict[str, Any] = field(default_factory=dict)
    """More arguments of its ``predict_from_array``, such as ``patch_size`` or ``inference_device``."""

    @property
    def identity(self) -> dict[str, Any]:
        """Which peer it is, for the report."""
        _module("omnicloudmask", pip="omnicloudmask")
        return _identity("omnicloudmask", [], {name: str(value) for name, value in self.options.items()})

    def predict(self, reference: ReferenceScene) -> Predicted:
        """Predict a scene.

        Raises:
            MissingDependencyError: If the peer is not installed.
            BackendError: If its weights cannot be had.
            BandError: If a band is missing.
            SceneError: If the scene is smaller than it takes.
        """
        omnicloudmask = _module("omnicloudmask", pip="omnicloudmask")
        scene = reference.scene
        if min(scene.grid.shape) < OCM_SMALLEST_PX:
            msg = f"{scene.name}: omnicloudmask needs at least {OCM_SMALLEST_PX} px, got {scene.grid.shape}."
            raise SceneError(msg)
        reflectance, valid = _pixels(scene, [band_from_name(name) for name in OCM_BANDS], peer="omnicloudmask")
        _check_weights(self.weights)
        options = dict(self.options)
        if self.weights is not None:
            options["destination_model_dir"] = self.weights
        probabilities: Float32 = omnicloudmask.predict_from_array(
            reflectance, no_data_value=OCM_NODATA, export_confidence=True, **options
        )
        # It clips each probability; where there is no data all of them are 0.
        total: Float32 = np.where(valid, probabilities.sum(axis=0), np.float32(np.nan))
        return Predicted(
            class_map=_class_map(probabilities.argmax(axis=0), range(len(probabilities)), valid),
            probabilities=probabilities / total,
        )


PEERS: dict[str, Callable[[], Predictor]] = {
    "ukis-csmask": UkisCsmask,
    "s2cloudless": S2cloudless,
    "omnicloudmask": OmniCloudMask,
}
"""Name on the command line -> what runs the peer."""


def open_peer(name: str) -> Predictor:
    """Give the runner of a peer, once it is sure that the peer is installed.

    Raises:
        UsageError: If there is no such peer.
        MissingDependencyError: If it is not installed.
    """
    if name not in PEERS:
        msg = f"peer {name!r} is not known. Known: {', '.join(PEERS)}"
        raise UsageError(msg)
    peer = PEERS[name]()
    log.info("peer %s", peer.identity["version"])
    return peer


def _module(name: str, *, pip: str) -> ModuleType:
    """Import a peer's module, or answer with its own pip line: it is no extra of ours."""
    package = name.partition(".")[0]
    if not is_installed(package):
        msg = f"{package} is needed to compare with it and is not installed. Try: pip install '{pip}'"
        raise MissingDependencyError(msg)
    try:
        return importlib.import_module(name)
    except ImportError as error:
        msg = f"{package} is installed, but does not import: {' '.join(str(error).split())}. Try: pip install '{pip}'"
        raise MissingDependencyError(msg) from error


def _identity(name: str, weights: Sequence[Path], options: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "version": metadata.version(name),
        "kind": "peer",
        "checksums": [_checksum(path) for path in weights],
        "options": options,
    }


@cache
def _checksum(path: Path) -> str:
    return multihash(path.read_bytes())


def _level(scene: Scene, peer: str) -> ProductLevel:
    if scene.level is None:
        msg = (
            f"{scene.name}: {peer} needs to know the kind of reflectance (toa or surface), and the scene does not say."
        )
        raise RadiometryError(msg)
    return scene.level


def _ukis_names(scene: Scene) -> tuple[str, ...]:
    """Give the bands of the largest model that the scene has all bands for."""
    matches = match_bands([band_from_name(name) for name in UKIS_BANDS], scene.bands)
    complete = all(match.index is not None for match in matches)
    return UKIS_BANDS if complete else UKIS_BANDS[:UKIS_FEWEST_BANDS]


def _pixels(scene: Scene, wanted: Sequence[Band], *, peer: str) -> tuple[Float32, Bool]:
    """Give the wanted bands ``(band, y, x)`` with 0 where a pixel is not valid, and where pixels are valid."""
    matches = match_bands(wanted, scene.bands)
    found = [match.index for match in matches if match.index is not None]
    if len(found) < len(wanted):
        missing = [match.wanted.name for match in matches if match.index is None]
        has = ", ".join(band.common_name for band in scene.bands)
        msg = f"{scene.name}: {peer} needs {', '.join(missing)} as well; this scene has {has}."
        raise BandError(msg)
    reflectance = scene.read(bands=found)
    valid: Bool = np.all(np.isfinite(reflectance), axis=0)
    return np.where(valid, reflectance, np.float32(0)), valid


def _class_map(codes: NDArray[Any], classes: Sequence[int], valid: Bool) -> UInt8:
    """Translate a peer's codes 0, 1, ... into classes; 255 where pixels are not valid."""
    return np.where(valid, np.asarray(classes, np.uint8)[codes], np.uint8(NODATA))


def _cloud_probabilities(cloud: Float32, valid: Bool) -> Float32:
    """Spread a probability of cloud over the four layers: all cloud is thick, of shadow nothing is told."""
    none = np.zeros_like(cloud)
    layers = np.stack([1 - cloud, cloud, none, np.full_like(cloud, np.nan)])
    return np.where(valid, layers, np.float32(np.nan))


def _check_weights(folder: Path | None) -> None:
    """Make sure that OmniCloudMask has its weights, before its scene is prepared.

    Raises:
        BackendError: If they are not there and cannot be downloaded.
    """
    download = _module("omnicloudmask.download_models", pip="omnicloudmask")
    try:
        download.get_models(model_dir=folder)
    except Exception as error:
        place = folder or download.get_model_data_dir()
        msg = (
            f"omnicloudmask is installed, but its weights cannot be had: {type(error).__name__}: {error}"
            f" They are no part of its package. Run it once with a network, or copy them to {place}."
        )
        raise BackendError(msg) from error
