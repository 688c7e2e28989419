"""Trust: checksums, confined paths and bounded reads, before anything parses a weight file."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from undercast.errors import ModelError, TrustError
from undercast.model_spec import ModelSpec

SHA2_256 = "1220"
"""Multihash prefix of SHA-256: code 0x12, length 0x20 (https://multiformats.io/multihash)."""

LARGEST_WEIGHTS = 2 * 1024**3
"""Largest weight file that is read, in bytes; ONNX's own limit (protobuf)."""

LONGEST_NAME = 255
"""Longest name of a file, in bytes, on the usual file systems."""

_MULTIHASH = re.compile(SHA2_256 + r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberWeights:
    """Weights of one member, as its package declares them."""

    name: str
    """Asset key in the item."""
    kind: str
    """Kind of weights: ``onnx``, ``safetensors`` or ``pt2``; backends are chosen by it."""
    path: Path
    """Where the file is, or will be once it is fetched, inside the package folder."""
    checksum: str | None
    """Declared SHA-256 as multihash, lower-case hexadecimal; None: the package declares none."""
    size: int | None
    """Declared size, in bytes; None: the package declares none."""
    href: str = ""
    """Reference in the item, as it stands; a URL where the file is to be fetched."""
    architecture: str | None = None
    """Known architecture, for kinds that hold weights without a graph (``safetensors``)."""
    spec: ModelSpec | None = None
    """What this member expects (bands, scaling, windows) where that differs; None: as the package."""
    verified: bool = True
    """Whether the checksum is the package's own; not where it was only measured, see ``measured``."""


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


def confined_path(href: str, root: Path, *, origin: str) -> Path:
    """Find the file of an asset inside its package folder.

    Args:
        href: Relative reference in the item.
        root: The package folder.
        origin: File and key, for messages.

    Returns:
        The resolved path; the file need not exist.

    Raises:
        TrustError: If the reference leads out of the folder: a URL, an absolute path, ``..`` or a link.
    """
    path = PurePosixPath(href)
    foreign = ":" in href or "\\" in href or "\0" in href or PureWindowsPath(href).is_absolute()
    if not href or foreign or path.is_absolute() or ".." in path.parts or not all(map(_can_name, path.parts)):
        msg = f"{origin}: expected a file inside the package folder, got {href[:120]!r}."
        raise TrustError(msg)
    found = (root / path).resolve()
    if not found.is_relative_to(root.resolve()):
        msg = f"{origin}: {href!r} is a link that leads out of the package folder."
        raise TrustError(msg)
    return found


def _can_name(part: str) -> bool:
    """Tell whether a file system takes a name: not a lone surrogate, not too long."""
    try:
        return len(os.fsencode(part)) <= LONGEST_NAME
    except UnicodeEncodeError:
        return False


def verified_bytes(member: MemberWeights) -> bytes:
    """Read a member's weights and compare them with what is declared.

    The size is compared before the file is read, the checksum before anything parses it; the bytes that are
    returned are the bytes that were compared.

    Raises:
        TrustError: If size or checksum differ from what is declared, no checksum is declared, or the file is too
            large.
        ModelError: If the file cannot be read.
    """
    if member.checksum is None:
        msg = (
            f"weights {member.path}: the package declares no checksum (file:checksum), so nothing can be verified."
            " If you trust where they came from, say so with --allow-unverified."
        )
        raise TrustError(msg)
    try:
        with member.path.open("rb") as file:
            found = file.seek(0, 2)
            declared = found if member.size is None else member.size
            if max(found, declared) > LARGEST_WEIGHTS:
                msg = f"{member.path}: at most {LARGEST_WEIGHTS} bytes are read, this file has {max(found, declared)}."
                raise TrustError(msg)
            if found != declared:
                raise TrustError(_mismatch(member, f"{declared} bytes", f"{found} bytes"))
            file.seek(0)
            data = file.read(found)
    except OSError as error:
        msg = f"weights {member.path} cannot be read: {error.strerror or error}. Install the package again."
        raise ModelError(msg) from error
    checksum = multihash(data)
    if checksum != member.checksum:
        raise TrustError(_mismatch(member, f"checksum {member.checksum}", checksum))
    return data


def measured(member: MemberWeights) -> MemberWeights:
    """Take a file's size and checksum as they are, where its package declares none and a person vouches for it.

    Raises:
        ModelError: If the file cannot be read.
    """
    if member.checksum is not None:
        return member
    try:
        with member.path.open("rb") as file:
            checksum = SHA2_256 + hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        msg = f"weights {member.path} cannot be read: {error.strerror or error}. Install the package again."
        raise ModelError(msg) from error
    return replace(member, checksum=checksum, verified=False)


def _mismatch(member: MemberWeights, expected: str, got: str) -> str:
    return (
        f"weights {member.path} are not the ones that the package declares: expected {expected}, got {got}."
        " They were changed or damaged: install the model package again."
    )
