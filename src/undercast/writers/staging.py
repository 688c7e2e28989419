"""Staging: outputs grow in a hidden folder beside their places and are moved there together at the end."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from undercast.errors import OutputError, UndercastError

log = logging.getLogger(__name__)

NAME_LENGTH = 40
"""Characters of the scene's name in the name of its staging folder."""

MEGABYTE = 1_000_000

PREFIX = ".undercast-"
"""How the names of staging folders begin."""

_STAGE = re.compile(r"\.undercast-.*-(?P<place>[0-9a-f]{8})-(?P<process>\d+)-[^-]*", re.DOTALL)
_OURS: set[str] = set()
"""Names of the staging folders that this process uses now."""
_MAKING = threading.Lock()
"""Held while a folder is made or swept: a thread must not take away what another is about to use."""


@contextmanager
def staging(folder: Path, name: str) -> Iterator[Path]:
    """Make a hidden folder inside the output folder, and remove it whatever happens.

    It lies on the outputs' own file system, so that moving a file out of it is one atomic step. A run that is
    killed leaves the hidden folder behind and nothing else; the next run that writes here sweeps it away, see
    ``sweep``. Folders that were made on the way are removed again if they end up empty.

    Args:
        folder: Output folder; made if it is not there.
        name: Name of the scene.

    Raises:
        OutputError: If the folder cannot be made or written.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        with output_errors(folder):
            prefix = f"{PREFIX}{name[:NAME_LENGTH]}-{_place()}-{os.getpid()}-"
            with _MAKING:
                folder.mkdir(parents=True, exist_ok=True)
                sweep(folder)
                stage = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
                _OURS.add(stage.name)
        try:
            yield stage
        finally:
            shutil.rmtree(stage, ignore_errors=True)
            _OURS.discard(stage.name)
    finally:
        # rmdir removes nothing but empty folders: after a success it fails on the first, which is right.
        with suppress(OSError), _MAKING:
            for place in missing:
                place.rmdir()


def sweep(folder: Path) -> None:
    """Remove the staging folders of processes that are gone.

    A folder says in its name which process made it, and where: host and, in a container, its process namespace.
    Those of other hosts and containers are left alone, because nothing can be known of their processes.
    """
    for stage in folder.glob(f"{PREFIX}*"):
        made = _STAGE.fullmatch(stage.name)
        if made is None or made["place"] != _place() or stage.is_symlink() or not stage.is_dir():
            continue
        process = int(made["process"])
        alive = stage.name in _OURS if process == os.getpid() else _is_alive(process)
        if not alive:
            log.info("%s was left behind by a run that was killed; it is removed", stage)
            shutil.rmtree(stage, ignore_errors=True)


def _place() -> str:
    """Name the place in which process numbers mean something, in eight hexadecimal digits."""
    namespace = ""
    with suppress(OSError):  # not Linux
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (no path, but a number in disguise)
    return hashlib.sha256(f"{platform.node()} {namespace}".encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    """Tell whether a process runs; True where the system cannot be asked."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another user; or no number of a process
        return True
    return True


@contextmanager
def output_errors(place: Path) -> Iterator[None]:
    """Turn what the system or GDAL says while writing into an OutputError of one line.

    Raises:
        OutputError: If writing fails.
    """
    try:
        yield
    except UndercastError:
        raise
    except (OSError, RasterioError, CPLE_BaseError) as error:
        raise _output_error(place, error) from error


def _output_error(place: Path, error: Exception) -> OutputError:
    """Say in one line what could not be written, why, and how much room there is."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    room = _free_space(place)
    return OutputError(
        f"cannot write to {place}: {' '.join(reason.split())}{room}."
        " Free some space, change its rights or choose another output folder."
    )


def _free_space(place: Path) -> str:
    try:
        return f" ({shutil.disk_usage(place).free // MEGABYTE} MB free)"
    except OSError:
        return ""


def publish(stage: Path, targets: Sequence[Path], gone: Sequence[Path] = ()) -> None:
    """Move finished files from the staging folder to their places, in this order, all or none.

    What stood there before is kept aside until all have moved, and comes back if one cannot.

    Args:
        stage: Staging folder; it holds a file of each target's name.
        targets: Where the files go; on the staging folder's file system.
        gone: Files of an earlier run in the same folder, which go away with what is replaced.

    Raises:
        OutputError: If a file cannot be moved, or a folder stands where one is to go.
    """
    for target in targets:
        if target.is_dir() and not target.is_symlink() and not (stage / target.name).is_dir():
            msg = f"expected a file or nothing at {target}, got a folder. Name a file in it."
            raise OutputError(msg)
    aside = stage / "replaced"
    done: list[Path] = []
    try:
        with output_errors(targets[0].parent):
            aside.mkdir()
            for target in (*gone, *targets):
                done.append(target)
                if os.path.lexists(target):
                    target.replace(aside / target.name)
                if target not in gone:
                    (stage / target.name).replace(target)
    except BaseException:
        for target in reversed(done):
            _take_back(stage / target.name, target, aside / target.name)
        raise


def _take_back(staged: Path, target: Path, old: Path) -> None:
    """Put one target back to what it was before."""
    if not staged.exists():
        target.unlink(missing_ok=True)
    if os.path.lexists(old):
        old.replace(target)
