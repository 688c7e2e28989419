"""Make evaluation_report.png: an evaluation page as a browser shows it.

    python docs/images/make_evaluation_report.py                                    a made-up evaluation
    python docs/images/make_evaluation_report.py report.html                        a page that is there already
    python docs/images/make_evaluation_report.py report.json --examples FOLDER      a report, with its worst scenes

FOLDER holds one .npz per scene of the gallery, in the order of their file names, with the fields of
`undercast.reports.pictures.Example` as arrays: name, scene, possible, class_map, bands. Needs Chromium.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from undercast.evaluation.evaluate import EvaluateOptions, evaluate
from undercast.evaluation.predictors import Predicted
from undercast.evaluation.references import ReferenceEntry, References, ReferenceScene, reference_scene
from undercast.evaluation.stress import stress
from undercast.reports.evaluation_page import write_page
from undercast.reports.pictures import Example, make_example
from undercast.scene import scene_from_array
from undercast.sensors import load_sensor
from undercast.simulation.scenes import simulate
from undercast.types import Float32

SENSORS = ("landsat-8-oli", "sentinel-2a-msi", "spot-5-hrg")
SIZE = 192
SCENES = 12
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class BrightnessRule:
    """A made-up predictor: what is bright and white is cloud, what is dark is shadow."""

    @property
    def identity(self) -> dict[str, object]:
        """Its record in a report."""
        return {"id": "brightness-rule", "version": "0", "kind": "peer", "checksums": [], "options": {"steepness": 18}}

    def predict(self, reference: ReferenceScene) -> Predicted:
        """Judge each pixel by its brightness alone."""
        image = reference.scene.read()
        darkest, mean = image.min(axis=0), image.mean(axis=0)
        cloud = sigmoid(18 * (darkest - 0.16))
        thick = cloud * sigmoid(12 * (darkest - 0.3))
        shadow = (1 - cloud) * sigmoid(45 * (0.09 - mean))
        probabilities = np.stack([1 - cloud - shadow, thick, cloud - thick, shadow]).astype(np.float32)
        entropy = -(probabilities * np.log(np.maximum(probabilities, 1e-9))).sum(axis=0) / np.log(4)
        return Predicted(
            class_map=probabilities.argmax(axis=0).astype(np.uint8),
            probabilities=probabilities,
            uncertainty=entropy.clip(0, 1).astype(np.float32),
        )


def sigmoid(values: Float32) -> Float32:
    """Map any number to (0, 1)."""
    return np.asarray(1 / (1 + np.exp(-values)), np.float32)


def simulated(seed: int) -> ReferenceScene:
    """Simulate a labelled scene."""
    sensor = load_sensor(SENSORS[seed % len(SENSORS)])
    made = simulate(sensor, size=SIZE, seed=seed, gsd=sensor.gsd)
    scene = scene_from_array(made.reflectance, made.sensor.bands, name=f"simulated {seed:02d}", level=made.level)
    strata = {"source": "simulated", "sensor": sensor.id, "labels": "simulated"}
    return reference_scene(scene, made.possible, strata, gsd=made.gsd)


def made_up(page: Path) -> None:
    """Write the page of a made-up evaluation."""
    references = References(
        name="simulated scenes",
        entries=tuple(
            ReferenceEntry(name=f"simulated {seed}", read=partial(simulated, seed)) for seed in range(SCENES)
        ),
    )
    found = evaluate(BrightnessRule(), references, options=EvaluateOptions(examples=3))
    report = {**found.report.to_dict(), "stress": stress(BrightnessRule(), references)}
    write_page(report, [make_example(judged) for judged in found.examples], page)


def read_example(path: Path) -> Example:
    """Read a scene of the gallery."""
    with np.load(path, allow_pickle=False) as arrays:
        return Example(
            name=str(arrays["name"]),
            scene=arrays["scene"],
            possible=arrays["possible"],
            class_map=arrays["class_map"],
            bands=str(arrays["bands"]),
        )


def screenshot(page: Path, picture: Path, height: int) -> None:
    """Let a browser draw the page."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise SystemExit(f"expected one of {', '.join(BROWSERS)} on the PATH. Debian, Ubuntu: apt install chromium")
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
        places = [f"--user-data-dir={profile}", f"--window-size=1200,{height}", f"--screenshot={picture}"]
        subprocess.run([browser, *options, *places, page.resolve().as_uri()], check=True, stderr=subprocess.DEVNULL)


def main() -> None:
    """Make the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", type=Path, help="page (.html) or report (.json); else a made-up one")
    parser.add_argument("--examples", type=Path, help="folder with an .npz per scene of the gallery")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("evaluation_report.png"))
    parser.add_argument("--height", type=int, default=2300, help="of the picture, in pixels")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        if chosen.source is None:
            made_up(page)
        elif chosen.source.suffix == ".json":
            files = sorted(chosen.examples.glob("*.npz")) if chosen.examples else []
            report = json.loads(chosen.source.read_text("utf-8"))
            write_page(report, [read_example(path) for path in files], page)
        else:
            page = chosen.source
        screenshot(page, chosen.output, chosen.height)


if __name__ == "__main__":
    main()
