"""OmniCloudMask's functions, as of its version 1.8.1, on undercast's models.

What differs on purpose: pixels without data are 255 in class maps and NaN in confidences (0 with ``nodata=0``); a
class is what the model's recommended thresholds make of the confidences, not the largest of them;
networks want reflectance, so digital numbers are scaled (``scale``, ``offset``; guessed with a warning where they are
not given); windows are the model's own where patch size and overlap are left at their defaults; confidences are
probabilities, and their logarithms without softmax; files are called ``<scene>_undercast.tif``. What concerns other
weights (``custom_models``) is refused; what concerns PyTorch and downloads has no meaning here and changes nothing.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from undercast.compat.files import OneRaster, check_distinct, four_classes, scheme_with, write_one
from undercast.compat.load_functions import Loaded, load_ls8, load_multiband, load_s2
from undercast.errors import UsageError
from undercast.grids import Grid
from undercast.loading import Model, load_model
from undercast.masking import MaskOptions, predict, stream
from undercast.model_spec import ModelSpec
from undercast.models.package import DEFAULT_MODEL
from undercast.prediction import Strip
from undercast.radiometry import BRIGHTEST, Scaling, observe
from undercast.readers.layers import unit_of
from undercast.scaling.batch import WORKERS, at_once, taking_turns
from undercast.scene import Scene, scene_from_array
from undercast.types import NODATA, Float32, Precision, UInt8
from undercast.writers.raster import Layers, class_map_layers

__all__ = ["CLASS_NAMES", "load_ls8", "load_multiband", "load_s2", "predict_from_array", "predict_from_load_func"]

log = logging.getLogger(__name__)

CLASS_NAMES = {0: "CLEAR", 1: "THICK_CLOUD", 2: "THIN_CLOUD", 3: "CLOUD_SHADOW"}
"""Value of a class map -> its class."""

BANDS = ("red", "green", "nir")
SMALLEST_SIDE = 32
"""Sides of an array below this are refused, in pixels."""
SMALL_SIDE = 50
"""Sides of an array and of a patch below this are warned of, in pixels."""
PATCH_SIZE, PATCH_OVERLAP = 1000, 300
CONFIDENCE_RANGE = (0.001, 0.999)
"""Confidences are clipped to this range after the lower end has been added."""

PRECISIONS: dict[str, Precision] = {
    **dict.fromkeys(("float32", "fp32"), "f32"),
    **dict.fromkeys(("float16", "fp16", "half"), "f16"),
    **dict.fromkeys(("bfloat16", "bf16"), "bf16"),
}
"""Inference data type, as PyTorch calls it -> ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What both functions are asked for."""

    options: MaskOptions
    """How to mask."""
    confidence: bool
    """Confidences instead of classes."""
    softmax: bool
    """Confidences as probabilities, not as their logarithms."""
    masked: bool
    """Pixels without data are marked; clear otherwise."""
    no_data_value: float
    """Value of the input without data."""
    nodata: int
    """Value of class maps without data."""
    scaling: Scaling | None
    """Digital numbers to reflectance."""

    @property
    def fill(self) -> int:
        """Value that pixels without data get in a class map."""
        return self.nodata if self.masked else 0


def predict_from_array(
    input_array: NDArray[Any],
    patch_size: int = PATCH_SIZE,
    patch_overlap: int = PATCH_OVERLAP,
    batch_size: int = 1,
    inference_device: object = None,
    mosaic_device: object = None,
    inference_dtype: object = "float32",
    export_confidence: bool = False,
    softmax_output: bool = True,
    no_data_value: float = 0,
    apply_no_data_mask: bool = True,
    custom_models: object = None,
    pred_classes: int = 4,
    destination_model_dir: str | Path | None = None,
    model_download_source: str = "hugging_face",
    compile_models: bool = False,
    compile_mode: str = "default",
    model_version: float | None = None,
    *,
    nodata: int = NODATA,
    scale: float | None = None,
    offset: float = 0.0,
    model: str | Path = DEFAULT_MODEL,
) -> NDArray[Any]:
    """Mask an array of red, green and near infrared.

    Args:
        input_array: ``(3, y, x)``; digital numbers or reflectance.
        patch_size: Side of a window, in pixels; 1000: the model's own.
        patch_overlap: Pixels that windows share; 300: the model's own.
        batch_size: Windows that a network gets at once.
        inference_device: ``"cpu"``, ``"cuda"`` or a PyTorch device; None: the best that works.
        mosaic_device: No meaning here.
        inference_dtype: ``"float32"``, ``"fp16"``, ``"bf16"`` or a PyTorch type.
        export_confidence: Confidences instead of classes.
        softmax_output: Confidences as probabilities; as their logarithms otherwise.
        no_data_value: A pixel with this value, or NaN, in all three bands has no data.
        apply_no_data_mask: Whether pixels without data are marked; they are clear otherwise.
        custom_models: Refused: make a model package instead.
        pred_classes: Refused unless 4.
        destination_model_dir: No meaning here.
        model_download_source: No meaning here.
        compile_models: No meaning here.
        compile_mode: No meaning here.
        model_version: No meaning here.
        nodata: Value of pixels without data: 255, or 0 as OmniCloudMask has it.
        scale: Reflectance = value * scale + offset; None: 1, or 0.0001 where the values cannot be reflectance.
        offset: See scale.
        model: Name of a model package, or its path.

    Returns:
        Class map ``(1, y, x)``, uint8; or confidences ``(4, y, x)``, float32.

    Raises:
        UsageError: If an argument makes no sense here; it is a ValueError.
        UndercastError: As ``undercast.predict`` does.
    """
    _refuse_foreign_models(custom_models, pred_classes)
    loaded = _load(model, inference_device, inference_dtype)
    wanted = _Wanted(
        options=_options(loaded.spec, patch_size, patch_overlap, batch_size),
        confidence=export_confidence,
        softmax=softmax_output,
        masked=apply_no_data_mask,
        no_data_value=no_data_value,
        nodata=scheme_with("omnicloudmask", nodata).nodata,
        scaling=None if scale is None else Scaling(scale=scale, offset=offset),
    )
    prediction = predict(_scene(input_array, wanted, name="array"), loaded, wanted.options)
    (strip,) = prediction.stream().strips
    return _pixels(wanted, prediction.header.classes)(strip)


def predict_from_load_func(
    scene_paths: Sequence[str | Path],
    load_func: Callable[..., Loaded],
    patch_size: int = PATCH_SIZE,
    patch_overlap: int = PATCH_OVERLAP,
    batch_size: int = 1,
    inference_device: object = None,
    mosaic_device: object = None,
    inference_dtype: object = "float32",
    export_confidence: bool = False,
    softmax_output: bool = True,
    no_data_value: float = 0,
    overwrite: bool = True,
    apply_no_data_mask: bool = True,
    output_dir: str | Path | None = None,
    custom_models: object = None,
    pred_classes: int = 4,
    destination_model_dir: str | Path | None = None,
    model_download_source: str = "hugging_face",
    compile_models: bool = False,
    compile_mode: str = "default",
    model_version: float | None = None,
    *,
    nodata: int = NODATA,
    scale: float | None = None,
    offset: float = 0.0,
    model: str | Path = DEFAULT_MODEL,
) -> list[Path]:
    """Mask scenes that a function loads; several are at work at once.

    Args:
        scene_paths: Scenes.
        load_func: Called with ``input_path=``; gives an array as ``predict_from_array`` takes it, and rasterio's
            profile of its grid. ``load_s2``, ``load_ls8`` and ``load_multiband`` are such functions.
        patch_size: As in ``predict_from_array``, and so are all that are not named here.
        patch_overlap: See there.
        batch_size: See there.
        inference_device: See there.
        mosaic_device: See there.
        inference_dtype: See there.
        export_confidence: See there.
        softmax_output: See there.
        no_data_value: See there.
        overwrite: Whether a scene whose file is there is masked again.
        apply_no_data_mask: See there.
        output_dir: Folder of the files; None: beside each scene.
        custom_models: See there.
        pred_classes: See there.
        destination_model_dir: See there.
        model_download_source: See there.
        compile_models: See there.
        compile_mode: See there.
        model_version: See there.
        nodata: See there.
        scale: See there.
        offset: See there.
        model: See there.

    Returns:
        The files, in the order of the scenes.

    Raises:
        UsageError: If two scenes would be one file; it is a ValueError.
        UndercastError: Of the first scene that failed, once those at work beside it are finished.
    """
    _refuse_foreign_models(custom_models, pred_classes)
    loaded = taking_turns(_load(model, inference_device, inference_dtype))
    wanted = _Wanted(
        options=_options(loaded.spec, patch_size, patch_overlap, batch_size),
        confidence=export_confidence,
        softmax=softmax_output,
        masked=apply_no_data_mask,
        no_data_value=no_data_value,
        nodata=scheme_with("omnicloudmask", nodata).nodata,
        scaling=None if scale is None else Scaling(scale=scale, offset=offset),
    )
    targets = [_target(Path(path), output_dir) for path in scene_paths]
    check_distinct(targets)

    def work(number: int) -> Path:
        array, profile = load_func(input_path=Path(scene_paths[number]))
        scene = _scene(array, wanted, name=targets[number].stem, profile=profile)
        return _write(scene, loaded, wanted, targets[number])

    missing = [number for number, target in enumerate(targets) if overwrite or not target.exists()]
    for path in at_once(missing, work, workers=WORKERS):
        log.info("%s is written", path)
    return targets


def _refuse_foreign_models(custom_models: object, pred_classes: int) -> None:
    if custom_models is not None or pred_classes != len(CLASS_NAMES):
        msg = (
            "custom_models and pred_classes are not for undercast: it runs model packages, never bare PyTorch modules."
            " Make a package (docs/reference/model-package.md) and give it with model=."
        )
        raise UsageError(msg)


def _load(model: str | Path, device: object, dtype: object) -> Model:
    name = str(dtype).removeprefix("torch.")
    if name not in PRECISIONS:
        msg = f"inference_dtype must be one of {', '.join(PRECISIONS)}, got {name!r}."
        raise UsageError(msg)
    where = "auto" if device is None else str(device).lower().partition(":")[0]
    return load_model(model, device=where, precision=PRECISIONS[name])


def _options(spec: ModelSpec, patch_size: int, patch_overlap: int, batch_size: int) -> MaskOptions:
    """Take over patches: the nearest side that the model can take, and the overlap where it fits."""
    if patch_overlap >= patch_size:
        msg = f"patch_overlap must be less than patch_size {patch_size}, got {patch_overlap}."
        raise UsageError(msg)
    if patch_size < SMALLEST_SIDE:
        msg = f"patch_size must be at least {SMALLEST_SIDE}, got {patch_size}."
        raise UsageError(msg)
    if patch_size < SMALL_SIDE:
        warnings.warn(f"patch_size {patch_size} is small: the model sees little around a pixel", stacklevel=3)
    return MaskOptions(
        window=None if patch_size == PATCH_SIZE else max(1, round(patch_size / spec.multiple)) * spec.multiple,
        overlap=None if patch_overlap == PATCH_OVERLAP else patch_overlap,
        batch_size=batch_size,
    )


def _scene(array: NDArray[Any], wanted: _Wanted, *, name: str, profile: Mapping[str, Any] | None = None) -> Scene:
    if array.ndim != 3 or array.shape[0] != len(BANDS):
        msg = f"expected an array (red, green and nir; y; x), got shape {array.shape}."
        raise UsageError(msg)
    side = min(array.shape[1:])
    if side < SMALLEST_SIDE:
        msg = f"expected at least {SMALLEST_SIDE} x {SMALLEST_SIDE} px, got shape {array.shape}. Add pixels of no data."
        raise UsageError(msg)
    if side < SMALL_SIDE:
        warnings.warn(f"{name}: {side} px is small: the model sees little around a pixel", stacklevel=3)
    values = np.ma.filled(array.astype(np.float32), np.nan)
    empty = (np.isnan(values) | (values == wanted.no_data_value)).all(axis=0)
    values[:, empty] = np.nan
    scaling = wanted.scaling or _guess(values, name)
    grid = Grid(shape=array.shape[1:]) if profile is None else _grid(profile, array.shape[1:])
    return scene_from_array(scaling.to_reflectance(values), BANDS, name=name, grid=grid)


def _guess(values: Float32, name: str) -> Scaling:
    """Take values for reflectance, or for 10000 times that where they cannot be."""
    observed = observe(values[:, ::16, ::16]) or observe(values)
    if observed is None or observed.p99 <= BRIGHTEST:
        return Scaling()
    warnings.warn(
        f"{name}: values of up to {observed.p99:.0f} are taken for reflectance x 10000; say how it is with scale= and"
        " offset= (Sentinel-2 from baseline 04.00 on: scale=1e-4, offset=-0.1)",
        stacklevel=4,
    )
    return Scaling(scale=1e-4)


def _grid(profile: Mapping[str, Any], shape: tuple[int, int]) -> Grid:
    transform, crs = profile.get("transform"), profile.get("crs")
    if transform is None or crs is None:
        return Grid(shape=shape)
    known = CRS.from_user_input(crs)
    a, b, c, d, e, f = (float(value) for value in tuple(transform)[:6])
    return Grid(
        shape=shape,
        transform=(a, b, c, d, e, f),
        crs=known.to_wkt(),
        geographic=known.is_geographic,
        unit_m=unit_of(known),
    )


def _target(scene: Path, output_dir: str | Path | None) -> Path:
    folder = scene.parent if output_dir is None else Path(output_dir)
    return folder / f"{scene.stem}_undercast.tif"


def _write(scene: Scene, model: Model, wanted: _Wanted, target: Path) -> Path:
    prediction = stream(scene, model, wanted.options)
    scheme = scheme_with("omnicloudmask", wanted.fill)
    layers = class_map_layers(scheme)
    if wanted.confidence:
        layers = Layers(dtype="float32", descriptions=tuple(CLASS_NAMES.values()), nodata=_fill(wanted))
    pixels = _pixels(wanted, prediction.header.classes)
    return write_one(prediction, OneRaster(target=target, scheme=scheme, layers=layers, pixels=pixels))


def _fill(wanted: _Wanted) -> float:
    """Give the confidence of pixels without data."""
    return float("nan") if wanted.fill else 0.0


def _pixels(wanted: _Wanted, classes: Sequence[str]) -> Callable[[Strip], UInt8 | Float32]:
    """Give what turns a strip into class values or confidences ``(layer, rows, width)``."""

    def values(strip: Strip) -> UInt8:
        return np.where(strip.class_map == NODATA, np.uint8(wanted.fill), strip.class_map)[np.newaxis]

    def confidences(strip: Strip) -> Float32:
        low, high = CONFIDENCE_RANGE
        said: Float32 = np.clip(four_classes(strip.probabilities, classes) + np.float32(low), low, high)
        if not wanted.softmax:
            said = np.log(said)
        said[:, strip.class_map == NODATA] = _fill(wanted)
        return said

    return confidences if wanted.confidence else values
