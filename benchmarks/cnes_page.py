"""The page of the experiment of the CloudDL slides: its tables, its plot and what they say of the aims.

python benchmarks/cnes_page.py OUT/cnes.json docs
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from undercast.reports.charts import Scale, ticks
from undercast.reports.markup import Markup, element, join

NAME = "experiment-cnes"
COLOURS = {"relief": "#b2182b", "flat": "#2166ac"}
"""Stratum -> colour of the plot."""
FOUR = {
    "Sentinel-2, without DEM": 88,
    "Sentinel-2, with DEM": 90,
    "SPOT, adapted, without DEM": 85,
    "SPOT, adapted, with DEM": 89,
}
"""Rows that have a counterpart on the slides, and its figure."""
GAIN, LOSS, REAL = 1.0, 3.0, 90.0
"""Aims, in points of F2: gain by the DEM on relief, largest loss on SPOT, figure of the real scene."""


def told(given: Mapping[str, Any], *, signed: bool = False, digits: int = 1) -> str:
    """Write a figure in points."""
    sign = "+" if signed else ""
    value, ends = 100 * given["value"], given["interval"]
    inside = "" if ends is None else f" [{100 * ends[0]:{sign}.{digits}f}, {100 * ends[1]:{sign}.{digits}f}]"
    return f"{value:{sign}.{digits}f}{inside}"


def table(title: str, values: Mapping[str, Mapping[str, Any]], *, signed: bool = False) -> str:
    """Write figures by stratum as Markdown."""
    strata = list(next(iter(values.values())))
    lines = [f"| {title} | {' | '.join(strata)} |", f"|---|{'---|' * len(strata)}"]
    for name, row in values.items():
        lines.append(f"| {name} | {' | '.join(told(row[stratum], signed=signed) for stratum in strata)} |")
    return "\n".join(lines)


def chart(values: Mapping[str, Mapping[str, Any]]) -> Markup:
    """Draw figures with their intervals."""
    ends = [end for row in values.values() for stratum in COLOURS for end in row[stratum]["interval"] or ()]
    low, high = np.floor(100 * min(ends)), np.ceil(100 * max(ends))
    scale, step = Scale(low=low, high=high, start=300, end=720), 26
    bottom = 40 + step * len(values)
    parts = []
    for tick in ticks(low, high, 8):
        x = scale(tick)
        parts += [
            element("line", x1=x, x2=x, y1=28, y2=bottom, stroke="#ddd"),
            element("text", f"{tick:g}", x=x, y=bottom + 16, text_anchor="middle"),
        ]
    for number, (stratum, colour) in enumerate(COLOURS.items()):
        parts += [
            element("circle", cx=310 + 110 * number, cy=14, r=4, fill=colour),
            element("text", stratum, x=320 + 110 * number, y=18),
        ]
    for number, (name, row) in enumerate(values.items()):
        y = 44 + step * number
        parts.append(element("text", name, x=290, y=y + 4, text_anchor="end"))
        for place, (stratum, colour) in enumerate(COLOURS.items()):
            value = row[stratum]["value"]
            first, last = row[stratum]["interval"] or (value, value)
            at = y - 4 + 8 * place
            line = {"x1": scale(100 * first), "x2": scale(100 * last), "y1": at, "y2": at}
            parts += [
                element("line", **line, stroke=colour, stroke_width=2),
                element("circle", cx=scale(100 * value), cy=at, r=3.5, fill=colour),
            ]
    parts.append(
        element("text", "cloud F2, points; lines: 95 % over scenes", x=510, y=bottom + 34, text_anchor="middle")
    )
    return element(
        "svg",
        element("rect", width="100%", height="100%", fill="#fff"),
        join(parts),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 740 {bottom + 44}",
        width=740,
        height=bottom + 44,
        font_family="sans-serif",
        font_size=12,
    )


def aims(figures: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Hold the figures against the aims: the aim, what was found, and whether it was reached."""
    differences = figures["cloud_differences"]

    def row(aim: str, found: Mapping[str, Any], least: float, *, signed: bool = True) -> tuple[str, str, str]:
        ends = found["interval"] or (found["value"],) * 2
        reached = "yes" if 100 * found["value"] >= least else "no"
        unsure = 100 * ends[0] < least <= 100 * ends[1]
        return aim, told(found, signed=signed, digits=2), reached + (", the interval holds both" if unsure else "")

    for sensor in ("Sentinel-2", "SPOT adapted"):
        for stratum in ("relief", "steep"):
            gained = differences[f"DEM, {sensor}"][stratum]
            yield row(f"the DEM gains {GAIN:g} point or more, {stratum}, {sensor}", gained, GAIN)
    for which in ("without DEM", "with DEM"):
        lost = differences[f"SPOT adapted - Sentinel-2, {which}"]["all"]
        yield row(f"SPOT loses at most {LOSS:g} points, {which}", lost, -LOSS)
        for other in ("unadapted", "from scratch"):
            yield row(f"adapted beats {other}, {which}", differences[f"adapted - {other}, {which}"]["all"], 0.0)
    if "real" in figures:
        found = figures["real"]["SPOT's bands, adapted"]["cloud F2"]
        yield row(f"Landsat-7 scene: {REAL:g} or more, SPOT's bands, adapted", found, REAL, signed=False)
        for other in ("unadapted", "from scratch"):
            beaten = found["value"] - figures["real"][f"SPOT's bands, {other}"]["cloud F2"]["value"]
            yield row(f"Landsat-7 scene: adapted beats {other}", {"value": beaten, "interval": None}, 0.0)


def page(figures: Mapping[str, Any]) -> str:
    """Write the page."""
    size, scenes = figures["experiment"], figures["scenes"]
    four = "\n".join(
        f"| {name} | {told(figures['cloud_f2'][name]['all'])} | {told(figures['cloud_f2'][name]['relief'])} | {slide} |"
        for name, slide in FOUR.items()
    )
    verdicts = "\n".join(f"| {aim} | {found} | {reached} |" for aim, found, reached in aims(figures))
    return f"""# From Sentinel-2 to SPOT, with and without elevation

The experiment of CNES's slides on transfer learning between optical sensors (CloudDL), with what we have. **Scenes,
elevation and masks of processors are simulated**, because no real scenes with elevation and labels were at hand; the
last table is of real Landsat data, without elevation. One run, seed {figures["seed"]}. Points are cloud F2 x 100 (thick
and thin cloud together), with 95 % intervals over scenes; written by `make experiment-cnes`.

## What was done

1. {size["train"]} scenes of {size["size"]} px a side at {size["gsd"]:g} m are simulated, as Sentinel-2 sees them in
   blue, green, red, near and short-wave infrared, with the elevation of their ground. Half are relief: a mean slope
   of 16 % (9 degrees) or more, hilly and steep land in FAO's classes; "steep" are those of 30 % or more. Clouds meet
   the ground: ridges stand out of low ones, fog fills valleys, half of the cumulus lies over crests. So does what
   covers it: snow and bare rock lie above forest, fields and towns below it, and water is level.
2. Their labels are not the truth but what MAJA and Fmask would have said: thinnest clouds missed, cloud over snow
   called snow, bright ground called cloud, dark slopes called shadow, masks widened or made of 240 m blocks
   (`training/processor_like.py`). Both are read as [weak labels](how-to/weak-labels.md): known failings stay open,
   borders are ignored, and a pixel counts where both agree.
3. A small network learns from them with bands alone. From its weights two go on for {size["dem_steps"]} steps: one
   with bands alone, one with [elevation, slope and the sun's angle on the ground](how-to/elevation.md), which is
   hidden from it at times.
4. Both are adapted to SPOT-4 and SPOT-5 (no blue): bands matched by wavelength, then {size["adapted_steps"]} steps on
   {size["target"]} SPOT scenes with references ({100 * size["references"]:g} % of each batch) and on the Sentinel-2
   scenes as SPOT would see them, with the labels that the network gives to what Sentinel-2 sees; then their weights are
   averaged with those before (Wortsman et al. 2022). Beside it: no adaptation, and a network from random weights on the
   {size["target"]} scenes alone ({size["scratch_steps"]} steps).
5. {scenes["all"]} other scenes judge ({scenes["relief"]} relief, of these {scenes["steep"]} steep), with exact
   references; each scene is seen by both sensors. Thresholds, on cloud and then on shadow beside it, are the best
   for F2 on {size["tune"]} further ones: 0.01 to 0.70 in steps of 0.01, and 60 of 0.0005 to 0.5.

## The four numbers

| | all | relief | slides |
|---|---|---|---|
{four}

The slides' figures are of real scenes: only the differences can be compared.

## What was aimed at

| aim | found | reached |
|---|---|---|
{verdicts}

## All figures

![Cloud F2 of every way of masking, on relief and elsewhere]({NAME}.svg)

{table("cloud F2", figures["cloud_f2"])}

{table("difference of cloud F2", figures["cloud_differences"], signed=True)}

"Same network" is the network with DEM, given it and not given it.

{table("shadow F2", figures["shadow_f2"])}

{table("difference of shadow F2", figures["shadow_differences"], signed=True)}
{_real(figures)}
## What this does not say

- The simulated DEM is exact and its shading is that of the image; real ones are coarser, shifted and older than the
  scene.
- How often fog fills a valley (15 % of the scenes among hills), how often cumulus lies over crests and how strictly
  snow and rock lie above the rest is assumed, not measured.
- Labels err as we assume that processors do: the rates stand beside the constants and are not measured on any archive.
- The networks are small and learn for minutes; figures of the models that ship stand in their cards.
- The intervals are over scenes. Another seed gives other weights; that spread is not in them, and is about half a point
  on relief ([experiments](experiments.md), "What a DEM tells").
"""


def _real(figures: Mapping[str, Any]) -> str:
    if "real" not in figures:
        return ""
    rows = table("Landsat-7 scene", figures["real"])
    steps, share = figures["experiment"]["landsat_steps"], 100 * figures["experiment"]["landsat"]
    adapted = figures["experiment"]["landsat_adapted_steps"]
    return f"""
## Real data

The network of bands alone goes on with the Landsat-8 Biome chips ({share:g} % of each batch, {steps} steps; the rest
are the simulated scenes) and is adapted to SPOT's bands with the same chips as SPOT would see them (`undercast
simulate --from`, {adapted} steps; half of them saturate, as its detectors of 8 bits can; weights averaged as above);
the Landsat-7 scene judges.
Its intervals are over 16 parts of one scene and say nothing of others.
Thresholds are the best for F2 on the chips, each judged by a network that has not seen it (four folds): the first
column is cloud F2 there. The third is what the best of all thresholds would give on the scene, chosen on the scene
itself: no result, but how far a threshold could carry.

{rows}
"""


def write_page(figures: Mapping[str, Any], folder: Path) -> None:
    """Write the page and its plot into a folder."""
    (folder / f"{NAME}.md").write_text(page(figures), "utf-8")
    (folder / f"{NAME}.svg").write_text(chart(figures["cloud_f2"]) + "\n", "utf-8")


def main() -> None:
    """Write the page of a run that is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path, help="cnes.json of a run")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    write_page(json.loads(given.figures.read_text("utf-8")), given.folder)


if __name__ == "__main__":
    main()
