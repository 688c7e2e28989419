"""The learning rate of each step is the closed form, and the scheduler that training uses follows it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from undercast.training.bigearthnet.hub_config import HubConfig
from undercast.training.bigearthnet.module import SceneClassifier
from undercast.training.bigearthnet.schedule import Schedule, schedule


def closed_form(step: int, highest: float, warmup: int, steps: int) -> float:
    """Give the rate as the published training has it, written once more."""
    start = end = highest / 10
    if step < warmup:
        return start + step * (highest - start) / (warmup - 1)
    return end + 0.5 * (highest - end) * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


@given(st.integers(2, 50), st.integers(51, 400), st.floats(1e-5, 1e-1))
def test_every_step_has_the_rate_of_the_closed_form(warmup: int, steps: int, highest: float) -> None:
    plan = Schedule(highest=highest, warmup=warmup, steps=steps)
    for step in range(steps + 1):
        assert plan.rate(step) == pytest.approx(closed_form(step, highest, warmup, steps), abs=1e-9)


def test_the_optimiser_has_these_rates() -> None:
    plan = Schedule(highest=1e-3, warmup=10, steps=100)
    config = HubConfig(timm_model_name="scene-small", channels=2)
    parts = SceneClassifier(config, plan).configure_optimizers()
    optimiser, scheduler = parts["optimizer"], parts["lr_scheduler"]["scheduler"]
    assert isinstance(optimiser, torch.optim.AdamW)
    assert parts["lr_scheduler"]["interval"] == "step"
    for step in range(101):
        assert optimiser.param_groups[0]["lr"] == pytest.approx(closed_form(step, 1e-3, 10, 100), abs=1e-9)
        optimiser.step()
        scheduler.step()


def test_the_ends_of_a_hand_made_schedule() -> None:
    plan = Schedule(highest=1.0, warmup=3, steps=13)
    assert [round(plan.rate(step), 6) for step in (0, 1, 2, 3, 8, 13, 99)] == [0.1, 0.55, 1.0, 1.0, 0.55, 0.1, 0.1]


@pytest.mark.parametrize(
    ("epochs", "patches", "batch", "steps", "warmup"),
    [(100, 237_871, 512, 46_459, 10_000), (10, 1000, 50, 200, 100), (10, 80, 8, 100, 0)],
)
def test_the_warm_up_that_is_taken_where_none_is_named(
    epochs: int, patches: int, batch: int, steps: int, warmup: int
) -> None:
    for named in (None, -1):
        plan = schedule(1e-3, warmup=named, epochs=epochs, patches=patches, batch=batch)
        assert (plan.steps, plan.warmup) == (steps, warmup)
    assert schedule(1e-3, warmup=7, epochs=epochs, patches=patches, batch=batch).warmup == 7
