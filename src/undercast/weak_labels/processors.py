"""Processors: the codes in which existing processing chains write their masks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.classes import CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD
from undercast.errors import SchemeError
from undercast.types import NODATA, Bool
from undercast.weak_labels.rules import (
    CLEAR_SET,
    CLOUD_SET,
    EVERYTHING,
    IGNORE,
    OPEN,
    SHADOW_SET,
    THIN_SET,
    ProcessorMask,
    any_bit,
    bit_field,
    numbers,
    otherwise,
    plain_codes,
    rule,
)

_HIGH = 3
_MEDIUM = 2
_NOT_DETERMINED = 0

S2CLOUDLESS_CLEAR = 0.4
"""Probability below which a pixel is clear: the library's own threshold."""
S2CLOUDLESS_CLOUD = 0.65
"""Probability from which it is cloud: the threshold in Earth Engine's example. What lies between is left open."""

SCL = plain_codes(
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

FMASK = plain_codes(
    "fmask",
    "GERSL/Fmask 4 and 5; Qiu, Zhu and He 2019, doi 10.1016/j.rse.2019.05.024",
    classes={0: CLEAR, 1: CLEAR, 2: CLOUD_SHADOW, 3: CLEAR, 4: THICK_CLOUD, 255: NODATA},
)

PYTHON_FMASK = plain_codes(
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
        rule("fill", any_bit(0), to=NODATA, possible=IGNORE),
        rule("cloud", any_bit(3), to=THICK_CLOUD, possible=CLOUD_SET),
        # A threshold on the band at 1.37 um: it tells the height, not the thickness. Always 0 on TM and ETM+.
        rule("cirrus, high confidence", any_bit(2), to=THIN_CLOUD, possible=CLOUD_SET),
        rule("cloud shadow", any_bit(4), to=CLOUD_SHADOW, possible=SHADOW_SET),
        # The margin that CFMask keeps around clouds: not what it calls cloud, and nothing to judge others by.
        rule("dilated cloud", any_bit(1), to=CLEAR, possible=IGNORE),
        rule("cloud, medium confidence", bit_field(8, 9, _MEDIUM), to=CLEAR, possible=OPEN),
        otherwise("clear, snow and water included"),
    ),
)

BQA_COLLECTION_1 = ProcessorMask(
    id="bqa-c1",
    title="Landsat Collection 1 BQA",
    # Bits 5-6 and 7-8 also in the band table of Google Earth Engine's LANDSAT/LC08/C01/T1_TOA.
    source="USGS Landsat Collection 1 Level-1 quality assessment band; mapbox/rio-l8qa, l8qa/qa.py",
    width=16,
    rules=(
        rule("fill; terrain occlusion (OLI) or dropped pixel (TM, ETM+)", any_bit(0, 1), to=NODATA, possible=IGNORE),
        rule("cloud", any_bit(4), to=THICK_CLOUD, possible=CLOUD_SET),
        rule("cirrus, high confidence", bit_field(11, 12, _HIGH), to=THIN_CLOUD, possible=CLOUD_SET),
        rule("cloud shadow, high confidence", bit_field(7, 8, _HIGH), to=CLOUD_SHADOW, possible=SHADOW_SET),
        rule("cloud, medium confidence", bit_field(5, 6, _MEDIUM), to=CLEAR, possible=OPEN),
        otherwise("clear, snow included"),
    ),
)

BQA_PRE_COLLECTION = ProcessorMask(
    id="bqa-pre",
    title="Landsat-8 pre-collection BQA",
    source="USGS Landsat 8 Data Users Handbook (2015), section 5.4; mapbox/rio-l8qa, l8qa/qa_pre.py",
    width=16,
    rules=(
        rule("fill, dropped frame, terrain occlusion", any_bit(0, 1, 2), to=NODATA, possible=IGNORE),
        rule("cloud, high confidence", bit_field(14, 15, _HIGH), to=THICK_CLOUD, possible=CLOUD_SET),
        rule("cirrus, high confidence", bit_field(12, 13, _HIGH), to=THIN_CLOUD, possible=CLOUD_SET),
        rule("cloud, medium confidence", bit_field(14, 15, _MEDIUM), to=CLEAR, possible=OPEN),
        # "Not determined": for clouds the algorithm did not run.
        rule("cloud, not determined", bit_field(14, 15, _NOT_DETERMINED), to=NODATA, possible=OPEN),
        # Bits 6-7 are reserved for shadow and were never filled.
        otherwise("clear or cloud shadow, snow and water included", possible=CLEAR_SET | SHADOW_SET),
    ),
)

MAJA_CLM = ProcessorMask(
    id="maja-clm",
    title="MAJA CLM",
    source="CNES/MAJA product format, CLM; CESBIO multitemp, Theia's Sentinel-2 L2A format",
    width=8,
    rules=(
        rule("mono-temporal or multi-temporal test", any_bit(2, 3), to=THICK_CLOUD, possible=CLOUD_SET),
        rule("high clouds at 1.38 um", any_bit(7), to=THIN_CLOUD, possible=CLOUD_SET),
        rule("clouds, except the thinnest", any_bit(1), to=THICK_CLOUD, possible=CLOUD_SET),
        rule("thinnest clouds", any_bit(4), to=THIN_CLOUD, possible=THIN_SET),
        rule("shadows of clouds inside or outside the scene", any_bit(5, 6), to=CLOUD_SHADOW, possible=SHADOW_SET),
        rule("cloud or shadow", any_bit(0), to=THICK_CLOUD, possible=CLOUD_SET | SHADOW_SET),
        # CLM has no code for no data: that stands in EDG.
        otherwise("clear"),
    ),
)

MAJA_CLD = ProcessorMask(
    id="maja-cld",
    title="MAJA CLD (native format)",
    # The same masks as in CLM, in another order.
    source="CNES/MAJA, orchestrator/plugins: CLDDataBandsSelected; CESBIO multitemp, MAJA's native Sentinel-2 format",
    width=8,
    rules=(
        rule("mono-temporal or multi-temporal test", any_bit(4, 5), to=THICK_CLOUD, possible=CLOUD_SET),
        rule("high clouds at 1.38 um (VENUS: seen in stereo)", any_bit(7), to=THIN_CLOUD, possible=CLOUD_SET),
        rule("clouds, except the thinnest", any_bit(1), to=THICK_CLOUD, possible=CLOUD_SET),
        rule("thinnest clouds", any_bit(6), to=THIN_CLOUD, possible=THIN_SET),
        rule("shadows of clouds inside or outside the scene", any_bit(2, 3), to=CLOUD_SHADOW, possible=SHADOW_SET),
        rule("cloud or shadow", any_bit(0), to=THICK_CLOUD, possible=CLOUD_SET | SHADOW_SET),
        otherwise("clear"),
    ),
)

MAJA_MG2 = ProcessorMask(
    id="maja-mg2",
    title="MAJA MG2",
    source="CNES/MAJA product format, MG2; CESBIO multitemp, Theia's Sentinel-2 L2A format",
    width=8,
    rules=(
        rule("clouds", any_bit(1), to=THICK_CLOUD, possible=CLOUD_SET),
        rule("cloud shadows", any_bit(3), to=CLOUD_SHADOW, possible=SHADOW_SET),
        rule("hidden by relief", any_bit(5), to=NODATA, possible=IGNORE),
        otherwise("clear; water, snow, relief's own shadow and low or tangent sun included"),
    ),
)

TAKE5 = ProcessorMask(
    id="take5-nua",
    title="SPOT4 (Take 5) NUA",
    # Not MAJA's CLM: bit 5 is high cloud here, and shadow there.
    source="CESBIO, SPOT4 (Take5) Level-2A format, _NUA file",
    width=8,
    rules=(
        rule("absolute threshold or multi-temporal test", any_bit(2, 3), to=THICK_CLOUD, possible=CLOUD_SET),
        rule("high clouds (Landsat-8)", any_bit(5), to=THIN_CLOUD, possible=CLOUD_SET),
        # Before "clouds": those include the very thin ones here.
        rule("very thin clouds", any_bit(4), to=THIN_CLOUD, possible=THIN_SET),
        rule("clouds", any_bit(1), to=THICK_CLOUD, possible=CLOUD_SET),
        rule("shadows of detected clouds", any_bit(6), to=CLOUD_SHADOW, possible=SHADOW_SET),
        rule(
            "shadows that clouds outside the scene may cast",
            any_bit(7),
            to=CLOUD_SHADOW,
            possible=CLEAR_SET | SHADOW_SET,
        ),
        rule("cloud or shadow", any_bit(0), to=THICK_CLOUD, possible=CLOUD_SET | SHADOW_SET),
        otherwise("clear"),
    ),
)

PROBA_V = ProcessorMask(
    id="proba-v-sm",
    title="PROBA-V SM",
    source="PROBA-V Products User Manual, status map; SNAP's PROBA-V reader",
    width=16,
    rules=(
        rule("no band of good quality", bit_field(4, 7, 0), to=NODATA, possible=IGNORE),
        rule("clear", bit_field(0, 2, 0b000), to=CLEAR, possible=CLEAR_SET),
        rule("shadow", bit_field(0, 2, 0b001), to=CLOUD_SHADOW, possible=SHADOW_SET),
        rule("cloud", bit_field(0, 2, 0b011), to=THICK_CLOUD, possible=CLOUD_SET),
        rule("snow or ice", bit_field(0, 2, 0b100), to=CLEAR, possible=CLEAR_SET),
        # 010 is "undefined"; 101 to 111 are not used.
        rule("undefined", EVERYTHING, to=NODATA, possible=OPEN),
    ),
)

SPOT_VGT = ProcessorMask(
    id="spot-vgt-sm",
    title="SPOT-VGT SM",
    # Two bits for clouds and one for snow, where PROBA-V has three for both.
    source="SPOT-VEGETATION user guide, status map of P and S products (vgt.vito.be, FAQ 22); SNAP's SPOT-VGT reader",
    width=8,
    rules=(
        rule("no band of good quality", bit_field(4, 7, 0), to=NODATA, possible=IGNORE),
        rule("cloud", bit_field(0, 1, 0b11), to=THICK_CLOUD, possible=CLOUD_SET),
        rule("shadow", bit_field(0, 1, 0b01), to=CLOUD_SHADOW, possible=SHADOW_SET),
        rule("uncertain", bit_field(0, 1, 0b10), to=NODATA, possible=OPEN),
        otherwise("clear, snow and ice included"),
    ),
)

HLS_FMASK = ProcessorMask(
    id="hls-fmask",
    title="HLS Fmask",
    source="HLS v2.0 user guide, Fmask; Google Earth Engine's NASA/HLS/HLSS30/v002",
    width=8,
    rules=(
        rule("fill", numbers(255), to=NODATA, possible=IGNORE),
        # Bit 0 (cirrus) is "reserved but not used".
        rule("cloud", any_bit(1), to=THICK_CLOUD, possible=CLOUD_SET),
        rule("cloud shadow", any_bit(3), to=CLOUD_SHADOW, possible=SHADOW_SET),
        rule("next to cloud or shadow", any_bit(2), to=CLEAR, possible=IGNORE),
        otherwise("clear, snow and water included"),
    ),
)

S2_CLASSI = ProcessorMask(
    id="s2-classi",
    title="Sentinel-2 L1C MSK_CLASSI",
    source="ESA Sentinel-2 product specification, MSK_CLASSI_B00 from baseline 04.00 on: opaque clouds, cirrus, snow",
    width=3,
    layers=3,
    rules=(
        rule("opaque clouds", any_bit(0), to=THICK_CLOUD, possible=CLOUD_SET),
        rule("cirrus", any_bit(1), to=THIN_CLOUD, possible=CLOUD_SET),
        # No data stands in MSK_DETFOO.
        otherwise("clear or cloud shadow, snow included", possible=CLEAR_SET | SHADOW_SET),
    ),
)


def _probability(name: str, title: str, *, most: int, fractions: bool = False) -> ProcessorMask:
    """Make the table of s2cloudless' probability of cloud, stored as 0 to ``most``; it knows no shadow."""
    clear_to, cloud_from = (math.ceil(share * most) for share in (S2CLOUDLESS_CLEAR, S2CLOUDLESS_CLOUD))
    return ProcessorMask(
        id=name,
        title=title,
        source="sentinel-hub/sentinel2-cloud-detector; COPERNICUS/S2_CLOUD_PROBABILITY; Sentinel Hub's CLP",
        width=8,
        fractions=fractions,
        rules=(
            rule("cloud", numbers(*range(cloud_from, most + 1)), to=THICK_CLOUD, possible=CLOUD_SET),
            rule("unsure", numbers(*range(clear_to, cloud_from)), to=THICK_CLOUD, possible=OPEN),
            rule("clear or shadow", numbers(*range(clear_to)), to=CLEAR, possible=CLEAR_SET | SHADOW_SET),
        ),
    )


S2CLOUDLESS = _probability("s2cloudless", "s2cloudless probability, 0 to 1", most=100, fractions=True)
S2CLOUDLESS_PERCENT = _probability("s2cloudless-percent", "s2cloudless probability in percent", most=100)
S2CLOUDLESS_BYTE = _probability("s2cloudless-byte", "s2cloudless probability, 0 to 255 (CLP)", most=255)

PROCESSORS: dict[str, ProcessorMask] = {
    product.id: product
    for product in (
        *(SCL, QA_PIXEL, BQA_COLLECTION_1, BQA_PRE_COLLECTION, FMASK, PYTHON_FMASK, HLS_FMASK),
        *(MAJA_CLM, MAJA_CLD, MAJA_MG2, TAKE5, PROBA_V, SPOT_VGT),
        *(S2_CLASSI, S2CLOUDLESS, S2CLOUDLESS_PERCENT, S2CLOUDLESS_BYTE),
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
