"""Wording: how figures, counts and possible sets are called and written, the same on every kind of report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from undercast.classes import CLASS_NAMES

MINUS = "\N{MINUS SIGN}"

UNDEFINED = "\N{EN DASH}"
"""What stands for an undefined value; the reason stands below it."""

FEW = "\N{BLACK UP-POINTING TRIANGLE}"
"""Mark of a stratum with few scenes."""

NO_REASON = "The report gives no reason."

ALPHABET = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureWording:
    """How one figure is written."""

    title: str
    """Name for people."""
    meaning: str
    """What it is, in a phrase."""
    percent: bool = False
    """Whether it is written in percent; else with three decimals."""
    bar: bool = True
    """Whether a bar from 0 to 1 shows it well."""


def _of_class(name: str, title: str) -> dict[str, FigureWording]:
    thing = title.lower()
    return {
        f"{name}_precision": FigureWording(
            title=f"{title} precision", meaning=f"share of what is called {thing} that is {thing} (user's accuracy)"
        ),
        f"{name}_recall": FigureWording(
            title=f"{title} recall", meaning=f"share of {thing} that is found (producer's accuracy)"
        ),
        f"{name}_f1": FigureWording(title=f"{title} F1", meaning="harmonic mean of precision and recall"),
        f"{name}_f2": FigureWording(
            title=f"{title} F2", meaning="as F1, with recall weighing four times as much as precision"
        ),
        f"{name}_iou": FigureWording(title=f"{title} IoU", meaning="intersection over union"),
        f"{name}_balanced_accuracy": FigureWording(
            title=f"{title} balanced accuracy", meaning=f"mean of the recalls of {thing} and of all else"
        ),
        f"{name}_ap": FigureWording(
            title=f"{title} AP", meaning="average precision over all thresholds, from 256 bins"
        ),
        f"{name}_ece": FigureWording(
            title=f"{title} ECE",
            meaning="expected calibration error: mean distance between probability and frequency, from 16 bins",
        ),
    }


FIGURES: Mapping[str, FigureWording] = MappingProxyType(
    {
        **_of_class("cloud", "Cloud"),
        **_of_class("thick", "Thick cloud"),
        **_of_class("thin", "Thin cloud"),
        **_of_class("shadow", "Shadow"),
        **_of_class("clear", "Clear"),
        "overall_accuracy": FigureWording(
            title="Overall accuracy", meaning="share of pixels that are right among clear, cloud and shadow"
        ),
        "balanced_accuracy": FigureWording(title="Balanced accuracy", meaning="mean recall of clear, cloud and shadow"),
        "kappa": FigureWording(title="Cohen's kappa", meaning="agreement beyond chance among clear, cloud and shadow"),
        "clear_false_cloud": FigureWording(
            title="False cloud, clear scenes",
            meaning="share of pixels called cloud on scenes whose reference has no cloud",
            percent=True,
            bar=False,
        ),
        "abstention_gain": FigureWording(
            title="Abstention gain",
            meaning="error rate of the 90 % most certain pixels over that of all pixels; below 1 the uncertainty helps",
            bar=False,
        ),
    }
)
"""Name of a figure -> how it is written."""


def figure_wording(name: str) -> FigureWording:
    """Give the wording of a figure; one that is not listed is called by its name."""
    return FIGURES.get(name) or FigureWording(title=name.replace("_", " ").capitalize(), meaning="")


def number(name: str, value: float | None) -> str:
    """Write the value of a figure; a dash where it is undefined."""
    if value is None:
        return UNDEFINED
    return f"{100 * value:.2f} %" if figure_wording(name).percent else f"{value:.3f}"


def interval(name: str, figure: Mapping[str, Any]) -> str | None:
    """Write the interval of a figure; None where it has none."""
    low, high = figure.get("low"), figure.get("high")
    if low is None or high is None:
        return None
    if figure_wording(name).percent:
        return f"{100 * low:.2f}\N{EN DASH}{100 * high:.2f}"
    return f"{low:.3f}\N{EN DASH}{high:.3f}"


def change(name: str, value: float | None) -> str:
    """Write a difference with its sign; what rounds to zero has none, a dash where it is undefined."""
    if value is None:
        return UNDEFINED
    scaled, digits = (100 * value, 2) if figure_wording(name).percent else (value, 3)
    text = f"{abs(scaled):.{digits}f}"
    if not float(text):
        return text
    sign = "+" if scaled > 0 else MINUS
    return f"{sign}{text}"


def short(value: float) -> str:
    """Write a severity or a tick with as few digits as it needs."""
    return f"{value:g}".replace("-", MINUS)


def whole(count: int) -> str:
    """Write a count with narrow spaces between thousands."""
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def share(part: float, total: float) -> str:
    """Write a part of a total in percent; of nothing there is no share."""
    if not total:
        return UNDEFINED
    percent = 100 * part / total
    if 0 < percent < 0.1:
        return "<0.1 %"
    return f"{percent:.1f} %"


def set_name(possible: int) -> str:
    """Name a possible set: ``Thick or thin cloud``."""
    names = [name.replace("_", " ") for value, name in enumerate(CLASS_NAMES) if possible >> value & 1]
    if not names:
        return "Not scored"
    text = " or ".join(names).replace("thick cloud or thin cloud", "thick or thin cloud")
    return text.capitalize()


def plain(value: object) -> str:
    """Write an option or an entry of a protocol."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(entry)}" for key, entry in value.items()) or "none"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(plain(entry) for entry in value) or "none"
    return str(value)


@dataclass(slots=True)
class Notes:
    """Reasons that stand below a table, each once, called by letters."""

    reasons: list[str] = field(default_factory=list)
    """In the order of their letters."""

    def letter(self, reason: str | None) -> str:
        """Give the letter of a reason, the same for the same words."""
        text = reason or NO_REASON
        if text not in self.reasons:
            self.reasons.append(text)
        return _letter(self.reasons.index(text))

    def lettered(self) -> list[tuple[str, str]]:
        """Give letters and reasons."""
        return [(_letter(place), reason) for place, reason in enumerate(self.reasons)]


def _letter(place: int) -> str:
    high, low = divmod(place, len(ALPHABET))
    return (ALPHABET[high - 1] if high else "") + ALPHABET[low]
