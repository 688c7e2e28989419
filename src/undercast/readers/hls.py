"""HLS: harmonised Landsat and Sentinel-2 surface reflectance (S30 and L30), one GeoTIFF per band.

Source: HLS Product User Guide, version 2.0: int16, scale 0.0001, fill -9999; Fmask bits, 255 fill.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from undercast.bands import Band
from undercast.errors import SceneError
from undercast.radiometry import Scaling
from undercast.readers.base import OpenOptions, chosen_bands, list_folder, record
from undercast.readers.layers import Layer, LayerPixels, read_header, read_tags
from undercast.readers.multires import FilledPixels, common_grid
from undercast.readers.xml import to_number
from undercast.scene import PixelSource, Scene, SunAngles
from undercast.sensors import load_sensor

SCALING = Scaling(scale=1e-4)
"""Digital numbers to reflectance."""
FILL = -9999.0
"""Digital number without data."""
FMASK_FILL = 255.0
"""Value of Fmask without data."""
SENSORS = {"S30": "sentinel-2a-msi", "L30": "landsat-8-oli"}
"""Product -> sensor, where the tags do not say which satellite it was."""
SATELLITES = {
    "S2A": "sentinel-2a-msi",
    "S2B": "sentinel-2b-msi",
    "S2C": "sentinel-2c-msi",
    "LC08": "landsat-8-oli",
    "LC09": "landsat-9-oli",
}
"""Beginning of the name of the product that it was made of -> sensor."""

_FILE = re.compile(
    r"^(?P<scene>HLS\.(?P<kind>[SL]30)\.T\w{5}\.(?P<time>\d{7}T\d{6})\.v\d\.\d)\.(?P<band>\w+)\.tif$", re.IGNORECASE
)


def accepts(source: str) -> bool:
    """Tell whether a source is an HLS file, or a folder with some."""
    return bool(_files(source))


def _files(source: str) -> dict[str, dict[str, Path]]:
    """Find the scenes of a folder, or the one that a file is part of: scene -> band -> file."""
    path = Path(source)
    own = _FILE.match(path.name)
    if not path.is_dir() and not own:
        return {}
    scenes: dict[str, dict[str, Path]] = {}
    for entry in list_folder(path if path.is_dir() else path.parent):
        match = _FILE.match(entry.name)
        if match and (own is None or path.is_dir() or match["scene"] == own["scene"]):
            scenes.setdefault(match["scene"], {})[match["band"].upper()] = entry
    return scenes


def open(source: str, options: OpenOptions) -> Scene:  # noqa: A001 (the protocol's name)
    """Open an HLS scene by its folder or one of its files.

    Raises:
        SceneError: If files are damaged, or there are several scenes.
        BandError: If a wanted band is missing.
        GridError: If the bands lie over different ground, or the resolution does not fit.
    """
    scenes = _files(source)
    if len(scenes) != 1:
        msg = f"{source}: expected the files of one HLS scene, got {', '.join(sorted(scenes)[:3]) or 'none'}."
        raise SceneError(msg)
    ((name, files),) = scenes.items()
    match = _FILE.match(next(iter(files.values())).name)
    kind = match["kind"].upper() if match else "S30"
    tags = read_tags(str(next(iter(files.values()))))
    sensor = options.sensor or load_sensor(_satellite(tags) or SENSORS[kind])
    offered = [band for band in sensor.bands if _written(band.name) in files]
    if not offered:
        msg = f"{source}: expected bands (B02 and so on), got {', '.join(files)}."
        raise SceneError(msg)
    chosen = [offered[place] for place in chosen_bands(offered, options, what=source, sensor=sensor)]
    layers = [
        Layer(
            source=str(files[_written(band.name)]),
            number=1,
            band=band,
            scaling=options.scaling or SCALING,
            nodata=(FILL,) if options.nodata is None else (FILL, options.nodata),
        )
        for band in chosen
    ]
    grid = common_grid([read_header(layer.source) for layer in layers], options.resolution, what=source)
    return Scene(
        name=options.name or name,
        bands=tuple(chosen),
        grid=grid,
        pixels=_filled(LayerPixels(layers, grid.shape), files, grid.shape),
        level=options.level or "surface",
        sensor=sensor.id,
        acquired=_time(match["time"], source) if match else None,
        sun=_sun(tags, source),
        provenance=record(source=source, bands_from="file names", scaling_from="product"),
    )


def _filled(pixels: LayerPixels, files: Mapping[str, Path], shape: tuple[int, int]) -> PixelSource:
    """Leave out what Fmask calls fill, where the scene has it."""
    if "FMASK" not in files:
        return pixels
    band = Band(name="Fmask", common_name="", center_wavelength=0.0, full_width_half_max=0.0)
    layer = Layer(source=str(files["FMASK"]), number=1, band=band, scaling=Scaling(), nodata=(FMASK_FILL,))
    return FilledPixels(pixels=pixels, fill=LayerPixels([layer], shape))


def _satellite(tags: Mapping[str, str]) -> str | None:
    """Find the sensor by the product that the scene was made of; None where the tags do not name one that is known."""
    product = tags.get("PRODUCT_URI") or tags.get("LANDSAT_PRODUCT_ID") or ""
    return SATELLITES.get(product.partition("_")[0])


def _written(band: str) -> str:
    """Give the name of a band in file names: two digits, also for Landsat."""
    return f"B0{band[1]}" if re.fullmatch(r"B\d", band) else band


def _time(written: str, source: str) -> datetime:
    try:
        return datetime.strptime(written, "%Y%jT%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        msg = f"{source}: expected year, day of the year and time in the name, got {written!r}."
        raise SceneError(msg) from error


def _sun(tags: Mapping[str, str], source: str) -> SunAngles | None:
    """Read the mean angles from the tags, where they are there."""
    zenith, azimuth = tags.get("MEAN_SUN_ZENITH_ANGLE"), tags.get("MEAN_SUN_AZIMUTH_ANGLE")
    if zenith is None or azimuth is None:
        return None
    # A scene that was made of several products may list an angle of each.
    angles = [to_number(re.split("[,;+]", text)[0], "mean sun angle", origin=source) for text in (zenith, azimuth)]
    if not 0.0 <= angles[0] <= 180.0:
        msg = f"{source}: expected the sun's zenith in degrees, got {angles[0]:g}."
        raise SceneError(msg)
    return SunAngles(zenith=angles[0], azimuth=angles[1] % 360.0)
