"""Files: a report's text goes to its place whole or not at all."""

from __future__ import annotations

from pathlib import Path

from undercast.writers.staging import output_errors, publish, staging


def write_text(text: str, path: str | Path) -> Path:
    """Write a text as UTF-8; an older file is replaced once the new one is complete.

    Args:
        text: The text; what UTF-8 cannot write becomes a question mark.
        path: Where to; its folder is made if it is missing.

    Raises:
        OutputError: If the file cannot be written.
    """
    target = Path(path)
    with staging(target.parent, target.stem) as stage:
        with output_errors(target):
            (stage / target.name).write_bytes(text.encode("utf-8", "replace"))
        publish(stage, [target])
    return target
