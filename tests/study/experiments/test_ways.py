"""Summaries of experiments on ways to train: their numbers, and that they say what these say."""

import json

import pytest
from PIL import Image

from minicnn.study.experiments.heads import RATES, WITH, WITHOUT, HeadsExperiment, HeadsRun
from minicnn.study.experiments.pooling import AVERAGE, FLATTENED, PoolingExperiment, PoolingRun


def run(way, seed, end, aux=None, early=0.2, rate=None):
    heads = {"main": end} if aux is None else {"main": end, "aux1": aux, "aux2": aux + 0.1}
    rates = {} if rate is None else {"conv1": rate, "inception5b": 1.0}
    return HeadsRun(way, seed, ({**heads, "main": early}, heads), heads, rates)


def experiment(gain, gain_of_rates=0.0, seeds=(0, 1, 2)):
    """`gain` of the heads, up to a hundredth; seeds differ by a tenth."""
    runs = []
    for seed in seeds:
        base = 0.5 + 0.1 * seed
        noise = 0.01 * (seed % 3 - 1)
        runs += [
            run(RATES, seed, base + gain_of_rates - noise, rate=1.5 + seed),
            run(WITH, seed, base + gain + noise, aux=0.3, early=0.3),
            run(WITHOUT, seed, base),
        ]
    return HeadsExperiment(tuple(runs))


def said(found):
    return [" ".join(line.split()) for line in found.verdict()]


def test_numbers():
    found = experiment(0.1)
    assert found.seeds == [0, 1, 2]
    assert found.test(WITHOUT).values == pytest.approx((50, 60, 70))
    assert found.test(WITH).values == pytest.approx((59, 70, 81))
    assert found.test(WITH, "aux2").mean == pytest.approx(40)
    assert found.validation(WITH, 0).mean == pytest.approx(30)
    assert found.speed(WITHOUT).values == pytest.approx((35, 40, 45))
    assert found.rates()["conv1"].values == (1.5, 2.5, 3.5)


def test_a_gain_beyond_the_noise():
    lines = said(experiment(0.1))
    assert "the end is +40.0 (+12.7 to +67.3) better than aux1: its error is higher" in lines[1]
    assert "+30.0 (+2.7 to +57.3) better than aux2" in lines[2]
    assert "with heads against without heads: +10.0 (+7.5 to +12.5) at the end (heads help)" in lines[3]
    assert "+10.0 (+8.8 to +11.2) as a mean over the epochs (heads help)" in lines[3]
    assert "layer rates against without heads: +0.0" in lines[4]
    assert "cannot be told from 3 seeds" in lines[4]
    assert "with heads against layer rates" in lines[5]
    assert "(heads are better than layer rates)" in lines[5]


def test_a_gain_within_the_noise_and_a_loss():
    lines = said(experiment(0.01))
    assert "+1.0 (-1.5 to +3.5) at the end (cannot be told from 3 seeds)" in lines[3]
    lines = said(experiment(-0.1, gain_of_rates=0.2))
    assert "at the end (heads harm)" in lines[3]
    assert "at the end (layer rates help)" in lines[4]
    assert "at the end (layer rates are better than heads)" in lines[5]


def test_heads_that_are_better_contradict_the_lecture():
    runs = tuple(run(way, seed, 0.2, aux=0.7 + 0.01 * seed, rate=1.0) for way in (WITH, WITHOUT, RATES)
                 for seed in range(3))  # fmt: skip
    assert "its error is lower, which contradicts the lecture" in said(HeadsExperiment(runs))[1]


def test_one_seed():
    found = experiment(0.1, seeds=(1,))
    assert "one seed" in str(found)
    assert "±" not in str(found)
    assert "cannot be told from 1 seed)" in said(found)[3]


def pooling(gain):
    runs = [
        PoolingRun(way, seed, ({"main": end}, {"main": end}), {"main": end}, 100)
        for seed in range(3)
        for way, end in ((AVERAGE, 0.5 + gain + 0.001 * seed), (FLATTENED, 0.5))
    ]
    return PoolingExperiment(tuple(runs))


def test_what_is_said_about_pooling():
    lines = said(pooling(0.2))
    assert "average against flattened: +20.1 (+19.9 to +20.3) at the end (the average is better)" in lines[1]
    assert lines[2] == "- at the end, the 0.6 that the paper found on ImageNet lies outside of the interval."
    assert "the interval includes the 0.6" in said(pooling(0.005))[2]
    assert "(the average is worse)" in said(pooling(-0.2))[1]
    assert "Parameters of the classifier: 100 (average), 100 (flattened)" in str(pooling(0.2))
    assert "aux1" not in str(pooling(0.2))


def test_table_json_and_picture(tmp_path):
    found = experiment(0.1)
    lines = str(found).splitlines()
    assert lines[0] == "Accuracy in %, mean over 3 seeds ± standard deviation"
    with_heads = next(line for line in lines if line.startswith(WITH))
    assert with_heads.split("±")[0].split() == ["with", "heads", "70.0"]
    assert "Factors of the layer rates: conv1 2.5 ± 1.0, 5b 1.0 ± 0.0" in lines
    document = json.loads(json.dumps(found.to_json()))
    assert document["ways"][WITH]["test"]["aux1"]["mean"] == pytest.approx(30)
    assert list(document["ways"][WITHOUT]["test"]) == ["main"]
    assert len(document["runs"]) == 9
    for name, experiment_ in (("several.png", found), ("single.png", experiment(0.1, seeds=(0,)))):
        experiment_.draw(tmp_path / name)
        with Image.open(tmp_path / name) as picture:
            assert picture.size[0] > 1000
