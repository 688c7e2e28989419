"""Card: what a person should know of a model that was trained here, as Markdown, from the record of its training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from undercast.training.chips import read_manifest
from undercast.training.recipe import Recipe


def write_card(recipe: Recipe, data: Path, record: Mapping[str, Any]) -> str:
    """Write the card of a trained model.

    Args:
        recipe: What was trained.
        data: Folder of the chips, whose manifest names sources and licences.
        record: The evaluation record of the training.
    """
    plan = recipe.optimise
    trained_with = f"undercast {record['made_with']['undercast']}, seed {plan.seed}, {_steps(recipe)}"
    fitted = ", ".join(f"{name} {value:+.2f}" for name, value in record["calibration"].items())
    points = ", ".join(f"`{name}` {preset['cloud']:.2f}" for name, preset in record["presets"].items())
    optional = [name for name in recipe.model.bands if name not in recipe.model.required]
    judges = "real chips held out of the training, fold by fold" if recipe.data.folds else "labelled training chips"
    return f"""# {recipe.model.title}, {recipe.model.version}

Clear, thick cloud, thin cloud and cloud shadow, by pixel, from top-of-atmosphere or surface reflectance.

| | |
|---|---|
| needs | {", ".join(recipe.model.required)} |
| is better with | {", ".join(optional)}; each may be absent, and the network is told so |
| architecture | {recipe.model.architecture} |
| licence | Apache-2.0 |
| trained with | {trained_with} |
| threshold on cloud | {points}; chosen on {judges} |
| calibration | {fitted}; found on the same |

## Trained on

Simulated scenes ({record["chips"].get("simulated", 0)}), simulated clouds on real cloud-free images
({record["chips"].get("simulated on real", 0)}), and real labelled chips and cloud-free images of:

| source | licence of the data |
|---|---|
{_sources(data, record)}

The SHA-256 of each of the {len(record["data_sha256"])} real files is in `evaluation.json`.
{_held_out(record)}
## Figures on simulated chips

Of another seed, like the simulated training chips: they say that the training worked, not how good the masks of real
scenes are. Figures on real scenes that no network was trained on are in MODELS.md.

| | F1 |
|---|---|
| cloud (thick and thin) | {record["validation_on_simulated"]["simulated_cloud_f1"]:.3f} |
| cloud shadow | {record["validation_on_simulated"]["simulated_shadow_f1"]:.3f} |

## Limits

- Sentinel-2 labels in training know no shadow and no thin cloud: there, both come from simulation alone.
- Thin cloud under an optical thickness of about 0.2 counts as clear.
- Few real scenes were at hand: calibrate on your own where you have labels (`undercast calibrate`).
"""


def _steps(recipe: Recipe) -> str:
    plan = recipe.optimise
    alone = f"{plan.pretrain_steps} steps on simulated chips alone, then " if plan.pretrain_steps else ""
    return f"{alone}{plan.steps} steps"


def _sources(data: Path, record: Mapping[str, Any]) -> str:
    sources: dict[str, set[str]] = {}
    for row in read_manifest(data):
        if row["file"] in record["data_sha256"]:
            licence = str(row.get("licence_data") or "not stated")
            sources.setdefault(row.get("source", data.name), set()).add(licence)
    return "\n".join(f"| {name} | {'; '.join(sorted(licences))} |" for name, licences in sorted(sources.items()))


def _held_out(record: Mapping[str, Any]) -> str:
    """Write the figures on real chips by networks that had not seen them; nothing where there were no folds."""
    tables = record["held_out"]
    if not tables:
        return ""
    sections = "\n".join(_held_out_at(name, found) for name, found in tables.items())
    return f"""
## Figures on held-out training chips

Each real chip, judged by the network of its fold, which had not seen it. The weights of this package were trained on
all of them, or, in an ensemble, those of each member on all but one fold.
{sections}"""


def _held_out_at(preset: str, found: Mapping[str, Any]) -> str:
    rows = "\n".join(
        f"| {source} | {figures['cloud_f1']:.3f} | {figures['cloud_f2']:.3f} | {figures['cloud_ece']:.3f}"
        f" | {'-' if figures['shadow_f1'] is None else format(figures['shadow_f1'], '.3f')} |"
        for source, figures in found["labelled"].items()
    )
    clear = found["clear"]
    worst = max(clear["worst"].values(), default=0.0)
    return f"""
At the threshold `{preset}`:

| source: bands | cloud F1 | cloud F2 | cloud calibration error | shadow F1 |
|---|---|---|---|---|
{rows}

False cloud on {clear["scenes"]} cloud-free scenes: {100 * clear["false_cloud"]:.2f} % of the pixels;
{100 * worst:.1f} % of the worst scene.
"""
