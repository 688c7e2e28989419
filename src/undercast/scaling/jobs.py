"""Jobs: what is done for one scene of many, wherever it is done: see whether it is done already, mask, tell."""

from __future__ import annotations

import copy
import logging
import os
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, get_args

from undercast import masking
from undercast.errors import OutputExistsError, UndercastError
from undercast.loading import Model
from undercast.masking import MaskOptions, MaskResult, Progress
from undercast.scaling.looks import Found
from undercast.scene import Scene
from undercast.writers import OutputOptions, check_free, planned
from undercast.writers.outputs import OutputPaths, read_item, refuse_own, run_of

Status = Literal["done", "skipped", "failed"]
"""What became of a scene."""
STATUSES: tuple[Status, ...] = get_args(Status)

Bar: TypeAlias = Callable[[str], AbstractContextManager[Progress | None]]
"""Title of a scene -> what is told of its windows, while it is at work."""

WORKERS = 3
"""Scenes at work at once, so that one can be read, one be in the networks and one be written."""

LEDGER = ".undercast-run-"
"""How the name of a run's ledger begins: a hidden folder beside the outputs, with a file per scene that has begun."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """What all scenes of a batch share."""

    output: OutputOptions
    """Where to, and which files."""
    options: MaskOptions = field(default_factory=MaskOptions)
    """How."""
    skip_existing: bool = False
    """Whether scenes whose outputs all exist are left alone, and half-published ones are done again."""
    workers: int = WORKERS
    """Scenes at work at once; the networks work for one at a time."""
    logs: bool = False
    """Whether what is said while a scene is at work is kept with its outcome."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What became of one scene."""

    source: str
    """As it was asked for."""
    name: str
    """Name of the scene; the source where it could not be opened."""
    status: Status
    """What became of it."""
    result: MaskResult | None = None
    """What masking left behind, where it was done in this attempt."""
    existing: OutputPaths | None = None
    """Its outputs, where it was skipped, or done by a worker that was lost before it could tell."""
    error: Exception | None = None
    """What went wrong, where it failed."""
    log: tuple[str, ...] = ()
    """What was said while it was at work, one line each."""

    @property
    def may_pass(self) -> bool:
        """Whether it failed on reading or writing, which another attempt may not meet."""
        return isinstance(self.error, OSError) and not isinstance(self.error, OutputExistsError)


def known_before(one: Found, batch: Batch) -> Outcome | None:
    """Give the outcome of a scene that needs no masking; None where it does."""
    if isinstance(one.scene, UndercastError):
        return _failed(one, one.scene)
    if not batch.skip_existing and batch.output.run is None:
        return None
    try:
        paths = planned(batch.output, one.scene.name)
        if _made_by_this_run(batch.output, paths):
            return Outcome(source=one.source, name=one.name, status="done", existing=paths)
        refuse_own(batch.output, paths)
        if batch.skip_existing and _is_whole(batch.output, paths) is True:
            return Outcome(source=one.source, name=one.name, status="skipped", existing=paths)
    except UndercastError as error:
        return _failed(one, error)
    return None


def attempt(one: Found, batch: Batch, model: Model, bar: Bar, told: Callable[[], None]) -> Outcome:
    """Mask one scene; whatever goes wrong in it is its outcome.

    Args:
        one: The scene.
        batch: Where to and how.
        model: The model.
        bar: Draws the progress of the scene.
        told: Is called after each batch of windows; ends the scene by raising.
    """
    with _recorded(wanted=batch.logs) as lines:
        log.info("%s: begun on %s, process %d", one.name, platform.node(), os.getpid())
        try:
            with bar(one.name) as progress:
                result = _masked(one, batch, model, _watched(progress, told))
        except Exception as error:  # noqa: BLE001 (a defect met in one scene must not stop the others)
            outcome = _after_failure(one, batch, error)
        else:
            log.info("%s: done in %.1f s", one.name, result.seconds)
            outcome = Outcome(source=one.source, name=one.name, status="done", result=result)
        return replace(outcome, log=tuple(lines))


def nothing_drawn(title: str) -> AbstractContextManager[Progress | None]:  # noqa: ARG001 (the signature of Bar)
    """Draw no bar."""
    return nullcontext(None)


def _failed(one: Found, error: Exception) -> Outcome:
    log.info("%s: failed: %s", one.name, error)
    return Outcome(source=one.source, name=one.name, status="failed", error=error)


def _after_failure(one: Found, batch: Batch, error: Exception) -> Outcome:
    """Tell a failure from a scene that another worker, believed lost, has finished in the meantime."""
    known = known_before(one, batch) if isinstance(error, OutputExistsError) else None
    return known if known is not None and known.status == "done" else _failed(one, error)


def _masked(one: Found, batch: Batch, model: Model, progress: Progress) -> MaskResult:
    if isinstance(one.scene, UndercastError):
        raise one.scene
    # The copy opens the scene's files for itself and closes them with its end, however long the batch is.
    scene = replace(one.scene, pixels=copy.copy(one.scene.pixels))
    return masking.mask(scene, _output(scene, batch), model, options=batch.options, progress=progress)


def _watched(progress: Progress | None, told: Callable[[], None]) -> Progress:
    def tell(done: int, windows: int) -> None:
        told()
        if progress is not None:
            progress(done, windows)

    return tell


def _output(scene: Scene, batch: Batch) -> OutputOptions:
    """Let what a killed run or a lost worker has left half-published be replaced.

    The item is published last: a run that was killed just then has left the others and not it. On a cluster a scene's
    first attempt leaves a mark in the run's ledger that its place was free: what a later attempt finds is of the first.
    """
    output = batch.output
    if output.overwrite:
        return output
    if batch.skip_existing:
        half = _is_whole(output, planned(output, scene.name)) is False
        return replace(output, overwrite=True) if half else output
    if output.run is None:
        return output
    mark = f"{LEDGER}{output.run}"
    if output.place.sizes([mark]) != [None]:
        return replace(output, overwrite=True)
    check_free(output, scene.name)
    output.place.write(mark, scene.name.encode())
    return output


def _made_by_this_run(output: OutputOptions, paths: OutputPaths) -> bool:
    if output.run is None or run_of(read_item(output.place, paths)) != output.run:
        return False
    return _is_whole(output, paths) is True


def _is_whole(output: OutputOptions, paths: OutputPaths) -> bool | None:
    """Tell whether the outputs are all there, as large as the item says.

    Returns:
        True where they are; False where the item is missing or tells of others than are there, as a run that was
        killed or a power cut leaves them; None where it is whole and some that are asked for were never asked for.
    """
    names = {name: path.name for name, path in paths.named()}
    sizes = dict(zip(names, output.place.sizes(list(names.values())), strict=True))
    if "item" not in names:
        return all(size is not None for size in sizes.values())
    item = read_item(output.place, paths)
    assets = {} if item is None else item.get("assets", {})
    told = {name: assets[name].get("file:size") for name in names if name in assets}
    if item is None or any(sizes[name] != size for name, size in told.items()):
        return False
    return True if all(size is not None for size in sizes.values()) else None


class _Lines(logging.Handler):
    """Keeps what one thread says."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.INFO)
        self.lines = lines
        self.thread = threading.get_ident()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message as one line."""
        if record.thread == self.thread:
            self.lines.append(" ".join(self.format(record).split()))


@contextmanager
def _recorded(*, wanted: bool) -> Iterator[Sequence[str]]:
    """Keep what undercast says in this thread, from INFO on where its logger lets that through."""
    lines: list[str] = []
    if not wanted:
        yield lines
        return
    logger, handler = logging.getLogger("undercast"), _Lines(lines)
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
