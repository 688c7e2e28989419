"""`undercast classify`: labels for windows of 1.2 km, clouds first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undercast.cli.app import describe
from undercast.cli.opening import open_options, opening_options, split_source
from undercast.cli.printing import print_json, print_pairs, progress_bars
from undercast.errors import UndercastError, UsageError

if TYPE_CHECKING:
    from undercast.classification.classifier import Classifier
    from undercast.classification.classify import ClassifyOptions, SceneLabels
    from undercast.classification.sentinel1 import Radar
    from undercast.loading import Model
    from undercast.training.bigearthnet.records import PatchRecord

TOP = 5
"""Labels of a scene that are told."""

# The closed sets of `classification.classify` and `classification.files`, whose import takes a while.
CLOUDS = ("leave-out", "weight", "keep")
FORMATS = ("geoparquet", "geojson")


@click.command(name="classify")
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE...")
@click.option("--model", required=True, metavar="M", help="A classifier's package: its folder, URL or hf:owner/name.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the outputs.")
@click.option("--name", metavar="NAME", help="How the outputs' names begin; the first scene's name unless given.")
@click.option("--format", "kind", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True, help="Of windows.")
@opening_options
@click.option(
    "--clouds",
    type=click.Choice(CLOUDS),
    default=CLOUDS[0],
    show_default=True,
    help="Windows under cloud or shadow: no scores, scores with a weight that falls with cloud, or scores.",
)
@click.option("--max-cloud", type=float, default=0.1, show_default=True, help="Share of cloud and shadow in a window.")
@click.option("--cloud-model", metavar="M", help="Model of the cloud mask; the embedded one unless given.")
@click.option(
    "--radiometry", type=click.Choice(("refuse", "warn")), default="refuse", show_default=True, help="As mask."
)
@click.option("--sentinel1", type=click.Path(path_type=Path), help="VV and VH in dB: file, folder, or BigEarthNet-S1.")
@click.option(
    "--metadata",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="BigEarthNet's metadata.parquet.",
)
@click.option("--device", default="auto", show_default=True, metavar="D", help="Device, such as cpu or cuda.")
@click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    scenes: tuple[str, ...],
    model: str,
    output: Path,
    name: str | None,
    kind: Any,
    clouds: Any,
    max_cloud: float,
    cloud_model: str | None,
    radiometry: Any,
    sentinel1: Path | None,
    metadata: tuple[Path, ...],
    device: str,
    overwrite: bool,
    as_json: bool,
    **opening: Any,
) -> None:
    """Label windows of scenes, clouds first.

    Windows have the size that the classifier was trained on, such as 1.2 km; those under cloud or shadow are found
    by the cloud mask before any is scored. SCENE is what `undercast mask` takes, or a folder of BigEarthNet patches.
    The windows of all scenes go into one file with their outlines and into one CSV table.

    With --metadata the flags contains_cloud_or_shadow of BigEarthNet are compared with those of the mask.
    """
    from undercast.classification.classify import ClassifyOptions
    from undercast.classification.files import check_free, label_files, write_labels
    from undercast.masking import MaskOptions

    options = ClassifyOptions(clouds=clouds, max_cloud=max_cloud, masking=MaskOptions(radiometry=radiometry))
    opened = open_options(**opening)
    sources = _sources(scenes)
    files = label_files(output, name or _name_of(scenes[0]), kind)
    check_free(files, overwrite=overwrite)
    records = _records(metadata)
    run = _Run(
        classifier=_classifier(model, device),
        cloud_model=_cloud_model(cloud_model, device),
        options=options,
        radar=_radars(sentinel1, records, len(sources)),
        opening=opened,
    )
    done, failed = _label_all(sources, run)
    if done:
        write_labels(done, files, kind)
    told = {
        "windows": str(files.windows.absolute()) if done else None,
        "table": str(files.table.absolute()) if done else None,
        "scenes": [_told(labels) for labels in done],
        "failed": failed,
        "flags": _flags(done, records) if metadata else None,
    }
    if as_json:
        print_json(told)
    else:
        _print(told)
    if failed:
        raise click.exceptions.Exit(1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """What all scenes share."""

    classifier: Classifier
    cloud_model: Model
    options: ClassifyOptions
    radar: Callable[[str], Radar | None]
    opening: Any


def _sources(arguments: Sequence[str]) -> list[Any]:
    from undercast.readers import list_scenes

    return [source for argument in arguments for source in list_scenes(split_source(argument))]


def _name_of(argument: str) -> str:
    from undercast.readers.base import short_name

    source = split_source(argument)
    return short_name(source if isinstance(source, str) else source[0])


def _classifier(name: str, device: str) -> Classifier:
    from undercast.classification.classifier import load_classifier
    from undercast.classification.package import open_classifier

    return load_classifier(open_classifier(name), device=device)


def _cloud_model(name: str | None, device: str) -> Model:
    from undercast.loading import load_model
    from undercast.models.package import DEFAULT_MODEL

    return load_model(name or DEFAULT_MODEL, device=device)


def _records(metadata: Sequence[Path]) -> dict[str, PatchRecord]:
    if not metadata:
        return {}
    from undercast.training.bigearthnet.records import read_records

    return {record.patch_id: record for record in read_records(*metadata)}


def _radars(path: Path | None, records: Mapping[str, PatchRecord], scenes: int) -> Callable[[str], Radar | None]:
    """Give what finds the Sentinel-1 part of a scene by the scene's name."""
    if path is None:
        return lambda name: None  # noqa: ARG005 (there is none)
    from undercast.classification.sentinel1 import open_radar, patch_radar

    if not records:
        if scenes > 1:
            msg = "expected --metadata beside --sentinel1 for several scenes: it says which Sentinel-1 patch is whose."
            raise UsageError(msg)
        only = open_radar(path)
        return lambda name: only  # noqa: ARG005 (there is one)

    def find(name: str) -> Radar:
        if name not in records:
            msg = f"{name}: expected a patch of the metadata, to learn its Sentinel-1 part. Give its metadata.parquet."
            raise UsageError(msg)
        return patch_radar(path, records[name].s1_name or name)

    return find


def _label_all(sources: Sequence[Any], run: _Run) -> tuple[list[SceneLabels], list[dict[str, str]]]:
    """Label scenes; of several, one that fails does not stop the others.

    Raises:
        UndercastError: If the only scene fails.
    """
    done: list[SceneLabels] = []
    failed: list[dict[str, str]] = []
    for source, outcome in _outcomes(sources, run):
        if not isinstance(outcome, UndercastError):
            done.append(outcome)
        elif len(sources) == 1:
            raise outcome
        else:
            failed.append({"source": str(source), "error": describe(outcome)})
            click.echo(f"{source}: {describe(outcome)}", err=True)
    return done, failed


def _outcomes(sources: Sequence[Any], run: _Run) -> Iterator[tuple[Any, SceneLabels | UndercastError]]:
    from undercast.classification.classify import classify
    from undercast.readers import open_scene

    with progress_bars() as bar:
        for source in sources:
            try:
                scene = open_scene(source, run.opening)
                with bar(scene.name) as progress:
                    labels = classify(
                        scene,
                        run.classifier,
                        run.cloud_model,
                        run.options,
                        radar=run.radar(scene.name),
                        progress=progress,
                    )
            except UndercastError as error:
                yield source, error
            else:
                yield source, labels


def _told(labels: SceneLabels) -> dict[str, Any]:
    """Give what became of a scene as plain values."""
    statuses = Counter(window.status for window in labels.windows)
    means = labels.mean_scores()
    return {
        "scene": labels.scene,
        "windows": len(labels.windows),
        **{status: statuses[status] for status in ("scored", "cloudy", "nodata")},
        "contains_cloud_or_shadow": sum(window.contains_cloud_or_shadow for window in labels.windows),
        "mean_scores": None if means is None else {label: round(score, 6) for label, score in means.items()},
        "classifier": {"id": labels.classifier.id, "version": labels.classifier.version},
        "cloud_model": {"id": labels.cloud_model.id, "version": labels.cloud_model.version},
        "warnings": list(labels.warnings),
    }


def _flags(done: Sequence[SceneLabels], records: Mapping[str, PatchRecord]) -> dict[str, Any]:
    from undercast.classification.flags import compare_flags

    stated = {name: record.cloud for name, record in records.items()}
    return compare_flags(done, stated).to_dict()


def _print(told: Mapping[str, Any]) -> None:
    """Put what became of the scenes in words."""
    for scene in told["scenes"]:
        click.echo(
            f"{scene['scene']}: {scene['windows']} windows, {scene['scored']} scored, {scene['cloudy']} under cloud or"
            f" shadow, {scene['nodata']} without data"
        )
        means = scene["mean_scores"] or {}
        best = sorted(means, key=lambda label: -float(means[label]))[:TOP]
        print_pairs([(f"  {means[label]:.3f}", label) for label in best])
    flags = told["flags"]
    if flags is not None:
        agreement = "unknown" if flags["agreement"] is None else f"{100 * flags['agreement']:.1f} %"
        click.echo(
            f"contains_cloud_or_shadow: mask and metadata agree on {agreement}; both {flags['both']}, mask alone"
            f" {flags['mask_only']}, metadata alone {flags['stated_only']}, neither {flags['neither']}, not stated"
            f" {flags['not_stated']}"
        )
    if told["windows"] is not None:
        print_pairs([("windows", told["windows"]), ("table", told["table"])])
