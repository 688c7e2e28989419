"""`undercast models pack`: make a model package of weights."""

from __future__ import annotations

from pathlib import Path

import click

from undercast.cli.printing import print_json


@click.command(name="pack")
@click.argument("weights", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="WEIGHTS...")
@click.option("--spec", required=True, type=click.Path(path_type=Path), help="TOML file with [model] and [package].")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to make.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pack_command(weights: tuple[Path, ...], spec: Path, output: Path, as_json: bool) -> None:
    """Make a model package: STAC item, weights with checksums, example data, evaluation record, card.

    WEIGHTS are the members, one file each: .onnx, .pt2 or .safetensors. They are scanned before they are packed.
    """
    from undercast.models.package import read_package
    from undercast.models.publish.pack import pack

    package = read_package(pack(weights, spec, output))
    files = sorted(path.name for path in package.root.iterdir())
    if as_json:
        print_json({"item": str(package.item), "id": package.spec.id, "version": package.spec.version, "files": files})
        return
    click.echo(f"{package.root}: {package.spec.id} {package.spec.version} ({', '.join(files)})")
