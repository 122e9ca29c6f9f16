"""Settings: where they come from, and which are refused."""

import json
from dataclasses import asdict, fields, replace

import pytest

from minicnn.errors import CheckpointError, UsageError
from minicnn.training import RECIPES, Config, find_recipe
from minicnn.training.config import DATA, MODELS, flag
from minicnn.training.schedule_of_run import make_schedule


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_is_complete_and_sound(recipe, model, data):
    Config(**asdict(find_recipe(recipe, model, data)), model=model, data=data)


def test_published_recipes_are_as_published():
    paper, caffe, blog = (find_recipe(name, "googlenet", "cifar10") for name in ("paper", "caffe", "blog"))
    for recipe in (paper, blog):
        assert (recipe.schedule, recipe.step_factor, recipe.step_epochs) == ("step", 0.96, 8)
    assert paper.average_epochs > 0
    assert (caffe.schedule, caffe.poly_power, caffe.weight_decay, caffe.bias_lr_factor) == (
        "poly",
        0.5,
        2e-4,
        2.0,
    )
    assert (caffe.initialisation, blog.initialisation) == ("caffe", "glorot")
    assert (blog.lr, blog.batch_size, blog.epochs) == (0.01, 256, 25)
    assert paper.momentum == caffe.momentum == blog.momentum == 0.9
    assert paper.aux_weight == caffe.aux_weight == blog.aux_weight == 0.3


def test_unknown_recipe():
    with pytest.raises(UsageError, match="expected one of default, paper, caffe, blog, got 'best'"):
        find_recipe("best", "googlenet", "shapes")
    with pytest.raises(UsageError, match="no default settings for network 'alexnet'"):
        find_recipe("default", "alexnet", "shapes")


def test_json_round_trip(config):
    assert Config.from_json(json.loads(json.dumps(config.to_json())), "config.json") == config


def test_settings_of_another_version(config):
    settings = config.to_json()
    settings.pop("lr")
    settings["rate"] = 1.0
    with pytest.raises(CheckpointError, match=r"^config.json: its settings are not those .*: lr, rate$"):
        Config.from_json(settings, "config.json")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("epochs", 0, "at least 1, got 0"),
        ("batch_size", -4, "at least 1, got -4"),
        ("patience", 0, "at least 1, got 0"),
        ("step_epochs", 0, "at least 1, got 0"),
        ("limit", 0, "at least 1, got 0"),
        ("threads", 0, "at least 1, got 0"),
        ("lr", 0.0, "a number above 0, got 0"),
        ("lr", float("nan"), "a number above 0, got nan"),
        ("lr", float("inf"), "a number above 0, got inf"),
        ("width", -1.0, "a number above 0 and below 100000, got -1"),
        ("momentum", 1.0, "at least 0 and below 1, got 1"),
        ("warm_up", -0.1, "at least 0 and below 1, got -0.1"),
        ("weight_decay", -1e-4, "at least 0, got -0.0001"),
        ("aux_weight", -0.3, "at least 0, got -0.3"),
        ("average_epochs", -1.0, "at least 0 and below 100000, got -1"),
        ("val_fraction", 0.0, "above 0 and below 1, got 0"),
        ("val_fraction", 1.0, "above 0 and below 1, got 1"),
        ("seed", -1, "from 0 to 2\\*\\*64 - 1, got -1"),
        ("seed", 2**64, "from 0 to 2\\*\\*64 - 1, got 18446744073709551616"),
        ("data", "imagenet", "one of shapes, cifar10, folder, got 'imagenet'"),
        ("model", "alexnet", "one of googlenet-cifar, googlenet, got 'alexnet'"),
        ("schedule", "up", "one of one-cycle, .*, got 'up'"),
        ("activation", "elu", "one of relu, sigmoid, tanh, got 'elu'"),
        ("initialisation", "ones", "one of he, glorot, caffe, zero, got 'ones'"),
        ("epochs", 2.5, "a whole number, got 2.5"),
        ("epochs", True, "a whole number, got True"),
        ("batch_size", "16", "a whole number, got '16'"),
        ("limit", 200.0, "a whole number, got 200.0"),
        ("lr", "0.1", "a number, got '0.1'"),
        ("lr", False, "a number, got False"),
        ("aux", 0, "True or False, got 0"),
        ("augment", None, "True or False, got None"),
        ("data_dir", 5, "text, got 5"),
        ("activation", ["relu"], "one of relu, sigmoid, tanh, got \\['relu'\\]"),
        ("width", 1e308, "above 0 and below 100000, got 1e\\+308"),
        ("average_epochs", 1e308, "at least 0 and below 100000, got 1e\\+308"),
        ("device", "tpu", '"cpu", "cuda" or "cuda:<number>", got "tpu"'),
    ],
)
def test_wrong_settings(config, name, value, words):
    with pytest.raises(UsageError, match=f"^{flag(name)}: expected .*{words}$"):
        replace(config, **{name: value})


@pytest.mark.parametrize(("name", "value"), [("limit", None), ("data_dir", None), ("lr", 1)])
def test_settings_of_several_types(config, name, value):
    assert getattr(replace(config, **{name: value}), name) is value


def test_nesterov_needs_momentum(config):
    with pytest.raises(UsageError, match="--nesterov"):
        replace(config, momentum=0.0, nesterov=True)


@pytest.mark.parametrize(
    ("schedule", "changed", "factors"),
    [
        ("constant", {}, [1.0, 1.0, 1.0]),
        ("cosine", {}, [1.0, 0.75, 0.25]),
        ("poly", {"poly_power": 2.0}, [1.0, 4 / 9, 1 / 9]),
        ("step", {"step_epochs": 2, "step_factor": 0.5}, [1.0, 1.0, 0.5]),
        ("one-cycle", {"warm_up": 0.0}, [1.0, 2 / 3, 1 / 3]),
        ("plateau", {}, [1.0, 1.0, 1.0]),
    ],
)
def test_schedules_are_the_ones_named(config, schedule, changed, factors):
    steps_per_epoch = 10
    made = make_schedule(replace(config, schedule=schedule, **changed), steps_per_epoch)
    assert [made(epoch * steps_per_epoch, 3 * steps_per_epoch) for epoch in range(3)] == pytest.approx(
        factors
    )


def test_plateau_has_the_patience_asked_for(config):
    assert make_schedule(replace(config, schedule="plateau", patience=7), 10).patience == 7


def test_every_setting_is_documented():
    for cls in Config.__mro__[:2]:
        text = cls.__doc__
        assert all(name in text for name in cls.__annotations__), cls
    assert {field.name for field in fields(Config)} == set(Config.__annotations__) | set(
        Config.__mro__[1].__annotations__
    )
