"""Loading: the members of a model package are verified and become networks that run here."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, reduce
from operator import add
from pathlib import Path
from typing import Literal

from undercast.errors import BackendError
from undercast.inference.backends import AUTO, Loaded, Network, Weights, choose_backend
from undercast.inference.processor import processor_key
from undercast.model_spec import ModelSpec
from undercast.models.fetch.cache import cache_folder
from undercast.models.fetch.pull import PullOptions, open_package
from undercast.models.optimized import find_optimized
from undercast.models.package import DEFAULT_MODEL, ModelPackage
from undercast.models.trust.checksums import multihash
from undercast.models.trust.scan import scanned_bytes
from undercast.models.trust.weights import MemberWeights
from undercast.prediction import ModelIdentity
from undercast.types import Precision

log = logging.getLogger(__name__)

SMALLEST_AGREEMENT = 0.999
"""Share of valid pixels that must have the same class as with f32 where a lower precision is taken unasked."""

AGREEMENT_KEY = "agreement"
"""Property of a package, ``undercast:agreement``: runtime and precision, such as ``openvino bf16`` -> share of pixels
of real scenes that have the same class as with f32, and how many there were; ``benchmarks/agreement.py`` writes it."""

FEWEST_PIXELS = 2**16
"""Valid pixels, of scenes that show two classes or more, that a judgement on a precision must rest on to be kept."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A model package whose weights have been verified and loaded."""

    package: ModelPackage
    """What the package says."""
    networks: tuple[Network, ...]
    """One per member, in the package's order."""
    backend: str
    """Name of the runtime; names with ``+`` between them where members differ."""
    device: str
    """Where it runs."""
    precision: Precision = "f32"
    """What it computes with."""
    windows: int = 1
    """Windows that the networks work on at once."""
    proof: Proof | None = None
    """How a precision that nobody asked for is compared with f32; None where there is nothing to compare."""
    agreement: Agreement | None = None
    """What earlier comparisons of such a precision with f32 have given; None where there were none."""

    @property
    def spec(self) -> ModelSpec:
        """What the model expects and returns."""
        return self.package.spec

    @property
    def identity(self) -> ModelIdentity:
        """Which model it is."""
        return self.package.identity

    @property
    def groups(self) -> tuple[Group, ...]:
        """Members that expect the same, together; in the order in which they first appear."""
        groups: list[Group] = []
        for member, network in zip(self.package.members, self.networks, strict=True):
            spec = self.package.spec_of(member)
            place = next((i for i, group in enumerate(groups) if group.spec == spec), None)
            if place is None:
                groups.append(Group(spec=spec, networks=(network,)))
            else:
                groups[place] = Group(spec=spec, networks=(*groups[place].networks, network))
        return tuple(groups)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Members that expect the same bands, scaling and windows."""

    spec: ModelSpec
    """What they expect."""
    networks: tuple[Network, ...]
    """One per member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How often two precisions give the same class."""

    share: float
    """Share of the pixels with the same class, in [0, 1]."""
    pixels: int
    """Valid pixels that were compared, of scenes that show two classes or more: where all is clear, all agree."""

    def __add__(self, other: Agreement) -> Agreement:
        """Put two comparisons together."""
        pixels = self.pixels + other.pixels
        same = self.share * self.pixels + other.share * other.pixels
        return Agreement(share=same / pixels if pixels else min(self.share, other.share), pixels=pixels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Whether a precision below f32 gives the same classes: found out on the first scenes, and kept in the cache."""

    exact: Callable[[], Model]
    """Gives the same model with f32; loads it the first time."""
    path: Path | None
    """Where comparisons are kept; None: in memory only, because nobody vouches for the weights."""
    memory: list[Agreement] = field(default_factory=list)
    """Comparisons of this process."""

    def kept(self) -> Agreement | None:
        """Give all earlier comparisons in one; None where there were none."""
        if self.path is not None:
            with suppress(OSError, ValueError, KeyError, TypeError):
                told = json.loads(self.path.read_text("utf-8"))
                return Agreement(share=float(told["agreement"]), pixels=int(told["pixels"]))
        return reduce(add, self.memory) if self.memory else None

    def outcome(self) -> bool | None:
        """Tell whether the precision may be used; None where too few pixels have been compared yet."""
        kept = self.kept()
        if kept is None or kept.pixels < FEWEST_PIXELS:
            return None
        return kept.share >= SMALLEST_AGREEMENT

    def keep(self, agreement: Agreement) -> None:
        """Add a comparison; where the cache cannot be written, the next process compares again."""
        kept = self.kept()
        whole = agreement if kept is None else kept + agreement
        self.memory[:] = [whole]
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps({"agreement": whole.share, "pixels": whole.pixels}) + "\n", "utf-8")
        except OSError as error:
            log.info("the comparison with f32 cannot be kept: %s", error)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """What ``load_model`` takes, as one value: it can travel to where the model is loaded."""

    name: str | Path = DEFAULT_MODEL
    """Name, folder, item or reference of a model package."""
    device: str = AUTO
    """Device, or ``auto``."""
    backend: str = AUTO
    """Runtime, or ``auto``."""
    precision: Precision | Literal["auto"] = AUTO
    """What to compute with, or ``auto``."""
    allow_unverified: bool = False
    """Whether weights without a checksum are taken."""

    def load(self) -> Model:
        """Load the model, as ``load_model`` does."""
        return load_model(
            self.name,
            device=self.device,
            backend=self.backend,
            precision=self.precision,
            allow_unverified=self.allow_unverified,
        )


def load_model(
    name: str | Path = DEFAULT_MODEL,
    *,
    device: str = AUTO,
    backend: str = AUTO,
    precision: Precision | Literal["auto"] = AUTO,
    allow_unverified: bool = False,
) -> Model:
    """Load a model package: verify and scan each member's weights, then make its network.

    Members that ``undercast models optimize`` converted for this processor run as converted, unless PyTorch is asked
    for by name.

    Args:
        name: Name of a package, the path of a package folder or its item, or a reference (``https://``, ``s3://``,
            ``hf:``), which is fetched to the cache the first time.
        device: Device, or ``auto``: the best that works.
        backend: Runtime, or ``auto``: see ``choose_backend``.
        precision: What to compute with, or ``auto``: what the backend takes unasked. Where that is less than f32, and
            the package does not say how well it agrees with f32, the first scene that is masked is looked at with f32,
            too, and f32 is taken if the classes differ.
        allow_unverified: Whether weights without a checksum are taken; the outputs then say so.

    Raises:
        UnknownModelError: If there is no such package.
        DownloadError: If it is a reference that cannot be fetched.
        ModelError: If the package is wrong.
        TrustError: If weights differ from what the package declares, or could run code.
        BackendError: If no runtime, device or precision fits.
        MissingDependencyError: If the runtime is not installed.
    """
    package = open_package(name, PullOptions(allow_unverified=allow_unverified))
    model = _load(package, device, backend, precision)
    if precision != AUTO or model.precision == "f32":
        return model
    told = told_agreement(package, model.backend, model.precision)
    if told is not None and told.share >= SMALLEST_AGREEMENT and told.pixels >= FEWEST_PIXELS:
        return replace(model, agreement=told)
    proof = Proof(
        exact=cache(lambda: _load(package, model.device, backend, "f32")),
        path=cache_folder() / "precision" / f"{_proof_key(model)}.json" if model.identity.verified else None,
    )
    known = proof.outcome()
    if known is not None:
        return replace(model if known else proof.exact(), agreement=proof.kept())
    return replace(model, proof=proof, agreement=proof.kept())


def told_agreement(package: ModelPackage, backend: str, precision: Precision) -> Agreement | None:
    """Read how often a precision was seen to give the classes of f32 on real scenes; None where a package is silent."""
    try:
        told = package.properties[f"undercast:{AGREEMENT_KEY}"][f"{backend} {precision}"]
        return Agreement(share=float(told["share"]), pixels=int(told["pixels"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _load(package: ModelPackage, device: str, backend: str, precision: Precision | Literal["auto"]) -> Model:
    networks = []
    runtimes: dict[str, None] = {}
    computes: Precision = "f32"
    windows = 1
    for member in package.members:
        runtime, loaded = load_member(package, member, device=device, backend=backend, precision=precision)
        # The first member settles the device, so that all run in one place.
        device = loaded.device
        runtimes[runtime] = None
        computes = loaded.precision if loaded.precision != "f32" else computes
        windows = max(windows, loaded.windows)
        networks.append(loaded.network)
    names = "+".join(runtimes)
    log.info("model %s %s: %s on %s with %s", package.spec.id, package.spec.version, names, device, computes)
    return Model(
        package=package,
        networks=tuple(networks),
        backend=names,
        device=device,
        precision=computes,
        windows=windows,
    )


def load_member(
    package: ModelPackage,
    member: MemberWeights,
    *,
    device: str = AUTO,
    backend: str = AUTO,
    precision: Precision | Literal["auto"] = AUTO,
) -> tuple[str, Loaded]:
    """Load one member of a package, as ``load_model`` does.

    Returns:
        The name of its runtime, and the network.
    """
    spec = package.spec_of(member)
    weights = Weights(
        data=scanned_bytes(member),
        kind=member.kind,
        architecture=member.architecture,
        bands=len(spec.bands),
        terrain=len(spec.terrain),
        layers=len(spec.classes),
    )
    convertible = member.kind == "pt2" and backend != "torch"
    optimized = find_optimized(multihash(weights.data), processor_key()) if convertible else None
    if optimized is not None:
        weights = Weights(data=optimized.onnx, kind="onnx")
    elif convertible and backend != AUTO:
        msg = (
            f"weights {member.path}: backend {backend!r} does not run exported programs (.pt2)."
            " Convert them once: undercast models optimize"
        )
        raise BackendError(msg)
    choice = choose_backend(weights.kind, backend, device, precision)
    return choice.name, choice.load(weights)


def _proof_key(model: Model) -> str:
    """Give a name that differs where members, runtime, precision or processor differ."""
    told = "\n".join((*model.identity.checksums, model.backend, model.device, model.precision, processor_key()))
    return hashlib.sha256(told.encode()).hexdigest()[:32]
