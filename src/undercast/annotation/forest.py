"""Forest: a random forest learns from points and labels every pixel, with ALCD's settings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast._optional import require
from undercast.annotation.points import LABELS, NO_LABEL, Point, check_points, written_classes
from undercast.classes import CLASS_NAMES
from undercast.types import Bool, Float32, UInt8

SETTINGS: dict[str, Any] = {"n_estimators": 100, "max_depth": 25, "min_samples_split": 25, "random_state": 42}
"""ALCD's random forest: 100 trees, at most 25 levels, no node of fewer than 25 samples is split.

Where a class has fewer samples than that, nodes of as many as it has are split, too: a tree that never splits knows one
class alone.
"""
FOLDS = 10
"""Parts of a cross-validation; each forest learns from nine tenths of the points, ALCD's training proportion."""
EXPANSION_M = 100.0
"""A point stands for the pixels whose centres lie within this distance along rows and columns, in metres."""
LEAST_REACH_PX = 1
"""The same in pixels, at least, and where their size is not known: what 100 m are at ALCD's 60 m."""
REGULARIZATION_PX = 1
"""Radius of the majority filter over the labels, in pixels."""
PIXELS_AT_ONCE = 100_000
"""Pixels that one thread labels at once; bounds the memory."""

_CODES = NO_LABEL + 1 + max(entry.value for entry in LABELS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """A labelled scene."""

    labels: UInt8
    """Codes of ``LABELS`` ``(y, x)``, after the majority filter; 0 where a feature is not known."""
    confidence: Float32
    """Probability of the most probable label ``(y, x)``, in (0, 1]; NaN where a feature is not known."""
    probabilities: Float32
    """Probability of undercast's classes ``(class, y, x)``; NaN where a feature is not known."""


def reach_px(pixel_m: tuple[float, float] | None) -> int:
    """Tell how many pixels a point reaches to each side.

    Args:
        pixel_m: Height and width of a pixel, in metres; None where they are not known.
    """
    if pixel_m is None:
        return LEAST_REACH_PX
    return max(LEAST_REACH_PX, int(EXPANSION_M * (1 + 1e-9) / max(pixel_m)))


def classify(features: Float32, points: Sequence[Point], *, reach: int) -> Labelled:
    """Train a forest on points and label every pixel; the same points give the same labels.

    A pixel that a person clicked keeps their label.

    Args:
        features: ``(y, x, feature)``; NaN where not known.
        points: At least three of every class that is used, and two classes.
        reach: Pixels that a point reaches to each side.

    Raises:
        LabelError: If there are too few points, on pixels whose features are known.
        MissingDependencyError: If scikit-learn is not installed.
    """
    known: Bool = np.asarray(np.isfinite(features).all(axis=-1), np.bool_)
    points = [point for point in points if known[point.row, point.col]]
    check_points(points)
    samples, labels = training_samples(features, points, reach=reach)
    forest = _trained(samples, labels)
    chances = _chances(forest, features[known])
    found = np.full(known.shape, NO_LABEL, np.uint8)
    found[known] = chances.argmax(axis=1)
    confidence = np.full(known.shape, np.nan, np.float32)
    confidence[known] = chances.max(axis=1)
    probabilities = np.full((len(CLASS_NAMES), *known.shape), np.nan, np.float32)
    written = written_classes(np.arange(_CODES, dtype=np.uint8))
    for value in range(len(CLASS_NAMES)):
        probabilities[value][known] = chances[:, written == value].sum(axis=1)
    return Labelled(labels=_clicked(regularized(found), points), confidence=confidence, probabilities=probabilities)


def cross_validated(features: Float32, points: Sequence[Point], *, reach: int) -> float | None:
    """Give the share of points whose undercast class is found by a forest that has not seen them; ten folds.

    It judges the points that were clicked, which lie where the scene is hard, and not the mask.

    Returns:
        In [0, 1]; None where the folds cannot each train on every class.
    """
    folds = np.random.default_rng(SETTINGS["random_state"]).permutation(len(points)) % FOLDS
    right = 0
    for fold in range(FOLDS):
        kept = [point for point, place in zip(points, folds, strict=True) if place != fold]
        asked = [point for point, place in zip(points, folds, strict=True) if place == fold]
        if {point.label for point in kept} != {point.label for point in points}:
            return None
        if not asked:
            continue
        forest = _trained(*training_samples(features, kept, reach=reach))
        seen = np.stack([features[point.row, point.col] for point in asked])
        found = written_classes(_chances(forest, seen).argmax(axis=1).astype(np.uint8))
        stated = written_classes(np.array([point.label for point in asked], np.uint8))
        right += int((found == stated).sum())
    return right / len(points)


def training_samples(features: Float32, points: Sequence[Point], *, reach: int) -> tuple[Float32, UInt8]:
    """Widen points to squares and draw as many samples of every class as the smallest has.

    Where squares overlap, the later point counts; a pixel that was clicked keeps its own label.

    Returns:
        Features ``(n, feature)`` and labels ``(n,)``.
    """
    marked = np.full(features.shape[:2], NO_LABEL, np.uint8)
    for point in points:
        rows = slice(max(point.row - reach, 0), point.row + reach + 1)
        marked[rows, max(point.col - reach, 0) : point.col + reach + 1] = point.label
    marked = _clicked(marked, points)
    marked[~np.isfinite(features).all(axis=-1)] = NO_LABEL
    places = np.flatnonzero(marked)
    labels = marked.ravel()[places]
    rng = np.random.default_rng(SETTINGS["random_state"])
    used = np.unique(labels)
    fewest = min(int((labels == label).sum()) for label in used)
    chosen = np.concatenate([rng.choice(np.flatnonzero(labels == label), fewest, replace=False) for label in used])
    return features.reshape(-1, features.shape[-1])[places[chosen]], labels[chosen]


def regularized(labels: UInt8) -> UInt8:
    """Give each pixel the label that most of the 3 x 3 pixels around it have; its own in a tie, none stays none."""
    height, width = labels.shape
    padded = np.pad(labels, REGULARIZATION_PX, mode="edge")
    side = 2 * REGULARIZATION_PX + 1
    best, most = labels.copy(), np.zeros(labels.shape, np.uint8)
    own = np.zeros(labels.shape, np.uint8)
    for label in (entry.value for entry in LABELS):
        votes = np.zeros(labels.shape, np.uint8)
        for row in range(side):
            for col in range(side):
                votes += padded[row : row + height, col : col + width] == label
        own[labels == label] = votes[labels == label]
        more = votes > most
        best[more], most[more] = label, votes[more]
    return np.where((most > own) & (labels != NO_LABEL), best, labels)


def _clicked(labels: UInt8, points: Sequence[Point]) -> UInt8:
    for point in points:
        labels[point.row, point.col] = point.label
    return labels


def _trained(samples: Float32, labels: UInt8) -> Any:
    ensemble = require("sklearn.ensemble", extra="label", purpose="train on the points")
    fewest = int(np.unique(labels, return_counts=True)[1].min())
    split = max(2, min(SETTINGS["min_samples_split"], fewest))
    return ensemble.RandomForestClassifier(**{**SETTINGS, "min_samples_split": split}).fit(samples, labels)


def _chances(forest: Any, samples: Float32) -> NDArray[np.float32]:
    """Give the probability of every code ``(n, code)``; parts are labelled side by side, with the same result."""
    chances = np.zeros((len(samples), _CODES), np.float32)

    def fill(first: int) -> None:
        part = slice(first, first + PIXELS_AT_ONCE)
        chances[part, forest.classes_] = forest.predict_proba(samples[part])

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for done in [pool.submit(fill, first) for first in range(0, len(samples), PIXELS_AT_ONCE)]:
            done.result()
    return chances
