"""Write the small rasters that the readers' tests open: ``python make.py FOLDER``."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin

CRS = "EPSG:32631"
TRANSFORM = from_origin(500_000.0, 4_600_000.0, 10.0, 10.0)
SHAPE = (48, 40)


def numbers(layers: int, *, shape: tuple[int, int] = SHAPE, seed: int = 7) -> NDArray[np.uint16]:
    """Draw digital numbers between 1 and 9999, ``(layer, y, x)``."""
    return np.random.default_rng(seed).integers(1, 10_000, (layers, *shape), dtype=np.uint16)


def write(path: Path, values: NDArray[Any], **options: Any) -> Path:
    """Write one GeoTIFF.

    Args:
        path: Where.
        values: ``(layer, y, x)``.
        options: ``descriptions``, ``scale``, ``offset``, ``mask`` (True = usable), ``last_is_alpha``, and what
            rasterio.open takes.
    """
    descriptions: Sequence[str | None] = options.pop("descriptions", ())
    scale, offset, mask = options.pop("scale", 1.0), options.pop("offset", 0.0), options.pop("mask", None)
    last_is_alpha: bool = options.pop("last_is_alpha", False)
    layers, height, width = values.shape
    profile: Mapping[str, Any] = {"crs": CRS, "transform": TRANSFORM, "photometric": "MINISBLACK"} | options
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", driver="GTiff", count=layers, height=height, width=width, dtype=values.dtype, **profile
        ) as dataset,
    ):
        # Metadata first, so that they stand at the beginning of the file.
        for number, text in enumerate(descriptions, start=1):
            if text is not None:
                dataset.set_band_description(number, text)
        if (scale, offset) != (1.0, 0.0):
            dataset.scales = (scale,) * layers
            dataset.offsets = (offset,) * layers
        if last_is_alpha:
            dataset.colorinterp = (*dataset.colorinterp[:-1], ColorInterp.alpha)
        dataset.write(values)
        if mask is not None:
            dataset.write_mask(mask)
    return path


def write_band_files(folder: Path, names: Sequence[str]) -> list[Path]:
    """Write one single-layer file per name, scaled by 0.0001."""
    folder.mkdir(parents=True, exist_ok=True)
    values = numbers(len(names))
    return [write(folder / f"{name}.tif", values[k : k + 1], scale=1e-4) for k, name in enumerate(names)]


def item_1_0(hrefs: Mapping[str, str], **properties: Any) -> dict[str, Any]:
    """Describe single-band files as a STAC 1.0 item with ``eo:bands`` and ``raster:bands``."""
    assets = {
        name: {
            "href": href,
            "type": "image/tiff; application=geotiff",
            "roles": ["data", "reflectance"],
            "eo:bands": [{"name": name, "common_name": name}],
            "raster:bands": [{"scale": 0.0001, "offset": -0.1, "nodata": 0, "data_type": "uint16"}],
        }
        for name, href in hrefs.items()
    }
    return _item("1.0.0", assets, properties)


def item_1_1(hrefs: Mapping[str, str], **properties: Any) -> dict[str, Any]:
    """Describe the same files as a STAC 1.1 item with ``bands``."""
    assets = {
        name: {
            "href": href,
            "type": "image/tiff; application=geotiff",
            "roles": ["data"],
            "raster:scale": 0.0001,
            "raster:offset": -0.1,
            "nodata": 0,
            "bands": [{"name": name, "eo:common_name": name}],
        }
        for name, href in hrefs.items()
    }
    return _item("1.1.0", assets, properties)


def _item(version: str, assets: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": version,
        "id": "scene-1",
        "geometry": None,
        "properties": {"datetime": "2024-03-05T10:48:19Z", **properties},
        "links": [],
        "assets": dict(assets),
    }


def make(folder: Path) -> Path:
    """Write every fixture to a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "described.tif", numbers(4), descriptions=("blue", "green", "red", "nir"), scale=1e-4)
    write(folder / "bare.tif", numbers(4))
    paths = write_band_files(folder / "bands", ("blue", "green", "red", "nir"))
    hrefs = {path.stem: f"./bands/{path.name}" for path in paths}
    (folder / "item-1.0.json").write_text(json.dumps(item_1_0(hrefs)), "utf-8")
    (folder / "item-1.1.json").write_text(json.dumps(item_1_1(hrefs)), "utf-8")
    return folder


if __name__ == "__main__":
    make(Path(sys.argv[1]))
