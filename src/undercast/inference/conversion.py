"""Conversion: exported programs become ONNX, which faster runtimes load."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from undercast._optional import require
from undercast.errors import BackendError
from undercast.inference.torch import read_program


def program_to_onnx(program: bytes) -> bytes:
    """Convert an exported program, whose archive has been scanned, to ONNX.

    Its sides and batch are as free as the program's. Whether the answers are the same is for the caller to compare.

    Raises:
        BackendError: If PyTorch cannot load or convert it.
        MissingDependencyError: If what converts is not installed.
    """
    purpose = "convert networks to ONNX"
    torch = require("torch", extra="train", purpose=purpose)
    require("onnxscript", extra="train", purpose=purpose)
    try:
        with _quiet():
            made = torch.onnx.export(read_program(program), dynamo=True, external_data=False, verbose=False)
        return bytes(made.model_proto.SerializeToString())
    except Exception as error:  # its errors share no base class below Exception
        told = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        msg = f"PyTorch cannot convert the network to ONNX: {told[0].strip()}"
        raise BackendError(msg) from error


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
