"""Archives: zip files of strangers, read strictly, with bounded sizes, before anything else opens them."""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from undercast.errors import TrustError
from undercast.models.trust.weights import LARGEST_WEIGHTS

MOST_RECORDS = 20_000
"""Records that an archive has at most."""

LARGEST_RATIO = 20
"""Largest ratio of what an archive unpacks to and its own size; PyTorch does not compress."""

LOCAL_HEADER = b"PK\x03\x04"
"""First bytes of an archive."""

_END = struct.Struct("<4s4H2LH")
_END_MARK = b"PK\x05\x06"
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_MARK = b"PK\x06\x07"
_END_64 = struct.Struct("<4sQ2H2L4Q")
_END_64_MARK = b"PK\x06\x06"

_NAME = re.compile(r"[A-Za-z0-9_.+@ -]+(/[A-Za-z0-9_.+@ -]+)*")
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Archive:
    """A zip archive whose directory has been checked."""

    origin: str
    """File, for messages."""
    records: Mapping[str, zipfile.ZipInfo]
    """Name -> record, in the archive's order."""
    zipped: zipfile.ZipFile
    """The archive in memory."""

    def read(self, name: str) -> bytes:
        """Unpack a record.

        Raises:
            TrustError: If it is damaged.
        """
        try:
            return self.zipped.read(self.records[name])
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise refusal(self.origin, f"a damaged record {name} ({error})") from error


def open_archive(data: bytes, *, origin: str) -> Archive:
    """Open a zip archive that every reader of zip files sees alike.

    Python and PyTorch find the records of an odd archive in different ways; so the directory must lie directly before
    its end, nothing may follow, and no two names may differ in case only.

    Args:
        data: The whole file.
        origin: File, for messages.

    Raises:
        TrustError: If it is no such archive, it would unpack to far more than it is, or a name could lead out of a
            folder.
    """
    start, count = _directory(data, origin)
    try:
        zipped = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, struct.error, ValueError, OSError, NotImplementedError) as error:
        raise refusal(origin, f"a damaged zip archive ({error})") from error
    infos = zipped.infolist()
    if zipped.start_dir != start or len(infos) != count or not 0 < count <= MOST_RECORDS:
        raise refusal(origin, f"a directory of {len(infos)} records that does not say what it holds")
    for info in infos:
        _check_record(info, origin)
    if len({info.filename.lower() for info in infos}) != count:
        raise refusal(origin, "two records of one name")
    unpacked = sum(info.file_size for info in infos)
    if unpacked > min(LARGEST_RATIO * len(data), LARGEST_WEIGHTS):
        raise refusal(origin, f"{len(data)} bytes that would unpack to {unpacked}")
    return Archive(origin=origin, records={info.filename: info for info in infos}, zipped=zipped)


def refusal(origin: str, got: str) -> TrustError:
    """Make the error for weights that are not opened."""
    return TrustError(f"weights {origin} are refused: they hold {got}. Ask their publisher for plain weights.")


def _directory(data: bytes, origin: str) -> tuple[int, int]:
    """Find where the directory begins, and how many records it says it has (APPNOTE.TXT 4.3.14-4.3.16)."""
    end = len(data) - _END.size
    if not data.startswith(LOCAL_HEADER) or end < 0:
        raise refusal(origin, f"no zip archive (they begin with {data[:8]!r})")
    mark, _, _, _, count, size, start, comment = _END.unpack_from(data, end)
    if mark != _END_MARK or comment:
        raise refusal(origin, "no end of a zip archive, or something after it")
    locator = end - _LOCATOR.size
    if locator >= 0 and data.startswith(_LOCATOR_MARK, locator):
        _, _, place, _ = _LOCATOR.unpack_from(data, locator)
        end = locator - _END_64.size
        if place != end or end < 0:
            raise refusal(origin, "a zip archive with two directories")
        mark, *_, count, size, start = _END_64.unpack_from(data, end)
        if mark != _END_64_MARK:
            raise refusal(origin, "a zip archive with a damaged end")
    if start + size != end:
        raise refusal(origin, "a zip archive with something between its directory and its end")
    return start, count


def _check_record(info: zipfile.ZipInfo, origin: str) -> None:
    name = info.filename
    if name != info.orig_filename or not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise refusal(origin, f"a record with the name {info.orig_filename[:80]!r}")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise refusal(origin, f"a link, {name}")
    if info.flag_bits & _ENCRYPTED or info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise refusal(origin, f"an encrypted or oddly compressed record, {name}")
    if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        raise refusal(origin, f"a record that lies about its size, {name}")
