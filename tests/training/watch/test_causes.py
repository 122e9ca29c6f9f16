"""Advice comes from the settings of the run: numbers, never what is so already, and honest if none helps."""

import itertools
from dataclasses import asdict, replace

import pytest

from minicnn.training import Config, find_recipe
from minicnn.training.config import ACTIVATIONS, DATA, INITIALISATIONS, MODELS
from minicnn.training.recipes import RECIPES, SCHEDULES
from minicnn.training.watch import FAILURES
from minicnn.training.watch.causes import CAUSES, TOO_LONG_STEPS, advise, usual_settings

EVERY_LIST = [TOO_LONG_STEPS, CAUSES, *(failure.causes for failure in FAILURES)]


def run_with(recipe="default", model="googlenet-cifar", data="shapes", **settings) -> Config:
    return Config(**{**asdict(find_recipe(recipe, model, data)), "model": model, "data": data, **settings})


def of(kind: str):
    return next(failure.causes for failure in FAILURES if failure.kind == kind)


@pytest.mark.parametrize(("model", "data"), [*itertools.product(MODELS, DATA)])
@pytest.mark.parametrize("causes", EVERY_LIST)
def test_the_defaults_are_not_to_blame(model, data, causes):
    config = run_with(model=model, data=data)
    none, look = advise(causes, config)
    assert none.startswith("none of the usual causes is in the settings: --")
    assert all(f"--{cause.setting.replace('_', '-')} " in none for cause in CAUSES)
    assert "--overfit-one-batch" in look
    assert "minicnn gradcheck" in look
    assert look.endswith(f"try a third of the rate, --lr {config.lr / 3:.2g}")


OTHERS = {
    "lr": [1e-5, 0.01, 0.05, 0.06, 2.0],
    "clip_norm": [0.0, 0.1, 2.0, 50.0],
    "momentum": [0.0, 0.9, 0.99],
    "schedule": SCHEDULES,
    "warm_up": [0.0, 0.25, 0.5],
    "activation": ACTIVATIONS,
    "initialisation": INITIALISATIONS,
    "weight_decay": [0.0, 1e-4, 5e-4, 0.1],
}


@pytest.mark.parametrize("setting", OTHERS)
@pytest.mark.parametrize("causes", EVERY_LIST)
def test_what_is_so_already_is_never_advised(setting, causes):
    for value in OTHERS[setting]:
        for recipe in RECIPES:
            nesterov = {"nesterov": False} if value == 0.0 and setting == "momentum" else {}
            config = run_with(recipe, **{setting: value}, **nesterov)
            usual = asdict(usual_settings(config))
            advice = advise(causes, config)
            assert len(set(advice)) == len(advice)
            for line in advice:
                if line.startswith("try "):
                    name, advised = line.removeprefix("try --").split(":")[0].split(" ")
                    name = name.replace("-", "_")
                    assert str(advised) == _written(usual[name])
                    assert str(advised) != _written(getattr(config, name)), line


def _written(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("dead ReLUs", {"lr": 2.0}, ["try --lr 0.05: --lr 2 is 40 times the default"]),
        (
            "exploding steps",
            {"lr": 0.5, "clip_norm": 0.0, "schedule": "constant"},
            [
                "try --lr 0.05: --lr 0.5 is 10 times the default",
                "try --clip-norm 2: gradient clipping is off",
                "try --schedule one-cycle: --schedule constant begins at the full rate, one-cycle at a "
                "25th of it",
            ],
        ),
        (
            "exploding steps",
            {"clip_norm": 50.0},
            ["try --clip-norm 2: --clip-norm 50 is 25 times the default"],
        ),
        (
            "exploding steps",
            {"momentum": 0.99},
            ["try --momentum 0.9: --momentum 0.99 makes steps up to 10 times as long"],
        ),
        (
            "dead ReLUs",
            {"batch_size": 4},
            ["try --lr 0.003125: --lr 0.05 is 16 times the default for --batch-size 4"],
        ),
        (
            "dead ReLUs",
            {"warm_up": 0.01},
            ["try --warm-up 0.25: with --warm-up 0.01 the rate is at its highest after 1% of the run"],
        ),
        (
            "vanishing gradient",
            {"activation": "sigmoid"},
            ["try --activation relu: a sigmoid passes on at most a quarter of the gradient, layer by layer"],
        ),
        (
            "saturation",
            {"activation": "tanh", "lr": 2.0},
            [
                "try --lr 0.05: --lr 2 is 40 times the default",
                "try --activation relu: tanh is flat at both ends, a ReLU at one",
            ],
        ),
        (
            "equal units",
            {"initialisation": "zero"},
            ["try --initialisation he: weights that all start at zero stay equal; he draws them at random"],
        ),
        (
            "dead trunk",
            {"weight_decay": 0.1},
            [
                "try --weight-decay 0.0001: --weight-decay 0.1 is 1,000 times the default, and pulls all "
                "weights towards zero"
            ],
        ),
    ],
)  # fmt: skip
def test_what_is_to_blame_with_its_numbers(kind, settings, expected):
    assert list(advise(of(kind), run_with(**settings))) == expected


def test_a_plateau_may_come_of_steps_that_are_too_short():
    assert advise(CAUSES, run_with(lr=1e-3, clip_norm=0.02)) == (
        "try --lr 0.05: --lr 0.001 is 0.02 times the default, and gets nowhere soon",
        "try --clip-norm 2: --clip-norm 0.02 is 0.01 times the default, and cuts steps that much shorter",
    )
    assert advise(TOO_LONG_STEPS, run_with(lr=1e-3))[0].startswith("none of the usual causes")


@pytest.mark.parametrize("lr", [1e-5, 0.00625, 0.05])
@pytest.mark.parametrize("batch_size", [1, 8, 15, 16, 64, 512])
def test_rates_and_batches(lr, batch_size):
    usual = 0.05 * batch_size / 64 if batch_size < 16 else 0.05
    (line, *_) = advise(CAUSES, run_with(lr=lr, batch_size=batch_size))
    assert line.startswith("none" if lr == usual else f"try --lr {usual:g}: --lr {lr:g} is ")
    assert (f"for --batch-size {batch_size}" in line) is (batch_size < 16 and lr != usual)


def test_a_small_batch_whose_rate_is_as_low_is_not_to_blame():
    for causes in EVERY_LIST:
        assert advise(causes, run_with(batch_size=4, lr=0.05 / 16))[0].startswith("none of the usual")
    assert advise(CAUSES, run_with(batch_size=4, lr=1e-5)) == (
        "try --lr 0.003125: --lr 1e-05 is 0.0032 times the default for --batch-size 4, and gets nowhere soon",
    )
    assert advise(TOO_LONG_STEPS, run_with(batch_size=16))[0].startswith("none of the usual")


def test_the_defaults_are_those_of_network_and_data():
    assert advise(TOO_LONG_STEPS, run_with(model="googlenet", data="folder", lr=0.04)) == (
        "try --lr 0.02: --lr 0.04 is 2 times the default",
    )
    assert usual_settings(replace(run_with(), activation="tanh")).activation == "relu"
