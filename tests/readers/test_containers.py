"""Files of a product are found and read in folders and archives, and only there."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from undercast.errors import SceneError
from undercast.readers import containers
from undercast.readers.containers import open_container
from undercast.readers.xml import LARGEST_XML


def fill(folder: Path) -> Path:
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "b.xml").write_bytes(b"<a/>")
    return folder


def zipped(path: Path, names: list[str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, b"<a/>")
    return path


def test_folder_zip_and_tar_are_alike(tmp_path: Path) -> None:
    folder = fill(tmp_path / "folder")
    archive = zipped(tmp_path / "p.zip", ["a/b.xml"])
    with tarfile.open(tmp_path / "p.tar", "w") as tar:
        tar.add(folder / "a" / "b.xml", "./a/b.xml")
    for path in (folder, archive, tmp_path / "p.tar"):
        found = open_container(path)
        assert found.names == ("a/b.xml",)
        assert found.read("a/b.xml") == b"<a/>"
    assert open_container(archive).gdal("a/b.xml") == f"/vsizip/{archive}/a/b.xml"


def test_names_that_lead_out_are_left_out(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "p.zip", ["../evil.xml", "/etc/evil.xml", "a/../../evil.xml", "good.xml"])
    assert open_container(archive).names == ("good.xml",)


def test_links_in_a_tar_are_left_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "p.tar", "w") as tar:
        link = tarfile.TarInfo("link.xml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        info = tarfile.TarInfo("file.xml")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"<a/>"))
    assert open_container(tmp_path / "p.tar").names == ("file.xml",)


def test_metadata_that_swell_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xml", b" " * (LARGEST_XML + 10))
    with pytest.raises(SceneError, match="expected metadata, got more than"):
        open_container(tmp_path / "p.zip").read("a.xml")


def test_far_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MOST_FILES", 2)
    with pytest.raises(SceneError, match="more than 2 files"):
        open_container(zipped(tmp_path / "p.zip", ["a", "b", "c"]))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.zip").write_bytes(b"no")
    with pytest.raises(SceneError, match="cannot be read as a zip"):
        open_container(tmp_path / "p.zip")
    with pytest.raises(SceneError, match=r"expected a folder, a \.zip or a \.tar"):
        open_container(tmp_path / "p.doc")


def test_a_member_that_is_gone_or_damaged_is_told(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "p.zip", ["a.xml"])
    found = open_container(archive)
    with pytest.raises(SceneError, match="cannot be read"):
        found.read("b.xml")
    data = bytearray(archive.read_bytes())
    data[36:40] = b"\xff\xff\xff\xff"
    archive.write_bytes(bytes(data))
    with pytest.raises(SceneError, match="cannot be"):
        found.read("a.xml")
