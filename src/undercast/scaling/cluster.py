"""Cluster: many scenes on the workers of a Dask cluster; a worker that is lost loses no scene and doubles none."""

from __future__ import annotations

import logging
import os
import pydoc
import re
import uuid
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from undercast import __version__
from undercast._optional import require
from undercast.errors import ClusterError, OutputError, SceneError, UndercastError, UsageError
from undercast.inference.processor import PROCESSORS_VARIABLE, processors
from undercast.loading import ModelChoice
from undercast.readers.base import OpenOptions
from undercast.scaling.batch import model_here
from undercast.scaling.jobs import LEDGER, Batch, Outcome, attempt, known_before, nothing_drawn
from undercast.scaling.looks import Wanted, look

if TYPE_CHECKING:
    from distributed import Client, Future

LOCAL = "local"
"""Stands for a cluster of processes on this machine, in place of a scheduler's address."""

PATIENCE_S = 20
"""Seconds that a scheduler is waited for."""

AHEAD = 1000
"""Scenes that the scheduler knows of at once, at least; more wait here, so that an archive does not fill its memory."""

RETRIES = 2
"""Further attempts at a scene that failed on reading or writing."""

KEPT_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": 16 * 1024**3,
    "MALLOC_MMAP_THRESHOLD_": 8 * 1024**3,
    "MALLOC_TOP_PAD_": 256 * 1024**2,
}
"""Settings of glibc for workers here: they keep the memory of a window for the next. Dask's own setting gives it back
at once, and then a fifth of the processor's time goes to page faults."""

_ADDRESS = re.compile(r"\w+://\S+[:/]\d+(/\S*)?")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Campaign:
    """What all scenes of a run on a cluster share."""

    batch: Batch
    """Where to and how."""
    model: ModelChoice
    """Which model; each worker loads it for itself."""
    opening: OpenOptions
    """What the scenes do not say themselves."""
    retries: int = RETRIES
    """Further attempts at a scene that failed on reading or writing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _NoModel:
    """A worker cannot load the model, which no other scene would change."""

    error: UndercastError


class _AgainError(Exception):
    """A scene failed on reading or writing; the scheduler has it tried again, as often as it was told."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


@contextmanager
def connected(address: str, workers: int | None = None) -> Iterator[Client]:
    """Connect to a Dask cluster.

    Args:
        address: Of its scheduler, such as ``tcp://host:8786``; or ``local``, which starts processes on this machine
            and ends them.
        workers: Processes on this machine, which share its processors; as many as there are unless given.

    Raises:
        UsageError: If the address is none.
        ClusterError: If no scheduler answers.
        MissingDependencyError: If Dask's scheduler is not installed.
    """
    distributed = require("distributed", extra="dask", purpose="mask on a Dask cluster")
    if address == LOCAL:
        with _started(distributed, workers or processors()) as client:
            yield client
        return
    if _ADDRESS.fullmatch(address) is None:
        msg = f"expected a scheduler's address such as tcp://host:8786, or local; got --dask {address!r}."
        raise UsageError(msg)
    try:
        client = distributed.Client(address, timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        msg = (
            f"no Dask scheduler answers at {address} within {PATIENCE_S} s ({said})."
            " Start one with `dask scheduler`, or try --dask local"
        )
        raise ClusterError(msg) from error
    with client:
        yield client


@contextmanager
def _started(distributed: Any, workers: int) -> Iterator[Client]:
    """Start processes on this machine, each with its share of the processors, one scene at a time."""
    import dask

    environment = "distributed.nanny.pre-spawn-environ"
    share = max(1, processors() // workers)
    settings = {
        environment: {**dask.config.get(environment, {}), **KEPT_MEMORY},
        # On a busy machine a process may need longer to answer than Dask waits: it would be started over and over.
        "distributed.comm.timeouts.connect": "300s",
    }
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            env={PROCESSORS_VARIABLE: str(share)},
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def mask_on_cluster(wanted: Sequence[Wanted], campaign: Campaign, client: Client) -> Generator[Outcome, None, None]:
    """Mask many scenes on a cluster; each is opened, masked and written by a worker, as ``mask_batch`` does it here.

    Use it within ``contextlib.closing``: scenes that nobody has begun when a run is left early are not begun. Where a
    worker is lost its scenes go to others. A scene that it had finished is known by its item, which carries the run's
    name, and is not done a second time.

    Args:
        wanted: Scenes, whose outputs must have different names.
        campaign: What they share; the output folder must be one that all workers see, or a store.
        client: Of the cluster.

    Yields:
        The outcome of each scene as it is known.

    Raises:
        ClusterError: If workers lack undercast, or have another version.
        OutputError: If the workers do not see the output folder, or it cannot be written.
        UndercastError: If a worker cannot load the model.
    """
    run = uuid.uuid4().hex
    output = replace(campaign.batch.output, folder=campaign.batch.output.folder.absolute(), item=True, run=run)
    campaign = replace(campaign, batch=replace(campaign.batch, output=output))
    _check_versions(client)
    ledger = f"{LEDGER}{run}"
    output.place.write(f"{ledger}/begun", b"")
    try:
        if output.store is None:
            _check_folder(client, output.folder / ledger / "begun")
        names: dict[str, str] = {}
        for outcome in _gathered([_absolute(one) for one in wanted], campaign, client):
            if outcome.status == "failed":
                yield outcome
                continue
            first = names.setdefault(outcome.name.casefold(), outcome.source)
            yield outcome if first == outcome.source else _same_name(outcome, first)
    finally:
        output.place.clear(ledger)


def _gathered(wanted: Sequence[Wanted], campaign: Campaign, client: Client) -> Iterator[Outcome]:
    """Keep the scheduler supplied and give outcomes as they come."""
    from distributed import as_completed

    threads = sum(client.nthreads().values())
    if not threads:
        log.warning("the cluster has no worker yet; the scenes wait for one")
    waiting = deque(enumerate(wanted))
    pending: dict[Future, Wanted] = {}

    def submit() -> Future:
        number, one = waiting.popleft()
        output = replace(campaign.batch.output, run=f"{campaign.batch.output.run}/{number}")
        its_own = replace(campaign, batch=replace(campaign.batch, output=output))
        future = client.submit(
            work, one, its_own, key=f"mask-{output.run}", pure=False, retries=campaign.retries, priority=-number
        )
        pending[future] = one
        return future

    try:
        coming = as_completed([submit() for _ in range(min(len(waiting), max(AHEAD, 4 * threads)))], loop=client.loop)
        for future in coming:
            outcome = _told(future, pending.pop(future))
            if waiting:
                coming.add(submit())
            yield outcome
    finally:
        client.cancel(list(pending))


def work(wanted: Wanted, campaign: Campaign) -> Outcome | _NoModel:
    """Do on a worker what is to be done for one scene.

    Raises:
        _AgainError: If it failed with what another attempt may not meet.
    """
    from distributed import get_worker

    os.environ.setdefault(PROCESSORS_VARIABLE, str(get_worker().state.nthreads))
    if campaign.batch.logs:
        logging.getLogger("undercast").setLevel(logging.INFO)
    found = look(wanted, campaign.opening)
    outcome = known_before(found, campaign.batch)
    if outcome is None:
        try:
            model = model_here(campaign.model)
        except UndercastError as error:
            return _NoModel(error=error)
        outcome = attempt(found, campaign.batch, model, nothing_drawn, lambda: None)
    if outcome.may_pass:
        raise _AgainError(outcome)
    return outcome


def _told(future: Future, one: Wanted) -> Outcome:
    """Give what a worker says of a scene, or what Dask says of the worker."""
    error = future.exception()
    if error is None:
        told = future.result()
        if isinstance(told, _NoModel):
            raise told.error
        return told  # type: ignore[no-any-return]
    if isinstance(error, _AgainError):
        return error.outcome
    if type(error).__name__ == "KilledWorker":
        msg = (
            f"{one.name}: every worker that began it was lost, {error.allowed_failures + 1} of them."
            " Is their memory enough? See their logs."
        )
        error = SceneError(msg)
    if not isinstance(error, Exception):
        raise error
    return Outcome(source=one.name, name=one.name, status="failed", error=error)


def _same_name(outcome: Outcome, first: str) -> Outcome:
    msg = (
        f"expected scenes of different names, got {outcome.name!r} twice: {first} and {outcome.source}."
        " Mask them in two runs with different output folders."
    )
    return replace(outcome, status="failed", result=None, existing=None, error=OutputError(msg))


def _absolute(one: Wanted) -> Wanted:
    """Name files of this machine by their absolute paths: workers may stand in another folder."""

    def absolute(source: str) -> str:
        path, mark, part = source.partition("#")
        return f"{os.path.abspath(path)}{mark}{part}" if Path(path).exists() else source  # noqa: PTH100 (keeps links)

    if isinstance(one.source, UndercastError):
        return one
    source = absolute(one.source) if isinstance(one.source, str) else tuple(map(absolute, one.source))
    return replace(one, source=source)


def _check_versions(client: Client) -> None:
    """Make sure that every worker that is there has this undercast."""
    # A function of the standard library, which workers without undercast have, too.
    for worker, version in _asked(client, pydoc.locate, "undercast.__version__").items():
        if version != __version__:
            got = f"undercast {version}" if isinstance(version, str) else "no undercast"
            msg = (
                f"expected undercast {__version__} on every worker, got {got} on {worker}."
                f" Install it there: pip install 'undercast[dask]=={__version__}'"
            )
            raise ClusterError(msg)


def _check_folder(client: Client, mark: Path) -> None:
    for worker, seen in _asked(client, os.path.exists, str(mark)).items():
        if seen is not True:
            msg = (
                f"worker {worker} does not see {mark.parent.parent}. Choose an output folder that all machines share,"
                " or an object store, e.g. -o s3://bucket/masks"
            )
            raise OutputError(msg)


def _asked(client: Client, function: Any, argument: str) -> dict[str, Any]:
    """Ask every worker; what goes wrong there is its answer."""
    answers: dict[str, Any] = client.run(function, argument, on_error="return") if client.nthreads() else {}
    return answers
