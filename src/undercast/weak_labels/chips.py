"""Chips: windows of scenes with their labels, split by place, in the format that training and evaluation read."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rasterio.warp import transform

from undercast.errors import GridError, LabelError, OutputExistsError, UsageError, WindowError
from undercast.grids import Grid
from undercast.scene import Scene
from undercast.types import FEW_PIXELS, Float32, UInt8
from undercast.weak_labels.chip_format import MANIFEST, chip_arrays, labelled
from undercast.weak_labels.places import SIDES, Placed, Side, SideOf, Split, plan_sides
from undercast.windows import Window
from undercast.writers.staging import output_errors, staging

RECORD = "chips.json"
"""What the folder says about how its chips were made."""

LabelKind = Literal["weak", "human"]
"""Who made the labels: a processor, or a person."""

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many scenes are done, and how many there are."""

Dropped = Literal["between places", "no data", "not labelled"]
"""Why a window of a scene becomes no chip."""

_UNSAFE = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChipScene:
    """A scene that chips are cut from."""

    scene: Scene
    """The scene."""
    labels: Callable[[Window], UInt8]
    """Gives possible sets ``(y, x)`` in a window of the scene's grid."""
    label_provenance: str
    """Who made the labels, for the records."""
    source: str
    """Data set that it belongs to."""
    licence: str
    """Licence of the data."""
    kind: LabelKind = "weak"
    """Who made the labels."""
    elevation: Callable[[Window], Float32] | None = None
    """Gives metres above the sea ``(y, x)`` in a window of the scene's grid, NaN where it is not known."""
    place: str | None = None
    """Name of its place, where its grid does not tell it (no CRS, or simulated)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipOptions:
    """How chips are cut."""

    size: int = 256
    """Side of a chip, in pixels."""
    most_nodata: float = 0.2
    """Largest share of a chip's pixels that miss data in a band."""
    split: Split = field(default_factory=Split)
    """What the chips are for."""

    def __post_init__(self) -> None:
        """Refuse impossible chips."""
        if self.size < FEW_PIXELS:
            msg = f"expected chips of {FEW_PIXELS} px or more, got {self.size}."
            raise UsageError(msg)
        if not 0 <= self.most_nodata < 1:
            msg = f"expected a share of nodata from 0 to below 1, got {self.most_nodata:g}."
            raise UsageError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipFolder:
    """Chips that were made."""

    folder: Path
    """Where they are: a folder with a manifest for each side that has chips."""
    chips: dict[Side, int]
    """Side -> number of chips."""
    dropped: dict[str, int]
    """Why windows of scenes became no chips -> their number."""


def make_chips(
    scenes: Sequence[ChipScene],
    folder: Path,
    options: ChipOptions | None = None,
    *,
    software: str = "undercast",
    progress: Progress | None = None,
) -> ChipFolder:
    """Cut chips from scenes, into the folders ``train``, ``val`` and ``test``; the folder appears whole or not at all.

    The same scenes, labels and options give the same bytes. One chip is in memory at a time.

    Args:
        scenes: Scenes with their labels.
        folder: Folder to make; it must not exist.
        options: How chips are cut and split.
        software: Name and version of what makes them, for the records.
        progress: Is told how many scenes are done.

    Raises:
        OutputExistsError: If the folder exists.
        WindowError: If a scene is smaller than a chip.
        UsageError: If blocks are smaller than a chip, or far too many.
        GridError: If a scene has no place, or an elevation says nothing about a scene's ground.
        LabelError: If no chip could be made.
        OutputError: If the chips cannot be written.
        UndercastError: As reading scenes, labels and elevation does.
    """
    chosen = options or ChipOptions()
    if os.path.lexists(folder):
        msg = f"{folder} exists already. Choose another folder."
        raise OutputExistsError(msg)
    named = _distinct(scenes)
    for name, scene in named:
        _refuse_small(name, scene.scene.grid, chosen.size)
        _refuse_small_blocks(name, scene, chosen)
    placed = [Placed(name=name, grid=scene.scene.grid, place=scene.place) for name, scene in named]
    sides = plan_sides(placed, chosen.split)
    rows: dict[Side, list[dict[str, Any]]] = {side: [] for side in SIDES}
    dropped: Counter[str] = Counter()
    with staging(folder.absolute().parent, folder.name) as stage, output_errors(folder):
        made = stage / "chips"
        for index, ((name, scene), side) in enumerate(zip(named, sides, strict=True)):
            for chip_side, row in _cut(name, scene, side, chosen, made, dropped):
                rows[chip_side].append(row)
            if progress is not None:
                progress(index + 1, len(named))
        if not any(rows.values()):
            told = ", ".join(f"{reason}: {count}" for reason, count in dropped.items())
            msg = f"no chip could be made; windows left out: {told}. Use another --size, --block, --gap or --nodata."
            raise LabelError(msg)
        folders = ChipFolder(
            folder=folder, chips={side: len(rows[side]) for side in SIDES}, dropped=dict(sorted(dropped.items()))
        )
        _write_records(made, rows, {"software": software, "options": asdict(chosen), **_counts(folders)})
        made.rename(folder)
    return folders


def chip_windows(grid: Grid, size: int) -> Iterator[Window]:
    """Cut a grid into squares that do not overlap; what is left over lies around them in equal parts."""
    height, width = grid.shape
    for row in range((height % size) // 2, height - size + 1, size):
        for col in range((width % size) // 2, width - size + 1, size):
            yield Window(row=row, col=col, height=size, width=size)


def _distinct(scenes: Sequence[ChipScene]) -> list[tuple[str, ChipScene]]:
    """Give each scene a name of its own that is fit for a file."""
    seen: Counter[str] = Counter()
    named = []
    for scene in scenes:
        name = _UNSAFE.sub("_", scene.scene.name).strip("._") or "scene"
        seen[name.lower()] += 1
        count = seen[name.lower()]
        named.append((name if count == 1 else f"{name}~{count}", scene))
    return named


def _refuse_small(name: str, grid: Grid, size: int) -> None:
    height, width = grid.shape
    if min(height, width) < size:
        msg = (
            f"{name}: expected a scene of {size} px or more on each side, got {height} x {width}. Use a smaller --size."
        )
        raise WindowError(msg)


def _refuse_small_blocks(name: str, scene: ChipScene, options: ChipOptions) -> None:
    """Refuse blocks that a chip does not fit into, where blocks tell what a chip is for."""
    split, pixel_m = options.split, scene.scene.grid.pixel_size_m
    if split.by != "place" or max(split.shares) == 1 or scene.place is not None or pixel_m is None:
        return
    side_m = options.size * max(pixel_m)
    if split.block_m < side_m:
        msg = (
            f"{name}: expected blocks of {side_m:g} m or more, a chip's side on the ground, got {split.block_m:g} m."
            " Use a larger --block, several times as large as chips, or --split scene."
        )
        raise UsageError(msg)


def _cut(
    name: str, scene: ChipScene, side_of: SideOf, options: ChipOptions, folder: Path, dropped: Counter[str]
) -> Iterator[tuple[Side, dict[str, Any]]]:
    """Write the chips of a scene; count the windows that become none."""
    ground_known, made = scene.elevation is None, False
    for window in chip_windows(scene.scene.grid, options.size):
        side = side_of(window)
        if side is None:
            dropped["between places"] += 1
            continue
        arrays = _arrays(scene, window, options)
        if isinstance(arrays, str):
            dropped[arrays] += 1
            continue
        made = True
        ground_known |= "dem" in arrays and bool(np.isfinite(arrays["dem"]).any())
        file = f"{name}_{window.row}_{window.col}.npz"
        row = {"file": file, **_row(name, scene, window, arrays), "use": side}
        yield side, {**row, "sha256": _write(folder / side / file, arrays)}
    if made and not ground_known:
        msg = f"{name}: expected an elevation of the scene's ground, got none of it. Is it of another place?"
        raise GridError(msg)


def _arrays(scene: ChipScene, window: Window, options: ChipOptions) -> dict[str, NDArray[Any]] | Dropped:
    """Read a chip, or say why it is none."""
    possible = scene.labels(window)
    if not labelled(possible).any():
        return "not labelled"
    reflectance = scene.scene.read(window)
    valid = np.isfinite(reflectance).all(axis=0)
    if 1 - valid.mean() > options.most_nodata:
        return "no data"
    if not labelled(possible)[valid].any():
        return "not labelled"
    more: dict[str, NDArray[Any]] = {}
    if scene.elevation is not None:
        more["dem"] = scene.elevation(window).astype(np.float32)
    if scene.scene.sun is not None:
        more["sza"] = np.array(scene.scene.sun.zenith, np.float32)
        more["saa"] = np.array(scene.scene.sun.azimuth, np.float32)
    return chip_arrays(reflectance, scene.scene.bands, possible, more)


def _row(name: str, chip: ChipScene, window: Window, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Describe a chip for the manifest."""
    scene = chip.scene
    codes, counts = np.unique(arrays["mask"], return_counts=True)
    pixel_m = scene.grid.pixel_size_m
    return {
        "name": f"{name}_{window.row}_{window.col}",
        "scene": name,
        "window": [window.row, window.col, window.height, window.width],
        "source": chip.source,
        "sensor": scene.sensor or "not told",
        "level": scene.level or "not told",
        "gsd_m": None if pixel_m is None else round(pixel_m[0], 6),
        "date": None if scene.acquired is None else scene.acquired.isoformat(),
        "location": _location(scene.grid.part(window), chip.place),
        "place": chip.place,
        "labels": chip.kind,
        "label_provenance": chip.label_provenance,
        "shadow_labelled": True,
        "licence_data": chip.licence,
        "common_names": arrays["common_names"].tolist(),
        "shape": list(arrays["bands"].shape),
        "mask_counts": {str(code): int(count) for code, count in zip(codes, counts, strict=True)},
        "dem_missing": round(1 - float(np.isfinite(arrays["dem"]).mean()), 6) if "dem" in arrays else None,
    }


def _location(grid: Grid, place: str | None) -> list[float] | None:
    """Give latitude and longitude of a grid's centre; None where it lies nowhere."""
    if grid.crs is None or place is not None:
        return None
    a, b, c, d, e, f = grid.transform
    row, col = grid.shape[0] / 2, grid.shape[1] / 2
    longitude, latitude = transform(grid.crs, "EPSG:4326", [a * col + b * row + c], [d * col + e * row + f])[:2]
    return [round(latitude[0], 5), round(longitude[0], 5)]


def _write(path: Path, arrays: dict[str, NDArray[Any]]) -> str:
    """Write a chip and give its SHA-256."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type] # its stub counts allow_pickle among them
    content = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _counts(made: ChipFolder) -> dict[str, Any]:
    return {"chips": made.chips, "dropped": made.dropped}


def _write_records(folder: Path, rows: dict[Side, list[dict[str, Any]]], record: dict[str, Any]) -> None:
    """Write a manifest for each side that has chips, and the record of them all."""
    for side in SIDES:
        if rows[side]:
            listed = ",\n".join(json.dumps(row) for row in rows[side])
            (folder / side / MANIFEST).write_text(f"[\n{listed}\n]\n", encoding="utf-8")
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
