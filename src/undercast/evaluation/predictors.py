"""Predictors: what can be judged against a reference, be it a model package, a processor or a peer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from undercast.types import Float32, UInt8

if TYPE_CHECKING:
    from undercast.evaluation.references import ReferenceScene


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predicted:
    """What a predictor says of one scene."""

    class_map: UInt8
    """0 clear, 1 thick cloud (or thickness not told), 2 thin cloud, 3 cloud shadow, 255 no prediction, ``(y, x)``."""
    probabilities: Float32 | None = None
    """In [0, 1], ``(class, y, x)`` in the order of ``CLASS_NAMES``; NaN where none is told, be it for a whole class."""
    uncertainty: Float32 | None = None
    """In [0, 1], ``(y, x)``, NaN where none is told."""


class Predictor(Protocol):
    """Something that gives a class map for a scene."""

    @property
    def identity(self) -> dict[str, Any]:
        """Its record in a report: ``id``, ``version``, ``kind``, ``checksums`` and ``options``."""
        ...

    def predict(self, reference: ReferenceScene) -> Predicted:
        """Predict a reference's scene; the reference's labels are not looked at."""
        ...
