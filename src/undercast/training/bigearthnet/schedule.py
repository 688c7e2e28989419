"""Schedule: the learning rate of each step, in closed form: a linear warm-up, then a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass

LOWEST = 0.1
"""Rate at the first and the last step over the highest."""
WARMUPS = ((10_000, 10_000), (100, 100))
"""Steps of the run that must be exceeded -> steps of warm-up, where a recipe names none; else none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Learning rate by step."""

    highest: float
    """Rate at the end of the warm-up."""
    warmup: int
    """Steps of the warm-up."""
    steps: int
    """Steps of the run."""

    def rate(self, step: int) -> float:
        """Give the learning rate of a step, from 0 on; after the last one it stays at the lowest."""
        lowest = self.highest * LOWEST
        if step < self.warmup:
            return lowest + step * (self.highest - lowest) / max(self.warmup - 1, 1)
        done = min(1.0, (step - self.warmup) / max(self.steps - self.warmup, 1))
        return lowest + 0.5 * (self.highest - lowest) * (1.0 + math.cos(math.pi * done))


def schedule(highest: float, *, warmup: int | None, epochs: int, patches: int, batch: int) -> Schedule:
    """Give the schedule of a run, with the warm-up of the published models where none is named.

    Args:
        highest: Highest learning rate.
        warmup: Steps of warm-up; None or below 0: 10 000 in longer runs, 100 in runs of more than 100, else none.
        epochs: Epochs at most.
        patches: Patches that are trained on.
        batch: Patches in a batch.
    """
    steps = int(epochs * patches / batch)
    if warmup is None or warmup < 0:
        warmup = next((count for more, count in WARMUPS if steps > more), 0)
    return Schedule(highest=highest, warmup=warmup, steps=steps)
