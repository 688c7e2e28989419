"""Write PlanetScope scenes: an analytic GeoTIFF and its metadata: ``python make.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

SHAPE = (16, 20)
SCENE = "20220401_084707_12_2461"
COEFFICIENTS = tuple(2e-5 + 1e-6 * band for band in range(8))


def numbers(layers: int = 8, *, seed: int = 8) -> NDArray[np.uint16]:
    """Draw digital numbers above 0, ``(layer, y, x)``."""
    return np.random.default_rng(seed).integers(1, 20_000, (layers, *SHAPE)).astype(np.uint16)


def metadata(layers: int = 8, instrument: str = "PSB.SD", **changes: str) -> str:
    """Give the metadata; ``changes`` are texts in it and what stands in their place."""
    bands = "".join(
        f"<ps:bandSpecificMetadata><ps:bandNumber>{band}</ps:bandNumber>"
        f"<ps:radiometricScaleFactor>0.01</ps:radiometricScaleFactor>"
        f"<ps:reflectanceCoefficient>{COEFFICIENTS[band - 1]!r}</ps:reflectanceCoefficient></ps:bandSpecificMetadata>"
        for band in range(1, layers + 1)
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><ps:EarthObservation xmlns:ps="http://schemas.planet.com/ps/v1"'
        ' xmlns:eop="http://earth.esa.int/eop" xmlns:opt="http://earth.esa.int/opt" xmlns:gml="http://www.opengis.net/gml">'
        "<gml:using><eop:EarthObservationEquipment><eop:platform><eop:Platform><eop:shortName>PlanetScope</eop:shortName>"
        f"</eop:Platform></eop:platform><eop:instrument><eop:Instrument><eop:shortName>{instrument}</eop:shortName>"
        "</eop:Instrument></eop:instrument><eop:acquisitionParameters><ps:Acquisition>"
        "<opt:illuminationAzimuthAngle>100.0</opt:illuminationAzimuthAngle>"
        "<opt:illuminationElevationAngle>50.0</opt:illuminationElevationAngle>"
        "<ps:acquisitionDateTime>2022-04-01T08:47:07+00:00</ps:acquisitionDateTime></ps:Acquisition>"
        "</eop:acquisitionParameters></eop:EarthObservationEquipment></gml:using>"
        f"<gml:resultOf><ps:EarthObservationResult>{bands}</ps:EarthObservationResult></gml:resultOf></ps:EarthObservation>"
    )
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def write(folder: Path, values: NDArray[Any] | None = None, *, kind: str = "_8b", text: str | None = None) -> Path:
    """Write one scene and return its image; ``kind`` is what follows ``AnalyticMS`` in its name."""
    folder.mkdir(parents=True, exist_ok=True)
    values = numbers() if values is None else values
    layers, height, width = values.shape
    path = folder / f"{SCENE}_3B_AnalyticMS{kind}.tif"
    options = {"count": layers, "height": height, "width": width, "dtype": values.dtype, "photometric": "MINISBLACK"}
    transform = from_origin(500_000.0, 4_600_000.0, 3.0, 3.0)
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32631", transform=transform, **options) as file:
        file.write(values)
    name = f"{SCENE}_3B_AnalyticMS{'_8b' if layers == 8 else ''}_metadata.xml"
    (folder / name).write_text(metadata(layers) if text is None else text, "utf-8")
    (folder / f"{SCENE}_3B_AnalyticMS_DN_udm.tif").write_bytes(b"")
    return path


if __name__ == "__main__":
    write(Path(sys.argv[1]))
