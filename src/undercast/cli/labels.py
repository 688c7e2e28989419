"""`undercast labels`: possible sets from the masks of processors, and what several of them agree on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from undercast.cli.app import version
from undercast.cli.printing import print_json, print_pairs, print_table


@click.group(name="labels")
def command() -> None:
    """Turn processors' masks into weak labels, and combine them."""


_output = click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="GeoTIFF to write; a .json goes beside it."
)
_overwrite = click.option("--overwrite", is_flag=True, help="Replace files that exist.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@command.command(name="processors")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def processors_command(as_json: bool) -> None:
    """List the processors whose masks can be imported, and what each is known to get wrong."""
    from undercast.weak_labels.failings import FAILINGS
    from undercast.weak_labels.processors import PROCESSORS

    known = {name: [each for each in FAILINGS.values() if name in each.codes] for name in PROCESSORS}
    if as_json:
        rows = [
            {
                "id": product.id,
                "title": product.title,
                "codes": product.source,
                "failings": [
                    {"id": each.id, "meaning": each.meaning, "source": each.source} for each in known[product.id]
                ],
            }
            for product in PROCESSORS.values()
        ]
        print_json(rows)
        return
    print_table(
        ("processor", "mask", "--leave-open"),
        [(name, product.title, " ".join(each.id for each in known[name])) for name, product in PROCESSORS.items()],
    )
    click.echo()
    print_pairs((name, f"{failing.meaning} [{failing.source}]") for name, failing in FAILINGS.items())


@command.command(name="import")
@click.argument("mask")
@click.option("--processor", required=True, metavar="ID", help="Who made the mask; see `undercast labels processors`.")
@_output
@click.option(
    "--leave-open",
    "failings",
    multiple=True,
    metavar="ID",
    help="What the processor is known to get wrong is left open; repeatable, or all.",
)
@click.option(
    "--erode",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    metavar="M",
    help="Ignore pixels nearer than this many metres to a contrary label.",
)
@click.option(
    "--ignore",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Ignore a zone: polygons (GeoJSON in degrees), or a raster that is not 0 there; repeatable.",
)
@click.option("--band", type=click.IntRange(min=1), default=1, show_default=True, help="Layer that holds the mask.")
@click.option("--gsd", type=float, metavar="M", help="Side of a pixel in metres, where the mask has no CRS.")
@_overwrite
@_json
def import_command(
    mask: str,
    processor: str,
    output: Path,
    failings: tuple[str, ...],
    erode: float,
    ignore: tuple[Path, ...],
    band: int,
    gsd: float | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Turn the MASK of a processor into possible sets.

    A pixel's set holds the classes that it can be (bits: 1 clear, 2 thick cloud, 4 thin cloud, 8 cloud shadow).
    What the processor cannot tell apart stays open, 15 where it cannot tell anything; 0 is ignored.
    """
    from undercast.weak_labels.importing import ImportOptions, import_file

    options = ImportOptions(failings=failings, erode_m=erode, ignore=ignore, band=band, gsd=gsd)
    notes = import_file(mask, output, processor, options, software=_software(), overwrite=overwrite)
    _print_notes(notes, output, as_json=as_json)


@command.command(name="consensus")
@click.argument("labels", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="LABELS...")
@_output
@click.option(
    "--rule",
    type=click.Choice(["intersect", "majority"]),
    default="intersect",
    show_default=True,
    help="Ignore contradictions, or follow more than half of those who say something.",
)
@_overwrite
@_json
def consensus_command(labels: tuple[Path, ...], output: Path, rule: Any, overwrite: bool, as_json: bool) -> None:
    """Combine LABELS of several processors, and say how far they agree.

    Labels on other grids are brought to that of the first. The .json beside the output holds, for each pair, the share
    of pixels that are compatible, Cohen's kappa, and both for each class.
    """
    from undercast.weak_labels.combining import consensus_files
    from undercast.weak_labels.label_files import open_labels

    sources = [open_labels(path) for path in labels]
    notes = consensus_files(sources, output, rule, software=_software(), overwrite=overwrite)
    _print_notes(notes, output, as_json=as_json)
    if not as_json:
        click.echo()
        print_table(
            ("agreement", "compatible", "kappa", *(f"kappa {name}" for name in _CLASSES)),
            [
                (
                    " / ".join(row["between"]),
                    _figure(row["compatible"]),
                    _figure(row["kappa"]),
                    *(_figure(row["classes"][name]["kappa"]) for name in _CLASSES),
                )
                for row in notes["agreement"]
            ],
        )


_CLASSES = ("clear", "cloud", "cloud_shadow")


def _software() -> str:
    return f"undercast {version()}"


def _print_notes(notes: Mapping[str, Any], output: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(notes)
        return
    whole = sum(notes["pixels"].values())
    click.echo(f"{output}  ({notes['made_by']})")
    print_pairs((name.replace("_", " "), f"{100 * count / whole:.1f} %") for name, count in notes["pixels"].items())


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
