"""Fit: train a classifier with Lightning until its average precision on validation patches no longer rises."""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from undercast.training.bigearthnet.data import PatchSet
from undercast.training.bigearthnet.hub_config import HubConfig
from undercast.training.bigearthnet.module import MONITORED, SceneClassifier
from undercast.training.bigearthnet.recipe import ClassifierRecipe
from undercast.training.bigearthnet.schedule import Schedule, schedule
from undercast.training.bigearthnet.spec import make_bands

LOG = "log.jsonl"
"""Log in the work folder: an object for each epoch."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """A trained classifier and how it came about."""

    classifier: SceneClassifier
    """Its best state, in evaluation mode."""
    schedule: Schedule
    """Learning rates."""
    epochs: int
    """Epochs that were run."""
    best_epoch: int
    """The epoch whose state it is, from 1."""
    best: float
    """Its macro average precision on the validation patches."""
    seconds: float
    """Time that training took."""


class _Lines(Callback):
    """Write a line of the log for each epoch, and tell how far it is."""

    def __init__(self, path: Path, progress: Callable[[int, int], None]) -> None:
        self.path = path
        self.progress = progress
        self.best = (-1.0, 0)

    def on_validation_end(self, trainer: Trainer, _module: Any) -> None:
        """Write one line."""
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        epoch = trainer.current_epoch + 1
        self.best = max(self.best, (figures[MONITORED], -epoch))
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        line = {"epoch": epoch, "step": trainer.global_step, "rate": rate, **figures}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.progress(epoch, trainer.max_epochs or epoch)


def fit(
    recipe: ClassifierRecipe,
    train: PatchSet,
    validation: PatchSet,
    work: Path,
    *,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Train the network of a recipe.

    Args:
        recipe: How.
        train: Patches to train on.
        validation: Patches that say when to stop and which state is the best.
        work: Folder for log and checkpoint.
        device: Device of PyTorch.
        progress: Called after each epoch with how many there are, and at most.

    Raises:
        UsageError: If the network is not known.
        MissingDependencyError: If what builds it is not installed.
    """
    plan = recipe.optimise
    seed_everything(plan.seed, workers=True, verbose=False)
    rates = schedule(plan.learning_rate, warmup=plan.warmup, epochs=plan.epochs, patches=len(train), batch=plan.batch)
    classifier = SceneClassifier(hub_config(recipe), rates, plan.weight_decay)
    work.mkdir(parents=True, exist_ok=True)
    (work / LOG).unlink(missing_ok=True)
    lines = _Lines(work / LOG, progress or (lambda _done, _total: None))
    best = ModelCheckpoint(dirpath=work, filename="best", monitor=MONITORED, mode="max", save_weights_only=True)
    began = time.perf_counter()
    with _quiet():
        trainer = Trainer(
            accelerator="cpu" if device == "cpu" else "gpu",
            devices=1,
            max_epochs=plan.epochs,
            callbacks=[EarlyStopping(MONITORED, mode="max", patience=plan.patience), best, lines],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(classifier, _loader(train, recipe, shuffle=True), _loader(validation, recipe))
    state = torch.load(best.best_model_path, weights_only=True)["state_dict"]
    classifier.load_state_dict(state)
    value, epoch = lines.best
    return Fitted(
        classifier=classifier.cpu().eval(),
        schedule=rates,
        epochs=trainer.current_epoch,
        best_epoch=-epoch,
        best=value,
        seconds=time.perf_counter() - began,
    )


def hub_config(recipe: ClassifierRecipe) -> HubConfig:
    """Give the config of a recipe's classifier."""
    model, plan = recipe.classifier, recipe.optimise
    return HubConfig(
        timm_model_name=model.network,
        channels=len(make_bands(model.configuration, recipe.channel_order, recipe.interpolation)),
        drop_rate=plan.drop_rate,
        drop_path_rate=plan.drop_path_rate,
        band_configuration=model.configuration,
        channel_order=model.channel_order,
    )


def logits_of(classifier: SceneClassifier, patches: PatchSet, recipe: ClassifierRecipe) -> NDArray[np.float32]:
    """Give the logits of patches, ``(patch, label)``."""
    classifier.eval()
    with torch.no_grad():
        parts = [classifier(batch).numpy() for batch, _ in _loader(patches, recipe)]
    return np.concatenate(parts)


def _loader(patches: PatchSet, recipe: ClassifierRecipe, *, shuffle: bool = False) -> DataLoader[Any]:
    plan = recipe.optimise
    # Forked processes would share an open LMDB file.
    context = "spawn" if plan.workers else None
    return DataLoader(
        patches, batch_size=plan.batch, shuffle=shuffle, num_workers=plan.workers, multiprocessing_context=context
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's advice (more workers, fewer log lines, a GPU that lies idle) off the person's screen."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
