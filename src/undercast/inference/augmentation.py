"""Augmentation: windows seen turned, mirrored or from afar where one look leaves doubt (test-time augmentation)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from undercast.errors import UsageError
from undercast.inference.backends import Network
from undercast.types import Bool, Float32

VIEWS: tuple[tuple[int, bool], ...] = (
    *((turns, False) for turns in range(4)),
    *((turns, True) for turns in range(4)),
)
"""Quarter turns to the left, after mirroring left and right where True; the first is the window as it is."""

MOST_DEPTH = len(VIEWS) - 1
"""Views beside the first."""

HALF = len(VIEWS)
"""The view at half the resolution, which costs a quarter."""

SHARED = (HALF, *range(1, MOST_DEPTH))
"""Further views where there is a budget, in their order: a network that was trained on turned and mirrored windows says
little else of them, but much else of a window at half the resolution."""

ISOLATED_SHARE = 10 / 512**2
"""Share of isolated pixels above which a window is looked at once more (CloudS2Mask: 10 of 512 x 512 px)."""

Look: TypeAlias = Callable[[Sequence[int]], Float32]
"""Windows' places -> what the members say of a view of them, upright, ``(member, window, layer, y, x)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How often windows are looked at."""

    depth: int = 0
    """Views beside the first that a window can get, 0 to ``MOST_DEPTH``; 0: each window is seen once."""
    budget: float | None = None
    """Further views per window on average, at most; the most uncertain windows get them. None: by isolated pixels."""

    def __post_init__(self) -> None:
        """Refuse impossible depths and budgets."""
        if not 0 <= self.depth <= MOST_DEPTH:
            msg = f"test-time augmentation: depth must lie in [0, {MOST_DEPTH}], got {self.depth}. Try 2."
            raise UsageError(msg)
        if self.budget is not None and not (self.depth and 0.0 < self.budget <= self.depth):
            msg = (
                f"test-time augmentation: budget must lie in (0, depth], got {self.budget:g} with depth {self.depth}."
                " It is the mean number of further views per window; try depth 4 and budget 1."
            )
            raise UsageError(msg)

    def __str__(self) -> str:
        """Give it for the records; empty where windows are seen once."""
        if self.budget is None:
            return f"depth {self.depth}" if self.depth else ""
        return f"depth {self.depth}, budget {self.budget:g}"

    def allowed(self, before: int, windows: int) -> int:
        """Give the further views that the budget allows ``windows`` windows after ``before`` others; exact in sum."""
        budget = self.budget or 0.0
        return int(budget * (before + windows)) - int(budget * before)


ONE_VIEW = Augmentation()
"""Each window is seen once."""


def augmented(view: int, pixels: Float32) -> Float32:
    """Mirror and turn ``(..., y, x)`` as a view says."""
    turns, mirrored = VIEWS[view]
    return np.rot90(pixels[..., ::-1] if mirrored else pixels, turns, axes=(-2, -1))


def upright(view: int, pixels: Float32) -> Float32:
    """Undo what ``augmented`` did."""
    turns, mirrored = VIEWS[view]
    turned = np.rot90(pixels, -turns, axes=(-2, -1))
    return turned[..., ::-1] if mirrored else turned


def halved(pixels: Float32, valid: Bool) -> Float32:
    """Average blocks of 2 x 2 pixels, over those that are valid where any is; the last row and column are repeated.

    Args:
        pixels: Windows, ``(window, band, y, x)``.
        valid: True = usable, ``(window, y, x)``.

    Returns:
        Windows of half the sides, rounded up.
    """
    windows, bands, height, width = pixels.shape
    odd = ((0, height % 2), (0, width % 2))
    blocks = np.pad(pixels, ((0, 0), (0, 0), *odd), mode="edge")
    blocks = blocks.reshape(windows, bands, -(-height // 2), 2, -(-width // 2), 2)
    weights = np.pad(valid, ((0, 0), *odd), mode="edge").reshape(windows, 1, blocks.shape[2], 2, blocks.shape[4], 2)
    weights = weights | ~weights.any(axis=(3, 5), keepdims=True)
    mean: Float32 = (blocks * weights).sum(axis=(3, 5)) / weights.sum(axis=(3, 5), dtype=np.float32)
    return mean


def doubled(pixels: Float32, shape: Sequence[int]) -> Float32:
    """Repeat each pixel of ``(..., y, x)`` twice along both sides, up to a shape."""
    return pixels.repeat(2, axis=-2).repeat(2, axis=-1)[..., : shape[0], : shape[1]]


def look_more(
    networks: Sequence[Network],
    batch: Float32,
    augmentation: Augmentation,
    *,
    valid: Bool,
    allowed: int = 0,
    batch_size: int = 1,
) -> Float32:
    """Run every member over some windows, and over further views of those that need them; average the views.

    Without a budget the rule is CloudS2Mask's (v1.1.4, ``tta_helpers.py``): after each view a window goes on to
    the next only while its number of isolated pixels exceeds ``ISOLATED_SHARE`` of its area; those are counted
    in the most probable classes of the mean over members and views so far. Here views average probabilities.

    With a budget the first view's entropy decides once, see ``share_out``; the views are ``SHARED``.

    Args:
        networks: Members; each turns ``(batch, band, y, x)`` of any size into ``(batch, layer, y, x)``.
        batch: Windows, ``(window, band, y, x)``.
        augmentation: How often to look.
        valid: True = usable, ``(window, y, x)``; doubt elsewhere counts for nothing.
        allowed: Further views for all of these windows together, where there is a budget.
        batch_size: Windows that a network gets at once, at most.

    Returns:
        Mean over views, ``(member, window, layer, y, x)``.
    """

    def look(windows: Sequence[int], view: int) -> Float32:
        parts = []
        for first in range(0, len(windows), batch_size):
            places = list(windows[first : first + batch_size])
            if view == HALF:
                seen = halved(batch[places], valid[places])
                parts.append(np.stack([doubled(network(seen), batch.shape[2:]) for network in networks]))
            else:
                seen = np.ascontiguousarray(augmented(view, batch[places]))
                parts.append(np.stack([upright(view, network(seen)) for network in networks]))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    if not augmentation.depth and len(batch) <= batch_size:
        return _together([network(batch) for network in networks])
    everything = range(len(batch))
    mean = look(everything, 0)
    if augmentation.budget is None:
        active: Sequence[int] = everything
        for view in range(1, augmentation.depth + 1):
            active = [window for window in active if is_scattered(mean[:, window])]
            _add_view(mean, active, view, partial(look, view=view))
    else:
        doubt = [uncertain_pixels(mean[:, window], valid[window]) for window in everything]
        views = share_out(doubt, allowed, augmentation.depth)
        for seen, view in enumerate(SHARED[: max(views, default=0)], start=1):
            chosen = [window for window in everything if views[window] >= seen]
            _add_view(mean, chosen, seen, partial(look, view=view))
    return mean


def _together(members: Sequence[Float32]) -> Float32:
    """Put members side by side; one alone is not copied."""
    return members[0][np.newaxis] if len(members) == 1 else np.stack(members)


def _add_view(mean: Float32, windows: Sequence[int], seen: int, look: Look) -> None:
    """Add one view of some windows, of which others are in it already, to their running means, in place."""
    if windows:
        chosen = list(windows)
        mean[:, chosen] = (mean[:, chosen] * np.float32(seen) + look(chosen)) / np.float32(seen + 1)


def is_scattered(members: Float32) -> bool:
    """Tell whether a window ``(member, layer, y, x)`` has more isolated pixels than CloudS2Mask's rule allows."""
    classes = most_probable(members.mean(axis=0))
    return isolated_pixels(classes) > ISOLATED_SHARE * classes.size


def most_probable(probabilities: Float32) -> NDArray[np.intp]:
    """Give the most probable layer of ``(layer, y, x)``; of one layer alone, whether it exceeds a half."""
    if probabilities.shape[0] == 1:
        return np.asarray(probabilities[0] > 0.5, np.intp)
    best: NDArray[np.intp] = probabilities.argmax(axis=0)
    return best


def isolated_pixels(classes: NDArray[np.intp]) -> int:
    """Count the pixels none of whose eight neighbours has the same class; beyond the edge lies class 0."""
    height, width = classes.shape
    padded = np.pad(classes, 1)
    together = np.zeros(classes.shape, np.bool_)
    for row in range(3):
        for col in range(3):
            if (row, col) != (1, 1):
                together |= padded[row : row + height, col : col + width] == classes
    return int(np.count_nonzero(~together))


def uncertain_pixels(members: Float32, valid: Bool) -> float:
    """Sum the entropy of the members' mean ``(member, layer, y, x)`` over the valid pixels, in nats."""
    mean = members.mean(axis=0)
    layers = np.concatenate([mean, 1.0 - mean]) if mean.shape[0] == 1 else mean
    logarithms = np.log(layers, out=np.zeros_like(layers), where=layers > 0.0)
    return float(-(layers * logarithms).sum(axis=0)[valid].sum(dtype=np.float64))


def share_out(doubt: Sequence[float], allowed: int, depth: int) -> list[int]:
    """Share further views among windows: each goes where it is expected to take away the most doubt.

    The variance of a mean of n views falls by 1/n - 1/(n + 1) of one view's with the next; a window's doubt
    stands for one view's variance.

    Args:
        doubt: Of each window after its first view, 0 or more; a window without doubt gets none.
        allowed: Views to share out.
        depth: Most further views of one window.

    Returns:
        Further views of each window.
    """
    views = [0] * len(doubt)
    waiting = [(-value / 2, window) for window, value in enumerate(doubt) if value > 0.0]
    heapq.heapify(waiting)
    while allowed > 0 and waiting:
        _, window = heapq.heappop(waiting)
        views[window] += 1
        allowed -= 1
        seen = views[window] + 1
        if views[window] < depth:
            heapq.heappush(waiting, (-doubt[window] / (seen * (seen + 1)), window))
    return views
