"""ONNX: whether a network holds all of its own numbers, read from the protobuf wire format without ONNX."""

from __future__ import annotations

from collections.abc import Iterator

from undercast.errors import TrustError
from undercast.models.trust.archive import refusal

CHILDREN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Message -> number of a field -> the message that it holds; only those that lead to tensors (onnx.proto3)."""

EXTERNAL_DATA, DATA_LOCATION = 13, 14
"""Fields of a tensor that say that its numbers are in another file."""

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""Wire types of protobuf."""

LONGEST_VARINT = 10
"""Bytes of a varint, at most."""

DEEPEST = 64
"""Levels that messages nest at most."""


def check_onnx(data: bytes, *, origin: str) -> None:
    """Refuse an ONNX file that is none, or whose tensors are kept in other files of the machine.

    Raises:
        TrustError: If so.
    """
    left = [("model", 0, len(data), 0)]
    graphs = 0
    while left:
        message, start, end, depth = left.pop()
        graphs += message == "graph"
        if depth > DEEPEST:
            raise refusal(origin, f"messages nested more than {DEEPEST} levels deep")
        for number, value in _fields(data, start, end, origin):
            if message == "tensor" and (number == EXTERNAL_DATA or (number == DATA_LOCATION and value != 0)):
                raise refusal(origin, "a tensor whose numbers are in another file (external data)")
            child = CHILDREN[message].get(number)
            if child is not None and isinstance(value, tuple):
                left.append((child, *value, depth + 1))
    if not graphs:
        raise refusal(origin, f"no ONNX network (they begin with {data[:8]!r})")


def _fields(data: bytes, start: int, end: int, origin: str) -> Iterator[tuple[int, int | tuple[int, int]]]:
    """Give the number of each field of a message, and its value: a number, or where its bytes lie."""
    at = start
    while at < end:
        tag, at = _varint(data, at, end, origin)
        number, kind = tag >> 3, tag & 7
        value: int | tuple[int, int] = 0
        if kind == VARINT:
            value, at = _varint(data, at, end, origin)
        elif kind == LENGTH:
            length, at = _varint(data, at, end, origin)
            value, at = (at, at + length), at + length
        elif kind in {FIXED64, FIXED32}:
            at += 8 if kind == FIXED64 else 4
        else:
            at = end + 1
        if at > end or number == 0:
            raise _damaged(data, origin)
        yield number, value


def _varint(data: bytes, at: int, end: int, origin: str) -> tuple[int, int]:
    value = 0
    for index in range(min(LONGEST_VARINT, end - at)):
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise _damaged(data, origin)


def _damaged(data: bytes, origin: str) -> TrustError:
    return refusal(origin, f"no ONNX network, or a damaged one (they begin with {data[:8]!r})")
