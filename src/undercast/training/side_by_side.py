"""Side by side: independent trainings at the same time, each on one core, which waste less than one on all of them."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

import torch

from undercast.errors import UsageError

if TYPE_CHECKING:
    from multiprocessing.context import ForkProcess

logger = logging.getLogger(__name__)


def side_by_side(runs: Sequence[Callable[[], object]], jobs: int) -> None:
    """Let forked processes do runs that leave what they found in files; one that fails is told of and left undone.

    Chips in memory are shared and not copied. PyTorch has one thread in each process: OpenMP's do not survive a fork.

    Args:
        runs: Whom to call; each goes on where it was stopped, so that whoever calls it again gets its outcome.
        jobs: Processes at the same time.

    Raises:
        UsageError: If the system cannot fork.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        msg = "networks are trained at the same time by forked processes, which this system has not: leave out --jobs."
        raise UsageError(msg)
    context = multiprocessing.get_context("fork")
    left = [context.Process(target=_alone, args=(run,)) for run in reversed(runs)]
    running: list[ForkProcess] = []
    while left or running:
        while left and len(running) < jobs:
            running.append(left.pop())
            running[-1].start()
        wait([process.sentinel for process in running])
        ended = [process for process in running if not process.is_alive()]
        running = [process for process in running if process not in ended]
        for process in ended:
            process.join()
            if process.exitcode != 0:
                logger.warning("a training ended with status %s; it is gone on with alone", process.exitcode)


def _alone(run: Callable[[], object]) -> None:
    torch.set_num_threads(1)
    run()
