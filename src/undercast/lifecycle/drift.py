"""Drift: what a model sees and says in some scenes, and how far that lies from what it saw and said before."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from undercast.errors import EvaluationError, LedgerError, TransitionError
from undercast.evaluation.gate import Rule, RuleVerdict
from undercast.evaluation.references import check_unique
from undercast.lifecycle.distributions import (
    BINS,
    HIGH,
    LOW,
    Counts,
    histogram,
    population_stability_index,
    wasserstein_distance,
)
from undercast.lifecycle.new_scenes import NewScene
from undercast.loading import Model
from undercast.masking import stream
from undercast.passes import matched_bands
from undercast.scene import Scene
from undercast.windows import Window

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many scenes are done, and how many there are."""

MOST_PIXELS = 1_000_000
"""About as many pixels of a scene count; of a larger one every second, third, ... block of rows and column."""
ROWS_AT_ONCE = 256
"""Rows of one band that are read at once."""
CLOUD = (1, 2)
"""Classes that count as cloud."""

FIGURES: Mapping[str, str] = {
    "band_psi": "population stability index of the band that drifted most",
    "band_distance": "Wasserstein distance of the band that drifted most, in reflectance",
    "cloud_fraction_change": "change of the mean cloud fraction, up or down",
    "uncertainty_change": "change of the mean uncertainty, up or down",
}
"""Figures of drift that a gate can bound -> what they are."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenScene:
    """What a model saw and said in one scene."""

    name: str
    """Name of the scene."""
    sha256: str
    """Hash that a ledger knows it by."""
    file_sha256: str | None
    """SHA-256 of the one file that it comes from; None where there is no such file."""
    cloud_fraction: float
    """Cloud, thick or thin, among the pixels that have a prediction, in [0, 1]."""
    uncertainty: float
    """Mean uncertainty of these, in [0, 1]."""

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "file_sha256": self.file_sha256,
            "cloud_fraction": round(self.cloud_fraction, 6),
            "uncertainty": round(self.uncertainty, 6),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What a model saw and said in some scenes."""

    scenes: tuple[SeenScene, ...]
    """The scenes; at least one."""
    bands: Mapping[str, Counts]
    """Common name of a model band -> counts of reflectance ``(BINS,)`` over all scenes."""
    uncertainty_kind: str
    """Which uncertainty it is."""

    @property
    def cloud_fraction(self) -> float:
        """Mean of the scenes, each counting once."""
        return float(np.mean([scene.cloud_fraction for scene in self.scenes]))

    @property
    def uncertainty(self) -> float:
        """Mean of the scenes, each counting once."""
        return float(np.mean([scene.uncertainty for scene in self.scenes]))

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON values, as a ledger has it."""
        return {
            "scenes": [scene.to_dict() for scene in self.scenes],
            "bins": {"low": LOW, "high": HIGH, "count": BINS},
            "bands": {name: counts.tolist() for name, counts in self.bands.items()},
            "uncertainty_kind": self.uncertainty_kind,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far some scenes lie from those of before."""

    bands: Mapping[str, Mapping[str, float | None]]
    """Common name of a model band -> ``psi`` and ``distance``; None where one side has not the band."""
    cloud_fraction: tuple[float, float]
    """Before and now, in [0, 1]."""
    uncertainty: tuple[float, float]
    """Before and now, in [0, 1]."""

    def figure(self, name: str) -> tuple[float | None, str]:
        """Give one of ``FIGURES`` and where it was found; None where a band is missing on one side."""
        if name in {"band_psi", "band_distance"}:
            values = {band: row[name.removeprefix("band_")] for band, row in self.bands.items()}
            gone = [band for band, value in values.items() if value is None]
            worst = gone[0] if gone else max(values, key=lambda band: values[band] or 0.0)
            return values[worst], worst
        before, now = self.cloud_fraction if name == "cloud_fraction_change" else self.uncertainty
        return abs(now - before), "all scenes"

    def to_dict(self) -> dict[str, Any]:
        """Give the drift as JSON values."""
        return {
            "bands": {band: {key: _rounded(value) for key, value in row.items()} for band, row in self.bands.items()},
            "cloud_fraction": {"before": _rounded(self.cloud_fraction[0]), "now": _rounded(self.cloud_fraction[1])},
            "uncertainty": {"before": _rounded(self.uncertainty[0]), "now": _rounded(self.uncertainty[1])},
            "figures": {name: _rounded(self.figure(name)[0]) for name in FIGURES},
        }


def see(scenes: Sequence[NewScene], model: Model, *, progress: Progress | None = None) -> Seen:
    """Look at scenes with a model, one after the other, some rows at a time.

    Raises:
        TransitionError: If there is no scene.
        EvaluationError: If two scenes have the same hash.
        UndercastError: As opening and masking a scene do.
    """
    if not scenes:
        raise TransitionError("expected at least one scene to look at, got none.")
    seen: list[SeenScene] = []
    bands: dict[str, Counts] = {}
    kind = ""
    known: dict[str, str] = {}
    for done, open_it in enumerate(scenes, start=1):
        opened = open_it()
        check_unique(opened.scene.name, opened.sha256, known)
        for name, counts in _seen_bands(opened.scene, model).items():
            bands[name] = counts + bands.get(name, 0)
        cloud, uncertainty, kind = _said(opened.scene, model)
        seen.append(
            SeenScene(
                name=opened.scene.name,
                sha256=opened.sha256,
                file_sha256=opened.file_sha256,
                cloud_fraction=cloud,
                uncertainty=uncertainty,
            )
        )
        if progress is not None:
            progress(done, len(scenes))
    return Seen(scenes=tuple(seen), bands=bands, uncertainty_kind=kind)


def seen_from_dict(table: Mapping[str, Any], *, origin: str) -> Seen:
    """Read what ``Seen.to_dict`` wrote.

    Raises:
        LedgerError: If it is something else, or has other bins.
    """
    way_out = "Promote the model to MONITORING again, in a ledger of its own."
    try:
        bands = {str(name): np.asarray(counts, np.int64) for name, counts in table["bands"].items()}
        same = table["bins"] == {"low": LOW, "high": HIGH, "count": BINS}
        scenes = tuple(SeenScene(**row) for row in table["scenes"])
        seen = Seen(scenes=scenes, bands=bands, uncertainty_kind=str(table["uncertainty_kind"]))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        msg = f"ledger {origin}: expected what drift is measured against, got something else: {error}. {way_out}"
        raise LedgerError(msg) from error
    if not scenes or not same or any(counts.shape != (BINS,) or (counts < 0).any() for counts in bands.values()):
        msg = f"ledger {origin}: expected drift to be measured by {BINS} bins in each band, got others. {way_out}"
        raise LedgerError(msg)
    return seen


def drift(before: Seen, now: Seen) -> Drift:
    """Compare what a model saw and said in some scenes with what it did before.

    Raises:
        TransitionError: If the uncertainties are of two kinds.
    """
    if before.uncertainty_kind != now.uncertainty_kind:
        msg = (
            f"expected the uncertainty {before.uncertainty_kind!r} as before, got {now.uncertainty_kind!r}."
            " Monitor the package that was promoted."
        )
        raise TransitionError(msg)
    empty = np.zeros(BINS, np.int64)
    pairs = {
        name: (before.bands.get(name, empty), now.bands.get(name, empty))
        for name in dict.fromkeys((*before.bands, *now.bands))
    }
    return Drift(
        bands={
            name: {"psi": population_stability_index(*pair), "distance": wasserstein_distance(*pair)}
            for name, pair in pairs.items()
        },
        cloud_fraction=(before.cloud_fraction, now.cloud_fraction),
        uncertainty=(before.uncertainty, now.uncertainty),
    )


def hold(found: Drift, rules: Sequence[Rule]) -> tuple[RuleVerdict, ...]:
    """Hold drift against the rules of a gate that are about drift.

    Raises:
        EvaluationError: If a rule has anything but an upper threshold.
    """
    return tuple(_verdict(found, rule) for rule in rules)


def _verdict(found: Drift, rule: Rule) -> RuleVerdict:
    plain = Rule(figure=rule.figure, max=rule.max, undefined=rule.undefined)
    if rule.max is None or rule != plain:
        msg = f"rule on {rule.figure}: expected max, and undefined at most, got more or less. {FIGURES[rule.figure]}"
        raise EvaluationError(msg)
    value, where = found.figure(rule.figure)
    if value is None:
        passed, reason = rule.undefined == "pass", "undefined: this band has no pixel before or now"
    else:
        passed = value <= rule.max
        reason = "kept" if passed else "the threshold is not kept"
    return RuleVerdict(
        rule=f"{rule.figure} <= {rule.max:g}", passed=passed, found=_rounded(value), where=where, reason=reason
    )


def _seen_bands(scene: Scene, model: Model) -> dict[str, Counts]:
    """Count the reflectance of the bands that the model takes."""
    height, width = scene.grid.shape
    step = max(1, math.isqrt(height * width // MOST_PIXELS))
    counts: dict[str, Counts] = {}
    for match in matched_bands(scene, model):
        if match.index is None:
            continue
        total = np.zeros(BINS, np.int64)
        for row in range(0, height, ROWS_AT_ONCE * step):
            rows = min(ROWS_AT_ONCE, height - row)
            window = Window(row=row, col=0, height=rows, width=width)
            total += histogram(scene.read(window, [match.index])[:, :, ::step])
        counts[match.wanted.common_name] = total
    return counts


def _said(scene: Scene, model: Model) -> tuple[float, float, str]:
    """Mask a scene and give cloud fraction, mean uncertainty and the uncertainty's kind; nothing is kept."""
    prediction = stream(scene, model)
    valid = cloud = 0
    uncertainty = 0.0
    for strip in prediction.strips:
        known = np.isfinite(strip.uncertainty)
        valid += int(known.sum())
        cloud += int(np.isin(strip.class_map[known], CLOUD).sum())
        uncertainty += float(strip.uncertainty[known].sum(dtype=np.float64))
    if not valid:
        msg = f"{scene.name}: expected pixels with a prediction, got none. Leave this scene out."
        raise TransitionError(msg)
    return cloud / valid, uncertainty / valid, prediction.header.uncertainty_kind


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
