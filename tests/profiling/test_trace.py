"""The trace: valid JSON of the Chrome trace event format, slices that nest, and a lane for each thread."""

import json
import threading
from collections import defaultdict

import numpy as np
import pytest

import minicnn
from minicnn import Function, Tensor, UsageError, get_num_threads, nn, set_num_threads
from minicnn.parallel import run_tiles

REQUIRED = {
    "X": {"pid", "tid", "name", "cat", "ts", "dur", "args"},
    "C": {"pid", "name", "ts", "args"},
    "M": {"pid", "tid", "name", "args"},
}


@pytest.fixture(autouse=True)
def two_threads():
    before = get_num_threads()
    set_num_threads(2)
    yield
    set_num_threads(before)


@pytest.fixture
def record(rng):
    """A step of two inception modules, the second inside a module of its own."""
    network = nn.Sequential(
        nn.Inception(8, 2, 3, 4, 2, 3, 2, rng=rng), nn.Sequential(nn.Inception(11, 2, 3, 4, 2, 3, 2, rng=rng))
    )
    x = Tensor(np.ones((8, 12, 12, 8), np.float32))
    with minicnn.profile(composed=True) as record:
        network(x).sum().backward()
    return record


@pytest.fixture
def trace(record, tmp_path):
    record.save_trace(tmp_path / "step.json")
    return json.loads((tmp_path / "step.json").read_text())


def slices(trace, **wanted):
    return [
        event for event in trace["traceEvents"]
        if event["ph"] == "X" and all(event[key] == value for key, value in wanted.items())
    ]  # fmt: skip


def ends(event):
    return event["ts"] + event["dur"]


def enclosing(event, trace):
    """The slices of its lane that a slice lies in, outermost first."""
    others = [other for other in slices(trace, tid=event["tid"]) if other is not event]
    around = [o for o in others if o["ts"] <= event["ts"] and ends(event) <= ends(o) + 1e-6]
    return sorted(around, key=lambda other: -other["dur"])


def test_every_event_is_of_the_format(trace):
    assert set(trace) == {"traceEvents", "displayTimeUnit"}
    assert trace["displayTimeUnit"] in {"ms", "ns"}
    for event in trace["traceEvents"]:
        assert set(event) == REQUIRED[event["ph"]] | {"ph"}
        assert event.get("ts", 0) >= 0
        assert event.get("dur", 0) >= 0
        assert event.get("tid", 1) >= 1  # Perfetto has no lane 0: it would mix it with the main thread's


def test_slices_of_a_lane_nest(trace):
    lanes = defaultdict(list)
    for event in slices(trace):
        lanes[event["tid"]].append((event["ts"], -event["dur"]))
    assert len(lanes) >= 2
    for lane in lanes.values():
        open_until = []
        for start, duration in sorted(lane):
            while open_until and open_until[-1] <= start + 1e-6:
                open_until.pop()
            assert not open_until or start - duration <= open_until[-1] + 1e-6
            open_until.append(start - duration)


def test_modules_hold_their_ops_in_forward(trace):
    forward = slices(trace, name="conv2d", cat="forward")
    assert len(forward) == 12
    for event in forward:
        modules = enclosing(event, trace)
        assert {other["cat"] for other in modules} == {"module"}
        assert ".".join(other["name"] for other in modules) == event["args"]["layer"]
        assert modules[-1]["args"]["path"] == event["args"]["layer"]
    assert {event["args"]["layer"] for event in forward} >= {"0.conv1x1", "1.0.pool_proj"}


def test_backward_ops_lie_in_the_walk(trace):
    (walk,) = slices(trace, cat="walk")
    backward = slices(trace, cat="backward")
    assert (
        len(backward) == len(slices(trace, cat="forward")) - 1
    )  # all but the pooling of what is no variable
    assert all(enclosing(event, trace) == [walk] for event in backward)
    first = backward[0]
    assert (first["name"], first["args"]["inputs"], first["args"]["output"]) == (
        "sum backward", "8x12x12x11", "scalar",
    )  # fmt: skip


def test_arguments_of_an_op(trace):
    ops = slices(trace, name="conv2d", cat="forward")
    (event,) = [event for event in ops if event["args"]["layer"] == "0.conv3x3"]
    assert event["args"] == {
        "layer": "0.conv3x3",
        "inputs": "8x12x12x3, 3x3x3x4, 4",
        "output": "8x12x12x4",
        "dtype": "float32",
        "FLOP": 2 * 8 * 12 * 12 * 4 * 27,
        "kept bytes": 8 * 12 * 12 * 4 * 4,
    }


def test_a_counter_shows_what_is_alive(trace, record):
    levels = [event for event in trace["traceEvents"] if event["ph"] == "C"]
    assert {event["name"] for event in levels} == {"live bytes"}
    assert max(sum(event["args"].values()) for event in levels) == record.peak_bytes
    assert set(levels[0]["args"]) == {"activations", "gradients"}
    times = [event["ts"] for event in levels]
    assert times == sorted(times)


class Meeting(Function):
    """Two tiles that wait for each other: one thread alone would wait for ever."""

    name = "meeting"

    def forward(self, x):
        barrier = threading.Barrier(2, timeout=20)
        run_tiles(lambda index, tile: barrier.wait(), [slice(0, 1), slice(1, 2)])
        return x + 1


def test_two_threads_that_share_an_op_have_a_lane_each(tmp_path):
    with minicnn.profile() as record:
        Meeting().apply(Tensor([1.0]))
    record.save_trace(tmp_path / "step.json")
    trace = json.loads((tmp_path / "step.json").read_text())
    first, second = slices(trace, cat="tile")
    assert {first["tid"], second["tid"]} == {2, 3}
    assert {first["args"]["tile"], second["args"]["tile"]} == {0, 1}
    assert max(first["ts"], second["ts"]) < min(ends(first), ends(second))  # at the same time
    (op,) = slices(trace, cat="forward")
    assert all(op["ts"] <= tile["ts"] and ends(tile) <= ends(op) + 1e-6 for tile in (first, second))
    lanes = {
        event["tid"]: event["args"]["name"]
        for event in trace["traceEvents"]
        if event["name"] == "thread_name"
    }
    assert lanes == {1: "modules and ops", 2: "tiles, thread 1", 3: "tiles, thread 2"}


def test_tiles_lie_in_their_op(trace):
    ops = slices(trace, cat="forward") + slices(trace, cat="backward")
    tiles = slices(trace, cat="tile")
    assert len(tiles) > 12
    for tile in tiles:
        inside = [op for op in ops if op["ts"] <= tile["ts"] and ends(tile) <= ends(op) + 1e-6]
        assert [op["name"].removesuffix(" backward") for op in inside] == [tile["name"]]


def test_outer_slices_come_first_when_they_begin_together(clock, tmp_path, rng):
    """A clock that stands still is the extreme of one that is not fine enough."""
    with minicnn.profile() as record:
        nn.Sequential(nn.Linear(2, 2, rng=rng))(Tensor(np.ones((1, 2), np.float32)))
    record.save_trace(tmp_path / "step.json")
    trace = json.loads((tmp_path / "step.json").read_text())
    assert [event["cat"] for event in slices(trace, tid=1)] == ["module", "forward"]


def test_a_file_that_cannot_be_written(record, tmp_path):
    with pytest.raises(UsageError, match=r"cannot write the trace to .*: No such file or directory"):
        record.save_trace(tmp_path / "nowhere" / "step.json")
