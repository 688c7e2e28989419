"""Tags: what a GeoTIFF says about the run that made it."""

from __future__ import annotations

from undercast import __version__
from undercast.prediction import PredictionHeader
from undercast.writers.outputs import OutputOptions
from undercast.writers.tally import Tally


def dataset_tags(header: PredictionHeader, tally: Tally, options: OutputOptions) -> dict[str, str]:
    """Describe the run as GDAL tags.

    They hold no time, so that the same pixels and options give the same bytes.

    Returns:
        Tag -> text of one line; what is not known has no tag.
    """
    model = header.model
    tags = {
        "TIFFTAG_SOFTWARE": f"undercast {__version__}",
        "UNDERCAST_VERSION": __version__,
        "UNDERCAST_SCENE": header.scene,
        "UNDERCAST_MODEL": f"{model.id} {model.version}",
        "UNDERCAST_CHECKSUMS": ",".join(model.checksums),
        "UNDERCAST_UNVERIFIED": "" if model.verified else "YES",
        "UNDERCAST_ASSUMPTIONS": " | ".join(model.assumptions),
        "UNDERCAST_AGGREGATION": header.aggregation,
        "UNDERCAST_UNCERTAINTY": header.uncertainty_kind,
        "UNDERCAST_THRESHOLDS": _pairs({name: f"{value:g}" for name, value in header.thresholds.items()}),
        "UNDERCAST_TTA": header.tta,
        "UNDERCAST_PRECISION": header.precision,
        "UNDERCAST_BANDS": _pairs(dict(header.bands)),
        "UNDERCAST_ABSENT_BANDS": ",".join(header.absent),
        "UNDERCAST_POSTPROCESSING": _pairs(dict(header.postprocessing)),
        "UNDERCAST_SCHEME": options.scheme.id,
        "UNDERCAST_WARNINGS": " | ".join(header.warnings),
        "UNDERCAST_COMMAND": options.command or "",
        "UNDERCAST_VALID_PERCENT": f"{tally.valid_percent:.4f}",
        "UNDERCAST_PARTLY_VALID": str(tally.partly_valid),
    }
    if tally.valid:
        for name, percent in tally.percent.items():
            tags[f"UNDERCAST_PERCENT_{name.upper()}"] = f"{percent:.4f}"
    return {key: one_line(text) for key, text in tags.items() if text}


def one_line(text: str) -> str:
    """Replace line ends and characters that XML cannot hold by blanks."""
    return "".join(char if char.isprintable() else " " for char in text)


def _pairs(table: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in table.items())
