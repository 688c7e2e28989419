"""The training loop: batches, loss, averaged weights, checkpoints and exact resume."""

from __future__ import annotations

import copy
import ctypes
import hashlib
import json
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from undercast.classes import CLASS_NAMES, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD
from undercast.errors import TrainingError
from undercast.training.augment import augment, paste
from undercast.training.bank import make_bank
from undercast.training.chips import Chip, file_hash, read_chips, read_clear_images, read_manifest
from undercast.training.losses import set_cross_entropy, set_masks, soft_dice
from undercast.training.networks import build, encoder_parameters
from undercast.training.recipe import Recipe
from undercast.types import Float32, UInt8

logger = logging.getLogger(__name__)

MADE_FROM = "#made_from"
"""End of the names of files that a chip was made from, among the hashes of what a model has met."""

VALIDATION_SEED = 1_000_003
"""Added to the bank's seed for the simulated chips that are only ever validated on."""
VALIDATION_CHIPS = 96


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pools:
    """Chips to draw batches from, and chips to validate on."""

    real: list[Chip]
    """Real labelled chips."""
    on_real: list[Chip]
    """Simulated clouds on real backgrounds."""
    simulated: list[Chip]
    """Simulated from the ground up."""
    validation: list[Chip]
    """Simulated with another seed."""
    hashes: dict[str, str]
    """SHA-256 of each real file used."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """Outcome of a run."""

    network: nn.Module
    """Averaged weights, in evaluation mode; gives logits."""
    validation: dict[str, float]
    """Figures on the simulated validation chips."""
    hashes: dict[str, str]
    """SHA-256 of each real file used."""
    seconds: float
    """Wall time of the steps, those before a resume included."""


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory; on some machines page faults take most of the time otherwise."""
    m_trim_threshold, m_top_pad, m_mmap_threshold = -1, -2, -3
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        for parameter, value in (
            (m_mmap_threshold, 2**31 - 1),
            (m_trim_threshold, 2**31 - 1),
            (m_top_pad, 2**28),
        ):
            libc.mallopt(parameter, value)


def make_pools(recipe: Recipe, folder: Path, progress: Callable[[int, int], None] | None = None) -> Pools:
    """Read the real chips and simulate the others."""
    terrain = bool(recipe.model.terrain)
    real = read_chips(folder, recipe.bands, leave_out=recipe.data.leave_out, terrain=terrain)
    images = read_clear_images(folder, size=recipe.bank.size, leave_out=recipe.data.leave_out)
    if not real:
        msg = f"{folder} holds no labelled chip with the bands of the recipe: some are needed."
        raise TrainingError(msg)
    plan = recipe.bank
    if not images and plan.on_real:
        logger.warning("%s holds no image that is surely clear: no clouds are simulated on real ground", folder)
        plan = replace(plan, on_real=0)
    bank = make_bank(plan, recipe.bands, images, progress, terrain=terrain)
    held = replace(recipe.bank, seed=recipe.bank.seed + VALIDATION_SEED, simulated=VALIDATION_CHIPS, on_real=0)
    used = {chip.name for chip in real} | {image.name for image in images}
    return Pools(
        real=real,
        on_real=[chip for chip in bank if chip.source == "simulated on real"],
        simulated=[chip for chip in bank if chip.source == "simulated"],
        validation=make_bank(held, recipe.bands, (), terrain=terrain),
        hashes=dict(_hashes(folder, used)),
    )


def _hashes(folder: Path, used: Collection[str]) -> Iterator[tuple[str, str]]:
    """Give name and SHA-256 of the chips that are used, and of those of another sensor that they were made from."""
    for row in read_manifest(folder):
        if row["file"] in used:
            yield row["file"], file_hash(folder / row["file"])
            origin = row.get("made_from")
            if isinstance(origin, Mapping) and isinstance(origin.get("sha256"), str):
                yield f"{row['file']}{MADE_FROM}", origin["sha256"]


class Batches(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Batch ``i`` depends on the seed and ``i`` alone, so that a resumed run sees what it would have seen."""

    def __init__(self, recipe: Recipe, pools: Pools, start: int) -> None:
        self.recipe = recipe
        self.pools = pools
        self.start = start
        self.groups = _groups(pools.real)

    def __len__(self) -> int:
        """Count the batches that are left."""
        return self.recipe.optimise.steps - self.start

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Give images, possible sets and weights of one batch."""
        plan = self.recipe.optimise
        rng = np.random.default_rng((plan.seed, self.start + index))
        chips = [self._draw(rng) for _ in range(plan.batch)]
        pairs = [self._vary(chip, rng) for chip in chips]
        images = torch.from_numpy(np.stack([image for image, _ in pairs]))
        possible = torch.from_numpy(np.stack([sets for _, sets in pairs]))
        return images, possible, torch.tensor([chip.weight for chip in chips])

    def _vary(self, chip: Chip, rng: np.random.Generator) -> tuple[Float32, UInt8]:
        """Augment a chip; onto a real one the clouds of another are pasted now and then."""
        model, plan = self.recipe.model, self.recipe.augment
        vary = partial(augment, names=model.bands, plan=plan, rng=rng, all_bands=model.needs_all, terrain=model.terrain)
        pair = vary(chip)
        if chip.source.startswith("simulated") or rng.random() >= self.recipe.data.paste:
            return pair
        other = self._draw_real(rng)
        if other.weight < chip.weight:
            return pair
        return paste(pair, vary(other), layers=len(model.bands))

    def _draw(self, rng: np.random.Generator) -> Chip:
        draw = rng.random()
        data, pools = self.recipe.data, self.pools
        if draw < data.real and pools.real:
            return self._draw_real(rng)
        pool = pools.on_real if draw < data.real + data.on_real and pools.on_real else pools.simulated
        return pool[int(rng.integers(len(pool)))]

    def _draw_real(self, rng: np.random.Generator) -> Chip:
        """Draw a kind of chip, then a chip of it."""
        chances = np.array([chance for _, _, chance in self.groups])
        group, within, _ = self.groups[int(rng.choice(len(self.groups), p=chances / chances.sum()))]
        return group[int(rng.choice(len(group), p=within))]


def _groups(chips: Sequence[Chip]) -> list[tuple[list[Chip], NDArray[np.float64], float]]:
    """Sort real chips by what they show, so that many small clear ones do not crowd out the few labelled ones.

    Returns:
        For each kind its chips, the chance of each among them, and the chance of the kind. Within a kind, a source's
        share grows with the square root of its size and with the trust in its labels.
    """
    labelled = [chip for chip in chips if (chip.possible & 0b0110).any()]
    shadowed = [chip for chip in labelled if (chip.possible == 1 << CLOUD_SHADOW).mean() > 0.002]
    cloudy = {chip.name for chip in labelled}
    clear = [chip for chip in chips if chip.name not in cloudy]
    groups = []
    for group, chance in ((labelled, 0.5), (shadowed, 0.25), (clear, 0.25)):
        sizes = Counter(chip.source for chip in group)
        chances = np.array([chip.hardness * chip.weight * sizes[chip.source] ** -0.5 for chip in group])
        if group:
            groups.append((group, chances / chances.sum(), chance))
    return groups


def train(
    recipe: Recipe,
    pools: Pools,
    work: Path,
    *,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    initial: nn.Module | None = None,
) -> Trained:
    """Train a network, from random weights or from ``initial``, which is left as it is.

    Writes ``log.jsonl`` (a line per ``log_every`` steps) and ``checkpoint.pt`` into ``work``; where a
    checkpoint of the same recipe lies there, goes on from it and ends with the same weights as an unbroken
    run.

    Raises:
        TrainingError: If the checkpoint is of another recipe, or the loss is no number.
    """
    keep_freed_memory()
    work.mkdir(parents=True, exist_ok=True)
    plan = recipe.optimise
    torch.manual_seed(plan.seed)
    network = (
        build(
            recipe.model.architecture,
            bands=len(recipe.bands),
            classes=len(CLASS_NAMES),
            terrain=len(recipe.model.terrain),
        )
        if initial is None
        else copy.deepcopy(initial)
    ).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = get_ema_multi_avg_fn(plan.ema)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
    encoder = encoder_parameters(network)
    rest = [weights for weights in network.parameters() if not any(weights is one for one in encoder)]
    groups = [{"params": rest, "share": 1.0}, {"params": encoder, "share": plan.encoder_rate}]
    optimiser = torch.optim.AdamW(groups, lr=plan.learning_rate, weight_decay=plan.weight_decay)
    state = {"network": network, "averaged": averaged, "optimiser": optimiser}
    identity = _fingerprint(recipe, pools, initial)
    start, spent = _resume(work, identity, state)
    loader = DataLoader(Batches(recipe, pools, start), batch_size=None, num_workers=1, prefetch_factor=4)
    began = time.monotonic() - spent
    losses: list[float] = []
    validation: dict[str, float] = {}
    for step, (images, possible, weight) in enumerate(loader, start=start):
        rate = _learning_rate(step, recipe)
        for group in optimiser.param_groups:
            group["lr"] = rate * group["share"]
        for weights in encoder:
            weights.requires_grad_(step >= plan.frozen_steps)
        network.train()
        loss = _loss(network, images.to(device), possible.to(device), weight.to(device), recipe)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        averaged.update_parameters(network)
        losses.append(float(loss.detach()))
        done = step + 1
        if progress is not None:
            progress(done, plan.steps)
        last = done == plan.steps
        checked = last or done % plan.validate_every == 0
        if checked or done % plan.log_every == 0:
            if not math.isfinite(losses[-1]):
                msg = f"the loss is no longer a number at step {done}. Try a lower learning_rate."
                raise TrainingError(msg)
            line = {
                "step": done,
                "loss": float(np.mean(losses)),
                "rate": rate,
                "seconds": time.monotonic() - began,
            }
            losses.clear()
            if checked:
                validation = validate(averaged, pools.validation, recipe, device)
                line |= validation
                _save(work, identity, state, (done, time.monotonic() - began))
            _append(work / "log.jsonl", line)
    trained = averaged.module.eval().to("cpu")
    validation = validation or validate(averaged, pools.validation, recipe, "cpu")
    return Trained(network=trained, validation=validation, hashes=pools.hashes, seconds=time.monotonic() - began)


def _loss(network: nn.Module, images: Tensor, possible: Tensor, weight: Tensor, recipe: Recipe) -> Tensor:
    plan = recipe.optimise
    with torch.autocast(images.device.type, torch.bfloat16):
        logits = network(images.contiguous(memory_format=torch.channels_last))
    logits = logits.float()
    total = set_cross_entropy(logits, possible, plan.class_weights, weight)
    if plan.dice:
        sets = possible.to(torch.int32)
        probabilities = torch.softmax(logits, dim=1)
        cloud_bits = (1 << THICK_CLOUD) | (1 << THIN_CLOUD)
        cloud = (sets & cloud_bits > 0) & (sets & ~cloud_bits == 0)
        cloud_known = cloud | ((sets > 0) & (sets & cloud_bits == 0))
        cloud_probability = probabilities[:, THICK_CLOUD] + probabilities[:, THIN_CLOUD]
        shadow = sets == 1 << CLOUD_SHADOW
        shadow_known = shadow | ((sets > 0) & (sets & (1 << CLOUD_SHADOW) == 0))
        trusted = (weight >= 1.0).view(-1, 1, 1)
        total = total + plan.dice * soft_dice(cloud_probability, cloud, cloud_known & trusted)
        total = total + plan.dice * soft_dice(probabilities[:, CLOUD_SHADOW], shadow, shadow_known & trusted)
    return total


def _learning_rate(step: int, recipe: Recipe) -> float:
    plan = recipe.optimise
    if step < plan.warmup:
        return plan.learning_rate * (step + 1) / plan.warmup
    part = (step - plan.warmup) / max(plan.steps - plan.warmup, 1)
    return plan.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))


@torch.no_grad()
def validate(network: nn.Module, chips: Sequence[Chip], recipe: Recipe, device: str = "cpu") -> dict[str, float]:
    """Score a network on chips: F1 of cloud and of cloud shadow over the pixels whose class is certain."""
    network.eval()
    counts = np.zeros((2, 3))
    plan = replace(
        recipe.augment, gain=0.0, band_gain=0.0, offset=0.0, saturation=0.0, holes=0.0, smallest=1.0, largest=1.0
    )
    for index, chip in enumerate(chips):
        rng = np.random.default_rng(index)
        image, sets = augment(
            chip, recipe.model.bands, plan, rng, all_bands=recipe.model.needs_all, terrain=recipe.model.terrain
        )
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            logits = network(torch.from_numpy(image)[None].to(device))
        certain = set_masks(torch.from_numpy(sets)[None], len(CLASS_NAMES))[0].numpy()
        told = certain.sum(axis=0) == 1
        best = logits.float().argmax(dim=1)[0].cpu().numpy()
        pairs = (
            (np.isin(best, (THICK_CLOUD, THIN_CLOUD)), certain[[THICK_CLOUD, THIN_CLOUD]].any(axis=0)),
            (best == CLOUD_SHADOW, certain[CLOUD_SHADOW]),
        )
        for row, (predicted, wanted) in enumerate(pairs):
            counts[row] += [
                (predicted & wanted & told).sum(),
                (predicted & ~wanted & told).sum(),
                (~predicted & wanted & told).sum(),
            ]
    scores = 2 * counts[:, 0] / np.maximum(2 * counts[:, 0] + counts[:, 1] + counts[:, 2], 1)
    return {"simulated_cloud_f1": float(scores[0]), "simulated_shadow_f1": float(scores[1])}


def _resume(work: Path, identity: str, state: dict[str, Any]) -> tuple[int, float]:
    """Go on from a checkpoint: its step and the seconds spent until then; 0 and 0 where there is none."""
    path = work / "checkpoint.pt"
    if not path.exists():
        return 0, 0.0
    saved = torch.load(path, weights_only=True)
    if saved["recipe"] != identity:
        msg = f"{path} is of another recipe, other data or other first weights. Remove {work}, or give another --work."
        raise TrainingError(msg)
    for key, value in state.items():
        value.load_state_dict(saved[key])
    logger.info("going on from step %d", saved["step"])
    return int(saved["step"]), float(saved.get("seconds", 0.0))


def _save(work: Path, identity: str, state: dict[str, Any], spent: tuple[int, float]) -> None:
    """Write a checkpoint under a temporary name, then rename it."""
    path = work / "checkpoint.pt"
    step, seconds = spent
    saved = {key: value.state_dict() for key, value in state.items()}
    torch.save({"recipe": identity, "step": step, "seconds": seconds, **saved}, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def _fingerprint(recipe: Recipe, pools: Pools, initial: nn.Module | None) -> str:
    """Say which run it is: by its recipe, the real data, and the weights that it begins with."""
    first = hashlib.sha256()
    for name, value in {} if initial is None else initial.state_dict().items():
        first.update(name.encode() + value.detach().cpu().numpy().tobytes())
    return json.dumps([asdict(recipe), pools.hashes, first.hexdigest()], sort_keys=True)


def _append(path: Path, line: dict[str, float]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    logger.info("%s", line)
