"""CloudS2Mask's functions, as of its version 1.1.4, on undercast's models.

What differs on purpose: pixels without data are 255 and not clear (0 with ``nodata=0``); the offset of Sentinel-2's
processing baseline 04.00 is applied; a class is what the model's recommended thresholds make of the confidences, not
the largest of them; windows are the model's own where patch size and overlap are left at their defaults; files are
cloud-optimised; a scene that fails does not stop the others. What concerns PyTorch's threads has no meaning here and
changes nothing.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from undercast.compat.files import OneRaster, check_distinct, four_classes, scheme_with, write_one
from undercast.compat.sidecars import band_vrt, confidence_qml
from undercast.errors import BandError, SceneError, UsageError
from undercast.inference.augmentation import MOST_DEPTH, Augmentation
from undercast.loading import Model, load_model
from undercast.masking import MaskOptions, stream
from undercast.models.package import DEFAULT_MODEL, ENSEMBLE_MODEL, find_package
from undercast.prediction import Strip
from undercast.readers import open_scene
from undercast.readers.base import OpenOptions
from undercast.scaling.batch import WORKERS, at_once, taking_turns
from undercast.types import NODATA, Compression, Precision, UInt8
from undercast.writers.raster import Layers, class_map_layers
from undercast.writers.style import qml

log = logging.getLogger(__name__)

L1C_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Bands of Sentinel-2, in the order of CloudS2Mask's input."""

RESOLUTIONS = (10, 20)
"""Pixel sizes that can be asked for, in metres."""
PATCH_SIZE, PATCH_OVERLAP_PX = 500, 128
SMALL_PATCH_SIZE = 256
"""Patches below this are warned of, in pixels."""

COMPRESSIONS: dict[str | None, Compression] = {
    None: "none",
    "NONE": "none",
    "LZW": "lzw",
    "DEFLATE": "deflate",
    "ZSTD": "zstd",
}
"""Compression, as GDAL calls it -> ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one scene is masked, and where to."""

    scene_name: str
    """Name of the product's folder."""
    sent_safe_dir: Path
    """The product."""
    mask_output_dir: Path
    """Folder of the scene's files."""
    cloud_mask_path: Path
    """Class map; with confidences as further bands where they are exported."""
    vrt_path: Path
    """Virtual raster of the bands."""
    processing_level: str
    """Product level."""
    processing_res: int
    """Pixel size, in metres."""
    required_bands: tuple[str, ...]
    """Bands that the virtual raster shows and the model may use."""
    output_compression: str | None
    """Compression, as GDAL calls it."""
    batch_size: int
    """Windows that a network gets at once, where there is an accelerator."""
    pytorch_device: str
    """Where networks run."""
    keep_vrt: bool
    """Whether the virtual raster is written."""
    make_qml_files: bool
    """Whether a QGIS style is written."""
    tta_max_depth: int
    """Further views of a window, at most."""
    export_confidence: bool
    """Whether the confidences are written, too."""
    quiet: bool
    """Whether nothing is logged of scenes that are done."""
    patch_size: int
    """Side of a window, in pixels."""
    patch_overlap_px: int
    """Pixels that windows share."""
    precision: Precision | None
    """What networks compute with; None: the best that gives the same classes."""
    b10_size: int
    """Bytes of band B10; clouds make it larger."""
    model: str | Path
    """Model package."""
    nodata: int
    """Value of pixels without data."""


def create_settings(
    output_dir: str | Path,
    sent_safe_dirs: Sequence[str | Path],
    output_compression: str | None = "LZW",
    batch_size: int = 10,
    pytorch_device: object = "auto",
    processing_threads: int = 2,
    required_bands: Sequence[str] = L1C_BANDS,
    keep_vrt: bool = True,
    make_qml_files: bool = True,
    tta_max_depth: int = 0,
    processing_res: int = 10,
    export_confidence: bool = False,
    quiet: bool = False,
    model_ensembling: bool = False,
    patch_size: int = PATCH_SIZE,
    fp16_mode: bool | None = None,
    patch_overlap_px: int = PATCH_OVERLAP_PX,
    optimise_scene_order: bool = True,
    *,
    nodata: int = NODATA,
    model: str | Path | None = None,
) -> list[Settings]:
    """Settle how Sentinel-2 L1C products are masked.

    Args:
        output_dir: Folder of the folders of the scenes.
        sent_safe_dirs: Products as folders (``.SAFE``).
        output_compression: ``"LZW"``, ``"DEFLATE"``, ``"ZSTD"``, or None.
        batch_size: Windows that an accelerator gets at once; a processor gets one.
        pytorch_device: ``"cpu"``, ``"cuda"``, a PyTorch device, or ``"auto"``: the best that works.
        processing_threads: No meaning here.
        required_bands: Bands that the virtual raster shows and the model may use.
        keep_vrt: Whether a virtual raster of the bands is written.
        make_qml_files: Whether a QGIS style is written.
        tta_max_depth: Further views of a window that test-time augmentation adds at most, 0 to 7.
        processing_res: Pixel size, 10 or 20 m.
        export_confidence: Whether the file has four further bands with each class's confidence, 0 to 255.
        quiet: Whether nothing is logged of scenes that are done.
        model_ensembling: Whether the embedded ensemble is asked instead of one model.
        patch_size: Side of a window, in pixels; 500: the model's own.
        fp16_mode: Whether half precision is used; None: where it gives the same classes.
        patch_overlap_px: Pixels that windows share; 128: the model's own.
        optimise_scene_order: Whether scenes with more clouds, as far as the size of band B10 tells, come first.
        nodata: Value of pixels without data: 255, or 0 as CloudS2Mask has it.
        model: Another model package, by name or path.

    Returns:
        One value per product, in the order in which they will be masked.

    Raises:
        UsageError: If an argument makes no sense; it is a ValueError.
        UnknownModelError: If the model package is not here.
    """
    _check(sent_safe_dirs, processing_res, tta_max_depth, patch_size, patch_overlap_px, output_compression)
    scheme_with("clouds2mask", nodata)
    package = model or (ENSEMBLE_MODEL if model_ensembling else DEFAULT_MODEL)
    find_package(package)
    folder = Path(output_dir) / _folder_name(processing_res, tta_max_depth, ensembling=model_ensembling)
    settings = []
    for product in map(Path, sent_safe_dirs):
        name = product.name
        settings.append(
            Settings(
                scene_name=name,
                sent_safe_dir=product,
                mask_output_dir=folder / name,
                cloud_mask_path=folder / name / f"{name}_CloudS2Mask.tif",
                vrt_path=folder / name / f"{name}.vrt",
                processing_level=_level(name),
                processing_res=processing_res,
                required_bands=_known(required_bands),
                output_compression=output_compression,
                batch_size=batch_size,
                pytorch_device=str(pytorch_device).lower().partition(":")[0],
                keep_vrt=keep_vrt,
                make_qml_files=make_qml_files,
                tta_max_depth=tta_max_depth,
                export_confidence=export_confidence,
                quiet=quiet,
                patch_size=patch_size,
                patch_overlap_px=patch_overlap_px,
                precision=None if fp16_mode is None else "f16" if fp16_mode else "f32",
                b10_size=_b10_size(product) if optimise_scene_order else 0,
                model=package,
                nodata=nodata,
            )
        )
    return sorted(settings, key=lambda one: one.b10_size, reverse=True)


def batch_process_scenes(scene_settings_batch: Sequence[Settings]) -> list[Path]:
    """Mask scenes; several are at work at once, and files that are there are replaced.

    Returns:
        The class maps, in the order of the settings.

    Raises:
        UsageError: If there is nothing to do, or two scenes would be one file; it is a ValueError.
        SceneError: If scenes fail; the others are finished all the same.
    """
    if not scene_settings_batch:
        msg = "expected settings of one scene or more, got none."
        raise UsageError(msg)
    check_distinct([one.cloud_mask_path for one in scene_settings_batch])
    models = cache(lambda *key: taking_turns(load_model(key[0], device=key[1], precision=key[2] or "auto")))
    for one in scene_settings_batch:
        models(one.model, one.pytorch_device, one.precision)

    def work(one: Settings) -> tuple[Settings, Exception | None]:
        try:
            _mask(one, models(one.model, one.pytorch_device, one.precision))
        except Exception as error:  # noqa: BLE001 (a defect met in one scene must not stop the others)
            return one, error
        return one, None

    failed: list[tuple[Settings, Exception]] = []
    for one, error in at_once(scene_settings_batch, work, workers=WORKERS):
        if error is not None:
            log.error("%s: %s", one.scene_name, error)
            failed.append((one, error))
        elif not one.quiet:
            log.info("%s is written", one.cloud_mask_path)
    if failed:
        first, why = failed[0]
        msg = f"{len(failed)} of {len(scene_settings_batch)} scenes failed; {first.scene_name}: {why}"
        raise SceneError(msg) from why
    return [one.cloud_mask_path for one in scene_settings_batch]


def _check(
    products: Sequence[str | Path],
    resolution: int,
    depth: int,
    patch_size: int,
    overlap: int,
    compression: str | None,
) -> None:
    wrong = ""
    if resolution not in RESOLUTIONS:
        wrong = f"processing_res must be 10 or 20, got {resolution}."
    elif not products:
        wrong = "sent_safe_dirs: expected one product or more, got none."
    elif not 0 <= depth <= MOST_DEPTH:
        wrong = f"tta_max_depth must lie in [0, {MOST_DEPTH}], got {depth}."
    elif not 0 <= overlap < patch_size:
        wrong = f"patch_overlap_px must lie in [0, {patch_size}) for patch_size={patch_size}, got {overlap}."
    elif compression not in COMPRESSIONS:
        wrong = f"output_compression must be one of {', '.join(map(str, COMPRESSIONS))}, got {compression!r}."
    if wrong:
        raise UsageError(wrong)
    if patch_size < SMALL_PATCH_SIZE:
        warnings.warn(f"patch_size {patch_size} is small: the model sees little around a pixel", stacklevel=3)


def _folder_name(resolution: int, depth: int, *, ensembling: bool) -> str:
    return f"CloudS2Mask {resolution}m{' model ensembling' if ensembling else ''}{f' ATTA {depth}' if depth else ''}"


def _level(name: str) -> str:
    """Read the product level from a product's name, S2A_MSIL1C_...; only L1C is taken, as by CloudS2Mask."""
    level = name.split("_")[1][-3:] if "_" in name else ""
    if level != "L1C":
        msg = f"{name}: expected a Sentinel-2 L1C product (S2A_MSIL1C_...). Mask others with `undercast mask`."
        raise UsageError(msg)
    return level


def _known(bands: Iterable[str]) -> tuple[str, ...]:
    unknown = [band for band in bands if band not in L1C_BANDS]
    if unknown:
        msg = f"required_bands: {unknown[0]!r} is none of {', '.join(L1C_BANDS)}."
        raise BandError(msg)
    return tuple(bands)


def _b10_size(product: Path) -> int:
    """Give the size of band B10 in bytes; 0 where it is not there, which is told when the scene is opened."""
    try:
        return next((product / "GRANULE").glob("*/IMG_DATA/*_B10.jp2")).stat().st_size
    except (OSError, StopIteration):
        return 0


def _mask(one: Settings, model: Model) -> None:
    opening = OpenOptions(resolution=float(one.processing_res), bands=one.required_bands, name=one.scene_name)
    scene = open_scene(one.sent_safe_dir, opening)
    spec = model.spec
    options = MaskOptions(
        window=None if one.patch_size == PATCH_SIZE else max(1, round(one.patch_size / spec.multiple)) * spec.multiple,
        overlap=None if one.patch_overlap_px == PATCH_OVERLAP_PX else one.patch_overlap_px,
        batch_size=1 if model.device == "cpu" else one.batch_size,
        tta=Augmentation(depth=one.tta_max_depth),
    )
    scheme = scheme_with("clouds2mask", one.nodata)
    prediction = stream(scene, model, options)
    layers = class_map_layers(scheme)
    if one.export_confidence:
        names = [f"confidence of {entry.title.lower()}, 0 to 255" for entry in scheme.classes]
        # No nodata: in the confidences, 255 is certainty.
        layers = Layers(dtype="uint8", descriptions=(*layers.descriptions, *names), nodata=None)
    beside = {}
    if one.make_qml_files:
        beside[one.cloud_mask_path.with_suffix(".qml").name] = (
            confidence_qml() if one.export_confidence else qml(scheme)
        )
    if one.keep_vrt:
        beside[one.vrt_path.name] = band_vrt(one.sent_safe_dir, one.required_bands, scene.grid)
    write_one(
        prediction,
        OneRaster(
            target=one.cloud_mask_path,
            scheme=scheme,
            layers=layers,
            pixels=partial(_pixels, one=one, encode=scheme.encode, classes=prediction.header.classes),
            compress=COMPRESSIONS[one.output_compression],
            beside=beside,
        ),
    )


def _pixels(strip: Strip, *, one: Settings, encode: Callable[[UInt8], UInt8], classes: Sequence[str]) -> UInt8:
    """Give class values, and below them the confidences where they are exported."""
    class_map = encode(strip.class_map)[np.newaxis]
    if not one.export_confidence:
        return class_map
    share = np.nan_to_num(four_classes(strip.probabilities, classes), nan=0.0)
    return np.concatenate([class_map, (share * 255).astype(np.uint8)])
