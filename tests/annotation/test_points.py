from __future__ import annotations

import numpy as np
import pytest

from undercast.annotation.points import LABELS, Point, check_points, counts, written_classes
from undercast.errors import LabelError


def points(*labels: int) -> list[Point]:
    return [Point(row=number, col=0, label=label, round=1) for number, label in enumerate(labels)]


def test_the_classes_are_those_of_alcd() -> None:
    names = ["background", "low_clouds", "high_clouds", "clouds_shadows", "land", "water", "snow"]
    assert [entry.name for entry in LABELS] == names
    assert [entry.value for entry in LABELS] == list(range(1, 8))


def test_labels_are_written_as_undercasts_classes() -> None:
    written = written_classes(np.arange(8, dtype=np.uint8))
    assert written.tolist() == [255, 0, 1, 2, 3, 0, 0, 0]


def test_points_are_counted_by_class() -> None:
    assert counts(points(5, 2, 5)) == {"low_clouds": 1, "land": 2}


def test_three_points_of_two_classes_are_enough() -> None:
    check_points(points(2, 2, 2, 5, 5, 5))


def test_a_class_of_fewer_than_three_points_is_refused_by_name() -> None:
    with pytest.raises(LabelError, match=r"at least 3 points .* low_clouds has 2, water has 1") as caught:
        check_points(points(2, 2, 5, 5, 5, 6))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("labels", [(), (2, 2, 2)])
def test_fewer_than_two_classes_are_refused(labels: tuple[int, ...]) -> None:
    with pytest.raises(LabelError, match="at least two classes"):
        check_points(points(*labels))
