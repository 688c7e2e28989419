"""Data sets: published collections of labelled scenes, read as their authors laid them out."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol, cast

from undercast.evaluation.references import References

DATA_SETS: dict[str, str] = {
    "cloudsen12": "undercast.evaluation.datasets.cloudsen12",
    "kappaset": "undercast.evaluation.datasets.kappaset",
    "s2-cloud-mask-catalogue": "undercast.evaluation.datasets.s2_catalogue",
    "pixbox": "undercast.evaluation.datasets.pixbox",
    "l8-biome": "undercast.evaluation.datasets.l8_biome",
    "sparcs": "undercast.evaluation.datasets.sparcs",
    "38-cloud": "undercast.evaluation.datasets.cloud38",
}
"""Data set -> module that reads it, in the order in which they are asked."""


class DataSet(Protocol):
    """A module that reads one data set."""

    def accepts(self, folder: Path) -> bool:
        """Tell from the names of its files whether a folder holds the data set."""
        ...

    def references(self, folder: Path) -> References:
        """List its labelled scenes; they are read when they are walked over.

        Raises:
            EvaluationError: If a list that belongs to it is damaged.
        """
        ...


def data_set_references(folder: Path) -> References | None:
    """List the references of a folder that holds one of the data sets; None where it holds none.

    Raises:
        EvaluationError: If a list that belongs to it is damaged.
    """
    if not folder.is_dir():
        return None
    for module in DATA_SETS.values():
        data_set = cast("DataSet", importlib.import_module(module))
        if data_set.accepts(folder):
            return data_set.references(folder)
    return None
