"""Ensemble: members become probabilities, a named uncertainty and classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from undercast.classes import CLASS_NAMES, CLOUD_LAYERS, THICK_CLOUD
from undercast.errors import ModelError, UsageError
from undercast.model_spec import check_thresholds
from undercast.prediction import cloud_layers
from undercast.types import (
    AGGREGATIONS,
    NODATA,
    UNCERTAINTY_KINDS,
    Aggregation,
    Bool,
    Float32,
    UInt8,
    UncertaintyKind,
)

CLOUD = "cloud"
"""Layer of a model that does not tell thick from thin; also the threshold on the sum of all cloud."""

LAYER_VALUES: dict[str, int] = {**{name: value for value, name in enumerate(CLASS_NAMES)}, CLOUD: THICK_CLOUD}
"""Layer name -> value in the class map; cloud of unknown kind is written as thick cloud."""

SMALLEST_PROBABILITY = 1e-7
"""Probabilities are not taken for lower than this, so that their logarithm is finite."""

OF_ONE: tuple[UncertaintyKind, ...] = ("entropy", "decision")
"""Uncertainties that one member has, too."""

TWO = 2
"""Layers of a binary model; members that an uncertainty between members takes at least."""


def layer_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Name the probability layers that a model's output leads to.

    A model with one output layer gives the probability of that class; clear is the rest.
    """
    return ("clear", *classes) if len(classes) == 1 else tuple(classes)


def check_aggregation(aggregation: Aggregation) -> None:
    """Refuse unknown aggregations.

    Raises:
        UsageError: If the aggregation is not known.
    """
    if aggregation not in AGGREGATIONS:
        msg = f"aggregation {aggregation!r} is not known. Known: {', '.join(AGGREGATIONS)}"
        raise UsageError(msg)


def aggregate(members: Float32, aggregation: Aggregation, classes: Sequence[str]) -> Float32:
    """Make one set of probabilities of the members'.

    With two classes the aggregation is that of the class that is not clear, and clear is the rest: ``max`` is
    the largest probability of cloud that any member gives. With more classes each is aggregated alone, then
    all are divided by their sum; where every class is 0 (``min`` over members that contradict each other with
    certainty) the mean is taken, and where no member says anything (sigmoids in half precision) all are equal.
    ``vote`` gives the share of members for which a class is the most probable; of equally probable ones the
    first counts.

    Args:
        members: Probabilities in [0, 1], ``(member, output layer, y, x)``.
        aggregation: How.
        classes: Names of the output layers.

    Returns:
        Probabilities that sum to 1, ``(layer, y, x)``, layers as in ``layer_names(classes)``; a new array.

    Raises:
        UsageError: If the aggregation is not known.
    """
    check_aggregation(aggregation)
    names = layer_names(classes)
    if len(names) == TWO:
        other = 1 - names.index("clear")
        chosen = _aggregate_binary(members[:, other if members.shape[1] == TWO else 0], aggregation)
        layers = (chosen, 1.0 - chosen) if other == 0 else (1.0 - chosen, chosen)
        return np.stack(layers)
    if aggregation == "vote":
        return _shares(members.argmax(axis=1), len(names))
    return _normalised(_reduced(members, aggregation), members)


def _aggregate_binary(members: Float32, aggregation: Aggregation) -> Float32:
    if aggregation == "vote":
        share: Float32 = (members > 0.5).mean(axis=0, dtype=np.float32)
        return share
    return _reduced(members, aggregation)


def _reduced(members: Float32, aggregation: Aggregation) -> Float32:
    if members.shape[0] == 1:
        return np.copy(members[0])
    reduced: Float32
    if aggregation == "mean":
        reduced = members.mean(axis=0)
    elif aggregation == "median":
        reduced = np.median(members, axis=0).astype(np.float32, copy=False)
    elif aggregation == "max":
        reduced = members.max(axis=0)
    else:
        reduced = members.min(axis=0)
    return reduced


def _shares(votes: np.typing.NDArray[np.intp], layers: int) -> Float32:
    """Give the share of votes for each layer."""
    return np.stack([(votes == layer).mean(axis=0, dtype=np.float32) for layer in range(layers)])


def _normalised(probabilities: Float32, members: Float32) -> Float32:
    """Divide by the sum over classes, in place; the mean stands in where it is 0, then equal shares."""
    total = probabilities.sum(axis=0)
    nothing = total <= 0.0
    if nothing.any():
        probabilities[:, nothing] = members[:, :, nothing].mean(axis=0)
        total[nothing] = probabilities[:, nothing].sum(axis=0)
        silent = total <= 0.0
        probabilities[:, silent], total[silent] = 1.0, len(probabilities)
    np.divide(probabilities, total, out=probabilities)
    return probabilities


def tempered(probabilities: Float32, temperature: float) -> Float32:
    """Divide the logarithms of probabilities ``(class, ...)`` by a temperature, as dividing logits would.

    Guo et al. 2017, ICML: softmax(log(p) / T) is softmax(logits / T). Classes that are NaN stay NaN.

    Args:
        probabilities: In [0, 1], ``(class, ...)``.
        temperature: Above 0; 1 changes nothing.
    """
    if temperature == 1.0:
        return probabilities
    logarithms = np.log(np.maximum(probabilities, SMALLEST_PROBABILITY)) / np.float32(temperature)
    raised = np.exp(logarithms - np.nanmax(logarithms, axis=0))
    return np.asarray(raised / np.nansum(raised, axis=0), np.float32)


def check_uncertainty(kind: UncertaintyKind, members: int) -> None:
    """Refuse unknown kinds, and spreads between members where there is one.

    Raises:
        UsageError: If the kind is not known, or needs more members.
    """
    if kind not in UNCERTAINTY_KINDS:
        msg = f"uncertainty {kind!r} is not known. Known: {', '.join(UNCERTAINTY_KINDS)}"
        raise UsageError(msg)
    if kind not in OF_ONE and members < TWO:
        msg = f"uncertainty {kind} needs two or more members, this model has {members}. Try entropy."
        raise UsageError(msg)


def uncertainty(
    members: Float32,
    probabilities: Float32,
    kind: UncertaintyKind,
    classes: Sequence[str],
    thresholds: Mapping[str, float] = MappingProxyType({}),
) -> Float32:
    """Give the uncertainty of each pixel.

    - ``std``: population standard deviation over members of the probability of cloud (thick plus thin; of a
      binary model the class that is not clear), divided by its largest possible value for N members,
      sqrt(k (N - k)) / N with k = floor(N / 2) (half of them 0, half of them 1).
    - ``entropy``: Shannon entropy of the aggregated probabilities, divided by log(number of classes).
    - ``decision``: chance that the decided class is wrong, kinds of cloud being one, divided by its largest possible
      value. Odds of cloud are weighed so that the threshold on cloud is the tie: what is close to being decided
      otherwise is uncertain, whatever the threshold.
    - ``mutual_information``: entropy of the members' mean less the mean of their entropies, divided by its
      largest possible value, log(min(members, classes)).
    - ``disagreement``: share of members whose most probable class differs from that of the aggregate.

    Args:
        members: Probabilities in [0, 1], ``(member, output layer, y, x)``.
        probabilities: The aggregate, ``(layer, y, x)``.
        kind: Which.
        classes: Names of the output layers.
        thresholds: Class -> threshold of the decision; without one on ``cloud`` it is 0.5.

    Returns:
        In [0, 1], ``(y, x)``.

    Raises:
        UsageError: If the kind is not known, or needs more members.
    """
    count = members.shape[0]
    check_uncertainty(kind, count)
    if kind == "std":
        cloud = _cloud(members, classes)
        # Counted from the first member, so that members that agree give 0 and not what rounding leaves.
        value = (cloud - cloud[0]).std(axis=0) / largest_std(count)
    elif kind == "entropy":
        value = _entropy(probabilities) / math.log(probabilities.shape[0])
    elif kind == "decision":
        value = _doubt(probabilities, classes, thresholds.get(CLOUD, 0.5))
    elif kind == "mutual_information":
        value = _mutual_information([_expanded(member) for member in members])
    else:
        value = _disagreement(members, probabilities)
    clipped: Float32 = np.clip(value, 0.0, 1.0).astype(np.float32, copy=False)
    return clipped


def largest_std(members: int) -> float:
    """Give the largest population standard deviation that N values in [0, 1] can have."""
    half = members // 2
    return math.sqrt(half * (members - half)) / members


def _cloud(members: Float32, classes: Sequence[str]) -> Float32:
    """Give each member's probability of cloud, or of anything but clear where no layer is cloud."""
    total: Float32 = members[:, cloud_layers(classes)].sum(axis=1)
    return total


def _expanded(member: Float32) -> Float32:
    return np.concatenate([1.0 - member, member]) if member.shape[0] == 1 else member


def _entropy(probabilities: Float32) -> Float32:
    """Give the Shannon entropy over the first axis, in nats; one layer at a time to spare memory."""
    total = np.zeros(probabilities.shape[1:], np.float32)
    for layer in probabilities:
        logarithm = np.log(layer, out=np.zeros_like(layer), where=layer > 0.0)
        total -= layer * logarithm
    return total


def _doubt(probabilities: Float32, classes: Sequence[str], threshold: float) -> Float32:
    """Give 1 less the chance of what is decided: cloud, or the most probable of the others."""
    clouds = cloud_layers(layer_names(classes))
    cloud = probabilities[clouds].sum(axis=0)
    odds = np.float32((1.0 - threshold) / threshold)
    weighed = cloud * odds
    chance = weighed / (weighed + np.maximum(1.0 - cloud, SMALLEST_PROBABILITY))
    others = np.delete(probabilities, clouds, axis=0)
    share = others.max(axis=0) / np.maximum(others.sum(axis=0), SMALLEST_PROBABILITY) if len(others) else np.float32(1)
    right = np.where(cloud >= threshold, chance, (1.0 - chance) * share)
    doubt: Float32 = (1.0 - right) / (1.0 - 0.5 / max(len(others), 1))
    return doubt


def _mutual_information(members: Sequence[Float32]) -> Float32:
    mean = np.zeros_like(members[0])
    entropies = np.zeros(members[0].shape[1:], np.float32)
    for member in members:
        mean += member / len(members)
        entropies += _entropy(member) / len(members)
    return (_entropy(mean) - entropies) / np.float32(math.log(min(len(members), mean.shape[0])))


def _disagreement(members: Float32, probabilities: Float32) -> Float32:
    together = probabilities.argmax(axis=0)
    differs = np.zeros(together.shape, np.float32)
    for member in members:
        differs += _expanded(member).argmax(axis=0) != together
    differs /= members.shape[0]
    return differs


def check_applies(thresholds: Mapping[str, float], names: Sequence[str]) -> None:
    """Refuse thresholds that are wrong or on classes that the model does not tell.

    Args:
        thresholds: Class -> threshold.
        names: Names of the probability layers.

    Raises:
        UsageError: If one does not apply.
    """
    check_thresholds(thresholds)
    for name in thresholds:
        if name not in names and not (name == CLOUD and any(layer in CLOUD_LAYERS for layer in names)):
            told = ", ".join(layer for layer in names if layer != "clear")
            msg = f"threshold on {name!r}: this model does not tell it. It tells: {told}"
            raise UsageError(msg)


def decide(probabilities: Float32, names: Sequence[str], thresholds: Mapping[str, float], valid: Bool) -> UInt8:
    """Decide on one class per pixel.

    Without thresholds the most probable class wins. With thresholds, in this order:

    1. A kind of cloud is *out* where a threshold on it, or ``cloud`` on the sum of all kinds, is not reached.
       Where a threshold on cloud or on a kind is reached, the pixel is cloud: the most probable kind that is
       not out.
    2. Where ``cloud_shadow`` has a threshold and reaches it, the pixel is cloud shadow; where it does not,
       that is out.
    3. Else the most probable class that is not out; clear is never out.

    Args:
        probabilities: In [0, 1], ``(layer, y, x)``.
        names: Names of the layers.
        thresholds: Class -> threshold in (0, 1); ``cloud`` is the sum of all kinds of cloud.
        valid: True = usable, ``(y, x)``.

    Returns:
        0 clear, 1 thick cloud or cloud of unknown kind, 2 thin cloud, 3 cloud shadow, 255 nodata, ``(y, x)``.

    Raises:
        UsageError: If a threshold is wrong or on a class that is not among the layers.
        ModelError: If thresholds are given and no layer is clear.
    """
    check_applies(thresholds, names)
    class_map = _by_thresholds(probabilities, names, thresholds) if thresholds else _most_probable(probabilities, names)
    class_map |= np.uint8(NODATA) * ~valid  # NODATA has every bit
    return class_map


def _most_probable(probabilities: Float32, names: Sequence[str]) -> UInt8:
    best = _Best(probabilities[0], names[0])
    for layer, name in zip(probabilities[1:], names[1:], strict=True):
        best.offer(layer, name, None)
    return best.class_map


def _by_thresholds(probabilities: Float32, names: Sequence[str], thresholds: Mapping[str, float]) -> UInt8:
    if "clear" not in names:
        msg = f"thresholds need a layer 'clear', this model has {', '.join(names)}."
        raise ModelError(msg)
    clouds = [i for i, name in enumerate(names) if name in CLOUD_LAYERS]
    passed = _passed(probabilities, names, thresholds)
    # What has a threshold is decided on below where it reaches it, and is out elsewhere.
    best = _Best(probabilities[names.index("clear")], "clear")
    for i, reached in passed.items():
        if reached is None:
            best.offer(probabilities[i], names[i], None)
    class_map = best.class_map
    if "cloud_shadow" in thresholds:
        shadow = passed[names.index("cloud_shadow")]
        if shadow is not None:
            np.copyto(class_map, np.uint8(LAYER_VALUES["cloud_shadow"]), where=shadow)
    bounded = {id(reached): reached for i in clouds if (reached := passed[i]) is not None}
    if bounded:
        is_cloud = np.logical_or.reduce(list(bounded.values())) if len(bounded) > 1 else next(iter(bounded.values()))
        kinds = _kinds(probabilities, names, {i: passed[i] for i in clouds})
        np.copyto(class_map, kinds, where=is_cloud)
    return class_map


def _kinds(probabilities: Float32, names: Sequence[str], passed: Mapping[int, Bool | None]) -> UInt8:
    """Give the most probable kind of cloud of those that are not out; where all are, any value."""
    first, *others = passed
    if all(passed[i] is passed[first] for i in others):
        together = _Best(probabilities[first], names[first])
        for i in others:
            together.offer(probabilities[i], names[i], None)
        return together.class_map
    best = _Best(np.full(probabilities.shape[1:], -1.0, np.float32), names[first])
    for i, reached in passed.items():
        best.offer(probabilities[i], names[i], reached)
    return best.class_map


class _Best:
    """Keeps the most probable class among those offered; of equally probable ones the first."""

    def __init__(self, probability: Float32, name: str) -> None:
        """Begin with one class."""
        self.highest = probability.copy()
        self.class_map: UInt8 = np.full(probability.shape, LAYER_VALUES[name], np.uint8)

    def offer(self, probability: Float32, name: str, where: Bool | None) -> None:
        """Take a class where it is more probable than what is there, and not out."""
        better = probability > self.highest
        if where is not None:
            better &= where
        # Chosen by bits: some times faster than copying where a mask says so.
        chosen = np.negative(better.view(np.int8))
        highest, offered = self.highest.view(np.int32), probability.view(np.int32)
        highest ^= (highest ^ offered) & chosen
        self.class_map ^= (self.class_map ^ np.uint8(LAYER_VALUES[name])) & chosen.view(np.uint8)


def _passed(probabilities: Float32, names: Sequence[str], thresholds: Mapping[str, float]) -> dict[int, Bool | None]:
    """Tell of each layer but clear where it reaches every threshold that concerns it; None where none does."""
    together: Bool | None = None
    if CLOUD in thresholds:
        clouds = [probabilities[i] for i, name in enumerate(names) if name in CLOUD_LAYERS]
        total = clouds[0] if len(clouds) == 1 else np.add(clouds[0], clouds[1])
        for layer in clouds[2:]:
            total += layer
        together = total >= thresholds[CLOUD]
    passed: dict[int, Bool | None] = {}
    for i, name in enumerate(names):
        if name == "clear":
            continue
        reached = together if name in CLOUD_LAYERS else None
        if name in thresholds and name != CLOUD:
            own = probabilities[i] >= thresholds[name]
            reached = own if reached is None else reached & own
        passed[i] = reached
    return passed
