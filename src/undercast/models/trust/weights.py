"""Weights: one member's file, as its package declares it and as it is, before anything parses it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from undercast.errors import ModelError, TrustError
from undercast.model_spec import ModelSpec
from undercast.models.trust.checksums import file_multihash, multihash

LARGEST_WEIGHTS = 2 * 1024**3
"""Largest weight file that is read, in bytes; ONNX's own limit (protobuf)."""


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
        raise _unreadable(member, error) from error
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
        checksum = file_multihash(member.path)
    except OSError as error:
        raise _unreadable(member, error) from error
    return replace(member, checksum=checksum, verified=False)


def _unreadable(member: MemberWeights, error: OSError) -> ModelError:
    way_out = "Install the package again."
    if "://" in member.href:
        way_out = f"The item names {member.href[:200]}: put the file there, or pull the package from its own place."
    return ModelError(f"weights {member.path} cannot be read: {error.strerror or error}. {way_out}")


def _mismatch(member: MemberWeights, expected: str, got: str) -> str:
    return (
        f"weights {member.path} are not the ones that the package declares: expected {expected}, got {got}."
        " They were changed or damaged: install the model package again."
    )
