"""Charts: plots of an evaluation as inline SVG; their colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from undercast.reports.markup import Markup, element, join
from undercast.reports.wording import short

Numbers = Mapping[str, Any]
"""One bin or one point of a curve, as a report has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A straight line from values to pixels."""

    low: float
    """Value at ``start``."""
    high: float
    """Value at ``end``."""
    start: float
    """Place of ``low``, in pixels."""
    end: float
    """Place of ``high``, in pixels."""

    def __call__(self, value: float) -> float:
        """Give the place of a value, kept between the ends."""
        part = (value - self.low) / (self.high - self.low)
        return self.start + (self.end - self.start) * min(max(part, 0.0), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The area that a plot is drawn in, with its two scales."""

    x: Scale
    """From left to right."""
    y: Scale
    """From bottom to top: ``start`` is the larger number of pixels."""
    x_title: str
    """What the horizontal axis is."""
    y_title: str
    """What the vertical axis is."""
    write_x: Callable[[float], str] = short
    """Writes a tick of the horizontal axis."""
    write_y: Callable[[float], str] = short
    """Writes a tick of the vertical axis."""

    def axes(self) -> Markup:
        """Draw grid lines, ticks and titles."""
        parts = []
        for tick in ticks(self.y.low, self.y.high, 6):
            y = self.y(tick)
            parts += [
                element("line", class_="grid", x1=self.x.start, x2=self.x.end, y1=y, y2=y),
                element("text", self.write_y(tick), x=self.x.start - 6, y=y + 3.5, text_anchor="end"),
            ]
        for tick in ticks(self.x.low, self.x.high, 5):
            x = self.x(tick)
            parts += [
                element("line", class_="axis", x1=x, x2=x, y1=self.y.start, y2=self.y.start + 4),
                element("text", self.write_x(tick), x=x, y=self.y.start + 16, text_anchor="middle"),
            ]
        middle = (self.x.start + self.x.end) / 2
        return join(
            (
                *parts,
                element("line", class_="axis", x1=self.x.start, x2=self.x.end, y1=self.y.start, y2=self.y.start),
                element("text", self.x_title, class_="title", x=middle, y=self.y.start + 31, text_anchor="middle"),
                element("text", self.y_title, class_="title", x=self.x.start, y=self.y.end - 9, text_anchor="start"),
            )
        )

    def line(self, points: Sequence[tuple[float, float]], style: str) -> Markup:
        """Draw a line with a dot at each point; both carry the class ``style``."""
        places = [(self.x(x), self.y(y)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dots = [element("circle", class_=f"dot {style}", cx=x, cy=y, r=2.6) for x, y in places]
        return join((element("polyline", class_=f"line {style}", points=path), *dots))


def picture(body: Markup, size: tuple[int, int], *, title: str) -> Markup:
    """Wrap drawings as an SVG of a width and height in pixels, with a text for those who do not see it."""
    width, height = size
    return element(
        "svg",
        element("title", title),
        body,
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_label=title,
    )


def ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    """Choose round values that lie evenly in ``[low, high]``, at most ``most`` steps apart.

    Raises:
        ValueError: If ``high`` is not above ``low``.
    """
    if not high > low:
        raise ValueError(f"expected low < high, got {low} and {high}.")
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return tuple(round(place * step, 12) for place in range(first, last + 1))


def percent(value: float) -> str:
    """Write a share as a tick in percent."""
    return f"{100 * value:.4g} %"


def interval_bar(figure: Numbers, *, reference: float | None = None, width: int = 120) -> Markup:
    """Draw a figure in [0, 1] as a dot on its interval, over a line from 0 to 1.

    Args:
        figure: Value, low and high; nothing but the line is drawn where the value is None.
        reference: A value that all bars of a column are compared with.
        width: In pixels.
    """
    height, middle = 14, 7
    scale = Scale(low=0, high=1, start=4, end=width - 4)
    parts = [element("line", class_="grid", x1=scale.start, x2=scale.end, y1=middle, y2=middle)]
    if reference is not None:
        x = scale(reference)
        parts.append(element("line", class_="reference", x1=x, x2=x, y1=0, y2=height))
    value, low, high = figure["value"], figure.get("low"), figure.get("high")
    if value is not None and low is not None and high is not None:
        parts.append(element("line", class_="whisker", x1=scale(low), x2=scale(high), y1=middle, y2=middle))
    if value is not None:
        parts.append(element("circle", class_="dot", cx=scale(value), cy=middle, r=3.2))
    return element(
        "svg",
        *parts,
        class_="bar",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        aria_hidden="true",
    )


def reliability_chart(bins: Sequence[Numbers], *, title: str, style: str) -> Markup:
    """Plot the frequency of a class against its predicted probability, above the number of pixels.

    Args:
        bins: With ``low``, ``high``, ``mean_probability``, ``frequency`` and ``pixels``; empty bins are left out.
        title: What is plotted.
        style: Class of the curve.
    """
    frame = Frame(
        x=Scale(low=0, high=1, start=44, end=314),
        y=Scale(low=0, high=1, start=270, end=24),
        x_title="predicted probability",
        y_title="observed frequency",
    )
    full = [entry for entry in bins if entry["pixels"]]
    points = [(entry["mean_probability"], entry["frequency"]) for entry in full]
    most = max((entry["pixels"] for entry in full), default=1)
    depth = Scale(low=0, high=1, start=366, end=318)
    bars = []
    for entry in full:
        left, right = frame.x(entry["low"]), frame.x(entry["high"])
        top = depth(math.sqrt(entry["pixels"] / most))
        bars.append(
            element(
                "rect", class_="count", x=left + 0.5, y=top, width=max(right - left - 1, 0.5), height=depth.start - top
            )
        )
    body = join(
        (
            frame.axes(),
            element(
                "line",
                class_="ideal",
                x1=frame.x.start,
                y1=frame.y.start,
                x2=frame.x.end,
                y2=frame.y.end,
            ),
            frame.line(points, style),
            *bars,
            element("line", class_="axis", x1=frame.x.start, x2=frame.x.end, y1=depth.start, y2=depth.start),
            element(
                "text",
                "pixels in each bin (square root)",
                class_="title",
                x=179,
                y=depth.start + 14,
                text_anchor="middle",
            ),
        )
    )
    return picture(body, (330, 386), title=title)


def abstention_chart(points: Sequence[Numbers], *, title: str) -> Markup:
    """Plot the error rate against the share of pixels that are dropped, the most uncertain first.

    Args:
        points: With ``kept`` and ``error``, both in [0, 1]; points without an error are left out.
        title: What is plotted.
    """
    curve = sorted((1 - point["kept"], point["error"]) for point in points if point["error"] is not None)
    top = max((error for _, error in curve), default=0.0)
    far = max((dropped for dropped, _ in curve), default=0.0)
    frame = Frame(
        x=Scale(low=0, high=far or 1.0, start=50, end=314),
        y=Scale(low=0, high=top * 1.05 or 1.0, start=270, end=24),
        x_title="most uncertain pixels dropped",
        y_title="error rate of the rest (clear, cloud, shadow)",
        write_x=percent,
        write_y=percent,
    )
    return picture(join((frame.axes(), frame.line(curve, "cloud"))), (330, 386), title=title)


def stress_chart(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    title: str,
    unit: str,
    losses: tuple[float, float],
) -> Markup:
    """Plot what a degradation costs against its severity.

    Args:
        curves: Class of a curve -> (severity, loss), sorted by severity.
        title: Name of the degradation.
        unit: Unit of the severity.
        losses: Smallest and largest loss of all charts, so that they can be compared.
    """
    severities = [severity for points in curves.values() for severity, _ in points]
    low, high = min(0.0, *severities), max(0.0, *severities)
    frame = Frame(
        x=Scale(low=low, high=high if high > low else low + 1, start=44, end=314),
        y=Scale(low=losses[0], high=losses[1], start=140, end=22),
        x_title=unit,
        y_title="",
    )
    zero = frame.y(0)
    body = join(
        (
            element("text", title, class_="name", x=frame.x.start, y=12),
            frame.axes(),
            element("line", class_="axis", x1=frame.x.start, x2=frame.x.end, y1=zero, y2=zero),
            *(frame.line(points, style) for style, points in curves.items()),
        )
    )
    return picture(body, (330, 178), title=f"Loss under {title.lower()}, by severity in {unit}")
