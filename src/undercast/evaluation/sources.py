"""Sources: from a path to references: manifests, lists of pairs or points, STAC collections, published data sets."""

from __future__ import annotations

from pathlib import Path

from undercast.errors import EvaluationError
from undercast.evaluation.manifest import MANIFEST, manifest_references
from undercast.evaluation.references import References

COLLECTION = "collection.json"
"""Name of a STAC collection in a folder."""


def read_references(source: str | Path, *, scheme: str = "undercast") -> References:
    """List the references of a source; they are read when they are walked over.

    Args:
        source: A folder with ``manifest.json`` or ``collection.json``, a STAC collection, a CSV file of pairs (columns
            scene, reference) or one of points (columns scene, x, y, class), or the folder of one of the data sets of
            ``evaluation.datasets``.
        scheme: Class scheme of masks and points that name none; manifests have their own codes.

    Raises:
        EvaluationError: If it is none of these, or wrong.
        SchemeError: If the class scheme is unknown.
    """
    path = Path(source)
    if (path / MANIFEST).is_file():
        return manifest_references(path)
    if (path / COLLECTION).is_file():
        path = path / COLLECTION
    if path.suffix == ".json" and path.is_file():
        from undercast.evaluation.pairs import collection_references

        return collection_references(path, scheme=scheme)
    if path.suffix == ".csv" and path.is_file():
        return _list(path, scheme)
    from undercast.evaluation.datasets import DATA_SETS, data_set_references

    known = data_set_references(path)
    if known is not None:
        return known
    msg = (
        f"references {path}: expected a folder with {MANIFEST} or {COLLECTION}, a STAC collection (.json), a list"
        f" (.csv) of pairs or points, or a data set as it is published ({', '.join(DATA_SETS)});"
        f" got {'a folder without either' if path.is_dir() else 'none of them'}."
    )
    raise EvaluationError(msg)


def _list(path: Path, scheme: str) -> References:
    from undercast.evaluation.pairs import PAIR_COLUMNS, pair_references, read_rows
    from undercast.evaluation.points import POINT_COLUMNS, point_references

    columns = set(read_rows(path)[0])
    if columns >= set(POINT_COLUMNS):
        return point_references(path, scheme=scheme)
    if columns >= set(PAIR_COLUMNS):
        return pair_references(path, scheme=scheme)
    msg = (
        f"{path}: expected the columns {', '.join(PAIR_COLUMNS)} (pairs) or {', '.join(POINT_COLUMNS)} (points),"
        f" got {', '.join(sorted(columns))}."
    )
    raise EvaluationError(msg)
