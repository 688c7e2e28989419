"""Places: where finished files go, a folder or an object store."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from undercast._optional import require
from undercast.errors import MissingDependencyError, OutputError, UndercastError, UsageError

log = logging.getLogger(__name__)

LONGEST_REASON = 200
"""Characters of what a store says that are told."""


class Place(Protocol):
    """Holds files by their names; a name may begin with that of a folder and ``/``."""

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        """Give the size of each file in bytes; None where there is none.

        Raises:
            OutputError: If the place cannot be looked into.
        """
        ...

    def read(self, name: str) -> bytes:
        """Read a file.

        Raises:
            OutputError: If it cannot be read.
        """
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a file, and the folder that it lies in.

        Raises:
            OutputError: If it cannot be written.
        """
        ...

    def clear(self, folder: str) -> None:
        """Remove a folder with all that is in it, where there is one; what cannot be removed stays."""
        ...


def place_of(folder: Path, store: str | None) -> Place:
    """Give the place where outputs go: the store where there is one, else the folder.

    Raises:
        UsageError: If the store's kind is not known.
        MissingDependencyError: If what reaches it is not installed.
    """
    return Folder(path=folder) if store is None else Store(url=store.rstrip("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of this machine, or one that several machines share."""

    path: Path
    """The folder; need not exist."""

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        """Give the size of each file in bytes; None where there is none."""
        with _one_line(self.path, "look into"):
            return [path.stat().st_size if path.is_file() else None for path in map(self.path.joinpath, names)]

    def read(self, name: str) -> bytes:
        """Read a file."""
        with _one_line(self.path / name, "read"):
            return (self.path / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Write a file, and the folder that it lies in."""
        with _one_line(self.path / name, "write to"):
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_bytes(data)

    def clear(self, folder: str) -> None:
        """Remove a folder with all that is in it, where there is one."""
        shutil.rmtree(self.path / folder, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A folder of an object store, or of any other file system that fsspec reaches."""

    url: str
    """Address, such as ``s3://bucket/masks``."""

    def _open(self) -> tuple[Any, str]:
        """Give the file system and the folder's path in it; fsspec keeps it for the next time.

        Raises:
            UsageError: If its kind is not known.
            MissingDependencyError: If what reaches it is not installed.
        """
        scheme = self.url.partition("://")[0]
        if scheme in {"file", "local"}:
            msg = f"expected an object store such as s3://bucket/masks, got {self.url}. Give the folder itself."
            raise UsageError(msg)
        extra = "s3" if scheme == "s3" else "dask"
        fsspec = require("fsspec", extra=extra, purpose=f"write to {self.url}")
        try:
            found, root = fsspec.core.url_to_fs(self.url)
        except ImportError as error:
            way_out = "Try: pip install 'undercast[s3]'" if scheme == "s3" else f"{error}."
            msg = f"{scheme}:// needs a library that is not installed. {way_out}"
            raise MissingDependencyError(msg) from error
        except ValueError as error:
            msg = f"expected a folder or an object store such as s3://bucket/masks, got {self.url!r} ({error})."
            raise UsageError(msg) from error
        return found, root.rstrip("/")

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        """Give the size of each file in bytes; None where there is none."""
        system, root = self._open()

        def size(name: str) -> int | None:
            try:
                return int(system.info(f"{root}/{name}")["size"])
            except FileNotFoundError:
                return None

        with _one_line(self.url, "look into"):
            system.invalidate_cache()
            return [size(name) for name in names]

    def read(self, name: str) -> bytes:
        """Read a file."""
        system, root = self._open()
        with _one_line(f"{self.url}/{name}", "read"):
            return bytes(system.cat_file(f"{root}/{name}"))

    def write(self, name: str, data: bytes) -> None:
        """Write a file."""
        system, root = self._open()
        with _one_line(f"{self.url}/{name}", "write to"):
            system.pipe_file(f"{root}/{name}", data)

    def clear(self, folder: str) -> None:
        """Remove a folder with all that is in it, where there is one."""
        system, root = self._open()
        try:
            system.rm(f"{root}/{folder}", recursive=True)
        except FileNotFoundError:
            return
        except Exception as error:  # noqa: BLE001 (as in _one_line)
            log.warning("%s/%s cannot be removed: %s", self.url, folder, " ".join(str(error).split()))

    def deliver(self, files: Sequence[Path], gone: Sequence[str] = ()) -> None:
        """Send files there under their names, in this order; the last one says that all of them are there.

        Where the last one stands there already it is removed first, so that it never stands beside files of another
        run.

        Args:
            files: What to send.
            gone: Names of files of an earlier run, which are removed.

        Raises:
            OutputError: If one cannot be sent.
        """
        system, root = self._open()
        with _one_line(self.url, "write to"):
            for old in (f"{root}/{files[-1].name}", *(f"{root}/{name}" for name in gone)):
                if system.exists(old):
                    system.rm_file(old)
            for file in files:
                system.put_file(str(file), f"{root}/{file.name}")


@contextmanager
def _one_line(what: str | Path, verb: str) -> Iterator[None]:
    """Turn what a file system says into an OutputError of one line."""
    try:
        yield
    except UndercastError:
        raise
    except Exception as error:  # those of file systems share no base class below Exception
        said = " ".join((str(error) or type(error).__name__).split())[:LONGEST_REASON].rstrip(".")
        msg = f"cannot {verb} {what}: {said}. Check the address, its rights and your credentials."
        raise OutputError(msg) from error
