"""Desk: the scene on which a person works, with its points, its labels and where they are saved."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from undercast.annotation.features import feature_names, features
from undercast.annotation.forest import Labelled, classify, cross_validated, reach_px
from undercast.annotation.points import LABELS, counts, written_classes
from undercast.annotation.proposals import propose
from undercast.annotation.session import (
    LARGEST_TEXT,
    Round,
    Session,
    from_json,
    to_json,
    with_point,
    with_round,
    without_point,
)
from undercast.annotation.working import LARGEST_PIXELS, step_of, working_scene
from undercast.classes import CLASS_NAMES
from undercast.errors import LabelError
from undercast.readers.elevation import Elevation
from undercast.scene import Scene
from undercast.types import FEW_PIXELS, Float32
from undercast.viewer.pictures import confidence_picture, label_picture, view_picture, views
from undercast.viewer.saving import Destination, Reference, Saved, save, session_path, write_text
from undercast.writers import check_free


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskOptions:
    """What a person says before they begin."""

    destination: Destination
    """Where the reference goes, and whether one that exists is replaced."""
    dem: str | None = None
    """Raster with the height of the ground in metres, one more feature."""
    largest: int = LARGEST_PIXELS
    """Pixels of the working grid at most."""


class Desk:
    """A scene, its points and its labels; requests of several threads follow each other."""

    def __init__(self, scene: Scene, options: DeskOptions) -> None:
        """Read a scene and go on with the session that the output folder holds of it, if there is one.

        Raises:
            SceneError: If the scene or the elevation cannot be read, or no pixel has data.
            GridError: If elevation and scene do not go together.
            LabelError: If the folder holds a session of another scene, or one that is damaged.
            OutputExistsError: If the folder holds a mask of the scene that no session made.
        """
        self.scene = scene
        self.options = options
        self.step = step_of(scene.grid.shape, largest=options.largest)
        output = options.destination.output
        path = session_path(output.folder, scene.name)
        resumed = path.exists()
        # What a session made, it may replace.
        check_free(replace(output, overwrite=output.overwrite or resumed), scene.name)
        working = working_scene(scene, largest=options.largest)
        self.grid = working.grid
        elevation = None if options.dem is None else Elevation(source=options.dem, grid=self.grid)(self.grid.full)
        self.features: Float32 = features(working.read(), scene.bands, elevation)
        _check_pixels(self.features, scene, has_elevation=elevation is not None)
        self.reach = reach_px(self.grid.pixel_size_m)
        self.session = Session(
            scene=scene.name,
            shape=self.grid.shape,
            fingerprint=hashlib.sha256(np.ascontiguousarray(self.features).data).hexdigest(),
        )
        self.labelled: Labelled | None = None
        self.saved: Saved | None = None
        self._views = views(scene.bands)
        self._lock = threading.Lock()
        if resumed:
            self._resume(path)

    @property
    def notice(self) -> str | None:
        """Say on what grid a scene is labelled that is too large for its own; None where it is not."""
        if self.step == 1:
            return None
        height, width = self.scene.grid.shape
        size = self.grid.pixel_size_m
        metres = "" if size is None else f" ({max(size):.4g} m)"
        return (
            f"{height * width / 1e6:.3g} megapixels are more than the {self.options.largest / 1e6:g} that are labelled"
            f" at once: this scene is labelled on squares of {self.step} x {self.step} pixels{metres}."
        )

    def state(self) -> dict[str, Any]:
        """Give what the page needs to know, as JSON values."""
        session, labelled = self.session, self.labelled
        written = written_classes(np.array([entry.value for entry in LABELS], np.uint8))
        return {
            "scene": session.scene,
            "height": session.shape[0],
            "width": session.shape[1],
            "notice": self.notice,
            "classes": [
                {
                    "label": entry.value,
                    "title": entry.title,
                    "color": entry.color,
                    "written": CLASS_NAMES[value].replace("_", " "),
                }
                for entry, value in zip(LABELS, written, strict=True)
            ],
            "views": [title for title, _ in self._views],
            "points": [[point.row, point.col, point.label] for point in session.points],
            "round": session.round,
            "rounds": [
                {
                    "number": done.number,
                    "points": sum(done.points.values()),
                    "mean_confidence": done.mean_confidence,
                    "changed_percent": done.changed_percent,
                    "seconds": done.seconds,
                }
                for done in session.rounds
            ],
            "trained": labelled is not None,
            "proposals": [] if labelled is None else propose(labelled.confidence, session.points),
            "saved": None if self.saved is None else self.saved.to_dict(),
        }

    def add(self, row: int, col: int, label: int) -> None:
        """Set a point.

        Raises:
            LabelError: If it is impossible, or the pixel has no data.
        """
        with self._lock:
            session = with_point(self.session, row, col, label)
            if not np.isfinite(self.features[row, col]).all():
                msg = f"row {row}, column {col}: expected a pixel with data, got one without. Click another."
                raise LabelError(msg)
            self.session = session

    def remove(self, row: int, col: int) -> None:
        """Take a point away."""
        with self._lock:
            self.session = without_point(self.session, row, col)

    def train(self) -> None:
        """Train on the points and label the scene: one more round, and the points are on the disk.

        Raises:
            LabelError: If there are too few points.
            OutputError: If the points cannot be written.
            MissingDependencyError: If scikit-learn is not installed.
        """
        with self._lock:
            began = time.perf_counter()
            before = self.labelled
            labelled = classify(self.features, self.session.points, reach=self.reach)
            self.labelled = labelled
            self.session = with_round(self.session, self._round(before, labelled, time.perf_counter() - began))
            # A session that ends without being saved goes on from its last round.
            path = session_path(self.options.destination.output.folder, self.scene.name)
            write_text(to_json(self.session, self._records(None)), path)

    def save(self) -> Saved:
        """Write the reference mask, its points and their history.

        Raises:
            LabelError: If nothing is trained, or points were changed since.
            OutputError: If the files cannot be written.
        """
        with self._lock:
            labelled = self.labelled
            last = self.session.rounds[-1] if self.session.rounds else None
            if labelled is None or last is None or self._is_stale():
                msg = "expected labels of the present points, but points changed since. Train first, then save."
                raise LabelError(msg)
            found = cross_validated(self.features, self.session.points, reach=self.reach)
            reference = Reference(
                scene=self.scene,
                step=self.step,
                labelled=labelled,
                session=self.session,
                notice=self.notice,
                records=self._records(found),
            )
            destination = self.options.destination
            again = replace(destination, output=replace(destination.output, overwrite=True))
            self.saved = save(reference, again)
            return self.saved

    def view(self, number: int) -> bytes:
        """Draw a view as PNG.

        Raises:
            LabelError: If there is none of this number.
        """
        if not 0 <= number < len(self._views):
            msg = f"expected a view of 0 to {len(self._views) - 1}, got {number}."
            raise LabelError(msg)
        return view_picture(self.features, self._views[number][1])

    def overlay(self, kind: str) -> bytes:
        """Draw ``labels`` or ``confidence`` as PNG.

        Raises:
            LabelError: If nothing is trained, or the kind is another.
        """
        labelled = self.labelled
        if labelled is None:
            msg = "expected a scene with labels, got one without. Train first."
            raise LabelError(msg)
        if kind == "labels":
            return label_picture(labelled.labels)
        if kind == "confidence":
            return confidence_picture(labelled.confidence)
        msg = f"expected labels or confidence, got {kind[:20]!r}."
        raise LabelError(msg)

    def _is_stale(self) -> bool:
        last = self.session.rounds[-1]
        newer = any(point.round > last.number for point in self.session.points)
        return newer or self.session.removed > 0

    def _resume(self, path: Path) -> None:
        """Go on with a session; what it has learned is trained again."""
        try:
            with path.open("rb") as file:
                # One byte more than a session may have, so that from_json refuses what is larger.
                text = file.read(LARGEST_TEXT + 1).decode("utf-8")
            self.session = from_json(text, self.session)
        except (OSError, UnicodeDecodeError, LabelError) as error:
            msg = f"{path}: {error}"
            raise LabelError(msg) from error
        if self.session.rounds:
            self.labelled = classify(self.features, self.session.points, reach=self.reach)

    def _round(self, before: Labelled | None, after: Labelled, seconds: float) -> Round:
        session = self.session
        changed = None
        if before is not None:
            known = after.labels > 0
            changed = round(100.0 * float((before.labels != after.labels)[known].mean()), 3)
        return Round(
            number=session.round,
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            points=counts(session.points),
            added=sum(point.round == session.round for point in session.points),
            removed=session.removed,
            mean_confidence=round(float(np.nanmean(after.confidence)), 4),
            changed_percent=changed,
            seconds=round(seconds, 2),
        )

    def _records(self, found: float | None) -> Mapping[str, Any]:
        elevation = self.options.dem is not None
        return {
            "features": list(feature_names(self.scene.bands, elevation=elevation)),
            "working_step_px": self.step,
            "point_reach_px": self.reach,
            "cross_validated_share_of_points": None if found is None else round(found, 4),
        }


def _check_pixels(values: Float32, scene: Scene, *, has_elevation: bool) -> None:
    """Refuse a scene of which nothing can be labelled."""
    if min(values.shape[:2]) < FEW_PIXELS:
        msg = (
            f"{scene.name}: expected at least {FEW_PIXELS} px on each side, got {values.shape[0]} x {values.shape[1]}."
        )
        raise LabelError(msg)
    if not np.isfinite(values).all(axis=-1).any():
        which = "every band and in the elevation" if has_elevation else "every band"
        msg = f"{scene.name}: expected pixels with data in {which}, got none. Check the scene, --bands and --nodata."
        raise LabelError(msg)
