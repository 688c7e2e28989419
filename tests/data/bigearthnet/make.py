"""Make BigEarthNet patches: LMDB as rico-hdl writes it, folders of GeoTIFFs, metadata.parquet and chips."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from safetensors.numpy import save

PATCH = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_75_43"
RADAR_PATCH = "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_70_48"
SIDES = {"B02": 120, "B03": 120, "B04": 120, "B08": 120, "B01": 20, "B09": 20}
SIDES |= dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12"), 60)
WATER, FOREST = 512, 312


def drawn(patch: str, layer: str) -> NDArray[Any]:
    """Draw a layer of a patch: digital numbers, or decibels."""
    rng = np.random.default_rng(zlib.crc32(f"{patch} {layer}".encode()))
    if layer in {"VV", "VH"}:
        return rng.normal(-13, 4, (120, 120)).astype(np.float32)
    return rng.integers(1, 5000, (SIDES[layer],) * 2).astype(np.uint16)


def codes() -> NDArray[np.uint16]:
    """Draw a land cover map: arable land and mixed forest, and a corner that is not labelled."""
    drawn = np.full((120, 120), 211, np.uint16)
    drawn[:, 60:] = 313
    drawn[:20, :20] = 999
    return drawn


def rows(count: int = 1) -> list[dict[str, Any]]:
    """Give rows of the metadata, the first of them of ``PATCH``."""
    more = [f"{PATCH[:-5]}{number}_{number}" for number in range(1, count)]
    return [
        {
            "patch_id": patch,
            "labels": ["Pastures", "Arable land"],
            "split": "train",
            "country": "Austria",
            "s1_name": RADAR_PATCH,
            "s2v1_name": "S2A_MSIL2A_20170613T101031_75_43",
            "contains_seasonal_snow": False,
            "contains_cloud_or_shadow": False,
        }
        for patch in (PATCH, *more)
    ]


def write_metadata(path: Path, table: list[dict[str, Any]] | None = None, leave_out: str = "") -> Path:
    """Write metadata.parquet, without a column if one is named."""
    written = pa.Table.from_pylist(table or rows())
    pq.write_table(written.drop_columns([leave_out]) if leave_out else written, path)
    return path


def write_lmdb(folder: Path, leave_out: str = "", **values: bytes) -> Path:
    """Write an LMDB file of one patch with its radar and land cover, without a band if one is named."""
    optical = {band: drawn(PATCH, band) for band in SIDES if band != leave_out}
    values = {
        PATCH: save(optical),
        RADAR_PATCH: save({layer: drawn(RADAR_PATCH, layer) for layer in ("VV", "VH")}),
        f"{PATCH}_reference_map": save({"Data": codes()}),
        **values,
    }
    with lmdb.open(str(folder), map_size=2**24) as opened, opened.begin(write=True) as transaction:
        for key, value in values.items():
            transaction.put(key.encode(), value)
    return folder


def write_geotiffs(folder: Path, leave_out: str = "") -> Path:
    """Write the same patch as folders of GeoTIFFs."""
    s2 = folder / "BigEarthNet-S2" / PATCH.rsplit("_", 2)[0] / PATCH
    s1 = folder / "BigEarthNet-S1" / RADAR_PATCH.rsplit("_", 3)[0] / RADAR_PATCH
    reference = folder / "Reference_Maps" / PATCH.rsplit("_", 2)[0] / PATCH
    for band in SIDES:
        if band != leave_out:
            _write(s2 / f"{PATCH}_{band}.tif", drawn(PATCH, band))
    for layer in ("VV", "VH"):
        _write(s1 / f"{RADAR_PATCH}_{layer}.tif", drawn(RADAR_PATCH, layer))
    _write(reference / f"{PATCH}_reference_map.tif", codes())
    return folder


def _write(path: Path, layer: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    side = layer.shape[0]
    place = {"crs": "EPSG:32633", "transform": from_origin(390_000, 5_348_400, 1200 / side, 1200 / side)}
    profile = {"driver": "GTiff", "count": 1, "height": side, "width": side, "dtype": layer.dtype}
    with rasterio.open(path, "w", **profile, **place) as raster:
        raster.write(layer, 1)


def write_chips(folder: Path, count: int = 20, **wrong: Any) -> Path:
    """Write chips of water, which is dark, and coniferous forest by turns, with the remainder of codes by 256."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = []
    for number in range(count):
        name, water = f"patch_{number:03d}.npz", number % 2 == 0
        rng = np.random.default_rng(number)
        arrays = {
            "bands": rng.normal(200 if water else 2500, 50, (4, 120, 120)).astype(np.int16),
            "band_names": np.array(["B02", "B03", "B04", "B08"]),
            "corine_label": np.full((120, 120), (WATER if water else FOREST) % 256, np.uint8),
            "s1_vv_vh": rng.normal(-20 if water else -10, 1, (2, 120, 120)).astype(np.float16),
            **(wrong if number == 0 else {}),
        }
        np.savez(folder / name, **{key: value for key, value in arrays.items() if value is not None})
        listed.append({"file": name, "source": "drawn", "licence_data": "CC0-1.0"})
    (folder / "manifest.json").write_text(json.dumps(listed), "utf-8")
    return folder


def write_recipe(path: Path, **changed: str) -> Path:
    """Write a recipe that trains on the chips; ``key="value"`` replaces a value."""
    tables: dict[str, dict[str, str]] = {
        "classifier": {
            "id": '"drawn"',
            "version": '"0.1.0"',
            "title": '"Drawn"',
            "network": '"scene-small"',
            "configuration": '"10m_s1"',
            "channel_order": '"v0.2.0"',
            "limits": '["Drawn patches only."]',
        },
        "patches": {"kind": '"chips"', "sources": '["drawn"]', "note": '"Drawn."'},
        "blocks": {"blocks": "10", "validation": "2", "test": "4", "seed": "3"},
        "optimise": {"epochs": "3", "batch": "4", "learning_rate": "1e-2", "warmup": "0", "seed": "1"},
    }
    if unknown := set(changed) - {key for table in tables.values() for key in table}:
        tables["optimise"] |= {key: changed[key] for key in unknown}
    lines = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {changed.get(key, value)}" for key, value in table.items())]
    path.write_text("\n".join(lines), "utf-8")
    return path
