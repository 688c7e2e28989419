"""Item: a ModelSpec as the properties of a STAC MLM item, and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from undercast.bands import Band
from undercast.classes import CLASS_NAMES, load_scheme
from undercast.model_spec import ModelBand, ModelSpec, check_thresholds
from undercast.models.scaling import per_band, read_scaling, value_scaling
from undercast.models.table import Table
from undercast.types import AGGREGATIONS, PRODUCT_LEVELS, TERRAIN_LAYERS, UNCERTAINTY_KINDS, TerrainLayer

LAYERS = (*CLASS_NAMES, "cloud")
"""Names that an output layer can have; ``cloud`` is cloud of either kind."""

MOST_WORKING_BYTES = 100_000
"""Memory per pixel that a network can be said to work in."""

COMMON_NAMES = (
    *("coastal", "blue", "green", "red", "rededge", "yellow", "pan", "nir", "nir08", "nir09", "cirrus"),
    *("swir16", "swir22", "lwir", "lwir11", "lwir12"),
)
"""Common names of eo 1.1, whose schema allows no others; version 2 knows ``rededge071`` and the like, too."""


def eo_names(common_name: str) -> dict[str, str]:
    """Give a band's common name in the fields that eo 1.1 allows; the exact one beside it where that is another."""
    known = common_name if common_name in COMMON_NAMES else common_name.rstrip("0123456789")
    names = {"common_name": known} if known in COMMON_NAMES else {}
    return names if known == common_name and names else {**names, "undercast:common_name": common_name}


def spec_properties(spec: ModelSpec) -> dict[str, Any]:
    """Describe a spec: in the fields of MLM and eo where they have one, else in ``undercast:`` fields."""
    return {
        "mlm:name": spec.id,
        "mlm:input": [_input(spec)],
        "mlm:output": [_output(spec)],
        "eo:bands": [_band(wanted.band) for wanted in spec.bands],
        "undercast:title": spec.title,
        "undercast:version": spec.version,
        "undercast:optional_bands": [wanted.band.name for wanted in spec.bands if not wanted.required],
        "undercast:terrain": list(spec.terrain),
        "undercast:layers": list(spec.classes),
        "undercast:levels": list(spec.levels),
        "undercast:fill": spec.fill,
        "undercast:window": {"size": spec.window, "multiple": spec.multiple, "overlap": spec.overlap},
        "undercast:working_bytes": spec.working_bytes,
        "undercast:aggregation": spec.aggregation,
        "undercast:uncertainty": spec.uncertainty,
        "undercast:temperature": spec.temperature,
        "undercast:presets": {name: dict(thresholds) for name, thresholds in spec.presets.items()},
        "undercast:preset": spec.preset,
    }


def member_properties(spec: ModelSpec, package: ModelSpec) -> dict[str, Any]:
    """Describe where a member's spec differs from its package's: the value of its asset's ``undercast:member``."""
    usual = spec_properties(package)
    return {key: value for key, value in spec_properties(spec).items() if value != usual[key]}


def _input(spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": "reflectance",
        "description": _described_input(spec),
        "bands": [wanted.band.name for wanted in spec.bands],
        "input": {
            "shape": [-1, spec.channels, -1, -1],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": value_scaling(spec),
    }


def _described_input(spec: ModelSpec) -> str:
    after = " Terrain follows the bands." if spec.terrain else ""
    return f"Unitless reflectance; absent bands and pixels without data hold undercast:fill.{after}"


def _output(spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": "probabilities",
        "description": "Probability of each of undercast:layers, in [0, 1].",
        "tasks": ["semantic-segmentation"],
        "result": {
            "shape": [-1, len(spec.classes), -1, -1],
            "dim_order": ["batch", "class", "height", "width"],
            "data_type": "float32",
        },
        "classification:classes": _classes(spec),
    }


def _classes(spec: ModelSpec) -> list[dict[str, Any]]:
    """Describe the values of the class map that this model leads to; cloud of unknown kind is value 1."""
    names = spec.classes if "clear" in spec.classes else ("clear", *spec.classes)
    known = {scene_class.name: scene_class for scene_class in load_scheme().classes}
    described = []
    for name in names:
        scene_class = known["thick_cloud" if name == "cloud" else name]
        title = "Cloud" if name == "cloud" else scene_class.title
        color = scene_class.color.removeprefix("#").upper()
        described.append(
            {
                "value": scene_class.value,
                "name": name,
                "title": title,
                "description": title,
                "color_hint": color,
            }
        )
    return described


def _band(band: Band) -> dict[str, Any]:
    described = {
        "name": band.name,
        **eo_names(band.common_name),
        "center_wavelength": band.center_wavelength,
        "full_width_half_max": band.full_width_half_max,
    }
    return described if band.gsd is None else {**described, "gsd": band.gsd}


def read_spec(properties: Table) -> ModelSpec:
    """Read a spec from an item's properties.

    Raises:
        ModelError: If a field that undercast needs is missing or wrong.
    """
    window = properties.table("undercast:window", default={})
    scale, bands = _scaled(properties, _read_bands(properties))
    defaults = ModelSpec(id="", version="", bands=())
    spec = ModelSpec(
        id=properties.text("mlm:name"),
        version=properties.text("undercast:version"),
        title=properties.text("undercast:title", default=""),
        bands=bands,
        terrain=_read_terrain(properties),
        classes=_read_layers(properties),
        levels=properties.choices("undercast:levels", PRODUCT_LEVELS, default=defaults.levels),
        scale=scale,
        fill=properties.number("undercast:fill", default=defaults.fill),
        window=window.integer("size", default=defaults.window),
        multiple=window.integer("multiple", default=defaults.multiple),
        overlap=window.integer("overlap", default=defaults.overlap),
        working_bytes=properties.integer("undercast:working_bytes", default=defaults.working_bytes),
        aggregation=properties.choice("undercast:aggregation", AGGREGATIONS, default=defaults.aggregation),
        uncertainty=properties.choice("undercast:uncertainty", UNCERTAINTY_KINDS, default=defaults.uncertainty),
        temperature=properties.number("undercast:temperature", default=defaults.temperature),
        presets=_read_presets(properties),
        preset=properties.optional_text("undercast:preset"),
    )
    if not spec.temperature > 0.0:
        raise properties.wrong(key="undercast:temperature", expected="a number above 0", got=spec.temperature)
    if not 0 < spec.working_bytes <= MOST_WORKING_BYTES:
        expected = f"a number of bytes from 1 to {MOST_WORKING_BYTES}"
        raise properties.wrong(key="undercast:working_bytes", expected=expected, got=spec.working_bytes)
    if spec.preset is not None and spec.preset not in spec.presets:
        known = ", ".join(spec.presets) or "no preset, since there is none"
        raise properties.wrong(key="undercast:preset", expected=known, got=spec.preset)
    if not (0 < spec.multiple <= spec.window and spec.window % spec.multiple == 0 and 0 <= spec.overlap < spec.window):
        got = f"size {spec.window}, multiple {spec.multiple}, overlap {spec.overlap}"
        expected = "a size that is a multiple of 'multiple' and above 'overlap'"
        raise properties.wrong(key="undercast:window", expected=expected, got=got)
    return spec


def _read_bands(properties: Table) -> tuple[ModelBand, ...]:
    described = {}
    for row in properties.tables("eo:bands"):
        name = row.text("name")
        described[name] = Band(
            name=name,
            common_name=row.optional_text("undercast:common_name") or row.text("common_name"),
            center_wavelength=row.number("center_wavelength"),
            full_width_half_max=row.number("full_width_half_max"),
            gsd=row.optional_number("gsd"),
        )
    optional = set(properties.texts("undercast:optional_bands", default=()))
    names = properties.first("mlm:input").texts("bands")
    missing = [name for name in (*names, *optional) if name not in described]
    if missing or not names or len(set(names)) != len(names):
        expected = "bands that eo:bands describes, each once"
        raise properties.wrong(key="mlm:input", expected=expected, got=", ".join(names) or "none")
    return tuple(ModelBand(band=described[name], required=name not in optional) for name in names)


def _scaled(properties: Table, bands: tuple[ModelBand, ...]) -> tuple[float, tuple[ModelBand, ...]]:
    """Read the scaling of reflectance: one factor for all bands, else each band's gain and offset."""
    scaling = read_scaling(properties.first("mlm:input"), len(bands))
    if len(scaling) == 1 and scaling[0][1] == 0.0:
        return scaling[0][0], bands
    pairs = zip(bands, per_band(scaling, len(bands)), strict=True)
    return 1.0, tuple(replace(wanted, gain=gain, offset=offset) for wanted, (gain, offset) in pairs)


def _read_terrain(properties: Table) -> tuple[TerrainLayer, ...]:
    told = properties.texts("undercast:terrain", default=())
    return properties.choices("undercast:terrain", TERRAIN_LAYERS, default=()) if told else ()


def _read_layers(properties: Table) -> tuple[str, ...]:
    layers = properties.texts("undercast:layers", default=CLASS_NAMES)
    usable = bool(layers) and set(layers) <= set(LAYERS) and len(set(layers)) == len(layers)
    if not usable or (len(layers) > 1) != ("clear" in layers):
        expected = f"one class, or clear and others, of {', '.join(LAYERS)}"
        raise properties.wrong(key="undercast:layers", expected=expected, got=", ".join(layers) or "none")
    return layers


def _read_presets(properties: Table) -> dict[str, dict[str, float]]:
    presets = {}
    table = properties.table("undercast:presets", default={})
    for name in table.values:
        row = table.table(name)
        thresholds = {key: row.number(key) for key in row.values}
        try:
            check_thresholds(thresholds)
        except ValueError as error:
            got = f"{name}: {error}"
            raise properties.wrong(key="undercast:presets", expected="thresholds in (0, 1)", got=got) from error
        presets[name] = thresholds
    return presets
