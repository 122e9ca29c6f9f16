"""The scale experiment's summary: its numbers, and that it says what they say."""

import json

import numpy as np
import pytest
from PIL import Image

from minicnn.study import BranchScores
from minicnn.study.experiments.scale import BINS, ScaleExperiment, ScaleRun

SIZES = np.geomspace(8, 32, 201)  # two octaves


def scores(slope):
    """1x1 and 5x5 share what there is, so that the filter grows by `slope` pixels an octave from 2 pixels."""
    filter_size = 3 + slope * np.log2(SIZES / 16)
    share = (filter_size - 1) / 4  # of the 5x5
    magnitude = np.random.default_rng(0).uniform(0.5, 2.0, len(SIZES))
    signs = np.where(np.arange(len(SIZES)) % 2, 1.0, -1.0)
    zero = np.zeros_like(share)
    return (signs * magnitude)[:, None] * np.stack([1 - share, zero, share, zero], axis=1)


def run(seed, trained, slopes, accuracy=0.9):
    contributions = {f"inception{name}": scores(slope + 0.01 * seed) for name, slope in slopes.items()}
    return ScaleRun(seed, trained, accuracy, SIZES, BranchScores(contributions, contributions))


def experiment(**slopes):
    runs = [run(seed, trained, slopes if trained else dict.fromkeys(slopes, 0.0)) for seed in range(3)
            for trained in (False, True)]  # fmt: skip
    return ScaleExperiment(tuple(runs), 10)


def test_slope_and_shares():
    found = experiment(a=0.5, b=-0.25)
    assert found.modules == ["inceptiona", "inceptionb"]
    assert found.slope("silenced", "inceptiona").values == pytest.approx((0.5, 0.51, 0.52))
    assert found.slope("gradient", "inceptionb").mean == pytest.approx(-0.24)
    assert found.slope("silenced", "inceptiona", trained=False).values == pytest.approx((0, 0.01, 0.02))
    shares = found.shares("silenced", "inceptiona")
    assert shares.shape == (3, BINS, 4)
    assert shares.sum(axis=2) == pytest.approx(np.ones((3, BINS)))
    assert np.all(np.diff(shares[0, :, 2]) > 0.02), "the 5x5's share grows from bin to bin"
    assert found.edges[[0, -1]] == pytest.approx((8, 32))


def test_images_no_branch_speaks_about():
    silent = run(0, True, {"a": 0.5})
    silent.scores.gradient["inceptiona"][::2] = 0
    assert silent.slope("gradient", "inceptiona") == pytest.approx(0.5)
    silent.scores.gradient["inceptiona"][:60] = 0
    assert np.isnan(silent.shares("gradient", "inceptiona", np.geomspace(8, 32, BINS + 1))[0]).all()


@pytest.mark.parametrize(
    ("slopes", "expected"),
    [
        ({"a": 0.5, "b": 0.4, "c": 0.3}, "this is what the lectures say"),
        ({"a": -0.5, "b": -0.4, "c": -0.3}, "this is the opposite of what the lectures say"),
        ({"a": 0.5, "b": -0.4, "c": 0.3}, "it depends on the module"),
        (
            {"a": -0.01, "b": -0.01, "c": -0.01},
            "interval reaches above 0.02. That modules pick their filters by the",
        ),
        ({"a": -0.01, "b": -0.01, "c": 0.9}, "chance alone would give as much, so nothing can be said"),
    ],
)
def test_what_it_says(slopes, expected):
    lines = [" ".join(line.split()) for line in experiment(**slopes).verdict()]
    assert len(lines) == 3
    assert all(expected in line for line in lines[1:])
    assert "would have a slope of 2.0 pixels" in lines[0]
    assert "contradicts" not in " ".join(lines), "these networks and images are not all there are"
    up = ", ".join(name for name, slope in slopes.items() if slope > 0.1) or "no module"
    assert f"larger filters for larger objects in {up}, smaller" in lines[1]


def test_table_json_and_picture(tmp_path):
    found = experiment(a=0.5, b=-0.25)
    lines = str(found).splitlines()
    assert lines[0].startswith("Networks right in 90.0 ± 0.0% of 201 new images; mean over 3 seeds")
    row = next(line for line in lines if line.startswith("inceptiona"))
    assert "0.51 ± 0.01" in row
    assert "larger" in row
    document = json.loads(json.dumps(found.to_json()))
    of_module = document["methods"]["silenced"]["inceptionb"]
    assert of_module["trained"]["slope"]["mean"] == pytest.approx(-0.24)
    assert of_module["untrained"]["slope"]["mean"] == pytest.approx(0.01)
    found.draw(tmp_path / "scale.png")
    with Image.open(tmp_path / "scale.png") as picture:
        assert picture.size[1] > 500


def test_the_smallest_effect_that_would_have_been_seen():
    """Slopes of 0, 0.01 and 0.02, by seed: s = 0.01, times (4.303 + 1.061) / sqrt(3)."""
    line = " ".join(experiment(a=-0.01, b=-0.01).verdict()[1].split())
    assert line.endswith(
        "is not seen here; slopes of 0.03 to 0.03, depending on the module, would have been seen four times "
        "out of five."
    )


def test_networks_that_guess():
    runs = [run(seed, trained, {"a": 0.5}, accuracy=0.11) for seed in range(2) for trained in (False, True)]
    (line,) = ScaleExperiment(tuple(runs), 10).verdict()
    assert line.startswith("Not learnt: 2 of 2 networks guess (about 10% right)")
