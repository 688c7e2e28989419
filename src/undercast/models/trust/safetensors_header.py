"""Safetensors: whether a file's header and its numbers agree (https://huggingface.co/docs/safetensors, Format)."""

from __future__ import annotations

import json
import math
from typing import Any

from undercast.models.trust.archive import refusal

ITEM_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "U16": 2,
    "I16": 2,
    "F16": 2,
    "BF16": 2,
    "U32": 4,
    "I32": 4,
    "F32": 4,
    "U64": 8,
    "I64": 8,
    "F64": 8,
}
"""Type of numbers -> bytes of one."""

LARGEST_HEADER = 16 * 1024**2
"""Largest header that is read, in bytes."""

MOST_DIMENSIONS = 16
"""Dimensions of a tensor, at most."""

LENGTH_BYTES = 8
"""Bytes at the start that hold the header's length."""


def check_safetensors(data: bytes, *, origin: str) -> None:
    """Refuse a safetensors file whose header does not describe its numbers to the byte.

    Raises:
        TrustError: If the header is too large or no JSON object, a type is not known, or the tensors overlap, leave
            gaps or lie outside the file.
    """
    length = int.from_bytes(data[:LENGTH_BYTES], "little")
    if len(data) < LENGTH_BYTES + 2 or not 2 <= length <= min(LARGEST_HEADER, len(data) - LENGTH_BYTES):
        raise refusal(origin, f"no safetensors header (its length would be {length} of {len(data)} bytes)")
    try:
        header = json.loads(data[LENGTH_BYTES : LENGTH_BYTES + length], object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise refusal(origin, "a safetensors header that is damaged or names a tensor twice") from error
    if not isinstance(header, dict):
        raise refusal(origin, "a safetensors header that is no object")
    notes = header.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(text, str) for text in notes.values()):
        raise refusal(origin, "safetensors metadata that are no texts")
    end = 0
    for begin, stop, name in sorted(_place(name, row, origin) for name, row in header.items()):
        if begin != end:
            raise refusal(origin, f"tensors that overlap or leave a gap ({name[:80]!r} at byte {begin}, not {end})")
        end = stop
    if end != len(data) - LENGTH_BYTES - length:
        raise refusal(origin, f"tensors of {end} bytes in a file with {len(data) - LENGTH_BYTES - length}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        msg = "a key stands twice"
        raise ValueError(msg)
    return table


def _place(name: str, row: Any, origin: str) -> tuple[int, int, str]:
    """Give where a tensor lies, if type, shape and offsets agree."""
    fields = row if isinstance(row, dict) else {}
    dtype, shape, offsets = fields.get("dtype"), _counts(fields.get("shape")), _counts(fields.get("data_offsets"))
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise refusal(origin, f"a tensor {name[:80]!r} of the type {str(dtype)[:80]!r}")
    if shape is None or offsets is None or len(offsets) != 2:
        raise refusal(origin, f"a tensor {name[:80]!r} without shape or offsets")
    if offsets[1] - offsets[0] != math.prod(shape) * ITEM_BYTES[dtype]:
        raise refusal(origin, f"a tensor {name[:80]!r} whose shape and offsets disagree")
    return offsets[0], offsets[1], name


def _counts(values: Any) -> list[int] | None:
    """Give a few whole numbers of 0 or more, below 2**63; None if they are something else."""
    if not isinstance(values, list) or len(values) > MOST_DIMENSIONS:
        return None
    return values if all(type(value) is int and 0 <= value < 2**63 for value in values) else None
