"""References stay inside a package's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from undercast.errors import TrustError
from undercast.models.trust.paths import confined_path


@pytest.mark.parametrize("href", ["one.onnx", "./one.onnx", "deep/one.onnx"])
def test_a_file_in_the_folder_is_found(tmp_path: Path, href: str) -> None:
    assert confined_path(href, tmp_path, origin="x") == (tmp_path / href).resolve()


@pytest.mark.parametrize(
    "href",
    [
        "",
        "../one.onnx",
        "deep/../../one.onnx",
        "/etc/passwd",
        "https://example.com/one.onnx",
        "file:///etc/passwd",
        "C:/one.onnx",
        "C:one.onnx",
        "\\\\server\\one.onnx",
        "deep\\..\\..\\one.onnx",
        "one.onnx\0",
    ],
)
def test_what_leads_out_of_the_folder_is_refused(tmp_path: Path, href: str) -> None:
    with pytest.raises(TrustError, match=r"item.json: href: expected a file inside the package folder"):
        confined_path(href, tmp_path, origin="item.json: href")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (tmp_path / "secret").write_text("x")
    (package / "one.onnx").symlink_to(tmp_path / "secret")
    (package / "up").symlink_to(tmp_path)
    for href in ("one.onnx", "up/secret"):
        with pytest.raises(TrustError, match=r"is a link that leads out"):
            confined_path(href, package, origin="x")
