"""undercast: cloud and cloud-shadow masks from optical satellite imagery of any sensor.

The names below are loaded when they are first used, so that ``import undercast`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from undercast.errors import UndercastError
    from undercast.loading import load_model
    from undercast.masking import mask, predict
    from undercast.model_spec import ModelSpec
    from undercast.prediction import Prediction
    from undercast.readers import open_scene
    from undercast.scene import Scene, scene_from_array
    from undercast.sensors import Sensor, load_sensor

__version__ = "0.1.0"

__all__ = [
    "ModelSpec",
    "Prediction",
    "Scene",
    "Sensor",
    "UndercastError",
    "__version__",
    "load_model",
    "load_sensor",
    "mask",
    "open_scene",
    "predict",
    "scene_from_array",
]

_HOMES = {
    "ModelSpec": "undercast.model_spec",
    "Prediction": "undercast.prediction",
    "Scene": "undercast.scene",
    "Sensor": "undercast.sensors",
    "UndercastError": "undercast.errors",
    "load_model": "undercast.loading",
    "load_sensor": "undercast.sensors",
    "mask": "undercast.masking",
    "open_scene": "undercast.readers",
    "predict": "undercast.masking",
    "scene_from_array": "undercast.scene",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOMES:
        msg = f"module 'undercast' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
