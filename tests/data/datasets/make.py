"""Make small data sets in the layouts of CloudSEN12, KappaSet, the Sentinel-2 Cloud Mask Catalogue, PixBox and others.

Every scene is drawn from codes: bright where they mean cloud, dark where they mean shadow.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin

BANDS = 13
MTL = """GROUP = L1_METADATA_FILE
  GROUP = IMAGE_ATTRIBUTES
    SUN_ELEVATION = 30.0
  END_GROUP = IMAGE_ATTRIBUTES
  GROUP = RADIOMETRIC_RESCALING
{lines}
  END_GROUP = RADIOMETRIC_RESCALING
END_GROUP = L1_METADATA_FILE
END
"""

Codes = NDArray[np.uint8]


def columns(codes: Sequence[int], side: int = 16) -> Codes:
    """Draw codes as columns of equal width."""
    line = np.asarray(codes, np.uint8)[np.arange(side) * len(codes) // side]
    return np.broadcast_to(line, (side, side)).copy()


def drawn(codes: Codes, brightness: Mapping[int, float], layers: int) -> NDArray[np.float64]:
    """Give reflectance ``(layer, y, x)`` that shows codes, a little more in each layer; 0 where a code has none."""
    ground = np.vectorize(lambda code: brightness.get(code, 0.0), otypes=[float])(codes)
    steps = np.arange(layers)[:, None, None] / 1000
    return np.where(ground > 0, ground + steps, 0.0)


def write_tif(
    path: Path, layers: NDArray[np.generic], *, crs: str | None = "EPSG:32632", driver: str = "GTiff"
) -> Path:
    """Write layers ``(layer, y, x)``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = layers.shape
    profile = {"driver": driver, "count": count, "height": height, "width": width, "dtype": layers.dtype}
    if crs is not None:
        profile |= {"crs": crs, "transform": from_origin(500000, 4600000, 30, 30)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile) as raster:
            raster.write(layers)
    return path


def mtl(bands: Sequence[str]) -> str:
    """Give the part of a Landsat MTL file that tells reflectance, for a sun 30 degrees high."""
    lines = [f"    REFLECTANCE_MULT_BAND_{band} = 2.0000E-05" for band in bands]
    lines += [f"    REFLECTANCE_ADD_BAND_{band} = -0.100000" for band in bands]
    return MTL.format(lines="\n".join(lines))


def landsat_dn(reflectance: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Give the digital numbers of reflectance under a sun 30 degrees high; 0 stays."""
    dn = np.round((reflectance * 0.5 + 0.1) / 2e-5)
    return np.where(reflectance == 0, 0, dn).astype(np.uint16)


def cloudsen12(folder: Path, codes: Codes, *, kind: str = "manual_hq") -> Path:
    """Write one patch of the form with a folder per region and product."""
    patch = folder / "ROI_0001" / "20200101T100000_20200101T100000_T32TPS"
    brightness = {0: 0.2, 1: 0.8, 2: 0.4, 3: 0.03, 4: 0.4, 5: 0.03, 6: 0.03, 99: 0.2}
    stored = np.round(drawn(codes, brightness, BANDS) * 10000).astype(np.uint16)
    write_tif(patch / "S2L1C.tif", stored)
    write_tif(patch / "labels" / f"{kind}.tif", codes[None])
    return folder


def cloudsen12_split(folder: Path, patches: Sequence[Codes]) -> Path:
    """Write the form with a file per band; padding is 0."""
    folder.mkdir(parents=True, exist_ok=True)
    brightness = {0: 0.2, 1: 0.8, 2: 0.4, 3: 0.03}
    stored = np.stack([np.round(drawn(codes, brightness, BANDS) * 10000) for codes in patches]).astype(np.int16)
    stored[:, :, -2:] = 0
    names = ["1", "2", "3", "4", "5", "6", "7", "8", "8A", "9", "10", "11", "12"]
    for band, name in enumerate(names):
        stored[:, band].tofile(folder / f"L1C_B{name}.dat")
    np.stack(patches).astype(np.int8).tofile(folder / "LABEL_manual_hq.dat")
    return folder


def kappaset(folder: Path, codes: Codes, *, name: str = "T35VME_tile_3_5", label: str = "Label") -> Path:
    """Write one sub-tile: bands as digital number / 65535, rows from south to north."""
    import h5py

    folder.mkdir(parents=True, exist_ok=True)
    stored = drawn(codes, {0: 0.2, 1: 0.2, 2: 0.03, 3: 0.4, 4: 0.8}, BANDS) * 10000 / 65535
    names = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"]
    with h5py.File(folder / f"{name}.nc", "w") as file:
        for band, layer in zip(names, stored, strict=True):
            file.create_dataset(band, data=layer[::-1].astype(np.float32))
        file.create_dataset(label, data=codes[::-1])
    return folder / f"{name}.nc"


def s2_catalogue(folder: Path, scenes: Mapping[str, tuple[Codes, int]]) -> Path:
    """Write subscenes of codes 0 clear, 1 cloud, 2 shadow, 9 none, and whether shadows were marked."""
    for part in ("subscenes", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows = []
    for index, (name, (codes, marked)) in enumerate(scenes.items()):
        reflectance = drawn(codes, {0: 0.2, 1: 0.8, 2: 0.03, 9: 0.2}, BANDS).astype(np.float32)
        np.save(folder / "subscenes" / f"{name}.npy", np.moveaxis(reflectance, 0, 2))
        np.save(folder / "masks" / f"{name}.npy", codes[..., None] == np.arange(3))
        rows.append({"index": index, "scene": name, "difficulty": 1, "shadows_marked": marked})
    write_csv(folder / "classification_tags.csv", rows)
    return folder


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def pixbox_product(folder: Path, name: str) -> Path:
    """Write a stand-in for a product that any reader opens: a raster of four named bands."""
    codes = columns((0, 1))
    stored = np.round(drawn(codes, {0: 0.2, 1: 0.8}, 4) * 10000).astype(np.uint16)
    path = write_tif(folder / f"{name}.tif", stored)
    with rasterio.open(path, "r+") as raster:
        raster.descriptions = ("blue", "green", "red", "nir")
        raster.scales = (0.0001,) * 4
    return path


def sparcs(folder: Path, codes: Codes, *, scene: str = "LC80010812013365LGN00", labels: str = "_labels.tif") -> Path:
    """Write one subscene."""
    brightness = {0: 0.03, 1: 0.03, 2: 0.05, 3: 0.7, 4: 0.2, 5: 0.8, 6: 0.1}
    dn = landsat_dn(drawn(codes, brightness, 10))
    write_tif(folder / f"{scene}_18_data.tif", dn)
    driver = "PNG" if labels.endswith(".png") else "GTiff"
    write_tif(folder / f"{scene}_18{labels}", codes[None], crs=None, driver=driver)
    (folder / f"{scene}_mtl.txt").write_text(mtl(["1", "2", "3", "4", "5", "6", "7", "9"]), "ascii")
    return folder


def cloud38(
    folder: Path, codes: Codes, *, name: str = "patch_1_1_by_1_LC08_L1TP_002053_20160520_20170324_01_T1"
) -> Path:
    """Write one patch; codes 0 and 255."""
    dn = np.round((drawn(codes, {0: 0.2, 255: 0.8}, 4) + 0.1) / 2e-5).astype(np.uint16)
    dn[:, 0] = 0
    training = folder / "38-Cloud_training"
    for layer, color in zip(dn, ("blue", "green", "red", "nir"), strict=True):
        write_tif(training / f"train_{color}" / f"{color}_{name}.TIF", layer[None], crs=None)
    write_tif(training / "train_gt" / f"gt_{name}.TIF", codes[None], crs=None)
    return folder


def l8_biome(folder: Path, codes: Codes, *, scene: str = "LC80420082013220LGN00") -> Path:
    """Write one scene in the folder of its biome."""
    place = folder / "BC" / "Grass Crops" / scene
    dn = landsat_dn(drawn(codes, {64: 0.03, 128: 0.2, 192: 0.4, 255: 0.8}, 8))
    for layer, band in zip(dn, ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B9"), strict=True):
        write_tif(place / f"{scene}_{band}.TIF", layer[None])
    write_tif(place / f"{scene}_fixedmask.img", codes[None], driver="ENVI")
    (place / f"{scene}_MTL.txt").write_text(mtl(["1", "2", "3", "4", "5", "6", "7", "9"]), "ascii")
    return folder
