"""Masking: a scene and a model give a prediction; the one verb that everything else is built around."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np

from undercast import readers, writers
from undercast.bands import BandMatch, tolerance_um
from undercast.errors import RadiometryError, SceneError, UsageError
from undercast.inference import ensemble
from undercast.inference.backends import AUTO, Network, choose_backend
from undercast.inference.sliding import MemberStrip, SlidingJob, SlidingPlan, plan_windows, slide
from undercast.model_spec import ModelSpec
from undercast.models.package import DEFAULT_MODEL, ModelPackage, find_package, read_package
from undercast.models.trust import verified_bytes
from undercast.prediction import ModelIdentity, Prediction, PredictionHeader, PredictionStream, Strip, collect
from undercast.radiometry import guard, observe
from undercast.readers.array import like, scene_from_data_array
from undercast.readers.base import OpenOptions, short_name
from undercast.scene import Scene
from undercast.types import FEW_PIXELS, Aggregation, Float32, UncertaintyKind
from undercast.windows import Window
from undercast.writers import OutputOptions, Outputs

if TYPE_CHECKING:
    import xarray

log = logging.getLogger(__name__)

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many windows are done, and how many there are."""

MOST_PROBABLE = "argmax"
"""Preset that every model has: no thresholds, the most probable class."""

FAR_SHARE = 0.6
"""Share of the largest distance at which a band may stand for another from which a person is told: Landsat's nir08 for
nir is common, the red edge for red is not."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A model package whose weights have been verified and loaded."""

    package: ModelPackage
    """What the package says."""
    networks: tuple[Network, ...]
    """One per member, in the package's order."""
    backend: str
    """Name of the runtime."""
    device: str
    """Where it runs."""

    @property
    def spec(self) -> ModelSpec:
        """What the model expects and returns."""
        return self.package.spec

    @property
    def identity(self) -> ModelIdentity:
        """Which model it is."""
        return self.package.identity


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
    """Side of a window, in pixels."""
    overlap: int | None = None
    """Pixels that neighbouring windows share."""
    batch_size: int | None = None
    """Windows that a network gets at once; None: 1 on a processor, 4 elsewhere."""
    radiometry: Literal["refuse", "warn"] = "refuse"
    """What happens to a scene whose values cannot be reflectance."""


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
    seconds: float
    """Wall time from opening to the last file."""
    warnings: tuple[str, ...] = field(default=())
    """What a person should know, one line each."""

    def to_dict(self) -> dict[str, Any]:
        """Give the result as JSON values; paths that were not asked for are None."""
        return {
            "scene": self.scene,
            "class_map": _text(self.outputs.class_map),
            "probabilities": _text(self.outputs.probabilities),
            "uncertainty": _text(self.outputs.uncertainty),
            "item": _text(self.outputs.item),
            "quicklook": _text(self.outputs.quicklook),
            "style": _text(self.outputs.style),
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


def load_model(name: str | Path = DEFAULT_MODEL, *, device: str = AUTO, backend: str = AUTO) -> Model:
    """Load a model package: verify each member's weights, then make its network.

    Args:
        name: Name of a package, or the path of a package folder or its item.
        device: Device, or ``auto``: the best that works.
        backend: Runtime, or ``auto``: the first that loads the package's weights.

    Raises:
        UnknownModelError: If there is no such package.
        ModelError: If the package is wrong.
        TrustError: If weights differ from what the package declares.
        BackendError: If no runtime or device fits.
    """
    package = read_package(find_package(name))
    networks = []
    runtime = backend
    for member in package.members:
        choice = choose_backend(member.kind, backend, device)
        # The first member settles the device, so that all run in one place.
        network, device = choice.load(verified_bytes(member))
        runtime = choice.name
        networks.append(network)
    log.info("model %s %s: %s on %s", package.spec.id, package.spec.version, runtime, device)
    return Model(package=package, networks=tuple(networks), backend=runtime, device=device)


def stream(
    scene: Scene,
    model: Model | str | Path = DEFAULT_MODEL,
    options: MaskOptions | None = None,
    *,
    progress: Progress | None = None,
) -> PredictionStream:
    """Begin a prediction: everything that can be refused is refused here, before the first network runs.

    Args:
        scene: What is masked.
        model: A loaded model, or a name or path for ``load_model``.
        options: How; the model's own choices unless told otherwise.
        progress: Is told how many windows are done, and how many there are.

    Raises:
        BandError: If a required band is missing.
        RadiometryError: If the values cannot be reflectance.
        SceneError: If the scene is too small or has no valid pixel.
        UsageError: If an option does not fit the model.
        WindowError: If window and overlap do not fit the model.
    """
    chosen = options or MaskOptions()
    _check_size(scene)
    loaded = model if isinstance(model, Model) else load_model(model)
    header = _header(scene, loaded, chosen)
    plan = plan_windows(loaded.spec, scene.grid.shape, window=chosen.window, overlap=chosen.overlap)
    matches = loaded.spec.match(scene.bands)
    job = SlidingJob(
        spec=loaded.spec,
        matches=matches,
        networks=loaded.networks,
        plan=plan,
        read_rows=_row_reader(scene, matches),
        batch_size=_batch_size(chosen, loaded),
    )
    header = replace(header, warnings=(*header.warnings, *_look(scene, matches, plan, chosen)))
    for warning in header.warnings:
        log.warning("%s", warning)
    return PredictionStream(header=header, strips=_strips(job, header, progress))


@overload
def predict(
    source: Scene,
    model: Model | str | Path = ...,
    options: MaskOptions | None = ...,
    *,
    progress: Progress | None = ...,
) -> Prediction: ...


@overload
def predict(
    source: xarray.DataArray,
    model: Model | str | Path = ...,
    options: MaskOptions | None = ...,
    *,
    progress: Progress | None = ...,
) -> xarray.Dataset: ...


def predict(
    source: Scene | xarray.DataArray,
    model: Model | str | Path = DEFAULT_MODEL,
    options: MaskOptions | None = None,
    *,
    progress: Progress | None = None,
) -> Prediction | xarray.Dataset:
    """Predict a scene in memory.

    Args:
        source: A scene; or a ``DataArray (band, y, x)`` of reflectance whose ``band`` coordinate names the
            bands.
        model: A loaded model, or a name or path for ``load_model``.
        options: How; the model's own choices unless told otherwise.
        progress: Is told how many windows are done, and how many there are.

    Returns:
        A prediction for a scene; for a DataArray a Dataset with ``class_map``, ``probabilities`` and
        ``uncertainty`` on the same coordinates.

    Raises:
        UndercastError: As ``stream`` does.
    """
    if isinstance(source, Scene):
        return collect(stream(source, model, options, progress=progress))
    scene = scene_from_data_array(source, OpenOptions())
    return like(collect(stream(scene, model, options, progress=progress)), source)


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
    opening = open_options or OpenOptions()
    expected = source.name if isinstance(source, Scene) else opening.name or short_name(str(source))
    writers.check_free(output, expected)
    scene = source if isinstance(source, Scene) else readers.open_scene(source, opening)
    if scene.name != expected:
        writers.check_free(output, scene.name)
    prediction = stream(scene, model, options, progress=progress)
    outputs = writers.write(prediction, scene, output)
    return MaskResult(
        scene=scene.name,
        outputs=outputs,
        percent=outputs.percent,
        model=prediction.header.model,
        seconds=time.perf_counter() - began,
        warnings=prediction.header.warnings,
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _check_size(scene: Scene) -> None:
    height, width = scene.grid.shape
    if min(height, width) < FEW_PIXELS:
        msg = f"{scene.name}: expected at least {FEW_PIXELS} x {FEW_PIXELS} px, got {height} x {width}."
        raise SceneError(msg)


def _header(scene: Scene, model: Model, options: MaskOptions) -> PredictionHeader:
    """Settle what the prediction is, and refuse options that do not fit the model."""
    spec = model.spec
    matches = spec.match(scene.bands)
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
        bands={match.wanted.common_name: _stands(scene, match) for match in matches if match.index is not None},
        absent=tuple(match.wanted.common_name for match in matches if match.index is None),
        warnings=_warnings(scene, spec, matches),
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


def _warnings(scene: Scene, spec: ModelSpec, matches: tuple[BandMatch, ...]) -> tuple[str, ...]:
    warnings = [
        f"{scene.name}: {match.wanted.common_name} is taken from {_stands(scene, match)}"
        for match in matches
        if match.index is not None and match.distance_um > FAR_SHARE * tolerance_um(match.wanted)
    ]
    if scene.level is not None and scene.level not in spec.levels:
        trained = " and ".join(spec.levels)
        warnings.append(f"{scene.name}: {scene.level} reflectance, but model {spec.id!r} was trained on {trained}")
    return tuple(warnings)


def _batch_size(options: MaskOptions, model: Model) -> int:
    if options.batch_size is None:
        return 1 if model.device == "cpu" else 4
    if options.batch_size < 1:
        msg = f"batch_size must be 1 or more, got {options.batch_size}."
        raise UsageError(msg)
    return options.batch_size


def _row_reader(scene: Scene, matches: tuple[BandMatch, ...]) -> Callable[[Window], Float32]:
    indexes = [match.index for match in matches if match.index is not None]
    return lambda window: scene.read(window, indexes)


def _look(scene: Scene, matches: tuple[BandMatch, ...], plan: SlidingPlan, options: MaskOptions) -> tuple[str, ...]:
    """Hold what the scene declares against what is seen in it.

    Returns:
        Warnings, each one line.

    Raises:
        SceneError: If no pixel is valid.
        RadiometryError: If the values cannot be reflectance.
    """
    observed = observe(_some_valid_pixels(scene, matches, plan))
    if observed is None:
        msg = f"{scene.name}: expected pixels to mask, got no valid pixel in the bands used. Is nodata right?"
        raise SceneError(msg)
    try:
        return guard(observed, name=scene.name, level=scene.level)
    except RadiometryError as error:
        if options.radiometry == "warn":
            return (str(error),)
        raise


def _some_valid_pixels(scene: Scene, matches: tuple[BandMatch, ...], plan: SlidingPlan) -> Float32:
    """Give some pixels ``(band, n)`` that are valid in every band; none only where the scene has none.

    A few places are looked at first; where they hold nothing, the scene is searched from the top.
    """
    read_rows = _row_reader(scene, matches)
    indexes = [match.index for match in matches if match.index is not None]
    found = _valid_pixels(scene.sample(indexes))
    height, width = scene.grid.shape
    row = 0
    while not found.size and row < height:
        rows = min(plan.window[0], height - row)
        found = _valid_pixels(read_rows(Window(row=row, col=0, height=rows, width=width)))
        row += rows
    return found


def _valid_pixels(reflectance: Float32) -> Float32:
    flat = reflectance.reshape(reflectance.shape[0], -1)
    return flat[:, np.isfinite(flat).all(axis=0)]


def _strips(job: SlidingJob, header: PredictionHeader, progress: Progress | None) -> Iterator[Strip]:
    """Turn members' strips into finished ones; unlike a loop's variable, ``map`` keeps none of them alive."""
    return map(partial(_finished, spec=job.spec, header=header), slide(job, progress))


def _finished(strip: MemberStrip, *, spec: ModelSpec, header: PredictionHeader) -> Strip:
    aggregated = ensemble.aggregate(strip.members, header.aggregation, spec.classes)
    probabilities = ensemble.tempered(aggregated, spec.temperature)
    spread = ensemble.uncertainty(strip.members, probabilities, header.uncertainty_kind, spec.classes)
    class_map = ensemble.decide(probabilities, header.classes, header.thresholds, strip.valid)
    outside = ~strip.valid
    probabilities[:, outside] = np.nan
    spread[outside] = np.nan
    return Strip(
        row=strip.row,
        class_map=class_map,
        probabilities=probabilities,
        uncertainty=spread,
        partly_valid=strip.partly_valid,
    )
