"""GoogLeNet against the paper's table: verdicts, reasons and what happens to other networks."""

import csv
import io
import json
import re

import numpy as np
import pytest

from minicnn import UsageError, models, nn, study
from minicnn.study.misprints import columns_fit_each_other, depth_multiplier, reason
from minicnn.study.paper_table import PAPER_TABLE, Printed

# Weights and multiply-adds as they follow from the paper's widths, worked out by hand for each row.
CONVOLUTIONS = {
    "convolution 1": [(112, 7, 3, 64)],
    "convolution 2": [(56, 1, 64, 64), (56, 3, 64, 192)],
    "linear": [(1, 1, 1024, 1000)],
}
for name, size, channels, (a, b, c, d, e, f) in [
    ("3a", 28, 192, (64, 96, 128, 16, 32, 32)),
    ("3b", 28, 256, (128, 128, 192, 32, 96, 64)),
    ("4a", 14, 480, (192, 96, 208, 16, 48, 64)),
    ("4b", 14, 512, (160, 112, 224, 24, 64, 64)),
    ("4c", 14, 512, (128, 128, 256, 24, 64, 64)),
    ("4d", 14, 512, (112, 144, 288, 32, 64, 64)),
    ("4e", 14, 528, (256, 160, 320, 32, 128, 128)),
    ("5a", 7, 832, (256, 160, 320, 32, 128, 128)),
    ("5b", 7, 832, (384, 192, 384, 48, 128, 128)),
]:
    CONVOLUTIONS[f"inception {name}"] = [
        (size, 1, channels, a), (size, 1, channels, b), (size, 3, b, c),
        (size, 1, channels, d), (size, 5, d, e), (size, 1, channels, f),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def certificate():
    model = models.googlenet(aux=False, rng=np.random.default_rng(0))
    return study.compare_with_paper(study.summarize(model, (1, 224, 224, 3)))


@pytest.fixture(scope="module")
def entries(certificate):
    return {(entry.row, entry.column): entry for entry in certificate.rows}


def test_counts_are_those_of_the_widths(entries):
    for row, layers in CONVOLUTIONS.items():
        weights = [k * k * ci * co for _, k, ci, co in layers]
        macs = [size * size * w for (size, *_), w in zip(layers, weights, strict=True)]
        assert entries[row, "params"].count == sum(weights), row
        assert entries[row, "ops"].count == sum(macs), row


def test_which_entries_agree(certificate):
    def agreeing(column):
        return [entry.row for entry in certificate.rows if entry.column == column and entry.agrees]

    assert agreeing("params") == ["convolution 2", "inception 3a", "linear"]
    differing = [(entry.row, entry.column) for entry in certificate.differing]
    assert [row for row, column in differing if column == "ops"] == ["convolution 1", "inception 5a"]
    assert len(differing) == 9 + 2, "output sizes, depths, windows and widths all agree"
    columns = [entry.column for entry in certificate.rows]
    assert columns.count("output") == columns.count("depth") == 17
    assert sum(column not in ("output", "depth", "params", "ops", "patch/stride") for column in columns) == 56
    assert columns.count("patch/stride") == 7


def test_a_k_is_1024_and_biases_are_left_out(certificate):
    found = {(r.thousand, r.with_biases): (r.agreeing, r.exact) for r in certificate.readings}
    assert found == {
        (1024, False): (3, ("convolution 2", "linear")),
        (1024, True): (4, ()),
        (1000, False): (0, ()),
        (1000, True): (0, ()),
    }


def test_reasons(entries):
    def why(row, column):
        return entries[row, column].why

    assert "3*49*8 + 24*64 = 2,712 weights" in why("convolution 1", "params")
    assert why("convolution 1", "params").endswith("2.65K, with 64 biases 2.71K, and 2.71K if a K were 1000")
    assert why("convolution 1", "ops").endswith("2,712 weights, times 112*112 = 34.02M")
    assert why("inception 3b", "params") == "with its 640 biases it is 379.6K"
    for row in ("4a", "4b"):
        assert "fits the ops beside it" in why(f"inception {row}", "params")
    for row in ("4c", "4d", "4e", "5b"):
        assert why(f"inception {row}", "params").startswith("misprint: contradicts the ops beside it"), row
    for column in ("params", "ops"):
        assert "params and ops fit each other (1072K * 7*7 = 53.8M)" in why("inception 5a", column)
    assert all(not entry.why for entry in entries.values() if entry.agrees)


def test_only_one_depth_multiplier_fits():
    assert depth_multiplier(PAPER_TABLE[0]) == 8
    assert [m for m in range(100) if 33.5 <= (3 * 49 * m + 3 * m * 64) * 112**2 / 1e6 < 35] == [8]
    assert depth_multiplier(PAPER_TABLE[4]) is None


def test_printed_columns_contradict_each_other_in_four_rows():
    rows = [row.name for row in PAPER_TABLE if not columns_fit_each_other(row)]
    assert rows == ["inception 4c", "inception 4d", "inception 4e", "inception 5b"]


def test_a_row_of_which_nothing_fits():
    row = next(row for row in PAPER_TABLE if row.name == "inception 4c")
    assert "neither fits the widths" in reason(row, "params", 10**6, 0, 10**9)


def test_sums(certificate):
    assert (certificate.weights, certificate.macs) == (6_990_272, 1_582_671_872)
    text = " ".join(str(certificate).split())
    assert "ours 6,990,272 weights = 6,826.4K" in text
    assert "adds up to 6,797.7K, which is 6,960,845 (a lecture reads it as 6,797,700)" in text
    assert "adds up to 1,502M; the 80.7M between them are convolution 1 +84.0M, inception 5a -2.9M" in text


def test_the_certificate_is_readable(certificate):
    lines = str(certificate).splitlines()
    assert max(map(len, lines)) <= 112
    (line,) = [line for line in lines if line.startswith("inception 5a  ")]
    words = " ".join(line.split())
    assert words == "inception 5a 7x7x832 = 2 = all 6 = 1,018.0K 1072K differ [9] 51.1M 54M differ [10]"
    assert "params 3 of 12, ops 10 of 12" in str(certificate)
    assert [int(n) for n in re.findall(r"^\[(\d+)\]", str(certificate), re.MULTILINE)] == list(range(1, 12))
    assert sum(line.startswith("max pool") for line in lines) == 4


def test_files(certificate):
    found = list(csv.DictReader(io.StringIO(certificate.to_csv())))
    assert len(found) == len(certificate.rows)
    assert sum(line["verdict"] == "differ" for line in found) == 11
    assert len(json.loads(certificate.to_json())["rows"]) == len(found)
    assert len(certificate.to_markdown().splitlines()) == len(found) + 2


def test_another_network_of_the_same_stages_differs_where_it_is_different():
    model = models.googlenet(num_classes=10, aux=False, rng=np.random.default_rng(0))
    model.inception3a = nn.Inception(192, 64, 96, 128, 16, 48, 16)
    model.pool4 = nn.MaxPool2d(2, stride=1)
    certificate = study.compare_with_paper(study.summarize(model, (1, 224, 224, 3)))
    differing = {(entry.row, entry.column): (entry.ours, entry.paper) for entry in certificate.differing}
    assert differing["inception 3a", "5x5"] == ("48", "32")
    assert differing["inception 3a", "pool proj"] == ("16", "32")
    assert differing["linear", "output"] == ("1x1x10", "1x1x1000")
    assert differing["max pool", "patch/stride"] == ("2x2/1", "3x3/2")
    assert differing["average pool", "patch/stride"] == ("13x13/1", "7x7/1")
    assert differing["inception 5b", "output"] == ("13x13x1024", "7x7x1024")
    assert "inception 3a, 5x5: ours 48, the paper's 32" in str(certificate)
    assert "widths 54 of 56" in str(certificate)


@pytest.mark.parametrize(
    ("model", "shape", "words"),
    [
        (lambda: models.googlenet_cifar(width=0.1), (1, 32, 32, 3), "this GoogLeNet: it has no pool1"),
        (lambda: models.googlenet_cifar(width=0.1), (1, 224, 224, 3), "this GoogLeNet: it has no pool1"),
        (lambda: models.googlenet(aux=False), (1, 256, 256, 3), "this GoogLeNet: its input is 256x256x3"),
        (lambda: nn.Linear(3, 2), (1, 3), "this Linear: it has no conv1"),
    ],
)
def test_networks_that_the_table_is_not_about(model, shape, words):
    summary = study.summarize(model(), shape)
    with pytest.raises(UsageError, match=rf"^compare_with_paper: the paper's table 1 is about .*{words}$"):
        study.compare_with_paper(summary)


@pytest.mark.parametrize(
    ("text", "number", "fits"),
    [("2.7K", 2.651, True), ("2.7K", 2.649, False), ("2.7K", 2.79, True), ("2.7K", 2.801, False),
     ("1072K", 1071.5, True), ("1072K", 1073, False)],
)  # fmt: skip
def test_rounded_or_cut_off(text, number, fits):
    assert Printed(text).fits(number) == fits
