from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.io import MemoryFile

from undercast.errors import EvaluationError, OutputError
from undercast.evaluation.evaluate import Evaluation
from undercast.reports.evaluation_page import page, write_page
from undercast.reports.pictures import Example, make_example
from undercast.reports.wording import FEW

BROWSERS = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--hide-scrollbars",
)
VOID = {"meta", "img", "br", "line", "rect", "circle", "polyline"}


class Page(HTMLParser):
    """Reads a page, and fails where elements are not nested properly."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data

    def names(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="session")
def examples(evaluation: Evaluation) -> list[Example]:
    return [make_example(judged) for judged in evaluation.examples]


@pytest.fixture(scope="session")
def written(report: dict[str, Any], examples: list[Example], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(report, examples, tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="session")
def read(written: Path) -> Page:
    return Page(written.read_text("utf-8"))


@pytest.fixture(scope="session")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine (Debian, Ubuntu: apt install chromium)")
    return found


def open_in(browser: str, path: Path, folder: Path, *more: str) -> str:
    """Open a page and give what the browser logs."""
    command = [browser, *OPTIONS, f"--user-data-dir={folder / 'profile'}", *more, path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    return done.stderr


def test_the_page_is_well_formed_and_has_every_section(read: Page) -> None:
    assert read.open == []
    anchors = {attributes["href"] for attributes in read.names("a")}
    ids = {f"#{attributes['id']}" for attributes in read.names("section") if attributes.get("id")}
    assert anchors == ids == {"#figures", "#strata", "#confusion", "#calibration", "#stress", "#gallery", "#scenes"}


def test_the_page_asks_for_nothing(written: Path, read: Page) -> None:
    policy = next(entry["content"] for entry in read.names("meta") if entry.get("http-equiv"))
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    links = [value for _, attributes in read.tags for name, value in attributes.items() if name in {"src", "href"}]
    assert links
    assert all(value is not None and value.startswith(("data:image/png;base64,", "#")) for value in links)
    style = re.search("<style>(.*?)</style>", written.read_text("utf-8"), re.DOTALL)
    assert style is not None
    assert not re.search(r"url\(|@import|https?:|</", style[1])


def test_hostile_names_are_text_only(read: Page) -> None:
    assert not read.names("script")
    assert not read.names("u")
    assert "<script>alert(1)</script>" in read.text
    assert "http://evil.example/x" in read.text
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)


def test_figures_stand_with_their_intervals(report: dict[str, Any], read: Page) -> None:
    figure = report["overall"]["cloud_f1"]
    assert f"{figure['value']:.3f}" in read.text
    assert f"{figure['low']:.3f}\u2013{figure['high']:.3f}" in read.text


def test_an_undefined_figure_stands_with_its_reason(report: dict[str, Any], read: Page) -> None:
    assert report["undefined"]
    shown = {
        reason for name, reason in report["undefined"].items() if name.startswith("thin_") and name != "thin_recall"
    }
    assert shown
    assert all(f"undefined: {reason}" in read.text for reason in shown)


def test_a_stratum_of_few_scenes_is_marked(read: Page) -> None:
    assert read.text.count(FEW) >= 2 + 1
    assert "fewer than 5 scenes" in read.text


def test_each_scene_of_the_gallery_has_four_pictures_with_a_text(read: Page, examples: list[Example]) -> None:
    pictures = read.names("img")
    assert len(pictures) == 4 * len(examples)
    assert all(picture["alt"] for picture in pictures)


def test_counts_of_the_matrix_are_those_of_the_report(report: dict[str, Any], read: Page) -> None:
    clear = report["confusion"][1][0]
    assert f"{clear:,}".replace(",", "\u202f") in read.text


def test_what_was_not_done_has_no_section(evaluation: Evaluation) -> None:
    bare = Page(page(evaluation.report))
    assert {attributes["href"] for attributes in bare.names("a")}.isdisjoint({"#stress", "#gallery"})


def test_a_predictor_without_probabilities_says_so(report: dict[str, Any]) -> None:
    silent = {**report, "reliability": {"cloud": [], "shadow": []}, "abstention": []}
    assert "tells no probabilities" in Page(page(silent)).text


def test_a_dict_that_is_no_report_is_refused() -> None:
    with pytest.raises(EvaluationError, match="kind"):
        page({"kind": "something"})


def test_an_older_page_is_replaced_and_a_folder_that_is_a_file_is_refused(
    tmp_path: Path, evaluation: Evaluation
) -> None:
    target = tmp_path / "report.html"
    target.write_text("old", "utf-8")
    write_page(evaluation.report, [], target)
    assert target.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(OutputError):
        write_page(evaluation.report, [], target / "inside.html")


def test_a_report_that_went_through_json_gives_the_same_page(report: dict[str, Any]) -> None:
    assert page(json.loads(json.dumps(report))) == page(report)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_browser_draws_the_page_without_a_word_of_complaint(browser: str, written: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    log = open_in(browser, written, tmp_path, "--window-size=1200,2400", f"--screenshot={picture}")
    assert "CONSOLE" not in log
    with MemoryFile(picture.read_bytes()) as memory, memory.open() as source:
        pixels = source.read((1, 2, 3))
    assert pixels.shape == (3, 2400, 1200)
    assert len(np.unique(pixels.reshape(3, -1), axis=1).T) > 100


@pytest.mark.slow
def test_a_browser_would_complain_about_a_request(browser: str, written: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(written.read_text("utf-8").replace("<main>", '<main><img src="http://127.0.0.1:9/x.png">'), "utf-8")
    log = open_in(browser, bad, tmp_path, "--dump-dom")
    assert "CONSOLE" in log
    assert "Content Security Policy" in log


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 800, 1200])
def test_the_page_is_never_wider_than_the_window(browser: str, written: Path, tmp_path: Path, width: int) -> None:
    # Only our probe may run a script: the page's own policy is taken out here.
    text = re.sub(r'<meta http-equiv="[^>]*>', "", written.read_text("utf-8"))
    probe = "<script>document.title = 'wide ' + (document.documentElement.scrollWidth - innerWidth)</script></body>"
    measured = tmp_path / "measured.html"
    measured.write_text(text.replace("</body>", probe), "utf-8")
    command = [browser, *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900", "--dump-dom"]
    done = subprocess.run([*command, measured.as_uri()], capture_output=True, text=True, timeout=240, check=True)
    excess = re.search(r"<title>wide (-?\d+)</title>", done.stdout)
    assert excess is not None
    assert int(excess[1]) <= 0
