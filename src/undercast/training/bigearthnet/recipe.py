"""Recipe: everything that the training of a scene classifier depends on, read from TOML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, get_args

from undercast.classifier_spec import CHANNEL_ORDERS, ChannelOrder
from undercast.errors import TrainingError
from undercast.training.bigearthnet.chips import BlockPlan
from undercast.training.bigearthnet.layers import Interpolation
from undercast.training.recipe import fill_plan, read_table

KINDS = ("chips", "lmdb", "geotiffs")
"""Kinds of files that patches lie in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierPlan:
    """What is trained."""

    id: str
    """Name of the model package."""
    version: str
    """Version of the weights."""
    title: str
    """Name for people."""
    network: str
    """``scene-small``, or a model of timm by its name."""
    configuration: str
    """Name of the band configuration."""
    channel_order: str
    """Version of the reBEN training scripts whose order of channels is taken."""
    interpolation: str = "nearest"
    """How bands of 20 and 60 m are brought to 10 m."""
    limits: tuple[str, ...] = ()
    """What the card says of its limits, a sentence each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchesPlan:
    """Which patches are used."""

    kind: str
    """One of ``KINDS``."""
    path: str = "."
    """LMDB file or folder of GeoTIFFs, relative to the data folder."""
    metadata: tuple[str, ...] = ()
    """Parquet files of LMDB and GeoTIFFs, relative to the data folder."""
    sources: tuple[str, ...] = ()
    """Sources of chips."""
    note: str = ""
    """What the card says of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitPlan:
    """How the weights are found."""

    epochs: int = 100
    """Epochs at most."""
    batch: int = 512
    """Patches in a batch."""
    learning_rate: float = 1e-3
    """Highest learning rate."""
    warmup: int = -1
    """Steps of warm-up; below 0: 10 000 in runs of more steps, 100 in runs of more than 100, else none."""
    weight_decay: float = 0.01
    """Decoupled weight decay (AdamW)."""
    drop_rate: float = 0.15
    """Share of features that are dropped before the last layer."""
    drop_path_rate: float = 0.15
    """Share of blocks that are gone around."""
    patience: int = 5
    """Epochs without a better average precision on the validation patches after which training stops."""
    seed: int = 42
    """Seed of weights, batches and flips."""
    workers: int = 0
    """Processes that read patches; 0: the one that trains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierRecipe:
    """The training of a scene classifier."""

    classifier: ClassifierPlan
    """What is trained."""
    patches: PatchesPlan
    """Which patches are used."""
    blocks: BlockPlan = field(default_factory=BlockPlan)
    """How chips are split; others have a split of their own."""
    optimise: FitPlan = field(default_factory=FitPlan)
    """How the weights are found."""

    @property
    def channel_order(self) -> ChannelOrder:
        """Order of the channels."""
        return cast("ChannelOrder", self.classifier.channel_order)

    @property
    def interpolation(self) -> Interpolation:
        """How bands of 20 and 60 m are brought to 10 m."""
        return cast("Interpolation", self.classifier.interpolation)


def is_classifier(path: Path) -> bool:
    """Tell whether a recipe has a table [classifier].

    Raises:
        TrainingError: If the file is missing or no TOML.
    """
    return "classifier" in read_table(path)


def read_classifier_recipe(path: Path) -> ClassifierRecipe:
    """Read the recipe of a scene classifier.

    Raises:
        TrainingError: If the file is missing, no TOML, or a key or value is wrong.
    """
    table = read_table(path)
    plans = {"classifier": ClassifierPlan, "patches": PatchesPlan, "blocks": BlockPlan, "optimise": FitPlan}
    if unknown := sorted(set(table) - set(plans)):
        msg = f"recipe {path}: unknown tables {', '.join(unknown)}. Known: {', '.join(plans)}."
        raise TrainingError(msg)
    try:
        recipe = ClassifierRecipe(
            classifier=fill_plan(ClassifierPlan, table.get("classifier", {}), "classifier"),
            patches=fill_plan(PatchesPlan, table.get("patches", {}), "patches"),
            blocks=fill_plan(BlockPlan, table.get("blocks", {}), "blocks"),
            optimise=fill_plan(FitPlan, table.get("optimise", {}), "optimise"),
        )
    except TrainingError as error:
        msg = f"recipe {path}: {error}"
        raise TrainingError(msg) from error
    for fine, told in _conditions(recipe):
        if not fine:
            msg = f"recipe {path}: {told}"
            raise TrainingError(msg)
    return recipe


def _conditions(recipe: ClassifierRecipe) -> Iterator[tuple[bool, str]]:
    """Give what must hold between the values, and what to say where it does not."""
    model, patches, fit = recipe.classifier, recipe.patches, recipe.optimise
    orders = {str(version): known for version, known in CHANNEL_ORDERS.items()}
    fine = model.channel_order in orders
    yield fine, f"[classifier]: channel_order must be one of {', '.join(orders)}, got {model.channel_order!r}."
    known = orders[model.channel_order]
    fine = model.configuration in known
    yield fine, f"[classifier]: configuration must be one of {', '.join(known)}, got {model.configuration!r}."
    ways = get_args(Interpolation)
    fine = model.interpolation in ways
    yield fine, f"[classifier]: interpolation must be one of {', '.join(ways)}, got {model.interpolation!r}."
    yield patches.kind in KINDS, f"[patches]: kind must be one of {', '.join(KINDS)}, got {patches.kind!r}."
    needed = "sources" if patches.kind == "chips" else "metadata"
    yield bool(getattr(patches, needed)), f"[patches]: {needed} must be given where kind is {patches.kind!r}."
    for key in ("epochs", "batch", "patience"):
        value = getattr(fit, key)
        yield value >= 1, f"[optimise]: {key} must be at least 1, got {value}."
    yield fit.learning_rate > 0, f"[optimise]: learning_rate must be > 0, got {fit.learning_rate:g}."
    for key in ("drop_rate", "drop_path_rate"):
        value = getattr(fit, key)
        yield 0 <= value < 1, f"[optimise]: {key} must be in [0, 1), got {value:g}."
    yield fit.workers >= 0, f"[optimise]: workers must be at least 0, got {fit.workers}."
