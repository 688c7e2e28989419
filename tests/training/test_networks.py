"""Networks keep the shape, tell absent bands by their presence alone, and give numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from undercast.errors import UsageError
from undercast.training.calibration import Calibrated, Calibration
from undercast.training.networks import ARCHITECTURES, WithProbabilities, build, check_architecture
from undercast.training.spectral_spatial import DARKEST, GroundSeen, logarithm

TELLING = ("spectral-spatial-small", "spectral-spatial-light")
"""Those that tell themselves which bands are absent, and take terrain."""


@pytest.fixture(scope="module", params=TELLING)
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    made = build(request.param, bands=3, classes=4)
    made.train()
    with torch.no_grad():
        for _ in range(3):  # gives the batch normalisation means and variances
            made(torch.rand(2, 3, 64, 64))
    return made.eval()


def picture(height: int = 32, width: int = 32, *, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_gives_logits_of_the_inputs_size(name: str) -> None:
    made = build(name, bands=2, classes=5).eval()
    with torch.no_grad():
        assert made(torch.rand(2, 2, 32, 64)).shape == (2, 5, 32, 64)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 32), (96, 160)])
def test_sides_may_be_any_multiple_of_32(network: nn.Module, height: int, width: int) -> None:
    with torch.no_grad():
        assert network(picture(height, width)).shape == (1, 4, height, width)


@settings(max_examples=15)
@given(band=st.integers(0, 2), value=st.floats(-20.0, -0.5))
def test_of_an_absent_band_only_its_absence_counts(network: nn.Module, band: int, value: float) -> None:
    absent, other = picture(), picture()
    absent[:, band], other[:, band] = -1.0, value
    with torch.no_grad():
        torch.testing.assert_close(network(absent), network(other), rtol=0, atol=0)


def test_an_absent_band_is_no_dark_band(network: nn.Module) -> None:
    absent, dark = picture(), picture()
    absent[:, 1], dark[:, 1] = -1.0, 0.0
    with torch.no_grad():
        assert not torch.allclose(network(absent), network(dark), atol=1e-4)


@pytest.mark.parametrize("value", [-1.0, -0.4, 0.0, 1e-6, 2.0, 3.2767, 1e6])
def test_odd_but_finite_values_give_numbers(network: nn.Module, value: float) -> None:
    with torch.no_grad():
        assert torch.isfinite(network(torch.full((1, 3, 32, 32), value))).all()


def test_probabilities_sum_to_one_and_a_temperature_softens_them(network: nn.Module) -> None:
    with torch.no_grad():
        sharp, soft = (
            WithProbabilities(network)(picture()),
            WithProbabilities(Calibrated(network, Calibration(temperature=3.0)))(picture()),
        )
    torch.testing.assert_close(sharp.sum(dim=1), torch.ones(1, 32, 32))
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(1, 32, 32))
    assert (soft.amax(dim=1) <= sharp.amax(dim=1) + 1e-6).all()
    assert (soft.argmax(dim=1) == sharp.argmax(dim=1)).float().mean() > 0.99


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"architecture 'nowhere' is not known\. Known: spectral-spatial, "):
        build("nowhere", bands=3, classes=4)
    with pytest.raises(UsageError):
        check_architecture("nowhere")


@pytest.mark.parametrize("name", TELLING)
def test_a_new_terrain_branch_changes_nothing_and_a_trained_one_tells_absence_by_itself(name: str) -> None:
    torch.manual_seed(0)
    plain = build(name, bands=3, classes=4).eval()
    taught = build(name, bands=3, classes=4, terrain=3).eval()
    taught.load_state_dict(plain.state_dict(), strict=False)
    image, terrain = picture(), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(taught(torch.cat([image, terrain], dim=1)), plain(image))
        for key, weights in taught.named_parameters():
            if key.startswith("terrain."):
                weights.add_(0.05 * torch.randn_like(weights))
        given = taught(torch.cat([image, terrain], dim=1))
        absent = taught(torch.cat([image, torch.full_like(terrain, -1.0)], dim=1))
        assert not torch.allclose(given, absent, atol=1e-4)
        torch.testing.assert_close(taught(image), absent, rtol=0, atol=0)


def test_the_sun_on_slopes_shows_on_ground_and_not_through_cloud() -> None:
    torch.manual_seed(0)
    light = torch.log(torch.rand(1, 1, 64, 64) + 0.1)
    ground = light.expand(-1, 2, -1, -1) * 0.5 - 1.0
    ground = torch.where(torch.arange(64) < 32, ground, torch.rand(1, 2, 64, 64))
    seen = GroundSeen((7, 15))
    found = seen(light, ground, torch.ones(1, 1, 64, 64))
    assert found.shape[1] == seen.features(2) == 16
    correlation, slope, level = found[:, :2], found[:, 2:4], found[:, 4:6]
    assert correlation[..., 8:-8, 8:24].min() > 0.95
    assert slope[..., 8:-8, 8:24].sub(0.5).abs().max() < 0.05
    # What is left is nearly the same everywhere, as if the ground were level.
    assert level[..., 8:-8, 8:24].std() < 0.2 * ground[..., 8:-8, 8:24].std()
    assert correlation[..., 8:-8, 40:-8].mean().abs() < 0.1


def test_where_terrain_or_image_are_not_known_the_light_says_nothing() -> None:
    light, ground = torch.rand(1, 1, 32, 32), torch.rand(1, 2, 32, 32)
    known = torch.zeros(1, 1, 32, 32)
    correlation = GroundSeen((7,))(light, ground, known)[:, :4]
    assert not correlation.any()


def test_an_architecture_without_a_terrain_branch_refuses_terrain() -> None:
    with pytest.raises(UsageError, match="takes no terrain"):
        build(next(name for name in ARCHITECTURES if "spectral" not in name), bands=3, classes=4, terrain=3)


@pytest.mark.parametrize(("name", "offset"), [("spectral-spatial-small", 1.8), ("spectral-spatial-light", 2.4)])
def test_weights_that_do_not_tell_their_offset_keep_that_of_their_time(name: str, offset: float) -> None:
    torch.manual_seed(0)
    before, after = (build(name, bands=3, classes=4).eval() for _ in range(2))
    before.offset.fill_(offset)  # type: ignore[operator]
    weights = before.state_dict()
    del weights["offset"]
    after.load_state_dict(weights)
    with torch.no_grad():
        torch.testing.assert_close(after(picture()), before(picture()), rtol=0, atol=0)


def test_light_weights_with_pixels_laid_side_by_side_are_brought_into_place() -> None:
    torch.manual_seed(0)
    network = build("spectral-spatial-light", bands=3, classes=4).eval()
    blocks = torch.rand(32, 5 * 3, 1, 1)
    weights = {**network.state_dict(), "spectral.0.weight": blocks}
    network.load_state_dict(weights)
    values, present = torch.rand(1, 3, 8, 8), (torch.rand(1, 3, 8, 8) > 0.5).float()
    beside = torch.cat([nn.functional.pixel_unshuffle(values, 2), present[:, :, ::2, ::2]], dim=1)
    with torch.no_grad():
        found = network.spectral[0](torch.cat([values, present], dim=1))  # type: ignore[index, operator]
        torch.testing.assert_close(found, nn.functional.conv2d(beside, blocks))


def test_roots_stand_for_a_logarithm() -> None:
    reflectance = torch.linspace(0.0, 2.0, 201, dtype=torch.float64)
    torch.testing.assert_close(logarithm(reflectance), torch.log(reflectance + DARKEST), rtol=0, atol=0.008)
    assert (logarithm(torch.tensor([-1.0, 3.0])) == logarithm(torch.tensor([0.0, 2.0]))).all()
