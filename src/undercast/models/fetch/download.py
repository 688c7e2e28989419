"""Downloads: a file comes whole, resumed where it broke off, and compared with what is declared; or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from undercast.errors import OutputError, TrustError
from undercast.models.fetch.transport import PARTIAL, Patience, RangeError, Wanted, answered, body, continues, repeated
from undercast.models.trust.checksums import file_multihash

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many bytes of a file are there, and how many there will be."""


def download(
    wanted: Wanted, target: Path, patience: Patience | None = None, *, progress: Progress | None = None
) -> str:
    """Fetch a file to its place: whole and as declared, or not at all.

    What a failed attempt left is kept beside it (``.part``) and continued where a checksum is declared.

    Args:
        wanted: What, and what is known of it.
        target: Where to; its folder must exist.
        patience: How long a server is waited for.
        progress: Is told how much is there.

    Returns:
        The SHA-256 multihash of the file.

    Raises:
        DownloadError: If the server does not give it, or the network is forbidden.
        TrustError: If the server or the file contradict what is declared, or a redirect leads elsewhere than http(s).
        OutputError: If it cannot be written.
    """
    waiting = patience or Patience()
    part = part_of(target)
    continued = part.exists()
    repeated(wanted, waiting, lambda: _transfer(wanted, part, waiting, progress))
    checksum = file_multihash(part)
    if wanted.checksum not in {None, checksum}:
        part.unlink()
        if continued:  # perhaps of another file that was there before
            return download(wanted, target, waiting, progress=progress)
        msg = (
            f"{wanted.name}: expected checksum {wanted.checksum}, got {checksum} from {wanted.url}. Tell its publisher."
        )
        raise TrustError(msg)
    with _writing(target):
        part.replace(target)
    return checksum


def part_of(target: Path) -> Path:
    """Give the file that holds what is there of a file that is not there as a whole."""
    return target.with_name(f"{target.name}.part")


def fetch_bytes(wanted: Wanted, patience: Patience | None = None) -> bytes:
    """Fetch a small file to memory.

    Raises:
        DownloadError: If the server does not give it, or the network is forbidden.
        TrustError: If it is larger than its limit, or a redirect leads elsewhere than http(s).
    """
    waiting = patience or Patience()
    chunks: list[bytes] = []

    def transfer() -> None:
        chunks.clear()
        with answered(wanted, 0, waiting) as answer:
            chunks.extend(body(answer, wanted, 0, waiting))

    repeated(wanted, waiting, transfer)
    return b"".join(chunks)


def _transfer(wanted: Wanted, part: Path, patience: Patience, progress: Progress | None) -> None:
    """Make one attempt: continue the part, or begin it."""
    there = part.stat().st_size if wanted.checksum is not None and part.exists() else 0
    if wanted.size is not None and there >= wanted.size:
        there = 0
    try:
        with answered(wanted, there, patience) as answer:
            if answer.status != PARTIAL or not continues(answer, there):
                there = 0
            _check_room(wanted, part, there)
            with _writing(part):
                file = part.open("r+b" if there else "wb")
            with file:
                file.seek(there)
                for chunk in body(answer, wanted, there, patience):
                    with _writing(part):
                        file.write(chunk)
                    if progress is not None:
                        progress(file.tell(), wanted.size or 0)
                with _writing(part):
                    file.truncate()
    except (RangeError, TrustError):
        part.unlink(missing_ok=True)
        raise


def _check_room(wanted: Wanted, part: Path, there: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if wanted.size is not None and wanted.size - there > free:
        msg = f"{wanted.name}: {wanted.size} bytes do not fit in {part.parent} ({free} bytes free). Free some space."
        raise OutputError(msg)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what the file system says into one line; a full disk is not left full."""
    try:
        yield
    except OSError as error:
        path.unlink(missing_ok=True)
        msg = (
            f"cannot write {path}: {error.strerror or error}."
            " Free some space, or name another cache folder with UNDERCAST_CACHE."
        )
        raise OutputError(msg) from error
