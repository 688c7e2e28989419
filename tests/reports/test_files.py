from __future__ import annotations

from pathlib import Path

from undercast.reports.files import write_text


def test_a_text_is_written_whole_and_its_folder_is_made(tmp_path: Path) -> None:
    target = write_text("caf\u00e9 \ud800", tmp_path / "new" / "a.txt")
    assert target.read_bytes() == "caf\u00e9 ?".encode()
    assert [entry.name for entry in target.parent.iterdir()] == ["a.txt"]
