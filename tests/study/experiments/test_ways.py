"""Summaries of experiments on ways to train: their numbers, and that they say what these say."""

import json

import pytest
from PIL import Image

from minicnn.study.experiments.heads import RATES, WITH, WITHOUT, HeadsExperiment, HeadsRun
from minicnn.study.experiments.plateau import CONSTANT, DIVIDED, PlateauExperiment
from minicnn.study.experiments.pooling import AVERAGE, FLATTENED, PoolingExperiment, PoolingRun
from minicnn.study.experiments.repetitions import Repetitions
from minicnn.study.experiments.ways import WayRun, points


def run(way, seed, end, aux=None, early=0.2, rate=None):
    heads = {"main": end} if aux is None else {"main": end, "aux1": aux, "aux2": aux + 0.1 + 0.01 * seed}
    rates = {} if rate is None else {"conv1": rate, "inception5b": 1.0}
    return HeadsRun(way, seed, ({**heads, "main": early}, heads), heads, (0.05, 0.01), rates)


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
    return HeadsExperiment(tuple(runs), 10)


def said(found):
    return [" ".join(line.split()) for line in found.verdict()]


def test_numbers():
    found = experiment(0.1)
    assert found.seeds == [0, 1, 2]
    assert found.test(WITHOUT).values == pytest.approx((50, 60, 70))
    assert found.test(WITH).values == pytest.approx((59, 70, 81))
    assert found.test(WITH, "aux2").mean == pytest.approx(41)
    assert found.validation(WITH, 0).mean == pytest.approx(30)
    assert found.speed(WITHOUT).values == pytest.approx((35, 40, 45))
    assert found.rates()["conv1"].values == (1.5, 2.5, 3.5)


def test_a_gain_beyond_the_noise():
    lines = said(experiment(0.1))
    assert "main - aux2 is +29.0 (+4.2 to +53.8): aux2 has the higher error, as the lecture says" in lines[1]
    assert "aux2 - aux1 is +11.0 (+8.5 to +13.5): aux1 has the higher error, as the lecture says" in lines[2]
    assert "main - aux1 is +40.0 (+12.7 to +67.3): aux1 has the higher error" in lines[3]
    assert "with heads against without heads: +10.0 (+7.5 to +12.5) at the end (heads help)" in lines[4]
    assert "+10.0 (+8.8 to +11.2) as a mean over the epochs (heads help)" in lines[4]
    assert "layer rates against without heads: +0.0" in lines[5]
    assert "cannot be told from 3 seeds" in lines[5]
    assert "with heads against layer rates" in lines[6]
    assert "(heads are better than layer rates)" in lines[6]


def test_a_gain_within_the_noise_and_a_loss():
    lines = said(experiment(0.01))
    assert "+1.0 (-1.5 to +3.5) at the end (cannot be told from 3 seeds)" in lines[4]
    lines = said(experiment(-0.1, gain_of_rates=0.2))
    assert "at the end (heads harm)" in lines[4]
    assert "at the end (layer rates help)" in lines[5]
    assert "at the end (layer rates are better than heads)" in lines[6]


def test_heads_that_are_better_contradict_the_lecture():
    runs = tuple(run(way, seed, 0.2, aux=0.7 + 0.01 * seed, rate=1.0) for way in (WITH, WITHOUT, RATES)
                 for seed in range(3))  # fmt: skip
    lines = said(HeadsExperiment(runs, 10))
    assert "main - aux1 is -51.0 (-53.5 to -48.5): aux1 has the lower error" in lines[3]


def test_no_negative_zero():
    assert points(Repetitions([-0.04])) == "+0.0"
    assert points(Repetitions([-0.02, -0.01, 0.01])) == "+0.0 (+0.0 to +0.0)"
    assert "-0.0" not in str(Repetitions([-0.04, 0.02]))


def test_networks_that_guess():
    """Then nothing is said about ways to train, least of all which is better."""
    runs = tuple(run(way, seed, 0.1 + 0.01 * number, aux=0.2, rate=1.0)
                 for number, way in enumerate((WITH, WITHOUT, RATES)) for seed in range(3))  # fmt: skip
    (line,) = said(HeadsExperiment(runs, 10))
    assert line == (
        "Not learnt: 9 of 9 networks guess (about 10% right), so this says nothing; "
        "raise --epochs or --limit."
    )
    assert str(HeadsExperiment(runs, 10)).splitlines()[-1] == line
    assert HeadsExperiment(runs, 10).to_json()["verdict"] == [line]
    assert "with heads" in said(HeadsExperiment(runs, 100))[1], "of a hundred classes, a tenth is much"


def test_networks_of_one_way_that_guess():
    """That only one way makes them learn is a finding."""
    found = pooling(0.2, flattened=0.1)
    *verdict, line = said(found)
    assert line.startswith("Still guessing (about 10% right): flattened 3 of 3; with more --epochs")
    assert "(the average is better)" in verdict[1]


def test_one_seed():
    found = experiment(0.1, seeds=(1,))
    assert "one seed" in str(found)
    assert "±" not in str(found)
    assert "cannot be told from 1 seed)" in said(found)[4]


def pooling(gain, flattened=0.5):
    runs = [
        PoolingRun(way, seed, ({"main": end}, {"main": end}), {"main": end}, (0.05, 0.01), 100)
        for seed in range(3)
        for way, end in ((AVERAGE, flattened + gain + 0.001 * seed), (FLATTENED, flattened))
    ]
    return PoolingExperiment(tuple(runs), 10)


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


def plateau(divisions=(2, 3, None), epochs=5):
    """The rate is divided after so many epochs; from then on the divided run is steady, and better."""
    runs = []
    for seed, division in enumerate(divisions):
        constant = [0.4, 0.6, *(0.8 if epoch % 2 else 0.7 for epoch in range(2, epochs))]
        constant = [accuracy + 0.01 * seed for accuracy in constant]
        divided = constant if division is None else [*constant[:division], *[0.9] * (epochs - division)]
        lr = [0.02 if division is None or epoch < division else 0.002 for epoch in range(epochs)]
        for way, curve, rates in ((DIVIDED, divided, lr), (CONSTANT, constant, [0.02] * epochs)):
            validation = tuple({"main": accuracy} for accuracy in curve)
            runs.append(WayRun(way, seed, validation, {"main": curve[-1]}, tuple(rates)))
    return PlateauExperiment(tuple(runs), 10)


def test_dividing_epoch_by_epoch():
    found = plateau()
    assert found.divisions() == [2, 3, None]
    rows = {line.split()[0]: line for line in str(found).splitlines()}
    assert "0 of 3    61.0 ± 1.0    61.0 ± 1.0   the same" in rows["2"]
    assert rows["3"].split()[1:4] == ["1", "of", "3"]
    assert rows["3"].endswith("+6.7 (-22.0 to +35.4)"), "of 20, 0 and 0 points"
    assert rows["5"].split()[1:4] == ["2", "of", "3"]
    assert "Epochs before the first division: 2 (seed 0), 3 (seed 1), never (seed 2)" in str(found)


def test_what_is_said_about_dividing():
    lines = said(plateau((2, 3, 2)))
    # Seed 1 compares with 0.81, the others with 0.70 and 0.72.
    assert lines[1].startswith("- in the epoch after the first division: +15.7 (")
    # Means over the epochs: 90 - 73.3, 90 - 76, 90 - 75.3
    assert lines[2].startswith("- as a mean over all epochs after it: +15.1 (")
    assert lines[2].endswith("(dividing helps).")
    assert "moves by 0.0 up or down with a divided rate, by 10.0 with a constant one: -10.0" in lines[3]
    assert lines[3].endswith("(steadier).")
    assert lines[4] == "- at the end, on test images: +19.0 (+16.5 to +21.5) (dividing helps)."


def test_little_to_say_about_dividing():
    assert "the rate was never divided; raise --epochs" in said(plateau((None, None)))[1]
    lines = said(plateau((2, 4)))  # of the second there is one epoch, which does not move
    assert "by 10.0 with a constant one: -10.0 (cannot be told from 1 seed)" in lines[3]
    assert not any("moves" in line for line in said(plateau((4, 4))))
    assert "cannot be told from 1 seed)" in said(plateau((2,)))[1]
    lines = said(plateau((2, None, None)))
    assert "cannot be told from 1 seed)" in lines[1], "there was one division"
    assert lines[-1].endswith("(cannot be told from 3 seeds).")
