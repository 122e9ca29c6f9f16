"""The classroom's numbers to the digit, and against what a real module counts."""

import pytest

from minicnn import UsageError, models, nn, study
from minicnn.cost import Product
from minicnn.study.lecture_cases import check_figure
from minicnn.study.worked_costs import Design, times_fewer


def counted(module, *shape):
    summary = study.summarize(module, shape)
    return summary.total_macs, sum(row.params - row.biases for row in summary.rows)


def costs(design):
    return design.macs, design.weights


def test_the_worked_cases():
    found = [[design.macs for design in case.designs] for case in study.lecture_cases()]
    assert found == [
        [112_896_000, 1_505_280 + 3_763_200],
        [120_422_400, 2_408_448 + 10_035_200],
        [854_196_224, 271_351_808],
        [51_380_224, 0],
        [50_176_000, 1_024_000],
        [80_281_600, 57_802_752],
        [157_351_936, 86_704_128],
    ]


def test_convolution_equals_the_module():
    direct, reduced = study.convolution_cost(9, 12, 7, 3, 5).designs
    assert costs(direct) == counted(nn.Conv2d(12, 7, 3, padding=1), 1, 9, 9, 12)
    pair = nn.Sequential(nn.Conv2d(12, 5, 1), nn.Conv2d(5, 7, 3, padding=1))
    assert costs(reduced) == counted(pair, 1, 9, 9, 12)
    assert len(study.convolution_cost(9, 12, 7, 3, None).designs) == 1


def test_modules_equal_the_modules():
    naive, reduced = study.module_cost(6, 10, (3, 4, 5), (2, 6), 7).designs
    assert costs(naive) == counted(nn.NaiveInception(10, 3, 4, 5), 1, 6, 6, 10)
    assert costs(reduced) == counted(nn.Inception(10, 3, 2, 4, 6, 5, 7), 1, 6, 6, 10)
    assert (naive.note, reduced.note) == ("output 6x6x22", "output 6x6x19")


def test_pooling_and_classifier_equal_the_modules():
    connected, average = study.pooling_cost(4, 6, 5).designs
    assert costs(connected) == counted(nn.Sequential(nn.Flatten(), nn.Linear(96, 5)), 1, 4, 4, 6)
    assert costs(average) == counted(nn.GlobalAvgPool2d(), 1, 4, 4, 6) == (0, 0)
    flattened, averaged = study.classifier_cost(4, 6, 5).designs
    assert costs(flattened) == costs(connected)
    assert costs(averaged) == counted(nn.Linear(6, 5), 1, 6)


@pytest.mark.parametrize(("kernel", "layers"), [(3, 1), (5, 2), (7, 3), (11, 5)])
def test_stacks_equal_the_modules(kernel, layers):
    one, stack = study.stack_cost(13, 4, kernel).designs
    model = nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=1) for _ in range(layers)))
    assert costs(stack) == counted(model, 1, 13, 13, 4)
    assert costs(one) == counted(nn.Conv2d(4, 4, kernel, padding=kernel // 2), 1, 13, 13, 4)
    fields = study.summarize(model, (1, 13, 13, 4)).rows[-1].receptive_field
    assert one.note == stack.note == f"sees {fields} pixels" == f"sees {kernel} pixels"


@pytest.mark.parametrize("kernel", [1, 4])
def test_no_stack_sees_that(kernel):
    with pytest.raises(UsageError, match=f"sees an odd number of pixels from 3 on, not {kernel}$"):
        study.stack_cost(28, 64, kernel)


def test_figures():
    design = Design("", (Product("a", 1, 1000, 1100), Product("b", 1, 1000, 2280)))
    assert check_figure("3.4M", design) == "3.4M is right"
    assert check_figure("3.3M", design) == "3.3M is cut off, rounded it is 3.4M"
    assert check_figure("4.5M", design) == (
        "4.5M is a misprint: the same sum with the a (1,100,000) counted twice, 4,480,000"
    )
    assert check_figure("9M", design) == "9M is a misprint"


def test_what_lectures_misprint():
    text = "\n".join(map(str, study.lecture_cases()))
    assert "358M is a misprint: the same sum with the 3x3 (86,704,128) counted twice, 358,055,936" in text
    assert "51.3M is cut off, rounded it is 51.4M" in text
    for right in ("112.9M", "1.5M", "3.8M", "5.3M", "854M"):
        assert f"{right} is right" in text


def test_a_table():
    text = str(study.convolution_cost(28, 192, 32, 5, 16))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[2] == "directly 28*28 * 5*5 * 192 * 32 120,422,400 153,600"
    assert lines[-1] == "together 12,443,648 15,872 9.7 times fewer"


def test_times():
    assert times_fewer(30, 20) == "1.5 times fewer"
    assert times_fewer(20, 30) == "1.5 times as many"
    assert times_fewer(5, 0) == "none at all"


# ---- other networks ----


@pytest.fixture(scope="module")
def networks():
    made = {
        "GoogLeNet": models.googlenet(aux=False),
        "AlexNet": models.alexnet(blank=True),
        "VGG-16": models.vgg16(blank=True),
    }
    return {name: study.summarize(model, (1, *model.input_size)) for name, model in made.items()}


def test_claims_about_networks(networks):
    text = study.compare_networks(networks)
    assert '"12 times fewer parameters than AlexNet": no, 60,965,224 / 6,998,552 = 8.7 times' in text
    assert '"more operations than AlexNet": right, 2.2 times as many' in text
    assert '"more operations than VGG": no, 9.8 times fewer (1.6G against 15.5G)' in text
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines()}
    assert lines["VGG-16"] == ["224x224x3", "16", "138,357,544", "19.77", "15,470,264,320", "9.77"]


def test_claims_are_computed(networks):
    ours = networks["GoogLeNet"]
    text = study.compare_networks({"GoogLeNet": ours, "VGG-16": networks["AlexNet"]})
    assert '"more operations than VGG": right, 2.2 times as many' in text
    assert "parameters than AlexNet" not in text
