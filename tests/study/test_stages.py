"""Stages, depth, memory and the formats of a summary."""

import csv
import io
import json

import numpy as np
import pytest

from minicnn import Tensor, models, nn, no_grad, no_winograd, study
from minicnn.ops import im2col

# The paper's columns: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj.
WIDTHS = {
    "inception3a": [64, 96, 128, 16, 32, 32],
    "inception3b": [128, 128, 192, 32, 96, 64],
    "inception4a": [192, 96, 208, 16, 48, 64],
    "inception4b": [160, 112, 224, 24, 64, 64],
    "inception4c": [128, 128, 256, 24, 64, 64],
    "inception4d": [112, 144, 288, 32, 64, 64],
    "inception4e": [256, 160, 320, 32, 128, 128],
    "inception5a": [256, 160, 320, 32, 128, 128],
    "inception5b": [384, 192, 384, 48, 128, 128],
}


@pytest.fixture(scope="module")
def summary():
    return study.summarize(models.googlenet(rng=np.random.default_rng(0)), (1, 224, 224, 3))


@pytest.fixture(scope="module")
def stages(summary):
    return {stage.name: stage for stage in summary.stages}


# ---- stages ----


def test_widths_are_the_papers(stages):
    assert {name: list(stage.widths.values()) for name, stage in stages.items() if stage.widths} == WIDTHS


def test_depth_counts_layers_with_weights_on_the_longest_path(summary, stages):
    assert summary.depth == 22
    depths = {name: stage.depth for name, stage in stages.items() if not stage.training_only}
    assert sum(depths.values()) == 22
    assert depths["conv1"] == depths["conv2_reduce"] == depths["fc"] == 1
    assert depths["inception3a"] == 2
    assert depths["pool1"] == depths["norm1"] == depths["global_pool"] == 0
    assert stages["aux1"].depth == 3
    parallel = study.summarize(nn.NaiveInception(8, 2, 2, 2), (1, 5, 5, 8))
    assert parallel.depth == 1


def test_branches_see_different_sizes(stages):
    assert stages["inception3a"].receptive_fields == (27, 43, 59, 43)
    assert stages["inception3b"].receptive_fields == (59, 75, 91, 75)
    assert stages["conv1"].receptive_fields == (7,)


def test_stages_add_up(summary, stages):
    trunk = [stage for stage in summary.stages if not stage.training_only]
    assert sum(stage.params for stage in summary.stages) == summary.total_params
    assert sum(stage.macs for stage in trunk) == 1_582_671_872
    assert sum(stage.params - stage.biases for stage in trunk) == 6_990_272
    assert sum(stage.biases for stage in trunk) == 6_998_552 - 6_990_272
    assert [place for stage in summary.stages for place in stage.places] == list(range(len(summary.rows)))
    assert [stage.name for stage in summary.stages if stage.training_only] == ["aux1", "aux2"]


def test_a_naive_module_has_no_reductions():
    model = nn.Sequential(nn.NaiveInception(16, 4, 6, 8))
    (stage,) = study.summarize(model, (1, 7, 7, 16)).stages
    assert stage.widths == {"1x1": 4, "3x3": 6, "5x5": 8}
    assert stage.receptive_fields == (1, 3, 5, 3)
    assert (stage.kind, stage.window, stage.output_shape) == ("NaiveInception", "", (1, 7, 7, 34))


def test_ops_of_the_model_itself_are_stages():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x):
            return (self.fc(x) + 1).relu()

    stages = study.summarize(Net(), (3, 4)).stages
    assert [(stage.name, stage.kind) for stage in stages] == [
        ("fc", "linear"), ("add", "add"), ("relu", "relu")
    ]  # fmt: skip


def test_scales_are_no_layers_and_sums_no_branches():
    class Fork(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 5, padding=2)
            self.scale = nn.Parameter(np.ones(4, np.float32))

        def forward(self, x):
            return self.left(x) * self.scale + self.right(x)

    summary = study.summarize(nn.Sequential(Fork()), (2, 9, 9, 4))
    (stage,) = summary.stages
    assert stage.depth == summary.depth == 1
    assert stage.receptive_fields == (5,)
    assert stage.widths == {}
    left, right = (row for row in summary.rows if row.kind == "conv2d")
    assert stage.tile_column_bytes == max(left.tile_column_bytes, right.tile_column_bytes) > 0
    assert stage.naive_column_bytes == max(left.naive_column_bytes, right.naive_column_bytes)
    assert stage.activation_bytes == 4 * (2 * 9 * 9 * 4 * 4)


# ---- memory ----


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.strided = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.grouped = nn.Conv2d(8, 12, 5, padding=2, groups=2)
        self.pointwise = nn.Conv2d(12, 4, 1)
        self.picking = nn.Conv2d(4, 4, 1, stride=2)

    def forward(self, x):
        return self.picking(self.pointwise(self.grouped(self.strided(x))))


@pytest.mark.parametrize(("batch", "size"), [(1, 20), (1, 200), (7, 20), (9, 120)])
def test_columns_of_tiles_are_those_that_the_engine_writes(batch, size, monkeypatch):
    largest = {}
    real = im2col.scratch

    def scratch(name, shape, like, *rest):
        if name == "columns":
            kernel = shape[4:6]
            largest[kernel] = max(largest.get(kernel, 0), int(np.prod(shape)) * like.dtype.itemsize)
        return real(name, shape, like, *rest)

    monkeypatch.setattr(im2col, "scratch", scratch)
    model = Mixed()
    with no_grad(), no_winograd():
        model(Tensor(np.zeros((batch, size, size, 6), np.float32)))
    monkeypatch.undo()
    rows = {row.name: row for row in study.summarize(model, (batch, size, size, 6)).rows}
    tiles = {name: row.tile_column_bytes for name, row in rows.items()}
    assert tiles == {
        "strided": largest[3, 3], "grouped": largest[5, 5], "pointwise": 0, "picking": largest[1, 1]
    }  # fmt: skip


def test_columns_of_a_naive_im2col(summary):
    rows = {row.name: row for row in summary.rows}
    assert rows["conv1"].naive_column_bytes == 112 * 112 * 7 * 7 * 3 * 4
    assert rows["inception3a.conv5x5"].naive_column_bytes == 28 * 28 * 25 * 16 * 4
    assert rows["conv2_reduce"].naive_column_bytes == 56 * 56 * 64 * 4, "a copy of the input"
    assert rows["pool1"].naive_column_bytes == rows["fc"].naive_column_bytes == 0
    grouped = study.summarize(nn.Conv2d(8, 12, 5, padding=2, groups=2), (3, 10, 10, 8)).rows[0]
    assert grouped.naive_column_bytes == 3 * 100 * 25 * 8 * 4
    assert all(row.tile_column_bytes <= row.naive_column_bytes for row in summary.rows)


def test_tiles_do_not_grow_with_the_batch():
    model = nn.Conv2d(16, 16, 5, padding=2)
    few, many = (study.summarize(model, (batch, 28, 28, 16)).rows[0] for batch in (8, 64))
    assert many.naive_column_bytes == 8 * few.naive_column_bytes
    assert many.tile_column_bytes <= 4 << 20
    assert few.naive_column_bytes > 4 << 20


def test_activations_and_views():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 16, 7)).astype(np.float64)
    rows = study.summarize(model, (2, 6, 6, 3)).rows
    assert [row.activation_bytes for row in rows] == [2 * 4 * 4 * 4 * 8, 0, 2 * 7 * 8]


# ---- tables and files ----


def test_the_table_fits_a_terminal_and_says_it_all(summary):
    lines = summary.table().splitlines()
    assert max(map(len, lines)) <= 118
    assert lines[1].split() == [
        "stage", "kind", "output", "depth", "1x1", "3x3r", "3x3", "5x5r", "5x5", "pool", "parameters",
        "multiply-adds", "sees", "px",
    ]  # fmt: skip
    line = next(line for line in lines if line.startswith("inception4d"))
    assert line.split() == [
        "inception4d", "inception", "14x14x528", "2", "112", "144", "288", "32", "64", "64",
        "605,376", "118,515,712", "299", "331", "363", "331",
    ]  # fmt: skip
    assert lines.index("in training only:") == [line[:4] for line in lines].index("aux1") - 1
    assert next(line for line in lines if line.startswith("total at inference")).split()[-3:] == [
        "22", "6,998,552", "1,582,671,872"
    ]  # fmt: skip
    assert lines[-2] == "memory for one image: all outputs at inference 25.5 MiB"
    assert lines[-1].startswith("columns of im2col: up to 7.0 MiB at once (conv1), in tiles ")


def test_details_have_the_memory_of_each_layer(summary):
    lines = summary.table(details=True).splitlines()
    assert max(map(len, lines)) <= 120
    assert next(line for line in lines if line.startswith("conv1 ")).split()[-3:-1] == ["3,136", "7,203"]
    bare = str(summary).splitlines()
    assert [line[: len(other)] for line, other in zip(lines, bare, strict=False) if "-----" not in line] == [
        line for line in bare if "-----" not in line
    ]


def test_without_inception_modules_there_is_room_for_the_memory():
    text = study.summarize(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (2, 8, 8, 3)).table()
    assert "3x3r" not in text
    assert "cols KiB" in text
    assert "memory for one batch of 2: " in text
    without = study.summarize(nn.Sequential(nn.ReLU()), (1, 2)).table()
    assert "im2col" not in without


def test_csv_is_the_rows(summary):
    for details, rows in ((False, summary.stages), (True, summary.rows)):
        found = list(csv.DictReader(io.StringIO(summary.to_csv(details))))
        assert [line["stage" if not details else "layer"] for line in found] == [row.name for row in rows]
        assert [int(line["macs"]) for line in found] == [row.macs for row in rows]
        assert [int(line["tile_column_bytes"]) for line in found] == [row.tile_column_bytes for row in rows]
    found = {line["stage"]: line for line in csv.DictReader(io.StringIO(summary.to_csv()))}
    assert [found["inception3a"][column] for column in ("1x1", "pool proj", "receptive_fields")] == [
        "64", "32", "27 43 59 43"
    ]  # fmt: skip
    assert found["conv1"]["1x1"] == ""


def test_markdown_is_the_rows(summary):
    for details, rows in ((False, summary.stages), (True, summary.rows)):
        head, rule, *lines = summary.to_markdown(details).splitlines()
        assert len({line.count("|") for line in (head, rule, *lines)}) == 1
        assert [line.split("|")[1].strip() for line in lines] == [row.name for row in rows]


def test_json_is_everything(summary):
    found = json.loads(summary.to_json())
    assert (found["total_params"], found["total_macs"], found["depth"]) == (13_378_280, 1_582_671_872, 22)
    assert [layer["name"] for layer in found["layers"]] == [row.name for row in summary.rows]
    assert found["stages"][7]["widths"]["3x3 reduce"] == 96
    assert found["stages"][7]["receptive_fields"] == [27, 43, 59, 43]
