"""Masking: a scene and a model give a prediction; the one verb that everything else is built around."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np

from undercast import readers, writers
from undercast.bands import BandMatch, tolerance_um
from undercast.errors import ApplicabilityError, RadiometryError, SceneError, UsageError
from undercast.inference import ensemble
from undercast.inference.augmentation import ONE_VIEW, Augmentation
from undercast.inference.memory import ORDINARY_BYTES, Load, fitted_plan, share_arenas
from undercast.inference.sliding import SlidingJob, SlidingPlan
from undercast.loading import Model, load_model
from undercast.model_spec import ModelSpec
from undercast.models.applicability import machine_mismatch, mismatches
from undercast.models.package import DEFAULT_MODEL
from undercast.passes import make_jobs, matched_bands, settle_precision, strips, terrain_under
from undercast.postprocessing import PostProcessing, postprocess
from undercast.prediction import ModelIdentity, Prediction, PredictionHeader, PredictionStream, collect, cropped
from undercast.radiometry import guard, observe
from undercast.readers.areas import Area, outside, window_of, with_context
from undercast.readers.array import like, scene_from_data_array
from undercast.readers.base import OpenOptions, short_name
from undercast.readers.elevation import Elevation
from undercast.readers.north import sun_on_grid
from undercast.scene import Scene, crop
from undercast.terrain import Terrain
from undercast.types import FEW_PIXELS, Aggregation, Float32, Precision, UncertaintyKind
from undercast.windows import Window
from undercast.writers import OutputOptions, Outputs
from undercast.writers.quicklook import Preview

if TYPE_CHECKING:
    import xarray

__all__ = [
    "MOST_PROBABLE",
    "MaskOptions",
    "MaskResult",
    "Model",
    "Progress",
    "load_model",
    "mask",
    "part_of_scene",
    "predict",
    "stream",
]

log = logging.getLogger(__name__)

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many windows are done, and how many there are."""

MOST_PROBABLE = "argmax"
"""Preset that every model has: no thresholds, the most probable class."""

LARGEST_BATCH_SIZE = 64
"""Windows that an accelerator gets at once at most where nobody asks for more, whatever the model suggests."""

ROWS_AT_ONCE = 512
"""Rows in which valid pixels are looked for at once."""

FAR_SHARE = 0.6
"""Share of the largest distance at which a band may stand for another from which a person is told: Landsat's nir08 for
nir is common, the red edge for red is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskOptions:
    """How a scene is masked; what is None is the model's own choice."""

    thresholds: Mapping[str, float] | None = None
    """Operating point: class -> threshold; empty: the most probable class."""
    preset: str | None = None
    """Operating point by name: one of the package's, or ``argmax``."""
    aggregation: Aggregation | None = None
    """How members are aggregated."""
    uncertainty: UncertaintyKind | None = None
    """Which uncertainty is given."""
    window: int | None = None
    """Side of a window, in pixels; None: the model's own."""
    overlap: int | None = None
    """Pixels that neighbouring windows share."""
    batch_size: int | None = None
    """Windows that a network gets at once; None: one on a processor, what the model suggests on an accelerator."""
    memory: int | None = None
    """Memory that windows are fitted to, in bytes; None: 790 MB."""
    tta: Augmentation = ONE_VIEW
    """Test-time augmentation: how often windows are looked at."""
    radiometry: Literal["refuse", "warn"] = "refuse"
    """What happens to a scene whose values cannot be reflectance."""
    strict: bool = False
    """Whether a scene that is not what the model is for is refused, instead of a warning."""
    area: Area | None = None
    """Part of the scene that is masked; the model sees some context around it."""
    postprocessing: PostProcessing = field(default_factory=PostProcessing)
    """How the class map is cleaned."""
    dem: str | None = None
    """Raster with the height of the ground, for the check of shadows and for models that take it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskResult:
    """What masking one scene left behind."""

    scene: str
    """Name of the scene."""
    outputs: Outputs
    """Files that were written."""
    percent: Mapping[str, float]
    """Class -> percent of the valid pixels."""
    model: ModelIdentity
    """Which model said so."""
    backend: str
    """Which runtime ran its networks."""
    device: str
    """Where they ran."""
    precision: Precision
    """What they computed with."""
    seconds: float
    """Wall time from opening to the last file."""
    warnings: tuple[str, ...] = field(default=())
    """What a person should know, one line each."""

    def to_dict(self) -> dict[str, Any]:
        """Give the result as JSON values; paths that were not asked for are None."""
        names = ("class_map", "probabilities", "uncertainty", "item", "quicklook", "style")
        addresses = self.outputs.addresses()
        return {
            "scene": self.scene,
            **{name: addresses.get(name) for name in names},
            "percent": {name: round(value, 4) for name, value in self.percent.items()},
            "valid_percent": round(self.outputs.valid_percent, 4),
            "model": {
                "id": self.model.id,
                "version": self.model.version,
                "checksums": list(self.model.checksums),
            },
            "seconds": round(self.seconds, 3),
            "warnings": list(self.warnings),
        }


def stream(
    scene: Scene,
    model: Model | str | Path = DEFAULT_MODEL,
    options: MaskOptions | None = None,
    *,
    terrain: Terrain | None = None,
    progress: Progress | None = None,
    uncertainty: bool = True,
) -> PredictionStream:
    """Begin a prediction: everything that can be refused is refused here, before the first network runs.

    The prediction lies on the scene's grid, or on that of ``part_of_scene`` where an area is asked for.

    Args:
        scene: What is masked.
        model: A loaded model, or a name or path for ``load_model``.
        options: How; the model's own choices unless told otherwise.
        terrain: The shape of its ground, for a model that takes it, where no raster of the options tells it.
        progress: Is told how many windows are done, and how many there are.
        uncertainty: Whether it is wanted; else it is NaN everywhere, which takes less time.

    Raises:
        BandError: If a required band is missing.
        RadiometryError: If the values cannot be reflectance.
        SceneError: If the scene is too small or has no valid pixel.
        ApplicabilityError: If the scene is not what the model is for, and ``strict`` is set.
        UsageError: If an option does not fit the model.
        WindowError: If window and overlap do not fit the model.
    """
    chosen = options or MaskOptions()
    _check_size(scene)
    loaded = model if isinstance(model, Model) else load_model(model)
    if chosen.area is not None:
        begin = partial(stream, progress=progress, uncertainty=uncertainty)
        return _stream_of_area(scene, loaded, chosen, chosen.area, terrain=terrain, begin=begin)
    matches = matched_bands(scene, loaded)
    header = header_of(scene, loaded, chosen, matches)
    ground = None if chosen.dem is None else Elevation(source=chosen.dem, grid=scene.grid)
    sun = chosen.postprocessing.sun or scene.sun
    sun = None if sun is None else sun_on_grid(sun, scene.grid)
    terrain, header = terrain_under(scene, loaded, ground or terrain, sun, header)
    jobs = make_jobs(
        scene,
        loaded,
        window=chosen.window,
        overlap=chosen.overlap,
        batch_size=batch_size_of(chosen, loaded),
        terrain=terrain,
    )
    header = replace(header, warnings=(*header.warnings, *_idle(loaded, chosen), *_look(scene, matches, chosen)))
    loaded, jobs = settle_precision(scene, loaded, jobs, header)
    header = replace(header, precision=loaded.precision)
    jobs = tuple(replace(job, augmentation=chosen.tta, plan=fitted_windows(job, loaded, chosen)) for job in jobs)
    for warning in header.warnings:
        log.warning("%s", warning)
    made = strips(jobs, loaded.spec, header, progress, uncertainty=uncertainty)
    prediction = PredictionStream(header=header, strips=made)
    return postprocess(prediction, replace(chosen.postprocessing, sun=sun), ground=ground)


def part_of_scene(scene: Scene, area: Area | None) -> Scene:
    """Give the part of a scene that the mask of an area covers; all of it where there is none.

    Raises:
        GridError: If the scene is not georeferenced.
        SceneError: If the area lies outside of it.
    """
    return scene if area is None else crop(scene, window_of(area, scene.grid, name=scene.name))


def _stream_of_area(
    scene: Scene,
    model: Model,
    options: MaskOptions,
    area: Area,
    *,
    terrain: Terrain | None,
    begin: Callable[..., PredictionStream],
) -> PredictionStream:
    """Begin the prediction of the area with context around it, of which the area is cut out."""
    window = window_of(area, scene.grid, name=scene.name)
    seen = with_context(window, scene.grid, options.overlap or model.spec.overlap)
    part = crop(scene, seen)
    inside = replace(window, row=window.row - seen.row, col=window.col - seen.col)
    ground = None if terrain is None else terrain.inside(seen)
    whole = begin(part, model, replace(options, area=None), terrain=ground)
    return cropped(whole, inside, partial(outside, area, part.grid))


@overload
def predict(
    source: Scene,
    model: Model | str | Path = ...,
    options: MaskOptions | None = ...,
    *,
    terrain: Terrain | None = ...,
    progress: Progress | None = ...,
) -> Prediction: ...


@overload
def predict(
    source: xarray.DataArray,
    model: Model | str | Path = ...,
    options: MaskOptions | None = ...,
    *,
    terrain: Terrain | None = ...,
    progress: Progress | None = ...,
) -> xarray.Dataset: ...


def predict(
    source: Scene | xarray.DataArray,
    model: Model | str | Path = DEFAULT_MODEL,
    options: MaskOptions | None = None,
    *,
    terrain: Terrain | None = None,
    progress: Progress | None = None,
) -> Prediction | xarray.Dataset:
    """Predict a scene in memory.

    Args:
        source: A scene; or a ``DataArray (band, y, x)`` of reflectance whose ``band`` coordinate names the
            bands.
        model: A loaded model, or a name or path for ``load_model``.
        options: How; the model's own choices unless told otherwise.
        terrain: The shape of its ground, for a model that takes it, where no raster of the options tells it.
        progress: Is told how many windows are done, and how many there are.

    Returns:
        A prediction for a scene; for a DataArray a Dataset with ``class_map``, ``probabilities`` and
        ``uncertainty`` on the same coordinates.

    Raises:
        UsageError: If the source is neither.
        UndercastError: As ``stream`` does.
    """
    if isinstance(source, Scene):
        return collect(stream(source, model, options, terrain=terrain, progress=progress))
    if not hasattr(source, "coords") or not hasattr(source, "dtype"):
        msg = (
            f"expected a Scene or an xarray.DataArray, got {type(source).__name__}."
            " scene_from_array(array, bands) makes a scene of an array, open_scene(path) of a file."
        )
        raise UsageError(msg)
    scene = scene_from_data_array(source, OpenOptions())
    return like(collect(stream(scene, model, options, terrain=terrain, progress=progress)), source)


def mask(
    source: str | Path | Scene,
    output: OutputOptions,
    model: Model | str | Path = DEFAULT_MODEL,
    open_options: OpenOptions | None = None,
    options: MaskOptions | None = None,
    progress: Progress | None = None,
) -> MaskResult:
    """Mask one scene and write the files that a GIS person expects: all of them, or none.

    Args:
        source: A path or URL that a reader knows, or a scene.
        output: Where to, and which files.
        model: A loaded model, or a name or path for ``load_model``.
        open_options: What the source does not say itself.
        options: How; the model's own choices unless told otherwise.
        progress: Is told how many windows are done, and how many there are.

    Raises:
        OutputExistsError: If an output exists and may not be replaced.
        OutputError: If an output cannot be written.
        UndercastError: As ``readers.open_scene`` and ``stream`` do.
    """
    began = time.perf_counter()
    share_arenas()
    opening = open_options or OpenOptions()
    expected = source.name if isinstance(source, Scene) else opening.name or short_name(str(source))
    writers.check_free(output, expected)
    scene = source if isinstance(source, Scene) else readers.open_scene(source, opening)
    if scene.name != expected:
        writers.check_free(output, scene.name)
    loaded = model if isinstance(model, Model) else load_model(model)
    part = part_of_scene(scene, (options or MaskOptions()).area)
    preview = Preview(part, output.scheme)
    # A part is read with context around it, which the picture does not show.
    seen = preview.watching(scene) if output.quicklook and part is scene else scene
    prediction = stream(seen, loaded, options, progress=progress, uncertainty=output.uncertainty)
    outputs = writers.write(prediction, part, output, preview)
    return MaskResult(
        scene=scene.name,
        outputs=outputs,
        percent=outputs.percent,
        model=prediction.header.model,
        backend=loaded.backend,
        device=loaded.device,
        precision=prediction.header.precision,
        seconds=time.perf_counter() - began,
        warnings=prediction.header.warnings,
    )


def _check_size(scene: Scene) -> None:
    height, width = scene.grid.shape
    if min(height, width) < FEW_PIXELS:
        msg = f"{scene.name}: expected at least {FEW_PIXELS} x {FEW_PIXELS} px, got {height} x {width}."
        raise SceneError(msg)


def header_of(scene: Scene, model: Model, options: MaskOptions, matches: Sequence[BandMatch]) -> PredictionHeader:
    """Settle what a prediction is, and refuse options and scenes that do not fit the model."""
    spec = model.spec
    names = ensemble.layer_names(spec.classes)
    thresholds = _thresholds(spec, options)
    ensemble.check_applies(thresholds, names)
    kind = options.uncertainty or spec.uncertainty
    ensemble.check_uncertainty(kind, len(model.networks))
    aggregation = options.aggregation or spec.aggregation
    ensemble.check_aggregation(aggregation)
    return PredictionHeader(
        scene=scene.name,
        grid=scene.grid,
        model=model.identity,
        classes=names,
        aggregation=aggregation,
        uncertainty_kind=kind,
        thresholds=thresholds,
        tta=str(options.tta),
        bands={match.wanted.common_name: _stands(scene, match) for match in matches if match.index is not None},
        absent=tuple(match.wanted.common_name for match in matches if match.index is None),
        warnings=(*_far_bands(scene, matches), *_foreign(scene, model, options)),
    )


def _thresholds(spec: ModelSpec, options: MaskOptions) -> Mapping[str, float]:
    if options.thresholds is not None and options.preset is not None:
        msg = f"give thresholds or a preset, not both; got preset {options.preset!r} and thresholds."
        raise UsageError(msg)
    if options.thresholds is not None:
        return options.thresholds
    if options.preset is None:
        return spec.thresholds
    if options.preset == MOST_PROBABLE:
        return {}
    if options.preset not in spec.presets:
        known = ", ".join((MOST_PROBABLE, *spec.presets))
        msg = f"preset {options.preset!r} is not known to model {spec.id!r}. Known: {known}"
        raise UsageError(msg)
    return spec.presets[options.preset]


def _stands(scene: Scene, match: BandMatch) -> str:
    """Say which of the scene's bands stands for a model band, and how far away it lies."""
    band = scene.bands[match.index or 0]
    return f"{band.name} ({band.center_wavelength:g} um, {match.distance_um:.3f} um away)"


def _far_bands(scene: Scene, matches: Sequence[BandMatch]) -> list[str]:
    return [
        f"{scene.name}: {match.wanted.common_name} is taken from {_stands(scene, match)}"
        for match in matches
        if match.index is not None and match.distance_um > FAR_SHARE * tolerance_um(match.wanted)
    ]


def _foreign(scene: Scene, model: Model, options: MaskOptions) -> list[str]:
    """Hold the scene against what the model is for.

    Raises:
        ApplicabilityError: If it is something else, and the options are strict.
    """
    stated = model.package.applicability
    found = list(mismatches(replace(stated, levels=stated.levels or model.spec.levels), scene))
    machine = machine_mismatch(stated, model.device)
    if machine is not None:
        found.append(machine)
    if found and options.strict:
        msg = (
            f"{scene.name} is not what model {model.spec.id!r} is for: {'; '.join(found)}. Leave out --strict to go on."
        )
        raise ApplicabilityError(msg)
    return [f"{scene.name}: {mismatch} (model {model.spec.id!r})" for mismatch in found]


def batch_size_of(options: MaskOptions, model: Model) -> int:
    """Count the windows that a network gets at once.

    Raises:
        UsageError: If the options ask for none.
    """
    if options.batch_size is None:
        # A processor gains nothing from batches, and they take memory; it works on several of them side by side.
        suggested = 1 if model.device == "cpu" else model.package.applicability.batch_size
        return min(suggested or model.windows, LARGEST_BATCH_SIZE)
    if options.batch_size < 1:
        msg = f"batch_size must be 1 or more, got {options.batch_size}."
        raise UsageError(msg)
    return options.batch_size


def fitted_windows(job: SlidingJob, model: Model, options: MaskOptions) -> SlidingPlan:
    """Fit a pass's windows to scene and memory, unless a person says how large they are."""
    if options.window is not None:
        return job.plan
    load = Load(
        bands=sum(match.index is not None for match in job.matches) + len(job.spec.terrain),
        layers=len(model.networks) * len(job.spec.classes),
        windows=job.calls * job.batch_size,
        working=job.spec.working_bytes,
    )
    budget = options.memory or ORDINARY_BYTES
    fitted = fitted_plan(job.spec, job.plan.shape, load, overlap=options.overlap, budget=budget)
    least = load.bytes_of(fitted)
    if options.memory is not None and least > budget:
        log.warning("memory: %.0f MB are too few, about %.0f MB are taken", budget / 1e6, least / 1e6)
    # Only who asks for little memory gets windows that are slower and still take more.
    return job.plan if options.memory is None and least > budget else fitted


def _idle(model: Model, options: MaskOptions) -> tuple[str, ...]:
    """Tell of heights and sun angles that a person gives and nothing uses."""
    takes = any(group.spec.terrain for group in model.groups)
    given = {"--dem": options.dem is not None, "--sun": options.postprocessing.sun is not None}
    idle = " and ".join(name for name, is_given in given.items() if is_given)
    if not idle or options.postprocessing.check_shadows or (takes and given["--dem"]):
        return ()
    why = "no --dem is given" if takes else f"model {model.spec.id!r} takes no terrain"
    return (f"{idle}: not used, because {why} and --check-shadows is not asked for",)


def _look(scene: Scene, matches: Sequence[BandMatch], options: MaskOptions) -> tuple[str, ...]:
    """Hold what the scene declares against what is seen in it.

    Returns:
        Warnings, each one line.

    Raises:
        SceneError: If no pixel is valid.
        RadiometryError: If the values cannot be reflectance.
    """
    observed = observe(_some_valid_pixels(scene, matches))
    if observed is None:
        msg = f"{scene.name}: expected pixels to mask, got no valid pixel in the bands used. Is nodata right?"
        raise SceneError(msg)
    try:
        return guard(observed, name=scene.name, level=scene.level)
    except RadiometryError as error:
        if options.radiometry == "warn":
            return (str(error),)
        raise


def _some_valid_pixels(scene: Scene, matches: Sequence[BandMatch]) -> Float32:
    """Give some pixels ``(band, n)`` that are valid in every band; none only where the scene has none.

    A few places are looked at first; where they hold nothing, the scene is searched from the top.
    """
    indexes = sorted({match.index for match in matches if match.index is not None})
    found = _valid_pixels(scene.sample(indexes))
    height, width = scene.grid.shape
    row = 0
    while not found.size and row < height:
        rows = min(ROWS_AT_ONCE, height - row)
        found = _valid_pixels(scene.read(Window(row=row, col=0, height=rows, width=width), indexes))
        row += rows
    return found


def _valid_pixels(reflectance: Float32) -> Float32:
    flat = reflectance.reshape(reflectance.shape[0], -1)
    return flat[:, np.isfinite(flat).all(axis=0)]
