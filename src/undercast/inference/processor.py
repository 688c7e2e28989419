"""Processor: what the machine computes with, for backends that make use of it and caches that depend on it."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux describes the processor."""


def processors() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
