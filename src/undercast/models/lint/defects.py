"""Lint: every defect of a model's item, with the rule that it breaks."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from undercast.models.documents import LARGEST_ITEM, load_json, one_line
from undercast.models.lint.mlm_rules import SCHEMA, VERSIONS, mlm_faults
from undercast.models.lint.practice_rules import remarks
from undercast.models.lint.shapes import Fault
from undercast.models.lint.stac_rules import STAC_VERSION, core_faults, extension_faults

CARDS = ("README.md", "card.md")
"""Model cards that are looked for beside an item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One defect of an item."""

    severity: Literal["error", "warning"]
    """``error`` breaks a schema; ``warning`` passes it and leaves its reader to guess."""
    code: str
    """Name of the kind of defect; ``schema`` where a schema is broken."""
    where: str
    """Keys and positions that lead to it, separated by ``/``."""
    rule: str
    """Rule that it breaks: schema and place in it, or a recommendation."""
    message: str
    """What was expected and what came."""

    def to_dict(self) -> dict[str, str]:
        """Give the defect as JSON values."""
        return {
            "severity": self.severity,
            "code": self.code,
            "where": self.where,
            "rule": self.rule,
            "message": self.message,
        }


def lint(item: Mapping[str, Any], card: str = "") -> tuple[Defect, ...]:
    """List the defects of an item: errors first, in the order of the item.

    Judged by STAC 1.1, MLM 1.5 (the version that the item declares), and the versions of file, eo and raster that
    are known here, where it declares them.

    Args:
        item: The item.
        card: Text of the model card beside it; licence and product level are compared with it.
    """
    version = mlm_version(item)
    errors = [_error(f"STAC {STAC_VERSION}", found) for found in core_faults(item)]
    errors += [_error(f"MLM {version}", found) for found in mlm_faults(item, version)]
    errors += [_error(name.replace("/v", " "), found) for name, found in extension_faults(item)]
    warnings = [
        Defect(
            severity="warning",
            code=remark.code,
            where=_text(remark.path),
            rule=remark.rule,
            message=one_line(remark.message),
        )
        for remark in remarks(item, card)
    ]
    return tuple(dict.fromkeys((*errors, *warnings)))


def lint_file(path: Path) -> tuple[Defect, ...]:
    """List the defects of an item's file; the model card beside it is compared with it.

    Raises:
        ModelError: If the file cannot be read, is too large, or holds no JSON object.
    """
    return lint(load_json(path), read_card(path.parent))


def mlm_version(item: Mapping[str, Any]) -> str:
    """Give the version of MLM that an item declares, where its rules are known here; else the first of them."""
    declared = item.get("stac_extensions")
    urls = declared if isinstance(declared, list) else []
    return next((version for version in VERSIONS if SCHEMA.format(version) in urls), VERSIONS[0])


def read_card(folder: Path) -> str:
    """Read the model card of a folder; empty where there is none that can be read."""
    for name in CARDS:
        with suppress(OSError), (folder / name).open("rb") as file:
            return file.read(LARGEST_ITEM).decode("utf-8", errors="replace")
    return ""


def _error(schema: str, found: Fault) -> Defect:
    return Defect(
        severity="error",
        code="schema",
        where=_text(found.path),
        rule=f"{schema} {found.rule}".strip(),
        message=one_line(f"expected {found.expected}, got {found.got}"),
    )


def _text(path: tuple[str | int, ...]) -> str:
    return one_line("/".join(map(str, path))) or "item"
