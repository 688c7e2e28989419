"""What the peers do with a scene, each by its own functions, with its real architecture and in its own environment.

    python peer_jobs.py PEER SCENE OUTPUT     read a GeoTIFF of blue, green, red and nir, mask it, write the class map

Networks whose weights their authors do not ship on PyPI have random ones: the time does not depend on them, the map is
worth nothing. s2cloudless and CloudS2Mask get the four bands repeated in the places of those that the scene has not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import rasterio

BLUE, GREEN, RED, NIR = range(4)


def ukis_csmask(dn: Any, scale: float) -> Any:
    """Run ukis-csmask with the weights that it ships, four bands, L1C."""
    from ukis_csmask.mask import CSmask

    image = np.ascontiguousarray(np.moveaxis(dn.astype(np.float32) * np.float32(scale), 0, -1))
    return CSmask(image, ["blue", "green", "red", "nir"], product_level="l1c", nodata_value=0).csm[..., 0]


def omnicloudmask(dn: Any, _: float) -> Any:
    """Run OmniCloudMask's predict_from_array with its defaults and the two networks of its version 4."""
    import segmentation_models_pytorch as smp
    from omnicloudmask import predict_from_array

    networks = [
        smp.Unet(name, encoder_weights=None, in_channels=3, classes=4).eval()
        for name in ("tu-regnety_004", "tu-edgenext_small")
    ]
    return predict_from_array(dn[[RED, GREEN, NIR]].astype(np.float32), custom_models=networks)[0]


def s2cloudless(dn: Any, scale: float) -> Any:
    """Run s2cloudless with the trees that it ships and the settings of its documentation."""
    from s2cloudless import S2PixelCloudDetector

    order = (BLUE, BLUE, RED, NIR, NIR, NIR, NIR, BLUE, NIR, NIR)
    bands = np.moveaxis(dn[list(order)].astype(np.float32) * np.float32(scale), 0, -1)[np.newaxis]
    return S2PixelCloudDetector(threshold=0.4, average_over=4, dilation_size=2).get_cloud_masks(bands)[0]


def clouds2mask(dn: Any, _: float) -> Any:
    """Run the network of CloudS2Mask (fastai's DynamicUnet on RegNetY-006): windows of 500 px, overlap 128, 10 at once.

    Its own functions read SAFE products and pickles only; windows, normalisation and argmax are rebuilt here.
    """
    import torch
    from fastai.layers import Mish
    from fastai.vision.learner import create_unet_model
    from timm import create_model

    def body(**_: object) -> torch.nn.Module:
        return create_model("regnety_006", pretrained=False, in_chans=13, num_classes=0, global_pool="")

    network = create_unet_model(body, 4, (500, 500), pretrained=False, n_in=13, act_cls=Mish, cut=None).eval()
    scene = np.repeat(dn.astype(np.float32) / 32767.0, 4, axis=0)[:13]
    height, width = scene.shape[1:]
    side, step = 500, 500 - 128
    rows, cols = (sorted({*range(0, length - side, step), length - side}) for length in (height, width))
    places = [(row, col) for row in rows for col in cols]
    sums = np.zeros((4, height, width), np.float32)
    with torch.inference_mode():
        for first in range(0, len(places), 10):
            some = places[first : first + 10]
            batch = np.stack([scene[:, row : row + side, col : col + side] for row, col in some])
            for (row, col), said in zip(some, network(torch.from_numpy(batch)).numpy(), strict=True):
                sums[:, row : row + side, col : col + side] += said
    return sums.argmax(axis=0)


JOBS: dict[str, Callable[[Any, float], Any]] = {
    "ukis-csmask": ukis_csmask,
    "omnicloudmask": omnicloudmask,
    "s2cloudless": s2cloudless,
    "clouds2mask": clouds2mask,
}


def main() -> None:
    """Mask one scene."""
    peer, scene, output = sys.argv[1:]
    with rasterio.open(scene) as raster:
        profile, scale = raster.profile, raster.scales[0]
        dn = raster.read()
    mask = np.asarray(JOBS[peer](dn, scale), np.uint8)
    profile.update(count=1, dtype="uint8", nodata=None, predictor=1)
    with rasterio.open(output, "w", **profile) as raster:
        raster.write(mask, 1)


if __name__ == "__main__":
    main()
