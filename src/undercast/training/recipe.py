"""Recipe: everything that a training run depends on, read from TOML."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from undercast.bands import Band, band_from_name
from undercast.classes import CLASS_NAMES
from undercast.errors import BandError, TrainingError
from undercast.training.augment import AugmentPlan
from undercast.training.bank import BankPlan
from undercast.types import TERRAIN_LAYERS

MULTIPLE = 32
"""Sides of what a network sees are multiples of this, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """What is trained."""

    id: str
    """Name of the model package."""
    version: str
    """Version of the weights."""
    title: str
    """Name for people."""
    architecture: str
    """One of ``networks.ARCHITECTURES``."""
    bands: tuple[str, ...]
    """Common names of the bands, in the order of the network's input."""
    required: tuple[str, ...]
    """Those that a scene must have."""
    terrain: tuple[str, ...] = ()
    """What it is told of the ground's shape where that is known: all of ``TERRAIN_LAYERS``, or nothing."""
    window: int = 512
    """Side of the windows that scenes are cut into for it, in pixels."""

    @property
    def needs_all(self) -> bool:
        """Whether a scene must have every band, so that none goes missing in training either."""
        return set(self.required) >= set(self.bands)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlan:
    """Which real chips are used."""

    leave_out: tuple[str, ...] = ()
    """Sources or files that are not used."""
    real: float = 0.3
    """Share of each batch that is real, labelled chips."""
    on_real: float = 0.3
    """Share of each batch with simulated clouds on real backgrounds; the rest is simulated."""
    paste: float = 0.0
    """Share of the real chips onto which the clouds of another one are pasted."""
    folds: int = 0
    """Parts that the real scenes are split into, each judged by a network that has not seen it; 0: none."""
    fold_steps: int = 0
    """Steps of these networks; as many as of the one of all scenes unless given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimisePlan:
    """How the weights are found."""

    steps: int
    """Steps of the optimiser."""
    pretrain_steps: int = 0
    """Steps on simulated chips alone, before; the networks of all folds start from there."""
    pretrain_rate: float = 2e-3
    """Highest learning rate of these."""
    seed: int = 0
    """Seed of weights, batches and augmentation."""
    batch: int = 8
    """Chips in a batch."""
    learning_rate: float = 2e-3
    """Highest learning rate."""
    weight_decay: float = 0.02
    """Decoupled weight decay (AdamW)."""
    warmup: int = 200
    """Steps of linear warm-up before the cosine."""
    encoder_rate: float = 1.0
    """Learning rate of the encoder over that of the rest."""
    frozen_steps: int = 0
    """First steps in which the encoder is not changed at all."""
    ema: float = 0.998
    """Decay of the averaged weights, which are the ones that are shipped."""
    class_weights: tuple[float, ...] = (1.0, 1.0, 1.5, 2.0)
    """Weight of each class in the loss: clear, thick cloud, thin cloud, cloud shadow."""
    dice: float = 0.5
    """Weight of the soft Dice loss of cloud and of cloud shadow."""
    log_every: int = 50
    """Steps between two lines of the log."""
    validate_every: int = 1000
    """Steps between two validations on simulated chips of another seed, each with a checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPlan:
    """A last stage: every network goes on at a low rate with simulated chips that it has not seen."""

    steps: int = 0
    """Steps of the network of all scenes; 0: no such stage."""
    fold_steps: int = 0
    """Steps of those of the folds; as many as of the one of all scenes unless given."""
    learning_rate: float = 6e-4
    """Highest learning rate."""
    warmup: int = 100
    """Steps of linear warm-up before the cosine."""
    seed: int = 1
    """Seed of the chips and of the batches; another one than the seed of the bank."""
    simulated: int = 1
    """Chips simulated from the ground up."""
    on_real: int = 0
    """Chips with simulated clouds on real backgrounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training run."""

    model: ModelPlan
    """What is trained."""
    optimise: OptimisePlan
    """How the weights are found."""
    bank: BankPlan
    """Simulated chips."""
    data: DataPlan = field(default_factory=DataPlan)
    """Real chips."""
    augment: AugmentPlan = field(default_factory=AugmentPlan)
    """Variation of chips."""
    last: LastPlan = field(default_factory=LastPlan)
    """The last stage."""

    @property
    def bands(self) -> tuple[Band, ...]:
        """Bands of the model."""
        return tuple(band_from_name(name) for name in self.model.bands)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        TrainingError: If the file is missing, no TOML, or a key or value is wrong.
    """
    table = read_table(path)
    try:
        return recipe_of(table)
    except (TrainingError, BandError) as error:
        msg = f"recipe {path}: {error}"
        raise TrainingError(msg) from error


def read_table(path: Path) -> dict[str, Any]:
    """Read the tables of a recipe as they are.

    Raises:
        TrainingError: If the file is missing or no TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        msg = f"recipe {path} cannot be read: {error.strerror}."
        raise TrainingError(msg) from error
    except ValueError as error:
        msg = f"recipe {path} is not TOML: {error}."
        raise TrainingError(msg) from error


Plan = TypeVar("Plan")


def recipe_of(table: Mapping[str, Any]) -> Recipe:
    """Make a recipe of its tables.

    Raises:
        TrainingError: If a key or value is wrong.
        BandError: If a band is unknown.
    """
    known = {row.name for row in fields(Recipe)}
    if unknown := sorted(set(table) - known):
        msg = f"unknown tables {', '.join(unknown)}. Known: {', '.join(sorted(known))}."
        raise TrainingError(msg)
    recipe = Recipe(
        model=fill_plan(ModelPlan, table.get("model", {}), "model"),
        optimise=fill_plan(OptimisePlan, table.get("optimise", {}), "optimise"),
        bank=fill_plan(BankPlan, table.get("bank", {}), "bank"),
        data=fill_plan(DataPlan, table.get("data", {}), "data"),
        augment=fill_plan(AugmentPlan, table.get("augment", {}), "augment"),
        last=fill_plan(LastPlan, table.get("last", {}), "last"),
    )
    _check_bands(recipe.model)
    for fine, told in _conditions(recipe):
        if not fine:
            raise TrainingError(told)
    return recipe


def _check_bands(model: ModelPlan) -> None:
    for name in model.bands:
        if band_from_name(name).common_name != name:
            common_name = band_from_name(name).common_name
            msg = f"[model]: band {name!r} must be given by its common name, {common_name!r}."
            raise TrainingError(msg)
    if not model.bands or len(set(model.bands)) != len(model.bands):
        msg = f"[model]: expected one band or more, each once, got {', '.join(model.bands) or 'none'}."
        raise TrainingError(msg)
    if missing := sorted(set(model.required) - set(model.bands)):
        msg = f"required bands {', '.join(missing)} are not among the model's bands."
        raise TrainingError(msg)
    if model.terrain not in {(), TERRAIN_LAYERS}:
        msg = f"[model]: terrain must be {list(TERRAIN_LAYERS)} or left out, got {list(model.terrain)}."
        raise TrainingError(msg)


def _conditions(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    """Give what must hold between the values, and what to say where it does not."""
    optimise, bank, data, crop = recipe.optimise, recipe.bank, recipe.data, recipe.augment.crop
    for key in ("steps", "batch", "log_every", "validate_every"):
        value = getattr(optimise, key)
        yield value >= 1, f"[optimise]: {key} must be at least 1, got {value}."
    yield (
        optimise.learning_rate > 0,
        f"[optimise]: learning_rate must be > 0, got {optimise.learning_rate:g}.",
    )
    yield optimise.encoder_rate > 0, f"[optimise]: encoder_rate must be > 0, got {optimise.encoder_rate:g}."
    yield optimise.frozen_steps >= 0, f"[optimise]: frozen_steps must be at least 0, got {optimise.frozen_steps}."
    yield 0 <= optimise.ema < 1, f"[optimise]: ema must be in [0, 1), got {optimise.ema:g}."
    weights = optimise.class_weights
    fine = len(weights) == len(CLASS_NAMES) and min(weights) >= 0 and max(weights) > 0
    yield fine, f"[optimise]: class_weights must be {len(CLASS_NAMES)} numbers >= 0, got {list(weights)}."
    yield bank.simulated >= 1, f"[bank]: simulated must be at least 1, got {bank.simulated}."
    yield bank.on_real >= 0, f"[bank]: on_real must be at least 0, got {bank.on_real}."
    yield bank.size >= MULTIPLE, f"[bank]: size must be at least {MULTIPLE} px, got {bank.size}."
    fine = min(data.real, data.on_real) >= 0 and data.real + data.on_real <= 1
    yield (
        fine,
        f"[data]: real and on_real must be shares, together at most 1, got {data.real}, {data.on_real}.",
    )
    for key in ("without_terrain", "saturation", "holes"):
        value = getattr(recipe.augment, key)
        yield 0 <= value <= 1, f"[augment]: {key} must be in [0, 1], got {value:g}."
    yield 0 <= data.paste <= 1, f"[data]: paste must be in [0, 1], got {data.paste:g}."
    yield data.folds >= 0 and data.folds != 1, f"[data]: folds must be 0 or at least 2, got {data.folds}."
    yield data.fold_steps >= 0, f"[data]: fold_steps must be at least 0, got {data.fold_steps}."
    yield optimise.pretrain_steps >= 0, f"[optimise]: pretrain_steps must be at least 0, got {optimise.pretrain_steps}."
    last = recipe.last
    for key in ("steps", "fold_steps", "warmup", "on_real"):
        value = getattr(last, key)
        yield value >= 0, f"[last]: {key} must be at least 0, got {value}."
    yield last.simulated >= 1, f"[last]: simulated must be at least 1, got {last.simulated}."
    yield last.learning_rate > 0, f"[last]: learning_rate must be > 0, got {last.learning_rate:g}."
    told = f"[last]: seed must be another one than that of [bank], got {last.seed} twice: chips would not be new."
    yield not last.steps or last.seed != bank.seed, told
    window = recipe.model.window
    fine = window >= 2 * MULTIPLE and window % MULTIPLE == 0
    yield fine, f"[model]: window must be a multiple of {MULTIPLE} px, at least {2 * MULTIPLE}, got {window}."
    fine = crop >= MULTIPLE and crop % MULTIPLE == 0
    yield fine, f"[augment]: crop must be a multiple of {MULTIPLE} px, got {crop}."
    fine = 0 < recipe.augment.smallest <= recipe.augment.largest
    yield fine, f"[augment]: smallest must be > 0 and at most largest, got {recipe.augment.smallest:g}."


def fill_plan(plan: type[Plan], table: object, name: str) -> Plan:
    """Make one plan of one table, checking keys and kinds of values."""
    if not isinstance(table, dict):
        msg = f"{name} must be a table [{name}], got {table!r}."
        raise TrainingError(msg)
    kinds = get_type_hints(plan)
    if unknown := sorted(set(table) - set(kinds)):
        msg = f"[{name}]: unknown keys {', '.join(unknown)}. Known: {', '.join(sorted(kinds))}."
        raise TrainingError(msg)
    for key, value in table.items():
        if not _is_a(value, kinds[key]):
            msg = f"[{name}]: {key} must be {_KINDS.get(kinds[key], 'a list')}, got {value!r}."
            raise TrainingError(msg)
    try:
        return plan(**{key: tuple(value) if isinstance(value, list) else value for key, value in table.items()})
    except TypeError as error:
        msg = f"[{name}]: {str(error).split('__init__() ')[-1]}."
        raise TrainingError(msg) from error


_KINDS: dict[Any, str] = {
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    tuple[str, ...]: "a list of texts",
    tuple[float, ...]: "a list of finite numbers",
    tuple[int, ...]: "a list of whole numbers",
}


def _is_a(value: object, kind: Any) -> bool:
    """Tell whether a value of TOML is of the kind that a field is annotated with."""
    if isinstance(value, bool):
        return False
    if get_origin(kind) is tuple:
        return isinstance(value, list) and all(_is_a(item, get_args(kind)[0]) for item in value)
    if kind is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, kind)
