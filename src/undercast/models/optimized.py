"""Optimized: members that were converted for this processor, kept in the cache by their checksum."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from undercast.errors import ModelError, OutputError
from undercast.models.documents import load_json
from undercast.models.fetch.cache import cache_folder
from undercast.models.table import Table
from undercast.models.trust.checksums import multihash
from undercast.models.trust.weights import LARGEST_WEIGHTS

log = logging.getLogger(__name__)

RECORD_VERSION = 1
"""Version of what is kept; others are made again."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Optimized:
    """A member's network as ONNX, whose answers were compared with the original's."""

    onnx: bytes
    """The network."""
    difference: float
    """Largest difference in probability from the original."""


def optimized_path(checksum: str, processor: str) -> Path:
    """Give the file of a converted member; the record with its checksum stands beside it.

    Args:
        checksum: Multihash of the original weights.
        processor: Key of the processor on which the answers were compared.
    """
    return cache_folder() / "optimized" / f"{checksum}-{processor}.onnx"


def find_optimized(checksum: str, processor: str) -> Optimized | None:
    """Find a converted member; None where there is none, or where what is kept is damaged."""
    path = optimized_path(checksum, processor)
    record = path.with_suffix(".json")
    if not record.is_file():
        return None
    try:
        table = Table(values=load_json(record), origin=str(record))
        if table.integer("version") != RECORD_VERSION:
            return None
        if path.stat().st_size > LARGEST_WEIGHTS:
            raise ModelError(f"{path} has more than {LARGEST_WEIGHTS} bytes.")
        data = path.read_bytes()
        if multihash(data) != table.text("checksum"):
            raise ModelError(f"{path} does not match its record.")
        return Optimized(onnx=data, difference=table.number("difference"))
    except (OSError, ValueError) as error:
        log.warning("optimized weights are not used: %s Make them again: undercast models optimize", error)
        return None


def keep_optimized(checksum: str, processor: str, optimized: Optimized) -> Path:
    """Keep a converted member; several processes may do so at once.

    Returns:
        Its file.

    Raises:
        OutputError: If the cache cannot be written.
    """
    path = optimized_path(checksum, processor)
    record = {"version": RECORD_VERSION, "checksum": multihash(optimized.onnx), "difference": optimized.difference}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, optimized.onnx)
        # The record comes last: without it the network is not looked at.
        _replace(path.with_suffix(".json"), (json.dumps(record) + "\n").encode())
    except OSError as error:
        msg = f"the cache {path.parent} cannot be written: {error.strerror or error}. Name another: UNDERCAST_CACHE=..."
        raise OutputError(msg) from error
    return path


def _replace(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
