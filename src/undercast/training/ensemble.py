"""Ensembles: members of several architectures for coarse sensors, trained one after the other and packed together."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from undercast.errors import TrainingError
from undercast.simulation.scenes import BIT_CLEAR, BIT_SHADOW, BIT_THICK, BIT_THIN
from undercast.training.augment import AugmentPlan, augment
from undercast.training.chips import STORED_NODATA, STORED_SCALE, Chip
from undercast.training.coarse_chips import CoarsePlan, CoarsePools, file_of
from undercast.training.loop import keep_freed_memory
from undercast.training.losses import soft_dice
from undercast.training.networks import build, check_architecture
from undercast.training.operating_point import TRUSTED
from undercast.training.recipe import MULTIPLE, fill_plan, read_table
from undercast.training.vgt_networks import BRIGHTEST
from undercast.types import Float32, UInt8

logger = logging.getLogger(__name__)

BANDS = ("blue", "red", "nir", "swir16")
"""Common names of the bands of SPOT-VGT and PROBA-V; a scene must have them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsemblePlan:
    """Which members there are, and how each is trained."""

    id: str
    """Name of the model package."""
    version: str
    """Version of the weights."""
    title: str
    """Name for people."""
    members: tuple[str, ...]
    """Architectures, each a name of ``networks.ARCHITECTURES``; every member has its own seed."""
    steps: int
    """Steps of the optimiser, for each member."""
    seed: int = 0
    """Seed of the first member; the next ones take the next numbers."""
    batch: int = 8
    """Chips in a batch."""
    learning_rate: float = 2e-3
    """Highest learning rate."""
    weight_decay: float = 0.02
    """Decoupled weight decay (AdamW)."""
    warmup: int = 100
    """Steps of linear warm-up before the cosine."""
    ema: float = 0.99
    """Decay of the averaged weights, which are the ones that are shipped."""
    dice: float = 0.5
    """Weight of the soft Dice loss of cloud."""
    share: float = 1.0
    """Share of the real files, and of the simulated chips, that each member learns from: members that saw other things
    err in other places. Every member draws its own."""
    sides: tuple[int, ...] = ()
    """Sides of what the members see, in pixels, drawn for each batch, because a mask's windows are of any size; as many
    chips as leave a batch its number of pixels. Empty: the crop of ``[augment]`` alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleRecipe:
    """A training run of several members."""

    ensemble: EnsemblePlan
    """Members and their training."""
    coarse: CoarsePlan
    """Chips."""
    augment: AugmentPlan = field(default_factory=AugmentPlan)
    """Variation of chips."""


def is_ensemble(path: Path) -> bool:
    """Tell whether a recipe is one of an ensemble: it has a table ``[ensemble]``.

    Raises:
        TrainingError: If the file is missing or no TOML.
    """
    return "ensemble" in read_table(path)


def read_ensemble(path: Path) -> EnsembleRecipe:
    """Read a recipe of an ensemble.

    Raises:
        TrainingError: If the file is missing, no TOML, or a key or value is wrong.
        UsageError: If an architecture is not known.
    """
    table = read_table(path)
    try:
        recipe = _recipe_of(table)
        _check(recipe)
    except TrainingError as error:
        msg = f"recipe {path}: {error}"
        raise TrainingError(msg) from error
    for name in recipe.ensemble.members:
        check_architecture(name)
    return recipe


def _recipe_of(table: Mapping[str, Any]) -> EnsembleRecipe:
    known = [row.name for row in fields(EnsembleRecipe)]
    if unknown := sorted(set(table) - set(known)):
        msg = f"unknown tables {', '.join(unknown)}. Known: {', '.join(known)}."
        raise TrainingError(msg)
    return EnsembleRecipe(
        ensemble=fill_plan(EnsemblePlan, table.get("ensemble", {}), "ensemble"),
        coarse=fill_plan(CoarsePlan, table.get("coarse", {}), "coarse"),
        augment=fill_plan(AugmentPlan, table.get("augment", {}), "augment"),
    )


def _check(recipe: EnsembleRecipe) -> None:
    plan, coarse, crop = recipe.ensemble, recipe.coarse, recipe.augment.crop
    members = ", ".join(plan.members) or "none"
    sides = (crop, *plan.sides)
    conditions = (
        (len(set(plan.members)) == len(plan.members) > 1, f"[ensemble]: members must be two or more, got {members}."),
        (min(plan.steps, plan.batch) >= 1, "[ensemble]: steps and batch must be at least 1."),
        (0 < plan.share <= 1, f"[ensemble]: share must be in (0, 1], got {plan.share:g}."),
        (plan.learning_rate > 0, f"[ensemble]: learning_rate must be > 0, got {plan.learning_rate:g}."),
        (0 <= plan.ema < 1, f"[ensemble]: ema must be in [0, 1), got {plan.ema:g}."),
        (min(coarse.simulated, coarse.validation, coarse.held_out) >= 1, "[coarse]: counts must be at least 1."),
        (coarse.on_real >= 0, f"[coarse]: on_real must be at least 0, got {coarse.on_real}."),
        (
            min(coarse.real, coarse.ground) >= 0 and coarse.real + coarse.ground <= 1,
            f"[coarse]: real and ground must be shares, together at most 1, got {coarse.real}, {coarse.ground}.",
        ),
        (
            MULTIPLE <= min(sides) <= max(sides) <= coarse.size
            and not any(side % MULTIPLE for side in (*sides, coarse.size)),
            f"[augment] crop and [ensemble] sides must be multiples of {MULTIPLE} px up to [coarse] size, one itself.",
        ),
    )
    for fine, told in conditions:
        if not fine:
            raise TrainingError(told)


def train_member(
    recipe: EnsembleRecipe,
    number: int,
    pools: CoarsePools,
    work: Path,
    progress: Callable[[int, int], None] | None = None,
) -> nn.Module:
    """Train one member, or take it from ``work`` where an earlier run of the same recipe has left it.

    Args:
        recipe: The recipe.
        number: Position of the member.
        pools: Chips.
        work: Folder for the log and the weights.
        progress: Is told how many steps are done, and how many there are.

    Returns:
        The network with its averaged weights, in evaluation mode; reflectance in, one logit out.

    Raises:
        TrainingError: If the loss is no number, or the weights in ``work`` are of another recipe.
    """
    plan, name = recipe.ensemble, recipe.ensemble.members[number]
    torch.manual_seed(plan.seed + number)
    network = build(name, bands=len(BANDS), classes=1)
    path = work / f"{name}.pt"
    if _restore(network, path, recipe):
        return network.eval()
    keep_freed_memory()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(plan.ema), use_buffers=True)  # type: ignore[no-untyped-call]
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True
    )
    losses: list[float] = []
    began = time.monotonic()
    pools = pools_of_member(pools, plan, number)
    network.train()
    for step in range(plan.steps):
        for group in optimiser.param_groups:
            group["lr"] = _learning_rate(step, plan)
        images, possible, weight = draw_batch(recipe, pools, np.random.default_rng((plan.seed + number, step)))
        loss = cloud_loss(_logits(network, images), possible, weight, dice=plan.dice)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        averaged.update_parameters(network)
        losses.append(float(loss.detach()))
        if progress is not None:
            progress(step + 1, plan.steps)
        if (step + 1) % 100 == 0 or step + 1 == plan.steps:
            _log(work, {"member": name, "step": step + 1, "loss": float(np.mean(losses))}, time.monotonic() - began)
            losses.clear()
    trained: nn.Module = averaged.module.eval()
    trained.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    _keep(trained, path, recipe)
    return trained


def pools_of_member(pools: CoarsePools, plan: EnsemblePlan, number: int) -> CoarsePools:
    """Give the share of the chips that a member learns from; of every source of real ones at least one file."""
    if plan.share == 1:
        return pools
    rng = np.random.default_rng((plan.seed, number))
    kept: set[str] = set()
    for source in sorted({chip.source for chip in pools.real}):
        files = sorted({file_of(chip) for chip in pools.real if chip.source == source})
        kept.update(rng.choice(files, max(1, round(plan.share * len(files))), replace=False))

    def some(chips: list[Chip]) -> list[Chip]:
        return [chip for chip in chips if rng.random() < plan.share] or chips

    real = [chip for chip in pools.real if file_of(chip) in kept]
    return replace(pools, real=real, on_real=some(pools.on_real), simulated=some(pools.simulated))


def draw_batch(recipe: EnsembleRecipe, pools: CoarsePools, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Give images, possible sets and weights of one batch."""
    plan, crop = recipe.ensemble, recipe.augment.crop
    side = int(rng.choice(plan.sides)) if plan.sides else crop
    varied = replace(recipe.augment, crop=side)
    chips = [_draw(recipe.coarse, pools, rng) for _ in range(max(1, plan.batch * crop**2 // side**2))]
    pairs = [augment(chip, BANDS, varied, rng, all_bands=True) for chip in chips]
    images = torch.from_numpy(np.stack([image for image, _ in pairs]))
    possible = torch.from_numpy(np.stack([sets for _, sets in pairs]))
    return images, possible, torch.tensor([chip.weight for chip in chips])


def _draw(plan: CoarsePlan, pools: CoarsePools, rng: np.random.Generator) -> Chip:
    draw = rng.random()
    if draw < plan.real:
        sources = sorted({chip.source for chip in pools.real})
        sizes = np.array([sum(chip.source == source for chip in pools.real) for source in sources])
        trust = np.array([max(chip.weight for chip in pools.real if chip.source == source) for source in sources])
        chances = trust * np.sqrt(sizes)
        source = sources[int(rng.choice(len(sources), p=chances / chances.sum()))]
        pool = [chip for chip in pools.real if chip.source == source]
    else:
        pool = pools.on_real if draw < plan.real + plan.ground and pools.on_real else pools.simulated
    return pool[int(rng.integers(len(pool)))]


def cloud_loss(logits: Tensor, possible: Tensor, weight: Tensor, *, dice: float) -> Tensor:
    """Cross entropy of cloud against the rest where that is certain, and the soft Dice loss of cloud.

    Args:
        logits: ``(batch, 1, y, x)``.
        possible: Possible sets ``(batch, y, x)``.
        weight: One per chip, ``(batch,)``.
        dice: Weight of the Dice loss, over the chips whose labels are trusted.
    """
    sets = possible.to(torch.int32)
    may_be_cloud, may_be_other = sets & (BIT_THICK | BIT_THIN) > 0, sets & (BIT_CLEAR | BIT_SHADOW) > 0
    cloud, known = may_be_cloud & ~may_be_other, may_be_cloud ^ may_be_other
    each = nn.functional.binary_cross_entropy_with_logits(logits[:, 0], cloud.to(logits.dtype), reduction="none")
    trust = known * weight.view(-1, 1, 1)
    loss = (each * trust).sum() / trust.sum().clamp(min=1.0)
    if dice:
        trusted = known & (weight >= TRUSTED).view(-1, 1, 1)
        loss = loss + dice * soft_dice(torch.sigmoid(logits[:, 0]), cloud, trusted)
    return loss


def probability(network: nn.Module, chip: Chip) -> Float32:
    """Give the probability of cloud of a whole chip, ``(y, x)``; its sides must be multiples of 32."""
    image = np.where(chip.stored == STORED_NODATA, 0, chip.stored) * np.float32(STORED_SCALE)
    with torch.no_grad():
        logits: Tensor = network(torch.from_numpy(image.astype(np.float32))[None].clamp(0.0, BRIGHTEST))
    return np.asarray(torch.sigmoid(logits)[0, 0].numpy(), np.float32)


def certain(possible: UInt8) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Tell where a pixel is surely cloud, and where surely not."""
    cloud, other = possible & (BIT_THICK | BIT_THIN) > 0, possible & (BIT_CLEAR | BIT_SHADOW) > 0
    return cloud & ~other, other & ~cloud


def _logits(network: nn.Module, images: Tensor) -> Tensor:
    logits: Tensor = network(images.clamp(0.0, BRIGHTEST).contiguous(memory_format=torch.channels_last))
    return logits


def _learning_rate(step: int, plan: EnsemblePlan) -> float:
    if step < plan.warmup:
        return plan.learning_rate * (step + 1) / plan.warmup
    part = (step - plan.warmup) / max(plan.steps - plan.warmup, 1)
    return plan.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))


def _fingerprint(recipe: EnsembleRecipe) -> str:
    return json.dumps(asdict(recipe), sort_keys=True)


def _restore(network: nn.Module, path: Path, recipe: EnsembleRecipe) -> bool:
    if not path.exists():
        return False
    saved = torch.load(path, weights_only=True)
    if saved["recipe"] != _fingerprint(recipe):
        msg = f"{path} is of another recipe. Give another --work folder, or remove it."
        raise TrainingError(msg)
    network.load_state_dict(saved["network"])
    logger.info("%s was trained before", path.stem)
    return True


def _keep(network: nn.Module, path: Path, recipe: EnsembleRecipe) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save({"recipe": _fingerprint(recipe), "network": network.state_dict()}, temporary)
    temporary.replace(path)


def _log(work: Path, line: Mapping[str, Any], seconds: float) -> None:
    if not math.isfinite(line["loss"]):
        msg = f"the loss of {line['member']} is no number at step {line['step']}. Try a lower learning_rate."
        raise TrainingError(msg)
    work.mkdir(parents=True, exist_ok=True)
    with (work / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({**line, "seconds": round(seconds, 1)}) + "\n")
    logger.info("%s", line)
