"""`undercast models`: the group, and its commands list and show; the others stand in `models_<name>.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from undercast.bands import Band, band_from_name
from undercast.cli.models_card import card_command
from undercast.cli.models_lint import lint_command, repair_command
from undercast.cli.models_optimize import optimize_command
from undercast.cli.models_pack import pack_command
from undercast.cli.models_pull import pull_command
from undercast.cli.models_push import push_command
from undercast.cli.models_test import test_command
from undercast.cli.printing import print_json, print_pairs, print_table, yes_no
from undercast.errors import BandError, ModelError

if TYPE_CHECKING:
    from undercast.model_spec import ModelSpec
    from undercast.models.package import ModelPackage


@click.group(name="models")
def command() -> None:
    """List, show, check, repair, fetch and make models."""


command.add_command(lint_command)
command.add_command(repair_command)
command.add_command(test_command)
command.add_command(optimize_command)
command.add_command(pull_command)
command.add_command(pack_command)
command.add_command(push_command)
command.add_command(card_command)


@command.command(name="list")
@click.option("--bands", metavar="NAMES", help="Only models that work with these bands, e.g. red,green,nir.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_command(bands: str | None, as_json: bool) -> None:
    """List the models that come with undercast."""
    offered = None if bands is None else [band_from_name(name) for name in bands.split(",")]
    from undercast.models.package import find_package, list_packages, read_package

    packages = {name: read_package(find_package(name)) for name in list_packages()}
    fitting = {name: package for name, package in packages.items() if fits(package.spec, offered)}
    if as_json:
        print_json([{"name": name, **summary(package)} for name, package in fitting.items()])
        return
    if not fitting:
        came = "No model comes with this installation."
        click.echo(f"No model works with {bands}." if packages else came, err=True)
        return
    print_table(
        ("name", "model", "version", "bands", "level", "members"),
        [
            (
                name,
                package.spec.id,
                package.spec.version,
                " ".join(band_names(package.spec)),
                " ".join(package.spec.levels),
                str(len(package.members)),
            )
            for name, package in fitting.items()
        ],
    )


@command.command(name="show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show_command(name: str, as_json: bool) -> None:
    """Show a model by its name in `undercast models list`, or any model package by its folder or reference."""
    from undercast.models.fetch.pull import open_package

    package = open_package(name)
    details = {"name": name, **summary(package), **inside(package)}
    if as_json:
        print_json(details)
        return
    print_pairs(_described(details))
    click.echo()
    print_table(
        ("band", "common name", "centre (um)", "width (um)", "needed"),
        [
            (
                wanted.band.name,
                wanted.band.common_name,
                f"{wanted.band.center_wavelength:.4f}",
                f"{wanted.band.full_width_half_max:.4f}",
                yes_no(wanted.required),
            )
            for wanted in package.spec.bands
        ],
    )
    click.echo()
    print_table(
        ("member", "kind", "bytes", "verified", "checksum"),
        [
            (row["name"], row["kind"], str(row["size"] or ""), yes_no(row["verified"]), row["checksum"] or "")
            for row in details["members"]
        ],
    )


def fits(spec: ModelSpec, offered: Sequence[Band] | None) -> bool:
    """Tell whether a model works with these bands; None asks nothing."""
    if offered is None:
        return True
    try:
        spec.match(offered)
    except BandError:
        return False
    return True


def band_names(spec: ModelSpec) -> list[str]:
    """Name a model's bands; those that it can do without stand in brackets."""
    return [wanted.band.common_name if wanted.required else f"[{wanted.band.common_name}]" for wanted in spec.bands]


def summary(package: ModelPackage) -> dict[str, Any]:
    """Give what a model is, as plain values."""
    spec = package.spec
    return {
        "id": spec.id,
        "version": spec.version,
        "title": spec.title,
        "bands": [
            {
                "name": wanted.band.name,
                "common_name": wanted.band.common_name,
                "center_wavelength": wanted.band.center_wavelength,
                "full_width_half_max": wanted.band.full_width_half_max,
                "required": wanted.required,
            }
            for wanted in spec.bands
        ],
        "terrain": list(spec.terrain),
        "levels": list(spec.levels),
        "classes": list(spec.classes),
        "preset": spec.preset,
        "thresholds": dict(spec.thresholds),
        "item": str(package.item),
        "assumptions": list(package.assumptions),
    }


def inside(package: ModelPackage) -> dict[str, Any]:
    """Give what a package holds, as plain values; its weights are compared with their checksums."""
    spec = package.spec
    card = package.root / "card.md"
    members = [
        {
            "name": member.name,
            "kind": member.kind,
            "path": str(member.path),
            "size": member.size,
            "checksum": member.checksum,
            **verdict(member),
        }
        for member in package.members
    ]
    return {
        "description": str(package.properties.get("description", "")),
        "architecture": str(package.properties.get("mlm:architecture", "")),
        "created": package.properties.get("created"),
        "license": package.properties.get("license"),
        "total_parameters": package.properties.get("mlm:total_parameters"),
        "window": spec.window,
        "overlap": spec.overlap,
        "scale": spec.scale,
        "fill": spec.fill,
        "aggregation": spec.aggregation,
        "uncertainty": spec.uncertainty,
        "presets": {name: dict(values) for name, values in spec.presets.items()},
        "card": str(card) if card.is_file() else None,
        "verified": all(member["verified"] for member in members),
        "members": members,
    }


def verdict(member: Any) -> dict[str, Any]:
    """Compare a member's weights with its checksum; a mismatch is told, not raised."""
    from undercast.models.trust.weights import verified_bytes

    try:
        verified_bytes(member)
    except ModelError as error:
        return {"verified": False, "error": str(error)}
    return {"verified": True}


def _described(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Put a model in words; what a package does not say is left out."""
    parameters = details["total_parameters"]
    pairs = {
        "model": f"{details['id']} {details['version']}",
        "title": details["title"],
        "description": details["description"],
        "architecture": details["architecture"],
        "parameters": "" if parameters is None else f"{parameters}",
        "created": details["created"] or "",
        "license": details["license"] or "",
        "levels": ", ".join(details["levels"]),
        "classes": ", ".join(details["classes"]),
        "window": f"{details['window']} px, overlap {details['overlap']} px",
        "aggregation": details["aggregation"],
        "uncertainty": details["uncertainty"],
        "thresholds": thresholds(details["thresholds"]),
        "presets": "; ".join(f"{name} ({thresholds(values)})" for name, values in details["presets"].items()),
        "verified": yes_no(details["verified"]),
        "card": details["card"] or "",
        "item": details["item"],
    }
    told = [(name, text) for name, text in pairs.items() if text]
    return told + [("assumed", line) for line in details["assumptions"]]


def thresholds(values: Mapping[str, float]) -> str:
    """Put thresholds in words."""
    return ", ".join(f"{name}={value:g}" for name, value in values.items()) or "the most probable class"
