"""Optimizing: members of a model package are converted once for this processor, and compared with what they were."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from undercast.errors import ModelError
from undercast.inference.backends import Network, Weights, choose_backend
from undercast.inference.processor import processor_key
from undercast.loading import load_member
from undercast.model_spec import ModelSpec, network_input
from undercast.models.fetch.pull import PullOptions, open_package
from undercast.models.optimized import Optimized, find_optimized, keep_optimized, optimized_path
from undercast.models.package import DEFAULT_MODEL, ModelPackage
from undercast.models.trust.checksums import multihash
from undercast.models.trust.scan import scanned_bytes
from undercast.models.trust.weights import MemberWeights
from undercast.types import Float32

LARGEST_DIFFERENCE = 1e-4
"""Largest difference in probability at which a converted network stands for the original."""

TRIALS = 2
"""Windows in which the answers are compared."""

CONVERTIBLE = ("pt2",)
"""Kinds of weights that gain from it; ONNX runs in every runtime as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberGain:
    """What became of one member."""

    name: str
    """Member, as in the item."""
    path: Path | None
    """File in the cache; None where the member runs as it is."""
    made: bool = False
    """Whether it was converted now; else it was there."""
    difference: float = 0.0
    """Largest difference in probability from the original."""
    seconds: tuple[float, float] | None = None
    """Seconds per window before and after, measured once; None where nothing was converted now."""
    runtime: str = ""
    """Backend and precision that run it from now on."""


def optimize(
    name: str | Path = DEFAULT_MODEL,
    *,
    again: bool = False,
    allow_unverified: bool = False,
    progress: Callable[[str], None] | None = None,
) -> tuple[MemberGain, ...]:
    """Convert the members of a package that run faster in another format, and keep them in the cache.

    ``load_model`` takes them from there: by the checksum of the original weights and by the processor on which the
    answers were compared.

    Args:
        name: Name of a package, the path of a package folder or its item, or a reference, as ``load_model`` takes it.
        again: Whether members are converted that are in the cache already.
        allow_unverified: Whether weights without a checksum are taken.
        progress: Is told each member's name before its turn.

    Returns:
        One per member, in the package's order.

    Raises:
        UnknownModelError: If there is no such package.
        TrustError: If weights differ from what the package declares, or could run code.
        ModelError: If a converted network gives other answers; nothing is kept of it.
        BackendError: If a member cannot be converted.
        MissingDependencyError: If what converts is not installed.
        OutputError: If the cache cannot be written.
    """
    package = open_package(name, PullOptions(allow_unverified=allow_unverified))
    gains = []
    for member in package.members:
        if progress is not None:
            progress(member.name)
        gains.append(_optimize(package, member, again=again))
    return tuple(gains)


def _optimize(package: ModelPackage, member: MemberWeights, *, again: bool) -> MemberGain:
    if member.kind not in CONVERTIBLE:
        return MemberGain(name=member.name, path=None, runtime=_runtime(member.kind))
    data, processor = scanned_bytes(member), processor_key()
    checksum = multihash(data)
    found = None if again else find_optimized(checksum, processor)
    if found is not None:
        path = optimized_path(checksum, processor)
        return MemberGain(name=member.name, path=path, difference=found.difference, runtime=_runtime("onnx"))
    from undercast.inference.conversion import program_to_onnx

    onnx = program_to_onnx(data)
    _, original = load_member(package, member, backend="torch", device="cpu", precision="f32")
    converted = choose_backend("onnx", device="cpu", precision="f32").load(Weights(data=onnx, kind="onnx"))
    batch = trial_windows(package.spec_of(member))
    difference, before, after = _compared(original.network, converted.network, batch)
    if not difference <= LARGEST_DIFFERENCE:
        msg = (
            f"member {member.name} as ONNX differs by {difference:.2g} in probability, more than"
            f" {LARGEST_DIFFERENCE:g}: it is left as it is. Another version of PyTorch may convert it."
        )
        raise ModelError(msg)
    path = keep_optimized(checksum, processor, Optimized(onnx=onnx, difference=difference))
    return MemberGain(
        name=member.name,
        path=path,
        made=True,
        difference=difference,
        seconds=(before, after),
        runtime=_runtime("onnx"),
    )


def trial_windows(spec: ModelSpec) -> Float32:
    """Make windows as a network takes them: bright and dark fields with soft edges, noise, and a corner without data.

    Returns:
        ``(TRIALS, band, window, window)``.
    """
    random = np.random.default_rng(0)
    bands, side = len(spec.bands), spec.window
    coarse = random.random((TRIALS, bands, side // 8 + 2, side // 8 + 2), np.float32)
    fields = np.kron(coarse, np.ones((1, 1, 8, 8), np.float32))[..., :side, :side]
    reflectance = np.asarray(fields + 0.05 * random.random(fields.shape, np.float32), np.float32)
    reflectance[-1, :, -side // 8 :, -side // 8 :] = np.nan
    matches = spec.match([wanted.band for wanted in spec.bands])
    return np.stack([network_input(spec, matches, one) for one in reflectance])


def _compared(original: Network, converted: Network, windows: Float32) -> tuple[float, float, float]:
    """Give the largest difference, and the seconds that each takes for a window after the first."""
    largest, seconds = 0.0, [0.0, 0.0]
    for window in windows:
        answers = []
        for place, network in enumerate((original, converted)):
            began = time.perf_counter()
            answers.append(network(window[np.newaxis]))
            seconds[place] = time.perf_counter() - began
        wanted, got = answers
        same = wanted.shape == got.shape
        difference = float(np.abs(wanted - got).max()) if same else float("inf")
        largest = max(largest, difference) if np.isfinite(difference) else float("inf")
    return largest, seconds[0], seconds[1]


def _runtime(kind: str) -> str:
    choice = choose_backend(kind)
    return f"{choice.name}, {choice.backend.precisions(choice.devices[0])[0]}"
