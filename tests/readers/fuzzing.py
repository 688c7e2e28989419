"""Damage files, open them, and let nothing but undercast's own errors out.

Runs a few examples; for as many seconds as ``UNDERCAST_FUZZ_SECONDS`` says, where it is set. How many inputs were tried
is logged: ``pytest --log-cli-level=INFO``::

    def test_damaged_products_give_our_errors(fuzzing, tmp_path):
        def open_bytes(data: bytes) -> None:
            (tmp_path / "product.xml").write_bytes(data)
            open_scene(tmp_path).read()

        fuzzing.fuzz(open_bytes, valid)
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from undercast.errors import UndercastError

logger = logging.getLogger(__name__)

SECONDS = float(os.environ.get("UNDERCAST_FUZZ_SECONDS", "0"))
"""How long each test goes on; 0: a few examples."""
EXAMPLES = 25
"""How many examples are a few."""
BATCH = 200
"""How many examples run between two looks at the clock."""


def only_our_errors(open_bytes: Callable[[bytes], object], data: bytes) -> None:
    """Open bytes and read them; an UndercastError in one line is fine, and so is success; anything else is a defect."""
    said = ""
    try:
        open_bytes(data)
    except UndercastError as error:
        said = str(error)
    assert "\n" not in said


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """Draw bytes that look like a valid file but are cut, overwritten, lengthened, or altogether others."""
    kind = draw(st.sampled_from(("overwritten", "overwritten", "cut", "spliced", "other")))
    if kind == "other":
        return draw(st.binary(max_size=200))
    place = partial(draw, st.integers(0, len(valid) - 1))
    if kind == "cut":
        return valid[: place()]
    data = bytearray(valid)
    for _ in range(draw(st.integers(1, 8))):
        start = place()
        removed = draw(st.integers(0, 8)) if kind == "spliced" else 0
        piece = draw(st.binary(min_size=1, max_size=8))
        data[start : start + (removed or len(piece))] = piece
    return bytes(data)


def fuzz(open_bytes: Callable[[bytes], object], valid: bytes, *, examples: int = EXAMPLES) -> None:
    """Open damaged copies of a valid file: some examples, or for as long as the environment says."""
    open_bytes(valid)
    stop = time.monotonic() + SECONDS
    tried = 0

    @settings(
        max_examples=BATCH if SECONDS else examples,
        database=None,
        derandomize=not SECONDS,
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged(valid))
    def run(data: bytes) -> None:
        nonlocal tried
        if not SECONDS or time.monotonic() < stop:
            only_our_errors(open_bytes, data)
            tried += 1

    run()
    while time.monotonic() < stop:
        run()
    logger.info("%d inputs", tried)
