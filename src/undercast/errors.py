"""Errors: one root, one subclass per noun, each saying what was expected, what came and the way out."""

from __future__ import annotations


class UndercastError(Exception):
    """Root of every error that undercast raises on purpose; the command line prints it in one line."""

    exit_status: int = 1
    """Exit status of the command line: 2 for wrong usage, 1 for a failure."""


class UsageError(UndercastError, ValueError):
    """An argument is outside its closed set or range."""

    exit_status = 2


class BandError(UndercastError, ValueError):
    """Bands are missing, unknown or contradictory."""

    exit_status = 2


class SensorError(UndercastError, KeyError):
    """A sensor is unknown or its table is wrong."""

    exit_status = 2

    __str__ = Exception.__str__


class SchemeError(UndercastError, KeyError):
    """A class scheme is unknown or its table is wrong."""

    exit_status = 2

    __str__ = Exception.__str__


class RadiometryError(UndercastError, ValueError):
    """Declared and observed reflectance contradict each other."""


class WindowError(UndercastError, ValueError):
    """A window, an overlap or a scene size is impossible."""


class GridError(UndercastError, ValueError):
    """Bands or files lie on different grids."""


class SceneError(UndercastError, OSError):
    """A scene cannot be opened or read."""


class ModelError(UndercastError, ValueError):
    """A model package or its spec is wrong."""


class UnknownModelError(ModelError, KeyError):
    """No model of this name is known."""

    exit_status = 2

    __str__ = Exception.__str__


class TrustError(ModelError):
    """A model package does not match its checksums or holds what is never executed."""


class ApplicabilityError(UndercastError, ValueError):
    """A scene is not what a model is for, and the person asked to be strict about it."""


class DownloadError(ModelError, OSError):
    """A model package cannot be fetched."""


class BackendError(UndercastError, RuntimeError):
    """A runtime cannot load or run a network."""


class OutputError(UndercastError, OSError):
    """An output exists already, or its place cannot be written."""


class OutputExistsError(OutputError, FileExistsError):
    """An output exists already."""

    exit_status = 2


class TrainingError(UndercastError, ValueError):
    """A recipe or its training data are wrong."""


class EvaluationError(UndercastError, ValueError):
    """References, a protocol, a report or the rules of a gate are wrong, or do not go together."""


class LedgerError(UndercastError, ValueError):
    """The ledger of a model's life was changed, cut or is none."""


class TransitionError(UndercastError, ValueError):
    """A model may not take a step of its life, because what the step asks for is missing or does not hold."""


class LabelError(UndercastError, ValueError):
    """A processor's mask, labels that are made of one, or labels of a scene are wrong or do not go together."""


class MissingDependencyError(UndercastError, ImportError):
    """An optional dependency is not installed."""


class ClusterError(UndercastError, RuntimeError):
    """A Dask cluster does not answer, or its workers cannot do the work."""
