"""The page of what peers.py measured: a table and a plot, with the machine and its load before the runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any
from xml.sax.saxutils import escape

OURS = {"embedded": "undercast-20m", "light": "undercast-light-20m"}
"""Parts that the peers are held against."""
PEERS = ("ukis-csmask-20m", "omnicloudmask-20m", "s2cloudless-20m", "clouds2mask-small")
BUSY_LOAD = 0.5
"""Load per core before a part from which its times are not to be trusted."""
ROW_PX, BAR_PX, LABEL_PX = 30, 420, 290
"""Sizes of the plot."""

Record = Mapping[str, Mapping[str, Any]]
"""Part -> what was measured."""


def write_page(record: Record, folder: Path) -> Path:
    """Write README.md and speed.svg; what is not measured is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speed.svg").write_text(plot(record), "utf-8")
    page = folder / "README.md"
    page.write_text("\n".join(lines(record)) + "\n", "utf-8")
    return page


def rate(part: Mapping[str, Any]) -> float:
    """Million pixels per second of wall time."""
    return float(part["mpx"] / part["wall_s"])


def lines(record: Record) -> Iterator[str]:
    """Give the page line by line."""
    yield "# Speed and memory\n"
    if not record:
        yield "Nothing is measured yet: `make bench-peers`."
        return
    where = next(iter(record.values()))["machine"]
    yield (
        f"{where['processor']}, {where['cores']} cores, {where['memory_gb']:g} GB, {where['system']}, Python"
        f" {where['python']}. Measured by `make bench-peers`, which makes the scenes (generated; four bands as GeoTIFF,"
        " and a Sentinel-2 SAFE of the same pixels). Each row is a process of its own: wall and processor time from"
        " start to end, largest resident memory; of what takes less than a minute, ours or a peer's, the run of median"
        " time among three. The networks of OmniCloudMask and CloudS2Mask have their real"
        " architectures and random weights, on which speed does not depend; ukis-csmask and s2cloudless run as"
        " shipped.\n"
    )
    loads = [part["machine"]["load_before"] for part in record.values()]
    if max(loads) > BUSY_LOAD * where["cores"]:
        yield (
            f"The load before was up to {max(loads):g}. Where nothing but this benchmark ran, that is the part before,"
            " which had ended; where something else ran, wall times say little.\n"
        )
    yield "![Million pixels per second](speed.svg)\n"
    over = " | ".join(f"{what} over {name}" for name in OURS for what in ("wall", "memory"))
    yield f"| what | Mpx | wall s | processor s | peak GB | Mpx/s | {over} | load before |"
    yield "|---|---:|---:|---:|---:|---:|" + "---:|---:|" * len(OURS) + "---:|"
    for name, part in record.items():
        if name == "peak":
            continue
        ratios = " | ".join(_ratios(part, record if name in PEERS else {}, ours) for ours in OURS.values())
        told = part["text"] if part["text"].startswith(name[:4]) else f"{name}: {part['text']}"
        yield (
            f"| {told} | {part['mpx']:.1f} | {part['wall_s']:.1f} | {part['cpu_s']:.1f} | {part['peak_gb']:.2f}"
            f" | {rate(part):.2f} | {ratios} | {part['machine']['load_before']:g} |"
        )
    yield ""
    yield from notes(record)


def _ratios(part: Mapping[str, Any], record: Record, name: str) -> str:
    """Hold a peer's part against one of ours: its runs beside it, or, for a scene of another size, by its rate."""
    if name not in record:
        return " | "
    beside = part.get("beside", {}).get(name)
    times = part["wall_s"] / median(beside) if beside else rate(record[name]) / rate(part)
    return f"{times:.1f} | {part['peak_gb'] / record[name]['peak_gb']:.1f}"


def notes(record: Record) -> Iterator[str]:
    """Say what the figures come to, where both sides of a comparison are there."""
    for name in PEERS:
        beside = record.get(name, {}).get("beside", {})
        told = "; ".join(f"{ours} {', '.join(f'{s:.2f}' for s in runs)}" for ours, runs in beside.items() if runs)
        if told:
            yield (
                f"- {name} ({record[name]['wall_s']:.1f} s) ran between ours, half of them before and half after it;"
                f" the ratio is that to the median. Seconds: {told}."
            )
    if "clouds2mask-small" in record:
        yield "CloudS2Mask ran on a smaller scene; its ratio is that of million pixels per second.\n"
    for light in ("", "light-"):
        ten, twenty = record.get(f"undercast-{light}10m"), record.get(f"undercast-{light}20m")
        if ten and twenty:
            yield (
                f"- undercast-{light}10m over undercast-{light}20m:"
                f" {ten['wall_s'] / twenty['wall_s']:.2f} times the time,"
                f" {ten['peak_gb'] / twenty['peak_gb']:.2f} times the memory, for 4 times the pixels."
            )
    for scene, pure in (
        ("undercast-20m", ("network-20m", "decode-20m")),
        ("undercast-light-20m", ("network-light-20m", "decode-20m")),
        ("undercast-safe", ("decode-safe",)),
    ):
        if scene in record and all(name in record for name in pure):
            larger = max(pure, key=lambda name: record[name]["wall_s"])
            yield (
                f"- {scene} takes {record[scene]['wall_s'] / record[larger]['wall_s']:.2f} times as long as {larger}"
                " alone, start of the process included."
            )
    for name in ("network-20m", "network-light-20m"):
        if {"peak", name} <= record.keys():
            network, peak = record[name], record["peak"]
            precision = network["precision"]
            best = max(peak[f"{precision}_gemm_gflops"], peak[f"{precision}_conv_gflops"])
            yield (
                f"- {name} ({network['backend']}, {precision}, windows of {network['window_px'][0]} x"
                f" {network['window_px'][1]} px, {network['gflop_per_mpx']:.0f} GFLOP per Mpx) does"
                f" {network['gflops']:.0f} GFLOP/s; the largest rate seen in PyTorch with {precision} is {best:.0f}:"
                f" {100 * network['gflops'] / best:.0f} %."
            )


def plot(record: Record) -> str:
    """Draw the rates as bars, on a logarithmic scale."""
    from math import log10

    shown = {name: rate(part) for name, part in record.items() if name.startswith(("undercast", *PEERS))}
    if not shown:
        return '<svg xmlns="http://www.w3.org/2000/svg"/>\n'
    low, high = log10(min(shown.values()) / 2), log10(max(shown.values()))
    rows = []
    for place, (name, value) in enumerate(shown.items()):
        length = BAR_PX * (log10(value) - low) / (high - low)
        top = place * ROW_PX
        colour = "#0072b2" if name.startswith("undercast") else "#999999"
        rows.append(
            f'<text x="{LABEL_PX - 8}" y="{top + 20}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{LABEL_PX}" y="{top + 6}" width="{length:.1f}" height="{ROW_PX - 12}" fill="{colour}"/>'
            f'<text x="{LABEL_PX + length + 6:.1f}" y="{top + 20}">{value:.2f}</text>'
        )
    size = f'width="{LABEL_PX + BAR_PX + 70}" height="{len(shown) * ROW_PX + 24}"'
    told = f'<text x="{LABEL_PX}" y="{len(shown) * ROW_PX + 18}">million pixels per second, logarithmic</text>'
    style = 'font-family="sans-serif" font-size="13" fill="#222222"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{"".join(rows)}{told}</svg>\n'
