"""From a recipe to a model package: pools, training, temperature, export, card."""

from __future__ import annotations

import json
import logging
import platform
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from undercast.errors import OutputExistsError
from undercast.model_spec import ModelBand, ModelSpec
from undercast.models.package import PackageDetails, write_package
from undercast.training.chips import read_manifest
from undercast.training.export import fit_temperature, to_onnx
from undercast.training.loop import Pools, Trained, make_pools, train, validate
from undercast.training.networks import check_architecture
from undercast.training.operating_point import choose_presets
from undercast.training.recipe import Recipe

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and how much there is."""


def run(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    work: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Path:
    """Train the model of a recipe and write its package.

    Args:
        recipe: What to train.
        data: Folder with ``manifest.json`` and chips.
        out: Folder of the package, which must not exist.
        work: Folder for the log and the checkpoint; beside ``out`` unless given. A run that was stopped goes
            on.
        device: Device of PyTorch.
        progress: Called now and then.

    Returns:
        The package's folder.

    Raises:
        TrainingError: If the data or the recipe are wrong.
        UsageError: If the architecture is not known.
        OutputExistsError: If ``out`` exists.
    """
    if out.exists():
        msg = f"model package {out} exists already. Remove it first, or write to another folder."
        raise OutputExistsError(msg)
    check_architecture(recipe.model.architecture)
    work = work or out.with_name(f"{out.name}.work")
    tell = progress or (lambda _what, _done, _total: None)
    pools = make_pools(recipe, data, lambda done, total: tell("simulating", done, total))
    trained = train(recipe, pools, work, device=device, progress=lambda done, total: tell("training", done, total))
    tell("exporting", 0, 1)
    temperature = fit_temperature(trained.network, pools.validation, recipe.model.bands)
    weights = to_onnx(trained.network, len(recipe.bands), temperature=temperature)
    judges = [*pools.real, *pools.validation]
    presets = choose_presets(trained.network, judges, recipe.model.bands, temperature=temperature)
    validation = validate(trained.network, pools.validation, recipe)
    record = _record(recipe, pools, trained, validation) | {"temperature": temperature, "presets": presets}
    details = PackageDetails(
        architecture=recipe.model.architecture,
        created=datetime.now(tz=UTC),
        description=(
            "Clear, thick cloud, thin cloud and cloud shadow from optical imagery of any sensor with at least"
            f" {' and '.join(recipe.model.required)}, in top-of-atmosphere or surface reflectance."
        ),
        card=_card(recipe, data, record),
        evaluation=record,
        total_parameters=sum(value.numel() for value in trained.network.parameters()),
        hyperparameters=_plain(asdict(recipe.optimise)),
    )
    package = write_package(out, spec_of(recipe, presets), {recipe.model.id: weights}, details)
    tell("exporting", 1, 1)
    return package


def spec_of(recipe: Recipe, presets: Mapping[str, Mapping[str, float]] | None = None) -> ModelSpec:
    """Give the spec of a recipe's model; of several presets ``balanced`` is recommended."""
    return ModelSpec(
        id=recipe.model.id,
        version=recipe.model.version,
        title=recipe.model.title,
        bands=tuple(ModelBand(band=band, required=band.common_name in recipe.model.required) for band in recipe.bands),
        presets=presets or {},
        preset="balanced" if presets else None,
    )


def _record(recipe: Recipe, pools: Pools, trained: Trained, validation: dict[str, float]) -> dict[str, Any]:
    """Say all that the weights depend on, and the figures on simulated validation chips."""
    return {
        "recipe": _plain(asdict(recipe)),
        "data_sha256": pools.hashes,
        "chips": dict(Counter(chip.source for chip in (*pools.real, *pools.on_real, *pools.simulated))),
        "validation_on_simulated": validation,
        "seconds": round(trained.seconds, 1),
        "made_with": {name: _version(name) for name in ("undercast", "torch", "numpy")}
        | {"python": platform.python_version(), "machine": platform.machine()},
    }


def _version(name: str) -> str:
    """Give the version of a distribution; ``0+unknown`` in a source tree that was never installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "0+unknown"


def _plain(value: Any) -> Any:
    """Turn a value into what JSON can hold."""
    return json.loads(json.dumps(value))


def _card(recipe: Recipe, data: Path, record: dict[str, Any]) -> str:
    """Write the model card."""
    sources: dict[str, set[str]] = {}
    for row in read_manifest(data):
        if row["file"] in record["data_sha256"]:
            licence = str(row.get("licence_data") or "not stated")
            sources.setdefault(row.get("source", data.name), set()).add(licence)
    used = "\n".join(f"| {name} | {'; '.join(sorted(licences))} |" for name, licences in sorted(sources.items()))
    figures = record["validation_on_simulated"]
    plan = recipe.optimise
    trained_with = f"undercast {record['made_with']['undercast']}, seed {plan.seed}, {plan.steps} steps"
    points = ", ".join(f"`{name}` {preset['cloud']:.2f}" for name, preset in record["presets"].items())
    optional = [name for name in recipe.model.bands if name not in recipe.model.required]
    return f"""# {recipe.model.title}, {recipe.model.version}

Clear, thick cloud, thin cloud and cloud shadow, by pixel, from top-of-atmosphere or surface reflectance.

| | |
|---|---|
| needs | {", ".join(recipe.model.required)} |
| is better with | {", ".join(optional)}; each may be absent, and the network is told so |
| architecture | {recipe.model.architecture} |
| licence | Apache-2.0 |
| trained with | {trained_with} |
| threshold on cloud | {points}; chosen on the labelled real chips of the training and on simulated ones |

## Trained on

Simulated scenes ({record["chips"].get("simulated", 0)}), simulated clouds on real cloud-free images
({record["chips"].get("simulated on real", 0)}), and real labelled chips and cloud-free images of:

| source | licence of the data |
|---|---|
{used}

The SHA-256 of each real file is in `evaluation.json`.

## Figures

On {len(record["data_sha256"])} real files it was trained; the figures here are of **simulated** chips of
another seed, which are like the simulated training chips: they say that the training worked, not how good the
masks of real scenes are.

| | F1 |
|---|---|
| cloud (thick and thin) | {figures["simulated_cloud_f1"]:.3f} |
| cloud shadow | {figures["simulated_shadow_f1"]:.3f} |

Figures on real scenes that it was not trained on are in MODELS.md.

## Limits

- Sentinel-2 labels in training know no shadow and no thin cloud: there, both come from simulation alone.
- Thin cloud under an optical thickness of about 0.2 counts as clear.
- Few real scenes were at hand: treat probabilities as ranks, not as frequencies, until you calibrate.
"""
