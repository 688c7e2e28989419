"""Spec: what a classifier of BigEarthNet takes and gives, with the statistics of its training data."""

from __future__ import annotations

from typing import Any

from undercast.classifier_spec import CHANNEL_ORDERS, RADAR, ChannelOrder, ClassifierBand, ClassifierSpec
from undercast.errors import UsageError
from undercast.scene_labels import load_nomenclature
from undercast.sensors import load_sensor
from undercast.training.bigearthnet.layers import SIDE, Interpolation, load_statistics

SENSOR = "sentinel-2a-msi"
"""Sensor whose wavelengths stand for the bands."""


def make_bands(
    configuration: str, order: ChannelOrder, interpolation: Interpolation = "nearest"
) -> tuple[ClassifierBand, ...]:
    """Give the layers of a band configuration with their statistics, in the order of the network's input.

    Raises:
        UsageError: If the configuration or the order is not known.
    """
    if configuration not in CHANNEL_ORDERS.get(order, {}):
        known = "; ".join(f"{version}: {', '.join(orders)}" for version, orders in CHANNEL_ORDERS.items())
        msg = f"band configuration {configuration!r} in the order of {order!r} is not known. Known: {known}"
        raise UsageError(msg)
    statistics = load_statistics(interpolation, SIDE)
    optical = {band.name: band for band in load_sensor(SENSOR).bands}
    return tuple(
        ClassifierBand(
            name=name,
            band=None if name in RADAR else optical[name],
            mean=statistics[name].mean,
            std=statistics[name].std,
        )
        for name in CHANNEL_ORDERS[order][configuration]
    )


def make_spec(
    configuration: str, order: ChannelOrder, interpolation: Interpolation = "nearest", **more: Any
) -> ClassifierSpec:
    """Give the spec of a classifier whose outputs are BigEarthNet's labels in lexicographic order.

    Args:
        configuration: Name of its band configuration.
        order: Order of its channels.
        interpolation: How bands of 20 and 60 m are brought to 10 m.
        more: Other fields of the spec, ``id`` and ``version`` among them; ``labels`` too, where they are others.
    """
    fields = {
        "bands": make_bands(configuration, order, interpolation),
        "configuration": configuration,
        "channel_order": order,
        "labels": load_nomenclature().labels,
    }
    return ClassifierSpec(**fields | more)
