"""A recipe is read strictly: each wrong key or value gives one line that names it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from undercast.errors import TrainingError
from undercast.training.recipe import Recipe, read_recipe


def test_a_recipe_is_read_with_its_defaults(recipe: Recipe) -> None:
    assert recipe.model.bands == ("green", "red", "nir", "swir16")
    assert [band.common_name for band in recipe.bands] == list(recipe.model.bands)
    assert (recipe.optimise.steps, recipe.optimise.batch, recipe.augment.crop) == (12, 2, 32)
    assert recipe.optimise.class_weights == (1.0, 1.0, 1.5, 2.0)
    assert recipe.data.leave_out == ("drawn_weak",)


def test_the_recipe_of_the_embedded_model_is_sound() -> None:
    recipe = read_recipe(Path(__file__).parents[2] / "recipes" / "embedded.toml")
    assert recipe.model.id == "embedded"
    assert recipe.model.required == ("red", "nir")


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("steps", "0", "[optimise]: steps must be at least 1, got 0."),
        ("steps", '"many"', "[optimise]: steps must be a whole number, got 'many'."),
        ("steps", "1.5", "[optimise]: steps must be a whole number, got 1.5."),
        ("steps", "true", "[optimise]: steps must be a whole number, got True."),
        ("batch", "2\nbatches = 3", "[optimise]: unknown keys batches. Known: batch, class_weights"),
        ("batch", "2\nema = 1.0", "[optimise]: ema must be in [0, 1), got 1."),
        ("batch", "2\nlearning_rate = nan", "[optimise]: learning_rate must be a finite number, got nan."),
        ("batch", "2\nlearning_rate = 0", "[optimise]: learning_rate must be > 0, got 0."),
        ("batch", "2\nclass_weights = [1, 1]", "[optimise]: class_weights must be 4 numbers >= 0, got [1, 1]."),
        ("batch", '2\nclass_weights = ["a"]', "[optimise]: class_weights must be a list of finite numbers"),
        ("validate_every", "0", "[optimise]: validate_every must be at least 1, got 0."),
        ("title", "3", "[model]: title must be a text, got 3."),
        ("bands", '"red"', "[model]: bands must be a list of texts, got 'red'."),
        ("bands", '["red", "nir", "red"]', "[model]: expected one band or more, each once, got red, nir, red."),
        ("bands", '["red", "nir1"]', "[model]: band 'nir1' must be given by its common name, 'nir'."),
        ("bands", '["red", "infrared"]', "band 'infrared' is not a known common name."),
        ("required", '["red", "blue"]', "required bands blue are not among the model's bands."),
        ("simulated", "0", "[bank]: simulated must be at least 1, got 0."),
        ("on_real", "-1", "[bank]: on_real must be at least 0, got -1."),
        ("size", "16", "[bank]: size must be at least 32 px, got 16."),
        ("leave_out", "[]\nreal = 0.8\non_real = 0.3", "[data]: real and on_real must be shares"),
        ("crop", "32\n[last]\nsteps = -1", "[last]: steps must be at least 0, got -1."),
        ("crop", "32\n[last]\nsimulated = 0", "[last]: simulated must be at least 1, got 0."),
        ("crop", "32\n[last]\nlearning_rate = 0", "[last]: learning_rate must be > 0, got 0."),
        ("crop", "32\n[last]\nsteps = 1\nseed = 0", "[last]: seed must be another one than that of [bank], got 0"),
        ("crop", "40", "[augment]: crop must be a multiple of 32 px, got 40."),
        ("crop", "32\nsaturation = 1.5", "[augment]: saturation must be in [0, 1], got 1.5."),
        ("crop", "32\nholes = -0.1", "[augment]: holes must be in [0, 1], got -0.1."),
        ("crop", "32\nsmallest = 2.0", "[augment]: smallest must be > 0 and at most largest, got 2."),
    ],
)
def test_each_wrong_value_is_named(make: SimpleNamespace, tmp_path: Path, key: str, value: str, told: str) -> None:
    path = make.write_recipe(tmp_path / "wrong.toml", **{key: value})
    with pytest.raises(TrainingError) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"recipe {path}: ")
    assert told in str(caught.value)


def test_an_unknown_table_is_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(make.RECIPE + "\n[optimize]\nsteps = 3\n", "utf-8")
    with pytest.raises(
        TrainingError, match=r"unknown tables optimize\. Known: augment, bank, data, last, model, optimise"
    ):
        read_recipe(path)


def test_a_missing_table_is_told_by_its_missing_keys(tmp_path: Path) -> None:
    path = tmp_path / "empty.toml"
    path.write_text("", "utf-8")
    with pytest.raises(TrainingError, match=r"\[model\]: missing .* required keyword-only arguments: 'id', 'version'"):
        read_recipe(path)


def test_a_value_where_a_table_belongs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "flat.toml"
    path.write_text("model = 3\n", "utf-8")
    with pytest.raises(TrainingError, match=r"model must be a table \[model\], got 3"):
        read_recipe(path)


def test_a_missing_or_broken_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be read: No such file"):
        read_recipe(tmp_path / "gone.toml")
    (tmp_path / "broken.toml").write_text("[model", "utf-8")
    with pytest.raises(TrainingError, match="is not TOML"):
        read_recipe(tmp_path / "broken.toml")
