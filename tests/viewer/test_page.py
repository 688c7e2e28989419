"""The page, end to end: a scripted annotator clicks in Chromium until the scene is labelled."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from undercast.annotation.points import written_classes
from undercast.evaluation.manifest import manifest_references
from undercast.readers import open_scene
from undercast.sensors import load_sensor
from undercast.simulation.scenes import FAINTEST, THIN, Simulated, simulate
from undercast.types import UInt8
from undercast.viewer.desk import Desk

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")]

logger = logging.getLogger(__name__)

MakeDesk = Callable[..., Desk]
ROUNDS = 6
BIT_THIN = 4


def simulated(seed: int) -> tuple[Simulated, UInt8]:
    """Simulate a scene at ALCD's 60 m; what a person's outline adds around clouds is left open."""
    made = simulate(load_sensor("sentinel-2a-msi"), size=256, seed=seed, gsd=60.0, level="toa")
    outline = ((made.possible & BIT_THIN) > 0) & (made.optical_thickness < THIN)
    assert FAINTEST < THIN
    return made, np.where(outline, np.uint8(0), made.possible)


def label_in_browser(browser: Any, desk: Desk, annotator: Any, url: str) -> list[float]:
    """Click point after point for some rounds; give the agreement with the truth after each."""
    browser.open(url)
    shares = []
    for _ in range(ROUNDS):
        labelled = desk.labelled
        proposals = browser.evaluate("state.proposals")
        class_map = None if labelled is None else written_classes(labelled.labels)
        for row, col, label in annotator.choose(class_map, proposals):
            browser.press(str(label))
            browser.click_pixel(row, col)
        before = len(desk.session.rounds)
        browser.press("t")
        browser.wait(f"state.rounds.length === {before + 1} && !busy")
        assert desk.labelled is not None
        shares.append(annotator.agreement(desk.labelled.labels))
    return shares


def test_an_annotator_reaches_98_percent_on_a_simulated_scene(
    browser: Any, make_desk: MakeDesk, serve: Any, annotator: Any, tmp_path: Path
) -> None:
    made, truth = simulated(20)
    desk = make_desk(made.scene("simulated"))
    server = serve(desk)
    browser.complaints.clear()
    shares = label_in_browser(browser, desk, annotator(truth, np.isfinite(desk.features).all(axis=-1)), server.url)
    logger.info("agreement after each round: %s", [round(share, 4) for share in shares])
    assert len(desk.session.points) <= ROUNDS * 60
    assert shares[-1] >= 0.98
    assert browser.complaints == []
    browser.evaluate("byId('finish').click()")
    browser.wait("state.saved !== null")
    with rasterio.open(tmp_path / "out" / "simulated_class_map.tif") as source:
        saved = source.read(1)
    assert desk.labelled is not None
    np.testing.assert_array_equal(saved, written_classes(desk.labelled.labels))
    history = json.loads((tmp_path / "out" / "simulated_points.json").read_text("utf-8"))
    assert len(history["rounds"]) == ROUNDS
    assert len(history["points"]) == len(desk.session.points)


@pytest.mark.real_data
def test_an_annotator_labels_the_real_landsat_7_scene(
    browser: Any, make_desk: MakeDesk, serve: Any, annotator: Any, real_data: Path
) -> None:
    scene = open_scene(real_data / "products" / "geotiff" / "landsat7_toa_6band.tif")
    reference = next(entry for entry in manifest_references(real_data / "val").entries if "landsat7" in entry.name)
    possible = reference.read().possible
    # The reference does not tell thick cloud from thin: the annotator calls all of it low clouds.
    told = np.where(possible == 6, np.uint8(2), possible)
    desk = make_desk(scene)
    clicking = annotator(told, np.isfinite(desk.features).all(axis=-1))
    shares = label_in_browser(browser, desk, clicking, serve(desk).url)
    logger.info("agreement after each round: %s", [round(share, 4) for share in shares])
    assert shares[-1] >= 0.85


def test_points_are_set_removed_and_proposed_on_the_page(browser: Any, pointed: Desk, serve: Any) -> None:
    server = serve(pointed)
    browser.open(server.url)
    assert browser.evaluate("document.querySelectorAll('.class').length") == 7
    assert browser.evaluate("[...byId('view').options].map(option => option.text)")[:2] == [
        "True colour",
        "False colour (near infrared)",
    ]
    browser.press("7")
    browser.click_pixel(5, 5)
    assert pointed.session.points[-1].label == 7
    browser.press("t")
    browser.wait("byId('message').className === 'error'")
    assert "at least 3 points" in browser.evaluate("byId('message').textContent")
    browser.click_pixel(5, 5, button="right")
    assert all(point.label != 7 for point in pointed.session.points)
    browser.evaluate("byId('train').click()")
    browser.wait("state.trained && !busy && pictures.overlay !== null")
    assert browser.evaluate("state.proposals.length") > 0
    browser.evaluate("byId('next').click()")
    row, col = browser.evaluate("state.proposals[0]")
    at = browser.evaluate(f"toCanvas({row}, {col})")
    middle = browser.evaluate("[canvas.clientWidth / 2, canvas.clientHeight / 2]")
    assert [at["x"], at["y"]] == pytest.approx(middle)
    for view in range(browser.evaluate("byId('view').options.length")):
        browser.evaluate(f"byId('view').value = {view}; loadView()")
    browser.evaluate("byId('overlay').value = 'confidence'; loadOverlay()")
    assert browser.evaluate("pictures.overlay.naturalWidth") == 30


def test_a_drag_moves_the_scene_and_sets_no_point(browser: Any, pointed: Desk, serve: Any) -> None:
    browser.open(serve(pointed).url)
    number, before = len(pointed.session.points), browser.evaluate("place.x")
    for kind, x in (("mousePressed", 300), ("mouseMoved", 340), ("mouseReleased", 340)):
        browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=300, button="left", clickCount=1)
    assert browser.evaluate("place.x") == before + 40
    assert len(pointed.session.points) == number
