"""Losses on possible sets: a pixel is right when its probability lies inside the set."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def set_masks(possible: Tensor, classes: int) -> Tensor:
    """Unpack possible sets ``(batch, y, x)`` of bits into booleans ``(batch, class, y, x)``."""
    bits = torch.arange(classes, device=possible.device).view(1, -1, 1, 1)
    return (possible.to(torch.int32).unsqueeze(1) >> bits) & 1 > 0


def set_cross_entropy(logits: Tensor, possible: Tensor, class_weights: Sequence[float], weight: Tensor) -> Tensor:
    """Minus the logarithm of the probability inside the possible set, averaged by weight.

    A pixel's weight is the mean of its possible classes' weights times its chip's; the empty set counts
    nothing.

    Args:
        logits: ``(batch, class, y, x)``.
        possible: Bits ``(batch, y, x)``.
        class_weights: One per class.
        weight: One per chip, ``(batch,)``.
    """
    inside = set_masks(possible, logits.shape[1])
    log_probabilities = torch.log_softmax(logits, dim=1)
    lost = -torch.logsumexp(log_probabilities.masked_fill(~inside, -1e4), dim=1)
    sizes = inside.sum(dim=1)
    table = torch.tensor(list(class_weights), device=logits.device, dtype=logits.dtype).view(1, -1, 1, 1)
    pixel_weight = (inside * table).sum(dim=1) / sizes.clamp(min=1) * (sizes > 0) * weight.view(-1, 1, 1)
    return (lost * pixel_weight).sum() / pixel_weight.sum().clamp(min=1.0)


def soft_dice(probabilities: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    """One minus the soft Dice coefficient over a batch.

    Args:
        probabilities: Of one class, ``(batch, y, x)``.
        wanted: Where the class is certain, ``(batch, y, x)``.
        known: Where it is certain whether or not it is this class, ``(batch, y, x)``.
    """
    wanted, known = wanted.to(probabilities.dtype), known.to(probabilities.dtype)
    both = (probabilities * wanted * known).sum()
    either = ((probabilities + wanted) * known).sum()
    return 1 - (2 * both + 1.0) / (either + 1.0)
