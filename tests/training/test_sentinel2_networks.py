"""The networks of Sentinel-2 have the published sizes, normalise themselves, and change their head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from undercast.sensors import load_sensor
from undercast.training.networks import build
from undercast.training.sentinel2_networks import (
    ONE_CLOUD,
    Normalisation,
    Normalised,
    OneCloud,
    clouds2mask_normalisation,
    regnety_unet,
    unet_mobv2,
    with_body_of,
)


def parameters(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def picture(bands: int = 13) -> Tensor:
    return torch.rand(1, bands, 32, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "count"), [("regnety-unet", 8_785_492), ("unetmobv2", 6_632_260)])
def test_parameters_are_as_many_as_published(name: str, count: int) -> None:
    assert parameters(build(name, bands=13, classes=4)) == count


def test_the_normalisation_is_of_the_13_bands_of_sentinel2_in_their_order() -> None:
    table = clouds2mask_normalisation()
    assert table.bands == tuple(band.name for band in load_sensor("sentinel-2a-msi").bands)
    assert (table.divisor, table.means[0], table.deviations[-1]) == (32767, 0.072623697, 0.020069415)


def test_reflectance_is_normalised_as_digital_numbers_would_be() -> None:
    table = Normalisation(bands=("B01", "B02"), divisor=32767.0, means=(0.07, 0.06), deviations=(0.02, 0.03))
    got = Normalised(nn.Identity(), table)(torch.full((1, 2, 1, 1), 0.25))
    torch.testing.assert_close(
        got.flatten(), torch.tensor([(2500 / 32767 - 0.07) / 0.02, (2500 / 32767 - 0.06) / 0.03])
    )


def test_a_pixel_without_data_counts_as_zero() -> None:
    network = regnety_unet(13, 4).eval()
    with torch.no_grad():
        torch.testing.assert_close(network(torch.full((1, 13, 32, 32), -1.0)), network(torch.zeros(1, 13, 32, 32)))


def test_one_cloud_is_shared_by_thick_and_thin_and_the_sum_stays_one() -> None:
    network: Any = build(f"regnety-unet{ONE_CLOUD}", bands=13, classes=4).eval()
    with torch.no_grad():
        four = torch.softmax(network(picture()), dim=1)
        three = torch.softmax(network.network(picture()), dim=1)
    torch.testing.assert_close(four[:, 1], four[:, 2])
    torch.testing.assert_close(four[:, 1] + four[:, 2], three[:, 1])
    torch.testing.assert_close(four[:, [0, 3]], three[:, [0, 2]])


@pytest.mark.parametrize("make", [regnety_unet, unet_mobv2])
def test_a_new_head_on_an_old_body(make: Callable[[int, int], Any]) -> None:
    old: Any = OneCloud(make(13, 3))
    new = make(13, 4)
    head = [value.clone() for value in new.network.segmentation_head.parameters()]
    with_body_of(new, old)
    assert all(torch.equal(*pair) for pair in zip(head, new.network.segmentation_head.parameters(), strict=True))
    body, taken = old.network.network.encoder.state_dict(), new.network.encoder.state_dict()
    assert all(torch.equal(body[key], taken[key]) for key in body)


def test_layers_are_those_of_the_libraries() -> None:
    library = pytest.importorskip("segmentation_models_pytorch", exc_type=ImportError)
    networks: tuple[tuple[Any, str], ...] = ((regnety_unet, "tu-regnety_006"), (unet_mobv2, "mobilenet_v2"))
    for make, encoder in networks:
        ours = make(13, 4).network.eval()
        theirs = library.Unet(encoder, encoder_weights=None, in_channels=13, classes=4).eval()
        values = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)
        ours.load_state_dict(dict(values))
        with torch.no_grad():
            torch.testing.assert_close(ours(picture()), theirs(picture()), rtol=0, atol=0)
