"""Processor: what the machine computes with, for backends that make use of it and caches that depend on it."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache
from pathlib import Path

from undercast.errors import UsageError

PROCESSORS_VARIABLE = "UNDERCAST_PROCESSORS"
"""Environment variable that says how many processors may be used, where that is less than the system tells: in
containers with a quota, and where several processes share a machine."""

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux describes the processor."""


def processors() -> int:
    """Count the processors that this process may use.

    Raises:
        UsageError: If the environment variable that says how many is no number above 0.
    """
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get(PROCESSORS_VARIABLE)
    if asked is None:
        return there
    if not asked.isdecimal() or int(asked) < 1:
        msg = f"{PROCESSORS_VARIABLE}: expected a whole number above 0, got {asked!r}."
        raise UsageError(msg)
    return min(there, int(asked))


@cache
def processor_flags() -> frozenset[str]:
    """List the processor's instruction sets as Linux names them, such as ``avx512f``; empty where they are not told."""
    return frozenset(_told("flags").split())


@cache
def processor_key() -> str:
    """Give a short name that differs where name, architecture or instruction sets of the processor differ."""
    name = _told("model name") or platform.processor()
    told = "\n".join((platform.machine(), name, *sorted(processor_flags())))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _told(field: str) -> str:
    """Read one field of the first processor; empty where the system does not tell."""
    try:
        lines = CPUINFO.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.split(":")[0].strip() == field), "")
