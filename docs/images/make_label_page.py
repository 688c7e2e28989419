"""Make label_page.png: the page of `undercast label` after one round, as a browser shows it.

    python docs/images/make_label_page.py

The scene is simulated, and the points are set where its classes are certain. Needs Chromium and scikit-learn.
"""

import argparse
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import numpy as np

from undercast.classes import CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD, load_scheme
from undercast.sensors import load_sensor
from undercast.simulation.scenes import simulate
from undercast.viewer.desk import Desk, DeskOptions
from undercast.viewer.saving import Destination
from undercast.viewer.server import LabelServer
from undercast.writers import OutputOptions

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SEED = 20
LABELS = {CLEAR: 5, THICK_CLOUD: 2, THIN_CLOUD: 3, CLOUD_SHADOW: 4}
"""Class of the scene -> what is clicked."""
POINTS = 12
"""Points of each class."""


def labelled_desk(folder: Path) -> Desk:
    """Set points on a simulated scene and train once."""
    made = simulate(load_sensor("sentinel-2a-msi"), size=256, seed=SEED, gsd=60.0, level="toa")
    output = OutputOptions(folder=folder, scheme=load_scheme())
    desk = Desk(made.scene("simulated scene"), DeskOptions(destination=Destination(output=output)))
    rng = np.random.default_rng(0)
    for value, label in LABELS.items():
        places = np.flatnonzero(made.reference == value)
        for place in rng.choice(places, min(POINTS, len(places)), replace=False):
            row, col = divmod(int(place), made.reference.shape[1])
            desk.add(row, col, label)
    desk.train()
    return desk


def screenshot(url: str, picture: Path, profile: Path) -> None:
    """Let a browser draw the page."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise SystemExit(f"expected one of {', '.join(BROWSERS)} on the PATH. Debian, Ubuntu: apt install chromium")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
    places = [f"--user-data-dir={profile}", "--window-size=1200,760", f"--screenshot={picture}"]
    command = [browser, *options, *places, "--virtual-time-budget=20000", url]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def main() -> None:
    """Make the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("label_page.png"))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, LabelServer(labelled_desk(Path(folder, "out"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        screenshot(server.url, chosen.output, Path(folder, "profile"))
        server.shutdown()


if __name__ == "__main__":
    main()
