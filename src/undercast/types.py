"""Closed sets and array aliases used across the package."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

Float32: TypeAlias = NDArray[np.float32]
Bool: TypeAlias = NDArray[np.bool_]
UInt8: TypeAlias = NDArray[np.uint8]

ProductLevel = Literal["toa", "surface"]
"""Top-of-atmosphere or surface reflectance."""
PRODUCT_LEVELS: tuple[ProductLevel, ...] = get_args(ProductLevel)

Aggregation = Literal["mean", "median", "max", "min", "vote"]
"""How the members' probabilities become one."""
AGGREGATIONS: tuple[Aggregation, ...] = get_args(Aggregation)

UncertaintyKind = Literal["std", "entropy", "decision", "mutual_information", "disagreement"]
"""Which uncertainty is meant; see ``inference.ensemble``."""
UNCERTAINTY_KINDS: tuple[UncertaintyKind, ...] = get_args(UncertaintyKind)

Precision = Literal["f32", "bf16", "f16"]
"""Numbers that a network computes with."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

TerrainLayer = Literal["elevation", "slope", "sun_cosine"]
"""What a model can be told of the ground's shape; see ``terrain``."""
TERRAIN_LAYERS: tuple[TerrainLayer, ...] = get_args(TerrainLayer)

Compression = Literal["deflate", "zstd", "lzw", "none"]
"""Compression of GeoTIFFs; none of them loses anything."""
COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)

NODATA = 255
"""Stored value of a pixel without data in every class map that undercast writes by default."""

FEW_PIXELS = 8
"""Scenes with a side below this are refused: no network can judge them."""
