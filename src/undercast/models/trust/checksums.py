"""Checksums: SHA-256 as the file extension's multihash (https://multiformats.io/multihash)."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from undercast.errors import TrustError

SHA2_256 = "1220"
"""Multihash prefix of SHA-256: code 0x12, length 0x20 (https://multiformats.io/multihash)."""

_MULTIHASH = re.compile(SHA2_256 + r"[0-9a-f]{64}")


def multihash(data: bytes) -> str:
    """Give the SHA-256 of bytes as the file extension's multihash: ``1220`` and the digest in hexadecimal."""
    return SHA2_256 + hashlib.sha256(data).hexdigest()


def check_multihash(text: str, *, origin: str) -> str:
    """Give a multihash in lower case.

    Raises:
        TrustError: If it is not a SHA-256 multihash.
    """
    if not _MULTIHASH.fullmatch(text.lower()):
        msg = f"{origin}: expected a SHA-256 multihash ({SHA2_256} and 64 hex digits), got {text[:80]!r}."
        raise TrustError(msg)
    return text.lower()


def file_multihash(path: Path) -> str:
    """Give the SHA-256 multihash of a file.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        return SHA2_256 + hashlib.file_digest(file, "sha256").hexdigest()
