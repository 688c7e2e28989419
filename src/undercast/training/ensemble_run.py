"""From an ensemble's recipe to its package: chips, members, thresholds, export, judgement, card."""

from __future__ import annotations

import json
import logging
import platform
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from undercast.destinations import check_new_package
from undercast.evaluation.compare import Difference
from undercast.evaluation.packages import TRAINING_KEY, Met
from undercast.model_spec import ModelBand, ModelSpec
from undercast.models.publish.write import PackageDetails, write_package
from undercast.sensors import load_sensor
from undercast.simulation.coarse import simulate_coarse
from undercast.training.chips import Chip, read_manifest
from undercast.training.coarse_chips import SENSORS as SENSOR_GSDS
from undercast.training.coarse_chips import CoarsePools, make_coarse_pools
from undercast.training.ensemble import BANDS, EnsembleRecipe, certain, probability, train_member
from undercast.training.ensemble_judgement import MAIN, Judged, judge
from undercast.training.operating_point import f_beta
from undercast.training.run import Progress
from undercast.training.vgt_networks import STORED_SCALE, CloudProbability
from undercast.training.vgt_package import FIRST_DATE, SENSORS, export_member, write_vgt_package
from undercast.types import Float32

if TYPE_CHECKING:
    from torch import nn

logger = logging.getLogger(__name__)

PRESETS = {"f2": 2.0, "balanced": 1.0}
"""Operating point -> beta of the F-score that it is chosen for; the first is recommended."""
STANDARD = {"standard": {"cloud": 0.5}}
"""Operating point that every package in FDR4VGT's layout has."""
TRIED = np.arange(0.05, 0.86, 0.025)
"""Thresholds that are tried."""
EXAMPLE_SEED = 11
"""Seed of the example scene."""
EXAMPLE_SIZE = 128
"""Its side, in pixels."""


def run_ensemble(
    recipe: EnsembleRecipe,
    data: Path,
    out: Path,
    *,
    work: Path | None = None,
    judged_by: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train the members of a recipe and write them as one package in FDR4VGT's layout.

    Args:
        recipe: What to train.
        data: Folder with ``manifest.json`` and chips.
        out: Folder of the package, which must not exist.
        work: Folder for the log and finished members; beside ``out`` unless given. A run that was stopped goes on
            with the members that are missing.
        judged_by: Folder of labelled real scenes for the figures in the card; without it they are of simulated
            scenes alone.
        progress: Called now and then.

    Returns:
        The package's folder.

    Raises:
        TrainingError: If the data or the recipe are wrong.
        EvaluationError: If ``judged_by`` holds scenes that were trained on.
        OutputExistsError: If ``out`` exists.
    """
    check_new_package(out)
    tell = progress or (lambda _what, _done, _total: None)
    work = work or out.with_name(f"{out.name}.work")
    pools = make_coarse_pools(recipe.coarse, data, lambda done, total: tell("making chips", done, total))
    networks = {}
    for number, name in enumerate(recipe.ensemble.members):
        networks[name] = train_member(
            recipe,
            number,
            pools,
            work,
            lambda done, total, name=name: tell(f"training {name}", done, total),  # type: ignore[misc]
        )
    tell("exporting", 0, 1)
    thresholds, reached = choose_thresholds(networks, pools.validation)
    exported = {name: export_member(CloudProbability(network), len(BANDS)) for name, network in networks.items()}
    record = _record(recipe, pools, thresholds)
    record["f2_on_chips_for_thresholds"] = {name or "ensemble": score for name, score in reached.items()}
    tell("judging", 0, 1)
    found = _judge(recipe, exported, thresholds, record, judged_by)
    record["judged"] = [one.to_dict() for one in found]
    details = replace(
        _details(recipe, networks, record), card=_card(recipe, data, record, found), evaluation=_plain(record)
    )
    package = write_vgt_package(out, spec_of(recipe, thresholds[""]), exported, details, example_scene())
    tell("judging", 1, 1)
    return package


def spec_of(recipe: EnsembleRecipe, presets: Mapping[str, Mapping[str, float]]) -> ModelSpec:
    """Give the spec of the ensemble: reflectance x 10000 in, the probability of cloud out."""
    # Between the sensors' centres, so that each of them is near.
    sensors = [load_sensor(name).bands for name in SENSOR_GSDS]
    bands = [
        replace(
            several[0],
            name=several[0].common_name,
            center_wavelength=round(float(np.mean([band.center_wavelength for band in several])), 4),
            gsd=None,
        )
        for several in zip(*sensors, strict=True)
    ]
    return ModelSpec(
        id=recipe.ensemble.id,
        version=recipe.ensemble.version,
        title=recipe.ensemble.title,
        bands=tuple(ModelBand(band=band) for band in bands),
        classes=("cloud",),
        scale=1.0 / STORED_SCALE,
        fill=0.0,
        uncertainty="std",
        presets=presets,
        preset=next(iter(presets)),
    )


def choose_thresholds(
    networks: Mapping[str, nn.Module], chips: Sequence[Chip]
) -> tuple[dict[str, dict[str, dict[str, float]]], dict[str, float]]:
    """Choose thresholds on cloud for the ensemble and for each member: the best mean F-score over sources.

    Args:
        networks: Member -> network; reflectance in, one logit out.
        chips: Labelled chips that no member was trained on.

    Returns:
        Member, or "" for the ensemble -> preset -> ``{"cloud": threshold}``; and the same names -> mean F2 that was
        reached.
    """
    counts: dict[str, dict[str, np.ndarray[Any, Any]]] = {name: {} for name in ("", *networks)}
    for chip in chips:
        each = {name: probability(network, chip) for name, network in networks.items()}
        each[""] = np.mean(list(each.values()), axis=0)
        cloud, other = certain(chip.possible)
        for name, values in each.items():
            called = values[None] >= TRIED[:, None, None]
            hits = [(called & cloud).sum((1, 2)), (called & other).sum((1, 2)), (~called & cloud).sum((1, 2))]
            counts[name][chip.source] = counts[name].get(chip.source, 0) + np.stack(hits)
    chosen, reached = {}, {}
    for name, sources in counts.items():
        scores = {
            preset: np.mean([f_beta(found, beta) for found in sources.values()], axis=0)
            for preset, beta in PRESETS.items()
        }
        best = {preset: {"cloud": round(float(TRIED[int(np.argmax(mean))]), 3)} for preset, mean in scores.items()}
        chosen[name] = {**best, **STANDARD}
        reached[name] = float(scores["f2"].max())
    return chosen, reached


def example_scene() -> Float32:
    """Give the example that travels with a package: a simulated scene, reflectance x 10000, ``(4, y, x)``."""
    made = simulate_coarse(load_sensor("spot-vgt-2"), size=EXAMPLE_SIZE, gsd=1000.0, seed=EXAMPLE_SEED, level="toa")
    numbers = np.clip(np.round(made.reflectance / STORED_SCALE), 1, 32767)
    return np.asarray(np.nan_to_num(numbers, nan=0.0), np.float32)


def _judge(
    recipe: EnsembleRecipe,
    exported: Mapping[str, tuple[bytes, bytes]],
    thresholds: Mapping[str, Mapping[str, Mapping[str, float]]],
    record: Mapping[str, Any],
    data: Path | None,
) -> list[Judged]:
    """Judge the ensemble and each member through packages, as anyone would who gets them."""
    met = Met(trained=frozenset(record[TRAINING_KEY].values()))
    details = _details(recipe, {}, record)
    with tempfile.TemporaryDirectory() as folder:
        weights = {name: pair[0] for name, pair in exported.items()}
        whole = write_package(Path(folder) / "ensemble", spec_of(recipe, thresholds[""]), weights, details)
        alone = {}
        for name, data_of_member in weights.items():
            spec = replace(spec_of(recipe, thresholds[name]), id=name, uncertainty="entropy")
            alone[name] = write_package(Path(folder) / f"member-{name}", spec, {name: data_of_member}, details)
        return judge(whole, alone, met, data)


def _details(recipe: EnsembleRecipe, networks: Mapping[str, nn.Module], record: Mapping[str, Any]) -> PackageDetails:
    plan = recipe.ensemble
    members = ", ".join(plan.members)
    parameters = sum(value.numel() for network in networks.values() for value in network.parameters())
    return PackageDetails(
        architecture=f"Ensemble of {members}",
        created=datetime.now(tz=UTC),
        description=(
            f"Cloud in SPOT-VGT 1, SPOT-VGT 2 and PROBA-V imagery at 333 m and 1 km: {len(plan.members)} members"
            f" ({members}), aggregated at run time (mean, median, max or min), with an uncertainty."
        ),
        card="",
        total_parameters=parameters or None,
        hyperparameters=_plain(asdict(plan)),
        extra={"thresholds_of_members": record["thresholds"]},
        properties={"custom:sensors": list(SENSORS), "custom:applicable_start": FIRST_DATE},
    )


def _record(
    recipe: EnsembleRecipe, pools: CoarsePools, thresholds: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> dict[str, Any]:
    """Say all that the weights depend on."""
    chips = Counter(chip.source for chip in (*pools.real, *pools.on_real, *pools.simulated))
    return {
        "recipe": _plain(asdict(recipe)),
        TRAINING_KEY: pools.hashes,
        "chips": dict(chips),
        "chips_for_thresholds": dict(Counter(chip.source for chip in pools.validation)),
        "thresholds": {name or "ensemble": dict(presets) for name, presets in thresholds.items()},
        "made_with": {name: _version(name) for name in ("undercast", "torch", "numpy")}
        | {"python": platform.python_version(), "machine": platform.machine()},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "0+unknown"


def _plain(value: Any) -> Any:
    """Turn a value into what JSON can hold."""
    return json.loads(json.dumps(value))


def _card(recipe: EnsembleRecipe, data: Path, record: Mapping[str, Any], found: Sequence[Judged]) -> str:
    """Write the model card."""
    plan, presets = recipe.ensemble, record["thresholds"]["ensemble"]
    sources: dict[str, set[str]] = {}
    for row in read_manifest(data):
        if row["file"] in record[TRAINING_KEY]:
            licence = str(row.get("licence_data") or "not stated")
            sources.setdefault(row.get("source", data.name), set()).add(licence)
    used = "\n".join(f"| {name} | {'; '.join(sorted(licences))} |" for name, licences in sorted(sources.items()))
    points = ", ".join(f"`{name}` {preset['cloud']:g}" for name, preset in presets.items())
    made, reached = record["chips"], record["f2_on_chips_for_thresholds"]
    beforehand = max(plan.members, key=lambda name: reached[name])
    return f"""# {plan.title}, {plan.version}

Cloud by pixel in SPOT-VGT 1, SPOT-VGT 2 and PROBA-V imagery at 333 m and 1 km, with an uncertainty.

| | |
|---|---|
| needs | {", ".join(BANDS)}, top-of-atmosphere or surface reflectance, x 10000; 0 where there is no data |
| members | {", ".join(plan.members)} |
| aggregation | mean unless told otherwise; median, max, min and vote at run time |
| uncertainty | population standard deviation over the members, divided by the largest that so many can have |
| threshold on cloud | {points}; the first is recommended |
| licence | Apache-2.0 |
| trained with | undercast {record["made_with"]["undercast"]}, seed {plan.seed}, {plan.steps} steps for each member |

`item.json` names the members as ONNX, for undercast. `mlm.json` names the same members as `.pt2` in the layout of
FDR4VGT-CLOUD; mlstac loads the folder by it, with `load.py`.

The architectures are those of FDR4VGT-CLOUD at a small width, the weights are not: these were trained here. What of the
architectures is proven and what is inferred stands in undercast's `training/vgt_networks.py`.

## Trained on

No scene of SPOT-VGT or PROBA-V was at hand. {made.get("simulated", 0)} simulated scenes of these sensors,
{made.get("simulated on real", 0)} with simulated clouds on real cloud-free images, and real labelled images that were
degraded by spectral weights, each band's point spread and sampling (Mateo-Garcia et al. 2020):

| source | licence of the data |
|---|---|
{used}

The SHA-256 of each real file is in `evaluation.json`. Thresholds were chosen on simulated scenes of other seeds and on
real training scenes that no member was trained on.

## Figures

Each at its own threshold `{next(iter(presets))}`, in brackets 95 % intervals over scenes. The best member is picked
afterwards, on the scenes of its table; on the chips for the thresholds, beforehand, it was {beforehand}. AUROC: the
chance that a wrong pixel is more uncertain than a right one.

{_tables(found)}

## Limits

- It tells cloud from the rest: shadow counts as not cloud, thick and thin cloud are one.
- The real scenes above are a few of other sensors, made coarse: how it does on real SPOT-VGT and PROBA-V is not known.
- Thin cloud under an optical thickness of about 0.2 counts as clear.
"""


def _tables(found: Sequence[Judged]) -> str:
    parts = []
    for one in found:
        best = one.best_member
        rows = [("ensemble", one.ensemble, "-"), (f"best member, {best}", one.members[best], _gained(one.gains[best]))]
        rows += [(name, row, _gained(one.gains[name])) for name, row in one.members.items() if name != best]
        lines = "\n".join(
            f"| {name} | {_told(row, MAIN)}{_between(row.get(f'{MAIN}_low'), row.get(f'{MAIN}_high'))} | {gained} |"
            f" {_told(row, 'cloud_precision')} | {_told(row, 'cloud_recall')} | {_told(row, 'uncertainty_auroc')} |"
            for name, row, gained in rows
        )
        parts.append(
            f"### {one.title[0].upper()}{one.title[1:]} ({one.scenes} scenes)\n\n"
            "| | F2 | what the ensemble adds | precision | recall | AUROC of the uncertainty |\n"
            f"|---|---|---|---|---|---|\n{lines}"
        )
    return "\n\n".join(parts)


def _told(row: Mapping[str, float | None], key: str) -> str:
    value = row.get(key)
    return "-" if value is None else f"{value:.3f}"


def _gained(gain: Difference) -> str:
    return "-" if gain.difference is None else f"{gain.difference:+.3f}{_between(gain.low, gain.high)}"


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
