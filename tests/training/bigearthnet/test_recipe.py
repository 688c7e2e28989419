"""The recipe of a classifier is read; keys and values that are wrong are told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from undercast.errors import TrainingError
from undercast.training.bigearthnet.recipe import is_classifier, read_classifier_recipe

SHIPPED = Path(__file__).parents[3] / "recipes" / "bigearthnet.toml"


def test_the_shipped_recipe_is_read() -> None:
    assert is_classifier(SHIPPED)
    recipe = read_classifier_recipe(SHIPPED)
    assert (recipe.classifier.network, recipe.classifier.configuration) == ("scene-small", "10m_s1")
    assert recipe.optimise.patience == 5


def test_recipes_of_masks_are_none_of_classifiers() -> None:
    assert not is_classifier(SHIPPED.with_name("embedded.toml"))


def test_the_values_of_the_published_training_are_taken_where_none_is_given(
    make: SimpleNamespace, tmp_path: Path
) -> None:
    path = make.write_recipe(tmp_path / "recipe.toml")
    text = path.read_text("utf-8")
    path.write_text(text[: text.index("[optimise]")], "utf-8")
    plan = read_classifier_recipe(path).optimise
    assert (plan.epochs, plan.batch, plan.learning_rate, plan.warmup) == (100, 512, 1e-3, -1)
    assert (plan.drop_rate, plan.drop_path_rate, plan.patience, plan.seed, plan.weight_decay) == (
        0.15,
        0.15,
        5,
        42,
        0.01,
    )


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"channel_order": '"v0.3.0"'}, "channel_order must be one of v0.1.1, v0.2.0, got 'v0.3.0'"),
        ({"configuration": '"most"'}, "configuration must be one of s1, s2"),
        ({"kind": '"zarr"'}, "kind must be one of chips, lmdb, geotiffs, got 'zarr'"),
        ({"kind": '"lmdb"'}, "metadata must be given where kind is 'lmdb'"),
        ({"epochs": "0"}, "epochs must be at least 1, got 0"),
        ({"drop_rate": "1.0"}, "drop_rate must be in [0, 1), got 1"),
        ({"learning_rate": "0.0"}, "learning_rate must be > 0, got 0"),
        ({"speed": "9"}, "unknown keys speed"),
        ({"workers": "-1"}, "workers must be at least 0"),
    ],
)
def test_wrong_values_are_told(changed: dict[str, str], told: str, make: SimpleNamespace, tmp_path: Path) -> None:
    path = make.write_recipe(tmp_path / "recipe.toml", **changed)
    with pytest.raises(TrainingError) as error:
        read_classifier_recipe(path)
    assert told in str(error.value)
    assert str(path) in str(error.value)


def test_unknown_tables_are_told(make: SimpleNamespace, tmp_path: Path) -> None:
    path = make.write_recipe(tmp_path / "recipe.toml")
    path.write_text(path.read_text("utf-8") + "\n[bank]\nsimulated = 3", "utf-8")
    with pytest.raises(TrainingError, match="unknown tables bank"):
        read_classifier_recipe(path)
