"""Loader of a package in FDR4VGT's layout for mlstac; it travels with the package as load.py and needs no undercast.

The functions have the names that mlstac calls. Windows, blending, aggregation and uncertainty are those of undercast:
each member's windows are blended first, the members are aggregated afterwards.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

MULTIPLE = 32
"""Sides of what a network gets are multiples of this, in pixels."""
MODES: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "mean": lambda members: members.mean(axis=0),
    "median": lambda members: np.median(members, axis=0),
    "max": lambda members: members.max(axis=0),
    "min": lambda members: members.min(axis=0),
}
"""Aggregation -> function of ``(member, ...)``."""


class Ensemble(torch.nn.Module):
    """Members and how they are aggregated.

    Args:
        members: Networks that give the probability of cloud.
        mode: One of ``MODES``.
    """

    def __init__(self, members: Sequence[Callable[[torch.Tensor], torch.Tensor]], mode: str) -> None:
        super().__init__()
        # Exported programs refuse eval() and train(), which a ModuleList would pass on.
        self.members = tuple(members)
        self.mode = mode

    def each(self, image: torch.Tensor) -> NDArray[np.float32]:
        """Give the probabilities of every member, ``(member, batch, 1, y, x)``."""
        with torch.inference_mode():
            return np.stack([member(image).float().cpu().numpy() for member in self.members])

    def aggregated(self, members: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Give probability and uncertainty of ``(member, ...)``.

        The uncertainty is the population standard deviation over the largest one that so many members can have.
        """
        count = len(members)
        half = count // 2
        largest = math.sqrt(half * (count - half)) / count
        spread = members.std(axis=0) / largest if largest else np.zeros_like(members[0])
        return MODES[self.mode](members).astype(np.float32), spread.astype(np.float32)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give probability and uncertainty, each ``(batch, 1, y, x)``, of reflectance x 10000 ``(batch, 4, y, x)``."""
        probability, uncertainty = self.aggregated(self.each(image))
        return torch.from_numpy(probability), torch.from_numpy(uncertainty)


def example_data(path: str | Path, *_: Any, **__: Any) -> torch.Tensor:
    """Give the example: reflectance x 10000, ``(1, 4, y, x)``."""
    from safetensors.torch import load_file

    return load_file(Path(path) / "example_data.safetensor")["example_data"]


def trainable_model(path: str | Path, stac_item: Any = None, **_: Any) -> list[torch.nn.Module]:
    """Give the members as modules whose parameters can be trained on; their graph is that of evaluation mode."""
    return [program.module() for program in _programs(path, stac_item, "cpu")]


def compiled_model(
    path: str | Path, stac_item: Any = None, mode: str = "mean", device: str = "cpu", **_: Any
) -> Ensemble:
    """Load the members.

    Args:
        path: Folder of the package.
        stac_item: Its item; ``mlm.json`` unless given.
        mode: ``mean``, ``median``, ``max`` or ``min``.
        device: Where it runs.
    """
    if mode not in MODES:
        msg = f"mode must be one of {', '.join(MODES)}, got {mode!r}."
        raise ValueError(msg)
    return Ensemble([program.module() for program in _programs(path, stac_item, device)], mode)


def predict_large(
    image: NDArray[Any],
    model: Ensemble,
    chunk_size: int = 512,
    overlap: int = 64,
    device: str = "cpu",
    nodata: float = 0.0,
    **_: Any,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Predict a whole scene.

    Args:
        image: Reflectance x 10000, ``(4, y, x)``.
        model: What ``compiled_model`` gives.
        chunk_size: Side of a window, in pixels.
        overlap: Pixels that neighbouring windows share.
        device: Where the members are.
        nodata: Value of pixels without data.

    Returns:
        Probability of cloud and uncertainty, each ``(1, y, x)``, NaN where every band is ``nodata``.
    """
    height, width = image.shape[1:]
    valid = (image != nodata).any(axis=0)
    sides = [min(chunk_size, -(-side // MULTIPLE) * MULTIPLE) for side in (height, width)]
    room = [max(side - length, 0) for side, length in zip(sides, (height, width), strict=True)]
    filled = np.where(valid, image, 0.0).astype(np.float32)
    grown = np.pad(filled, ((0, 0), (0, room[0]), (0, room[1])), mode="reflect")
    rows, cols = (
        _shares(length, side, min(overlap, side - 1)) for length, side in zip(grown.shape[1:], sides, strict=True)
    )
    total = np.zeros((len(model.members), *grown.shape[1:]), np.float32)
    for top, down in rows:
        for left, across in cols:
            place = (slice(top, top + sides[0]), slice(left, left + sides[1]))
            window = torch.from_numpy(np.ascontiguousarray(grown[:, place[0], place[1]])[None]).to(device)
            total[:, place[0], place[1]] += model.each(window)[:, 0, 0] * np.outer(down, across)
    members = np.clip(total[:, :height, :width], 0.0, 1.0)
    probability, uncertainty = model.aggregated(members)
    for layer in (probability, uncertainty):
        layer[~valid] = np.nan
    return probability[None], uncertainty[None]


def display_results(path: str | Path, stac_item: Any = None, mode: str = "mean", **_: Any) -> dict[str, Any]:
    """Give what there is to draw of the example: image, probability and uncertainty."""
    image = example_data(path)[0].numpy()
    probability, uncertainty = predict_large(image, compiled_model(path, stac_item, mode))
    return {"image": image, "probability": probability, "uncertainty": uncertainty}


def _programs(path: str | Path, stac_item: Any, device: str) -> list[Any]:
    """Open the members that the item names, in its order."""
    from torch.export.passes import move_to_device_pass

    if stac_item is None:
        assets = json.loads((Path(path) / "mlm.json").read_text("utf-8"))["assets"]
        hrefs = [asset["href"] for asset in assets.values()]
    else:
        hrefs = [asset.href for asset in stac_item.assets.values()]
    files = [Path(path) / Path(href).name for href in hrefs if href.endswith(".pt2")]
    return [move_to_device_pass(torch.export.load(file), device) for file in files]


def _shares(length: int, window: int, overlap: int) -> list[tuple[int, NDArray[np.float32]]]:
    """Place windows along one side, each with its share in its pixels; the shares of a pixel sum to 1."""
    starts = [0] if length <= window else [*range(0, length - window, window - overlap), length - window]
    distance = np.minimum(np.arange(window), np.arange(window)[::-1]) + 1
    ramp = np.minimum(distance / (overlap + 1), 1).astype(np.float32)
    total = np.zeros(length, np.float32)
    for start in starts:
        total[start : start + window] += ramp
    return [(start, ramp / total[start : start + window]) for start in starts]
