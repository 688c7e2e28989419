"""Batch: many scenes on one machine; reading, networks and writing run at once, and no failure stops the others."""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, get_args

from rasterio.errors import NotGeoreferencedWarning

from undercast import masking
from undercast.errors import UndercastError
from undercast.inference.backends import Network
from undercast.loading import Model
from undercast.masking import MaskOptions, MaskResult, Progress
from undercast.scene import Scene
from undercast.types import Float32
from undercast.writers import OutputOptions, planned
from undercast.writers.outputs import OutputPaths

T = TypeVar("T")
R = TypeVar("R")

Status = Literal["done", "skipped", "failed"]
"""What became of a scene."""
STATUSES: tuple[Status, ...] = get_args(Status)

Bar: TypeAlias = Callable[[str], AbstractContextManager[Progress | None]]
"""Title of a scene -> what is told of its windows, while it is at work."""

WORKERS = 3
"""Scenes at work at once, so that one can be read, one be in the networks and one be written."""

POLL_S = 0.5
"""Seconds after which a waiting thread looks up: on Windows, Ctrl-C does not wake it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """One scene of a batch after a first look."""

    source: str
    """As it was asked for."""
    scene: Scene | UndercastError
    """The scene, or why it cannot be opened."""

    @property
    def name(self) -> str:
        """Name of the scene; the source where it cannot be opened."""
        return self.scene.name if isinstance(self.scene, Scene) else self.source


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """What all scenes of a batch share."""

    output: OutputOptions
    """Where to, and which files."""
    options: MaskOptions = MaskOptions()  # noqa: RUF009 (it is frozen)
    """How."""
    skip_existing: bool = False
    """Whether scenes whose outputs all exist are left alone, and half-published ones are done again."""
    workers: int = WORKERS
    """Scenes at work at once; the networks work for one at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What became of one scene."""

    found: Found
    """Which scene."""
    status: Status
    """What became of it."""
    result: MaskResult | None = None
    """What masking left behind, where it is done."""
    existing: OutputPaths | None = None
    """Its outputs, where it was skipped."""
    error: Exception | None = None
    """What went wrong, where it failed."""


class _StoppedError(Exception):
    """The batch ends before its time."""


def mask_batch(
    found: Sequence[Found],
    batch: Batch,
    load: Callable[[], Model],
    bar: Bar = lambda title: nullcontext(None),  # noqa: ARG005 (nothing is drawn)
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
        outcome = _known_before(one, batch)
        if outcome is None:
            waiting.append(one)
        else:
            yield outcome
    if not waiting:
        return
    model = one_at_a_time(load())
    stop = threading.Event()

    def work(one: Found) -> Outcome:
        return _attempt(one, batch, model, bar, stop)

    ordered = slow_first(waiting)
    if len(ordered) == 1 or batch.workers == 1:
        yield from map(work, ordered)
    else:
        yield from at_once(ordered, work, workers=batch.workers, stop=stop)


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


def one_at_a_time(model: Model) -> Model:
    """Give a model whose networks work for one thread at a time: they use the whole device anyway."""
    lock = threading.Lock()

    def locked(network: Network) -> Network:
        def run(batch: Float32) -> Float32:
            with lock:
                return network(batch)

        return run

    return replace(model, networks=tuple(locked(network) for network in model.networks))


def _known_before(one: Found, batch: Batch) -> Outcome | None:
    """Give the outcome of a scene that needs no masking; None where it does."""
    if isinstance(one.scene, UndercastError):
        return Outcome(found=one, status="failed", error=one.scene)
    if not batch.skip_existing:
        return None
    try:
        paths = planned(batch.output, one.scene.name)
    except UndercastError as error:
        return Outcome(found=one, status="failed", error=error)
    finished = all(path.exists() for _, path in paths.named())
    return Outcome(found=one, status="skipped", existing=paths) if finished else None


def _attempt(one: Found, batch: Batch, model: Model, bar: Bar, stop: threading.Event) -> Outcome:
    """Mask one scene; whatever goes wrong in it is its outcome."""
    try:
        with bar(one.name) as progress:
            result = _masked(one, batch, model, _watched(progress, stop))
    except Exception as error:  # noqa: BLE001 (a defect met in one scene must not stop the others)
        return Outcome(found=one, status="failed", error=error)
    return Outcome(found=one, status="done", result=result)


def _masked(one: Found, batch: Batch, model: Model, progress: Progress) -> MaskResult:
    if isinstance(one.scene, UndercastError):
        raise one.scene
    # The copy opens the scene's files for itself and closes them with its end, however long the batch is.
    scene = replace(one.scene, pixels=copy.copy(one.scene.pixels))
    return masking.mask(scene, _output(scene, batch), model, options=batch.options, progress=progress)


def _watched(progress: Progress | None, stop: threading.Event) -> Progress:
    """Give what is told of a scene's windows; it ends the scene where the batch ends."""

    def told(done: int, windows: int) -> None:
        if stop.is_set():
            raise _StoppedError
        if progress is not None:
            progress(done, windows)

    return told


def _output(scene: Scene, batch: Batch) -> OutputOptions:
    """Let a scene be done again whose item is missing beside others of its outputs.

    The item is published last: a run that was killed just then has left the others and not it.
    """
    item = planned(batch.output, scene.name).item
    half_published = batch.skip_existing and item is not None and not item.exists()
    return replace(batch.output, overwrite=True) if half_published else batch.output
