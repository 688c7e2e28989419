"""Do runtimes and precisions agree? Class maps and evaluation figures of one model on real scenes, held against f32.

    python benchmarks/agreement.py --data FOLDER                 references with manifest.json, see `undercast evaluate`
    python benchmarks/agreement.py --data FOLDER --model NAME    another model package
    python benchmarks/agreement.py --data FOLDER --package NEW   and write it again as NEW, which says what was found

The reference is ONNX Runtime in f32; PyTorch runs the network that the package's weights make, where its architecture
is known. Exit status 1: a class map agrees on less than 99.9 % of the pixels of all scenes, or a figure differs by more
than .002. What is measured does not depend on the machine's load.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from undercast.errors import TrainingError, UndercastError
from undercast.evaluation.evaluate import EvaluateOptions, evaluate
from undercast.evaluation.intervals import IntervalOptions
from undercast.evaluation.packages import Additions, PackagePredictor, write_again
from undercast.evaluation.predictors import Predicted
from undercast.evaluation.references import References, ReferenceScene
from undercast.evaluation.sources import read_references
from undercast.loading import AGREEMENT_KEY, SMALLEST_AGREEMENT, Model, load_model
from undercast.models.package import DEFAULT_MODEL, find_package, read_package
from undercast.models.trust.weights import verified_bytes
from undercast.types import NODATA, Float32, UInt8

LARGEST_DIFFERENCE = 0.002
"""Difference of an evaluation figure above which two runtimes do not agree."""

RUNTIMES = (("onnxruntime", "f32"), ("openvino", "f32"), ("openvino", "bf16"))
"""Runtimes and precisions of ONNX weights; the first is what the others are held against."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Remembering(PackagePredictor):
    """A predictor that keeps its class maps."""

    class_maps: dict[str, UInt8] = field(default_factory=dict)
    """Scene -> class map."""

    def predict(self, reference: ReferenceScene) -> Predicted:
        """Mask a reference's scene and keep the class map."""
        # Named in full: a dataclass with slots is made anew, and `super()` would name the one before.
        found = PackagePredictor.predict(self, reference)
        self.class_maps[reference.name] = found.class_map
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one runtime reached."""

    name: str
    """Runtime and precision."""
    figures: dict[str, float]
    """Evaluation figures of all scenes."""
    class_maps: dict[str, UInt8]
    """Scene -> class map."""


def runtimes(name: str) -> dict[str, Model]:
    """Load the model in every runtime and precision that is there, the reference first."""
    models: dict[str, Model] = {}
    for backend, precision in RUNTIMES:
        try:
            models[f"{backend} {precision}"] = load_model(name, device="cpu", backend=backend, precision=precision)
        except UndercastError as error:
            print(f"left out: {backend} {precision}: {error}", file=sys.stderr)
    reference = next(iter(models.values()))
    try:
        models["torch f32"] = in_torch(reference)
    except (TrainingError, ImportError) as error:
        print(f"left out: torch f32: {error}", file=sys.stderr)
    return models


def in_torch(model: Model) -> Model:
    """Give the model with its one member as a PyTorch network.

    Raises:
        TrainingError: If it has several, or its architecture is not known.
    """
    import torch

    from undercast.training.restore import restore

    if len(model.networks) > 1:
        msg = f"expected a model of one member, got {len(model.networks)}."
        raise TrainingError(msg)
    network = restore(model.package).eval()
    temperature, offsets = calibration(model)

    def run(batch: Float32) -> Float32:
        with torch.inference_mode():
            logits = network(torch.from_numpy(batch)) / temperature + torch.from_numpy(offsets)
            answer: Float32 = torch.softmax(logits, dim=1).numpy()
        return answer

    return replace(model, networks=(run,), backend="torch")


def calibration(model: Model) -> tuple[float, Float32]:
    """Read what calibration does to the logits, which stands between the last convolution and the softmax.

    Raises:
        TrainingError: If something else stands there.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_model_from_string(verified_bytes(model.package.members[0])).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    last = max(place for place, node in enumerate(graph.node) if node.op_type == "Conv")
    temperature, offsets = 1.0, np.zeros((1, 1, 1, 1), np.float32)
    for node in graph.node[last + 1 :]:
        if node.op_type == "Div" and node.input[1] in values:
            temperature = float(values[node.input[1]])
        elif node.op_type == "Add" and node.input[1] in values:
            offsets = values[node.input[1]].astype(np.float32)
        elif node.op_type not in {"Softmax", "DepthToSpace"}:  # the latter is the network's own
            msg = f"expected a temperature, offsets and a softmax after the last convolution, got {node.op_type}."
            raise TrainingError(msg)
    return temperature, offsets


def measured(name: str, model: Model, references: References) -> Row:
    """Mask every scene and score it."""
    predictor = Remembering(model=model)
    options = EvaluateOptions(intervals=IntervalOptions(replicates=1), unfit="skip")
    report = evaluate(predictor, references, options=options).report
    figures = {key: one.value for key, one in report.overall.values.items() if one.value is not None}
    return Row(name=name, figures=figures, class_maps=predictor.class_maps)


def agreements(row: Row, reference: Row) -> list[tuple[int, int]]:
    """Count, scene by scene, the valid pixels with the same class and all valid ones."""
    counts = []
    for scene, expected in reference.class_maps.items():
        valid = expected != NODATA
        same = (row.class_maps[scene] == expected) & valid
        counts.append((int(same.sum()), int(valid.sum())))
    return counts


def totals(row: Row, reference: Row) -> tuple[int, int]:
    """Count the valid pixels of all scenes with the same class, and all valid ones."""
    same, valid = zip(*agreements(row, reference), strict=True)
    return sum(same), sum(valid)


def table(rows: list[Row]) -> tuple[str, bool]:
    """Lay the comparison out as Markdown, and tell whether all agree."""
    reference, *others = rows
    lines = [
        f"| against {reference.name} | same class | in the scene with the fewest | largest difference of a figure |",
        "|---|---:|---:|---|",
    ]
    agree = True
    for row in others:
        counts = agreements(row, reference)
        same, valid = totals(row, reference)
        share = same / valid
        least = min(same / valid for same, valid in counts if valid)
        differences = {key: abs(row.figures[key] - value) for key, value in reference.figures.items()}
        worst = max(differences, key=lambda key: differences[key])
        lines.append(f"| {row.name} | {100 * share:.4f} % | {100 * least:.3f} % | {worst} {differences[worst]:.5f} |")
        agree &= share >= SMALLEST_AGREEMENT and differences[worst] <= LARGEST_DIFFERENCE
    return "\n".join(lines), agree


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Hold runtimes and precisions against f32 on real scenes.")
    parser.add_argument("--data", required=True, action="append", help="references; may be repeated")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model package")
    parser.add_argument("--package", type=Path, help="folder of a package to make")
    options = parser.parse_args()
    read = [read_references(folder) for folder in options.data]
    references = replace(read[0], entries=tuple(entry for one in read for entry in one.entries))
    rows = [measured(name, model, references) for name, model in runtimes(options.model).items()]
    if len(rows) < 2:
        print("nothing to compare: install the extras openvino or train", file=sys.stderr)
        return 1
    text, agree = table(rows)
    pixels = sum(int(np.count_nonzero(one != NODATA)) for one in rows[0].class_maps.values())
    print(f"{options.model}, {len(rows[0].class_maps)} scenes, {pixels} valid pixels\n\n{text}")
    print("\nPASS" if agree else "\nFAIL")
    if options.package is not None and agree:
        found = {row.name: totals(row, rows[0]) for row in rows[1:] if not row.name.endswith(" f32")}
        told = {name: {"share": same / valid, "pixels": valid} for name, (same, valid) in found.items()}
        package = read_package(find_package(options.model))
        write_again(package, options.package, additions=Additions(extra={AGREEMENT_KEY: told}))
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
