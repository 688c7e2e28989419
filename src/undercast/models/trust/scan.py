"""Scan: weights are compared with their checksum and looked at before a runtime opens them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from undercast.errors import TrustError
from undercast.models.trust.exported_program import check_exported_program
from undercast.models.trust.onnx_wire import check_onnx
from undercast.models.trust.safetensors_header import check_safetensors
from undercast.models.trust.weights import MemberWeights, verified_bytes


class Check(Protocol):
    """Refuses a file that is not what it says or could run code."""

    def __call__(self, data: bytes, *, origin: str) -> None:
        """Raise TrustError, or do nothing."""
        ...


CHECKS: Mapping[str, Check] = {
    "onnx": check_onnx,
    "pt2": check_exported_program,
    "safetensors": check_safetensors,
}
"""Kind of weights -> what looks at them; other kinds are refused."""


def scanned_bytes(member: MemberWeights) -> bytes:
    """Read a member's weights for a runtime: verified, then scanned; the bytes given are the bytes looked at.

    Args:
        member: Weights as their package declares them.

    Raises:
        TrustError: If they differ from what is declared, are not what their kind says, or could run code.
        ModelError: If the file cannot be read.
    """
    data = verified_bytes(member)
    check = CHECKS.get(member.kind)
    if check is None:
        msg = f"weights {member.path}: kind {member.kind!r} cannot be scanned. Kinds: {', '.join(CHECKS)}"
        raise TrustError(msg)
    check(data, origin=str(member.path))
    return data
