"""Make items as other software writes them: in the layout of FDR4VGT, with its defects, and plain ones of MLM 1.5."""

from __future__ import annotations

from typing import Any

HUB = "https://huggingface.co/isp-uv-es/FDR4VGT-CLOUD/resolve/main/single"

ARCHITECTURES = ("first", "second", "third")


def fdr4vgt_item(*, hub: str = HUB, members: tuple[str, ...] = ARCHITECTURES) -> dict[str, Any]:
    """Give an item in the layout of FDR4VGT-CLOUD: seven defects of the schemas, and more that they let through."""
    structure = {"dim_order": ["batch", "channel", "height", "width"], "data_type": "float32"}
    probability = {"shape": [-1, 1, 512, 512], **structure}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/mlm/v1.5.0/schema.json",
            "https://stac-extensions.github.io/file/v2.1.0/schema.json",
        ],
        "id": "ENSEMBLE_OF_THREE",
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[-180.0, -90.0], [-180.0, 90.0], [180.0, 90.0], [180.0, -90.0], [-180.0, -90.0]]],
        },
        "bbox": [-180, -90, 180, 90],
        "properties": {
            "datetime": "2025-12-02T16:07:03Z",
            "created": "2025-12-02T16:07:03Z",
            "updated": "2025-12-02T16:07:03Z",
            "title": "An ensemble",
            "description": "Members that are aggregated when they run.",
            "mlm:name": "ensemble_of_three",
            "mlm:architecture": "Ensemble: first, second, third",
            "mlm:tasks": ["semantic-segmentation", "uncertainty-quantification"],
            "mlm:framework": "pytorch",
            "mlm:framework_version": "2.5.1+cu121",
            "mlm:accelerator": "cuda",
            "mlm:accelerator_constrained": False,
            "mlm:batch_size_suggestion": 4,
            "mlm:input": [
                {
                    "name": "VGT_TOC_reflectance",
                    "bands": [
                        "Blue (B0, ~450nm)",
                        "Red (B2, ~645nm)",
                        "Near-Infrared (B3, ~835nm)",
                        "SWIR (MIR, ~1665nm)",
                    ],
                    "input": {"shape": [-1, 4, 512, 512], **structure},
                    "norm": {"type": "raw_toc_reflectance", "range": [0, 10000], "description": "Reflectance x 10000"},
                    "pre_processing_function": None,
                }
            ],
            "mlm:output": [
                {
                    "name": "cloud_probability",
                    "tasks": ["semantic-segmentation"],
                    "result": dict(probability),
                    "classification:classes": [
                        {"value": 0.0, "name": "clear", "description": "Clear", "color_hint": "00000000"},
                        {"value": 1.0, "name": "cloud", "description": "Cloud", "color_hint": "FFFF00"},
                    ],
                    "post_processing_function": "Apply the threshold 0.4.",
                    "standard_threshold": 0.5,
                    "recommended_threshold": 0.4,
                    "value_range": [0.0, 1.0],
                    "description": "Mean probability of the members.",
                },
                {
                    "name": "prediction_uncertainty",
                    "tasks": ["uncertainty-quantification"],
                    "result": dict(probability),
                },
            ],
            "custom:has_sigmoid": True,
            "custom:sensors": ["VGT-1", "VGT-2", "PROBA-V"],
            "custom:spatial_resolution": "1km",
            "custom:tile_size": 512,
            "custom:recommended_overlap": 64,
            "custom:applicable_start": "1998-03-01T00:00:00Z",
            "custom:applicable_end": None,
            "custom:ensemble_size": len(members),
            "custom:ensemble_members": list(members),
            "custom:ensemble_fused": False,
        },
        "links": [{"rel": "license", "href": "https://creativecommons.org/licenses/by/4.0/", "type": "text/html"}],
        "assets": {
            "load": {"href": f"{hub}/load.py", "roles": ["code"]},
            **{
                f"model_{number:02}_{name}": {
                    "href": f"{hub}/{name}.pt2",
                    "title": f"Model {number}",
                    "mlm:artifact_type": "torch.export.pt2",
                    "roles": ["mlm:model", "mlm:weights", "data"],
                }
                for number, name in enumerate(members, start=1)
            },
        },
        "collection": "ENSEMBLES",
    }


def plain_item(**model_input: object) -> dict[str, Any]:
    """Give a valid item of MLM 1.5 for one ONNX network of four classes, which lies beside it as ``network.onnx``."""
    wavelengths = {"B03": ("green", 0.56), "B04": ("red", 0.665), "B8A": ("nir08", 0.865)}
    bands = [
        {"name": name, "common_name": common, "center_wavelength": center, "full_width_half_max": 0.03}
        for name, (common, center) in wavelengths.items()
    ]
    shape = {"shape": [-1, 3, -1, -1], "dim_order": ["batch", "bands", "height", "width"], "data_type": "float32"}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/mlm/v1.5.0/schema.json",
            "https://stac-extensions.github.io/file/v2.1.0/schema.json",
            "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
        ],
        "id": "plain",
        "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]},
        "bbox": [0, 0, 1, 1],
        "properties": {
            "datetime": "2025-01-01T00:00:00Z",
            "license": "MIT",
            "version": "3.1",
            "mlm:name": "plain-network",
            "mlm:architecture": "U-Net",
            "mlm:tasks": ["semantic-segmentation"],
            "mlm:input": [
                {
                    "name": "image",
                    "description": "Unitless reflectance.",
                    "bands": list(wavelengths),
                    "input": shape,
                    **model_input,
                }
            ],
            "mlm:output": [
                {
                    "name": "classes",
                    "tasks": ["semantic-segmentation"],
                    "result": {**shape, "shape": [-1, 4, -1, -1], "dim_order": ["batch", "class", "height", "width"]},
                    "classification:classes": [
                        {"value": value, "name": name, "description": name}
                        for value, name in enumerate(("clear", "thick cloud", "thin cloud", "shadow"))
                    ],
                }
            ],
            "undercast:levels": ["toa"],
        },
        "links": [],
        "assets": {
            "weights": {
                "href": "./network.onnx",
                "roles": ["mlm:model"],
                "mlm:artifact_type": "onnx",
                "eo:bands": bands,
                "file:size": 7,
                "file:checksum": "1220" + 64 * "0",
            }
        },
    }
