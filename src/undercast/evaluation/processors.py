"""Processors: the masks that existing processing chains write, read as class maps and as possible sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from undercast.classes import CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD, load_scheme
from undercast.errors import EvaluationError, GridError, SceneError, SchemeError
from undercast.evaluation.predictors import Predicted
from undercast.types import NODATA, Bool, UInt8

if TYPE_CHECKING:
    from undercast.evaluation.references import ReferenceScene

IGNORE = 0
"""Possible set of a pixel of which a mask says nothing."""
_CLEAR, _THICK, _THIN, _SHADOW = (1 << value for value in (CLEAR, THICK_CLOUD, THIN_CLOUD, CLOUD_SHADOW))
_CLOUD = _THICK | _THIN

_HIGH = 3
_MEDIUM = 2
_NOT_DETERMINED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRule:
    """Which stored values a rule is about, and what they mean."""

    meaning: str
    """What the product's documentation calls it."""
    bits: int
    """Bits that are looked at, as a number with those bits set."""
    values: tuple[int, ...] | None
    """What the looked-at bits must hold, in their place; None: any of them is set."""
    class_value: int
    """Class of the class map; ``NODATA``: no prediction."""
    possible: int
    """Possible set: bit k is set where the pixel can be class k; ``IGNORE``: it says nothing."""

    def applies(self, stored: NDArray[np.integer[Any]]) -> Bool:
        """Tell where the rule applies."""
        looked_at = stored & self.bits
        return looked_at != 0 if self.values is None else np.isin(looked_at, self.values)


@dataclass(frozen=True, kw_only=True)
class ProcessorMask:
    """How one product writes its mask; for each stored value the first rule that applies says what it means."""

    id: str
    """Name on the command line."""
    title: str
    """Name for people."""
    source: str
    """Where the codes come from."""
    width: int
    """Stored bits per pixel, 8 or 16."""
    rules: tuple[MaskRule, ...] = field(repr=False)
    """Rules, the strongest first."""

    @cached_property
    def _tables(self) -> tuple[UInt8, UInt8, Bool]:
        """Class, possible set and whether it is known, for each value that can be stored."""
        stored = np.arange(1 << self.width)
        classes = np.full(stored.shape, NODATA, np.uint8)
        possible = np.full(stored.shape, IGNORE, np.uint8)
        known = np.zeros(stored.shape, np.bool_)
        for rule in self.rules:
            takes = rule.applies(stored) & ~known
            classes[takes] = rule.class_value
            possible[takes] = rule.possible
            known |= takes
        return classes, possible, known

    def decode(self, stored: NDArray[np.integer[Any]]) -> UInt8:
        """Read a stored mask as a class map.

        Args:
            stored: Integers as the product stores them.

        Returns:
            The same shape: 0 clear, 1 thick cloud (or cloud whose thickness is not told), 2 thin cloud, 3 cloud
            shadow, 255 where the processor says nothing.

        Raises:
            EvaluationError: If a value is none of the product's codes.
        """
        classes: UInt8 = self._tables[0][self._checked(stored)]
        return classes

    def possible(self, stored: NDArray[np.integer[Any]]) -> UInt8:
        """Read a stored mask as possible sets.

        Returns:
            The same shape; bit k is set where the pixel can be undercast's class k; 0 where nothing is told,
            and in the margins that the processor itself keeps around clouds.

        Raises:
            EvaluationError: If a value is none of the product's codes.
        """
        sets: UInt8 = self._tables[1][self._checked(stored)]
        return sets

    def _checked(self, stored: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        array = np.asarray(stored)
        if not np.issubdtype(array.dtype, np.integer):
            msg = f"{self.title}: expected integers, got {array.dtype}. Read the mask without scale and resampling."
            raise EvaluationError(msg)
        outside = (array < 0) | (array >= 1 << self.width)
        unknown = outside | ~self._tables[2][np.where(outside, 0, array)]
        if unknown.any():
            came = ", ".join(map(str, np.unique(array[unknown])[:5]))
            msg = (
                f"{self.title}: expected {self._codes()}, got {came}."
                " Is it another product's mask? A fill value must be declared as the file's nodata."
            )
            raise EvaluationError(msg)
        return array

    def _codes(self) -> str:
        codes = np.flatnonzero(self._tables[2])
        if codes.size == 1 << self.width:
            return f"values of {self.width} bits"
        return f"one of {', '.join(map(str, codes))}"


def _any(meaning: str, *bits: int, to: int, possible: int) -> MaskRule:
    """Make a rule for pixels where any of some bits is set."""
    return MaskRule(meaning=meaning, bits=sum(1 << bit for bit in bits), values=None, class_value=to, possible=possible)


def _field(meaning: str, where: tuple[int, int], value: int, *, to: int, possible: int) -> MaskRule:
    """Make a rule for pixels where the bits ``where`` (first and last) hold a value."""
    first, last = where
    bits = (1 << last + 1) - (1 << first)
    return MaskRule(meaning=meaning, bits=bits, values=(value << first,), class_value=to, possible=possible)


def _value(meaning: str, value: int, *, width: int, to: int, possible: int) -> MaskRule:
    """Make a rule for pixels that hold a value."""
    return _field(meaning, (0, width - 1), value, to=to, possible=possible)


def _otherwise(meaning: str, *, possible: int = _CLEAR) -> MaskRule:
    """Make the rule for what is left: clear."""
    return MaskRule(meaning=meaning, bits=0, values=(0,), class_value=CLEAR, possible=possible)


def _codes_of(scheme: str, source: str, *, classes: Mapping[int, int]) -> ProcessorMask:
    """Make the table of a product of plain codes; its possible sets are those of the class scheme."""
    table = load_scheme(scheme)
    names = {scene_class.value: scene_class.name for scene_class in table.classes}
    possible = table.possible_sets(np.arange(256, dtype=np.uint8))
    return ProcessorMask(
        id=scheme,
        title=table.title,
        source=source,
        width=8,
        rules=tuple(
            _value(names.get(code, "nodata"), code, width=8, to=to, possible=int(possible[code]))
            for code, to in classes.items()
        ),
    )


SCL = _codes_of(
    "scl",
    "ESA Sentinel-2 Level-2A product definition, scene classification of Sen2Cor",
    # 1 (saturated or defective) says nothing of clouds; Sen2Cor counts 8, 9 and 10 as cloud, 7 not.
    classes={
        0: NODATA,
        1: NODATA,
        2: CLEAR,
        3: CLOUD_SHADOW,
        4: CLEAR,
        5: CLEAR,
        6: CLEAR,
        7: CLEAR,
        8: THICK_CLOUD,
        9: THICK_CLOUD,
        10: THIN_CLOUD,
        11: CLEAR,
    },
)

FMASK = _codes_of(
    "fmask",
    "GERSL/Fmask 4 and 5; Qiu, Zhu and He 2019, doi 10.1016/j.rse.2019.05.024",
    classes={0: CLEAR, 1: CLEAR, 2: CLOUD_SHADOW, 3: CLEAR, 4: THICK_CLOUD, 255: NODATA},
)

PYTHON_FMASK = _codes_of(
    "python-fmask",
    "ubarsc/python-fmask, output codes",
    classes={0: NODATA, 1: CLEAR, 2: THICK_CLOUD, 3: CLOUD_SHADOW, 4: CLEAR, 5: CLEAR},
)

QA_PIXEL = ProcessorMask(
    id="qa-pixel",
    title="Landsat Collection 2 QA_PIXEL",
    source="USGS Landsat Collection 2 QA_PIXEL; stac-extensions/classification, example item-bitfields-landsat",
    width=16,
    rules=(
        _any("fill", 0, to=NODATA, possible=IGNORE),
        _any("cloud", 3, to=THICK_CLOUD, possible=_CLOUD),
        # A threshold on the band at 1.37 um: it tells the height, not the thickness. Always 0 on TM and ETM+.
        _any("cirrus, high confidence", 2, to=THIN_CLOUD, possible=_CLOUD),
        _any("cloud shadow", 4, to=CLOUD_SHADOW, possible=_SHADOW),
        # The margin that CFMask keeps around clouds: not what it calls cloud, and nothing to judge others by.
        _any("dilated cloud", 1, to=CLEAR, possible=IGNORE),
        _field("cloud, medium confidence", (8, 9), _MEDIUM, to=CLEAR, possible=IGNORE),
        _otherwise("clear, snow and water included"),
    ),
)

BQA_COLLECTION_1 = ProcessorMask(
    id="bqa-c1",
    title="Landsat Collection 1 BQA",
    # Bits 5-6 and 7-8 also in the band table of Google Earth Engine's LANDSAT/LC08/C01/T1_TOA.
    source="USGS Landsat Collection 1 Level-1 quality assessment band; mapbox/rio-l8qa, l8qa/qa.py",
    width=16,
    rules=(
        _any("fill; terrain occlusion (OLI) or dropped pixel (TM, ETM+)", 0, 1, to=NODATA, possible=IGNORE),
        _any("cloud", 4, to=THICK_CLOUD, possible=_CLOUD),
        _field("cirrus, high confidence", (11, 12), _HIGH, to=THIN_CLOUD, possible=_CLOUD),
        _field("cloud shadow, high confidence", (7, 8), _HIGH, to=CLOUD_SHADOW, possible=_SHADOW),
        _field("cloud, medium confidence", (5, 6), _MEDIUM, to=CLEAR, possible=IGNORE),
        _otherwise("clear, snow included"),
    ),
)

BQA_PRE_COLLECTION = ProcessorMask(
    id="bqa-pre",
    title="Landsat-8 pre-collection BQA",
    source="USGS Landsat 8 Data Users Handbook (2015), section 5.4; mapbox/rio-l8qa, l8qa/qa_pre.py",
    width=16,
    rules=(
        _any("fill, dropped frame, terrain occlusion", 0, 1, 2, to=NODATA, possible=IGNORE),
        _field("cloud, high confidence", (14, 15), _HIGH, to=THICK_CLOUD, possible=_CLOUD),
        _field("cirrus, high confidence", (12, 13), _HIGH, to=THIN_CLOUD, possible=_CLOUD),
        _field("cloud, medium confidence", (14, 15), _MEDIUM, to=CLEAR, possible=IGNORE),
        # "Not determined": for clouds the algorithm did not run.
        _field("cloud, not determined", (14, 15), _NOT_DETERMINED, to=NODATA, possible=IGNORE),
        # Bits 6-7 are reserved for shadow and were never filled.
        _otherwise("clear or cloud shadow, snow and water included", possible=_CLEAR | _SHADOW),
    ),
)

MAJA_CLM = ProcessorMask(
    id="maja-clm",
    title="MAJA CLM",
    source="CNES/MAJA product format, CLM; CESBIO multitemp, Theia's Sentinel-2 L2A format",
    width=8,
    rules=(
        _any("mono-temporal or multi-temporal test", 2, 3, to=THICK_CLOUD, possible=_CLOUD),
        _any("high clouds at 1.38 um", 7, to=THIN_CLOUD, possible=_CLOUD),
        _any("clouds, except the thinnest", 1, to=THICK_CLOUD, possible=_CLOUD),
        _any("thinnest clouds", 4, to=THIN_CLOUD, possible=_THIN),
        _any("shadows of clouds inside or outside the scene", 5, 6, to=CLOUD_SHADOW, possible=_SHADOW),
        _any("cloud or shadow", 0, to=THICK_CLOUD, possible=_CLOUD | _SHADOW),
        # CLM has no code for no data: that stands in EDG.
        _otherwise("clear"),
    ),
)

MAJA_MG2 = ProcessorMask(
    id="maja-mg2",
    title="MAJA MG2",
    source="CNES/MAJA product format, MG2; CESBIO multitemp, Theia's Sentinel-2 L2A format",
    width=8,
    rules=(
        _any("clouds", 1, to=THICK_CLOUD, possible=_CLOUD),
        _any("cloud shadows", 3, to=CLOUD_SHADOW, possible=_SHADOW),
        _any("hidden by relief", 5, to=NODATA, possible=IGNORE),
        _otherwise("clear; water, snow, relief's own shadow and low or tangent sun included"),
    ),
)

TAKE5 = ProcessorMask(
    id="take5-nua",
    title="SPOT4 (Take 5) NUA",
    # Not MAJA's CLM: bit 5 is high cloud here, and shadow there.
    source="CESBIO, SPOT4 (Take5) Level-2A format, _NUA file",
    width=8,
    rules=(
        _any("absolute threshold or multi-temporal test", 2, 3, to=THICK_CLOUD, possible=_CLOUD),
        _any("high clouds (Landsat-8)", 5, to=THIN_CLOUD, possible=_CLOUD),
        # Before "clouds": those include the very thin ones here.
        _any("very thin clouds", 4, to=THIN_CLOUD, possible=_THIN),
        _any("clouds", 1, to=THICK_CLOUD, possible=_CLOUD),
        _any("shadows of detected clouds", 6, to=CLOUD_SHADOW, possible=_SHADOW),
        _any("shadows that clouds outside the scene may cast", 7, to=CLOUD_SHADOW, possible=_CLEAR | _SHADOW),
        _any("cloud or shadow", 0, to=THICK_CLOUD, possible=_CLOUD | _SHADOW),
        _otherwise("clear"),
    ),
)

PROBA_V = ProcessorMask(
    id="proba-v-sm",
    title="PROBA-V SM",
    source="PROBA-V Products User Manual, status map; SNAP's PROBA-V reader",
    width=16,
    rules=(
        _field("no band of good quality", (4, 7), 0, to=NODATA, possible=IGNORE),
        _field("clear", (0, 2), 0b000, to=CLEAR, possible=_CLEAR),
        _field("shadow", (0, 2), 0b001, to=CLOUD_SHADOW, possible=_SHADOW),
        _field("cloud", (0, 2), 0b011, to=THICK_CLOUD, possible=_CLOUD),
        _field("snow or ice", (0, 2), 0b100, to=CLEAR, possible=_CLEAR),
        # 010 is "undefined"; 101 to 111 are not used.
        MaskRule(meaning="undefined", bits=0, values=(0,), class_value=NODATA, possible=IGNORE),
    ),
)

SPOT_VGT = ProcessorMask(
    id="spot-vgt-sm",
    title="SPOT-VGT SM",
    # Two bits for clouds and one for snow, where PROBA-V has three for both.
    source="SPOT-VEGETATION user guide, status map of P and S products (vgt.vito.be, FAQ 22); SNAP's SPOT-VGT reader",
    width=8,
    rules=(
        _field("no band of good quality", (4, 7), 0, to=NODATA, possible=IGNORE),
        _field("cloud", (0, 1), 0b11, to=THICK_CLOUD, possible=_CLOUD),
        _field("shadow", (0, 1), 0b01, to=CLOUD_SHADOW, possible=_SHADOW),
        _field("uncertain", (0, 1), 0b10, to=NODATA, possible=IGNORE),
        _otherwise("clear, snow and ice included"),
    ),
)

HLS_FMASK = ProcessorMask(
    id="hls-fmask",
    title="HLS Fmask",
    source="HLS v2.0 user guide, Fmask; Google Earth Engine's NASA/HLS/HLSS30/v002",
    width=8,
    rules=(
        _value("fill", 255, width=8, to=NODATA, possible=IGNORE),
        # Bit 0 (cirrus) is "reserved but not used".
        _any("cloud", 1, to=THICK_CLOUD, possible=_CLOUD),
        _any("cloud shadow", 3, to=CLOUD_SHADOW, possible=_SHADOW),
        _any("next to cloud or shadow", 2, to=CLEAR, possible=IGNORE),
        _otherwise("clear, snow and water included"),
    ),
)

PROCESSORS: dict[str, ProcessorMask] = {
    product.id: product
    for product in (
        *(SCL, QA_PIXEL, BQA_COLLECTION_1, BQA_PRE_COLLECTION, FMASK, PYTHON_FMASK, HLS_FMASK),
        *(MAJA_CLM, MAJA_MG2, TAKE5, PROBA_V, SPOT_VGT),
    )
}
"""Name on the command line -> how the product writes its mask."""


def find_processor(name: str) -> ProcessorMask:
    """Find a product's mask by name.

    Raises:
        SchemeError: If there is no such product.
    """
    if name not in PROCESSORS:
        msg = f"processor mask {name!r} is not known. Known: {', '.join(PROCESSORS)}"
        raise SchemeError(msg)
    return PROCESSORS[name]


def take5_has_data(div: NDArray[np.integer[Any]]) -> Bool:
    """Tell where a SPOT4 (Take 5) scene has data: bit 0 of its ``_DIV`` file is not set.

    The other bits of ``_DIV`` (1 water, 2 snow, 3 sun too low) say nothing of clouds.
    """
    has_data: Bool = (np.asarray(div) & 1) == 0
    return has_data


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProcessorPredictor:
    """A processor's own masks as the predictions of a competitor."""

    product: ProcessorMask
    """How the product writes its mask."""
    masks: Path | Mapping[str, NDArray[np.integer[Any]]]
    """Folder of rasters named as the scenes (with any of ``suffixes``), or an array for each scene's name."""
    suffixes: tuple[str, ...] = (".tif", ".TIF", ".tiff", ".jp2", ".img", ".hdf")
    """Ends of the rasters' names, in the order in which they are tried."""
    band: int = 1
    """Band of the raster that holds the mask."""

    @property
    def identity(self) -> dict[str, Any]:
        """Which processor it is, for the report."""
        return {
            "id": self.product.id,
            "version": "",
            "kind": "processor",
            "checksums": [],
            "options": {"title": self.product.title, "codes": self.product.source},
        }

    def predict(self, reference: ReferenceScene) -> Predicted:
        """Read the mask that the processor gave a scene.

        Raises:
            SceneError: If the scene has no mask, or its file cannot be read.
            GridError: If the mask has not the scene's shape.
            EvaluationError: If it holds values that the product does not know.
        """
        stored, given = self._stored(reference.name)
        shape = reference.scene.grid.shape
        if stored.shape != shape:
            msg = f"{self.product.title} of {reference.name}: expected shape {shape}, got {stored.shape}."
            raise GridError(msg)
        class_map = np.full(shape, NODATA, np.uint8)
        class_map[given] = self.product.decode(stored[given])
        return Predicted(class_map=class_map)

    def _stored(self, name: str) -> tuple[NDArray[np.integer[Any]], Bool]:
        """Give a scene's stored mask, and where the file does not declare it as nodata."""
        if isinstance(self.masks, Path):
            return read_mask(_find_mask(self.masks, name, self.suffixes), band=self.band)
        if name not in self.masks:
            msg = f"{self.product.title}: expected a mask for each scene, got none for {name}."
            raise SceneError(msg)
        stored = np.asarray(self.masks[name])
        return stored, np.ones(stored.shape, np.bool_)


def _find_mask(folder: Path, name: str, suffixes: Sequence[str]) -> Path:
    for suffix in suffixes:
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return path
    msg = f"expected a mask {folder / name} with one of {', '.join(suffixes)}, got none. Name masks as the scenes."
    raise SceneError(msg)


def read_mask(path: Path, *, band: int = 1) -> tuple[NDArray[np.integer[Any]], Bool]:
    """Read a stored mask, and where the file does not declare it as nodata.

    Raises:
        SceneError: If the file cannot be read.
    """
    try:
        with rasterio.open(path) as raster:
            return raster.read(band), raster.read_masks(band) != 0
    except (RasterioError, IndexError) as error:
        msg = f"expected a raster with a mask in band {band} at {path}, got: {error}."
        raise SceneError(msg) from error
