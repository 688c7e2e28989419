"""A sensor's bands stand for those of a model by wavelength, or they are absent."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from undercast.bands import band_from_name
from undercast.errors import BandError
from undercast.model_spec import ModelBand, ModelSpec
from undercast.sensors import load_sensor, parse_sensor
from undercast.training.adaptation import Adapted, plan_adaptation
from undercast.training.spectral_spatial import SpectralSpatial

NAMES = ("blue", "green", "red", "nir", "swir16", "swir22")
SPEC = ModelSpec(
    id="m",
    version="1",
    bands=tuple(ModelBand(band=band_from_name(name), required=name in {"red", "nir"}) for name in NAMES),
)


class Echo(nn.Module):
    """Gives its input back."""

    def forward(self, reflectance: Tensor) -> Tensor:
        return reflectance


def test_spot_has_no_blue_and_pleiades_no_short_wave_infrared() -> None:
    spot, pleiades = (plan_adaptation(SPEC, load_sensor(name)) for name in ("spot-5-hrg", "pleiades-hiri"))
    assert [row.choice for row in spot.bands] == ["absent", "subset", "subset", "subset", "subset", "absent"]
    assert [band.name for band in spot.used] == ["XS1", "XS2", "XS3", "SWIR"]
    assert [row.choice for row in pleiades.bands] == ["subset"] * 4 + ["absent"] * 2
    assert all(row.distance_um <= 0.06 for row in (*spot.bands, *pleiades.bands))


def test_two_narrow_bands_stand_for_a_wide_one_with_weights() -> None:
    rows = "\n".join(
        f'[[bands]]\nname = "{name}"\ncenter_wavelength = {center}\nfull_width_half_max = 0.05'
        for name, center in (("r", 0.66), ("n1", 0.815), ("n2", 0.865))
    )
    sensor = parse_sensor(
        f'id = "two"\ngsd = 10.0\n{rows}',
        origin="test",
    )
    plan = plan_adaptation(SPEC, sensor)
    nir = plan.bands[NAMES.index("nir")]
    assert nir.choice == "re-weighted"
    assert nir.weights[1] == pytest.approx(0.5, abs=0.05)
    assert sum(nir.weights) == pytest.approx(1.0)
    assert nir.distance_um < 0.01


def test_a_sensor_that_lacks_what_the_model_needs_is_refused_by_name() -> None:
    sensor = parse_sensor(
        'id = "t"\ngsd = 60.0\n[[bands]]\nname = "T"\ncenter_wavelength = 11.0\nfull_width_half_max = 1.0',
        origin="test",
    )
    with pytest.raises(BandError, match=r"cannot be adapted to t: nothing is near red, nir\..*the sensor has"):
        plan_adaptation(SPEC, sensor)


def test_the_network_gets_mixed_bands_and_is_told_what_is_absent() -> None:
    plan = plan_adaptation(SPEC, load_sensor("spot-5-hrg"))
    image = torch.tensor([0.1, 0.2, 0.3, -1.0]).view(1, 4, 1, 1)
    seen = Adapted(Echo(), plan)(image).flatten().tolist()
    assert seen == pytest.approx([-1.0, 0.1, 0.2, 0.3, -1.0, -1.0])


def test_the_encoder_of_the_network_stays_the_encoder() -> None:
    network = Echo()
    network.encoder_parts = ("levels",)  # type: ignore[assignment]
    assert Adapted(network, plan_adaptation(SPEC, load_sensor("spot-5-hrg"))).encoder_parts == ("network.levels",)


def test_training_in_half_the_precision_sees_what_single_precision_sees() -> None:
    plan = plan_adaptation(SPEC, load_sensor("spot-5-hrg"))
    torch.manual_seed(0)
    network = Adapted(SpectralSpatial(len(NAMES), 4, widths=(8, 8, 8, 8, 8)), plan).eval()
    image = torch.rand(1, 4, 64, 64) * 0.5
    with torch.no_grad():
        whole = network(image)
        with torch.autocast("cpu", torch.bfloat16):
            half = network(image)
    assert (whole - half.float()).abs().max() < 0.05 * whole.std()
