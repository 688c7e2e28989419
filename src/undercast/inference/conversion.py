"""Conversion: exported programs become ONNX, which faster runtimes load."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from undercast._optional import require
from undercast.errors import BackendError
from undercast.inference.torch import read_program

if TYPE_CHECKING:
    import torch


def program_to_onnx(program: bytes) -> bytes:
    """Convert an exported program, whose archive has been scanned, to ONNX.

    Its sides and batch are as free as the program's. Whether the answers are the same is for the caller to compare.

    Raises:
        BackendError: If PyTorch cannot load or convert it.
        MissingDependencyError: If what converts is not installed.
    """
    purpose = "convert networks to ONNX"
    exporter = require("torch.onnx", extra="train", purpose=purpose)
    require("onnxscript", extra="train", purpose=purpose)
    try:
        with _quiet():
            loaded = read_program(program)
            _drop_ranges_of_products(loaded)
            made = exporter.export(loaded, dynamo=True, external_data=False, verbose=False)
        return bytes(made.model_proto.SerializeToString())
    except Exception as error:  # its errors share no base class below Exception
        # The exporter's own error begins with advice for its developers, in colour.
        cause = error.__cause__ or error
        told = [line for line in str(cause).splitlines() if line.strip()] or [type(cause).__name__]
        msg = f"PyTorch cannot convert the network to ONNX: {told[0].strip()}"
        raise BackendError(msg) from error


def _drop_ranges_of_products(program: torch.export.ExportedProgram) -> None:
    """Leave ranges to plain symbols.

    Of a side that is a multiple (``32*s0``) torch.export.load keeps a range of its own beside that of ``s0``, at which
    the exporter fails (torch 2.13: ``torch/export/_trace.py``, ``_replace_unbacked_bindings``).
    """
    values = (node.meta.get("val") for node in program.graph.nodes)
    sides = (side for value in values for side in getattr(value, "shape", ()) if hasattr(side, "node"))
    side = next(sides, None)
    for ranges in () if side is None else (program.range_constraints, side.node.shape_env.var_to_range):
        for key in [key for key in ranges if not key.is_Symbol]:
            del ranges[key]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's chatter off the person's screen."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
