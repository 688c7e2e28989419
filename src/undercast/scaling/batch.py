"""Batch: many scenes on one machine; reading, networks and writing run at once, and no failure stops the others."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from rasterio.errors import NotGeoreferencedWarning

from undercast.inference.backends import Network
from undercast.loading import Model, ModelChoice
from undercast.scaling.jobs import WORKERS, Bar, Batch, Outcome, attempt, known_before, nothing_drawn
from undercast.scaling.looks import Found
from undercast.scene import Scene
from undercast.types import Float32

__all__ = ["WORKERS", "Batch", "Found", "Outcome", "at_once", "mask_batch", "model_here", "slow_first", "taking_turns"]

T = TypeVar("T")
R = TypeVar("R")

POLL_S = 0.5
"""Seconds after which a waiting thread looks up: on Windows, Ctrl-C does not wake it."""


class _StoppedError(Exception):
    """The batch ends before its time."""


def mask_batch(
    found: Sequence[Found], batch: Batch, load: Callable[[], Model], bar: Bar = nothing_drawn
) -> Generator[Outcome, None, None]:
    """Mask many scenes, the slow ones first, so that no slow one is left over at the end.

    Use it within ``contextlib.closing``: a batch that is left early ends its scenes at their next window and
    removes what they have begun. Finished scenes stay.

    Args:
        found: Scenes, of different names.
        batch: Where to and how.
        load: Gives the model; called where a scene is to be masked.
        bar: Draws the progress of a scene.

    Yields:
        The outcome of each scene as it is known: unreadable and skipped ones first.

    Raises:
        UndercastError: If the model cannot be loaded, which no other scene would change.
    """
    waiting = []
    for one in found:
        outcome = known_before(one, batch)
        if outcome is None:
            waiting.append(one)
        else:
            yield outcome
    if not waiting:
        return
    model = taking_turns(load())
    stop = threading.Event()

    def look_up() -> None:
        if stop.is_set():
            raise _StoppedError

    def work(one: Found) -> Outcome:
        return attempt(one, batch, model, bar, look_up)

    ordered = slow_first(waiting)
    with said(wanted=batch.logs):
        if len(ordered) == 1 or batch.workers == 1:
            yield from map(work, ordered)
        else:
            yield from at_once(ordered, work, workers=batch.workers, stop=stop)


@contextmanager
def said(*, wanted: bool) -> Iterator[None]:
    """Let undercast's messages through from INFO on, where somebody keeps them."""
    logger = logging.getLogger("undercast")
    before = logger.level
    if wanted and logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)


def slow_first(found: Sequence[Found]) -> list[Found]:
    """Order scenes by their pixels, then by the bytes they are stored in, most first.

    Of scenes of one size, those with clouds and without empty parts are stored in more bytes; CloudS2Mask
    orders by the size of one band's file for the same reason.
    """

    def cost(one: Found) -> tuple[int, int]:
        height, width = one.scene.grid.shape if isinstance(one.scene, Scene) else (0, 0)
        return height * width, _stored_bytes(one.source)

    return sorted(found, key=cost, reverse=True)


def _stored_bytes(source: str) -> int:
    """Give the size of a file or folder, or of several with commas between them; 0 for what is not here."""
    try:
        paths = [Path(source)] if Path(source).exists() else [Path(part.strip()) for part in source.split(",")]
        files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
        return sum(file.stat().st_size for file in files if file.is_file())
    except (OSError, ValueError):  # not here, not ours to read, or no path at all
        return 0


def at_once(
    items: Sequence[T], work: Callable[[T], R], *, workers: int, stop: threading.Event | None = None
) -> Generator[R, None, None]:
    """Work on some items at once, begun in their order; gives the results as they come.

    However it is left, ``stop`` is set, what is at work is waited for, and the rest is never begun. What ``work``
    raises is raised here.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="undercast-scene")
    # Filters of warnings belong to the process: where threads change and restore them in turns, one thread's
    # file without a place would warn under another's filter.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            pending = {pool.submit(work, item) for item in items}
            while pending:
                done, pending = wait(pending, timeout=POLL_S, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            if stop is not None:
                stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


_here: dict[ModelChoice, Model] = {}
_loading = threading.Lock()


def model_here(choice: ModelChoice) -> Model:
    """Give this process's copy of a model, loaded once; threads take turns at its networks.

    Raises:
        UndercastError: If it cannot be loaded here.
    """
    with _loading:
        if choice not in _here:
            _here[choice] = taking_turns(choice.load())
        return _here[choice]


def taking_turns(model: Model) -> Model:
    """Give a model whose networks work for no more threads at a time than ``Model.windows``, which fill the device.

    Those that stand in for them, where a lower precision does not give the same classes, share their turns.
    """
    turns = threading.Semaphore(model.windows)

    def limited(network: Network) -> Network:
        def run(batch: Float32) -> Float32:
            with turns:
                return network(batch)

        return run

    def in_turn(one: Model) -> Model:
        proof = one.proof
        if proof is not None:
            exact = proof.exact
            proof = replace(proof, exact=lambda: in_turn(exact()))
        return replace(one, networks=tuple(limited(network) for network in one.networks), proof=proof)

    return in_turn(model)
