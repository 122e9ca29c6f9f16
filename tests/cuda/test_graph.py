"""A function of arrays on a GPU, recorded once and replayed."""

from contextlib import suppress

import numpy as np
import pytest

from minicnn import ShapeError, Tensor
from minicnn import functional as F
from minicnn.backend import array_module, to_device, to_numpy
from minicnn.cuda.graph import RecordedFunction, RecordingError, is_recording, keep, upload
from minicnn.cuda.launch import THREADS, launch
from minicnn.cuda.table import ArrayTable


class Steps:
    """Something that adds up what it is given, and counts how often Python has run it."""

    def __init__(self, gpu):
        self.total = to_device(np.zeros(3, np.float32), gpu)
        self.runs = self.sends = 0

    def step(self, x):
        self.runs += 1
        self.total += x
        return self.total * 2, x + 1

    def send(self):
        self.sends += 1


def test_the_third_call_records_and_the_others_replay(gpu):
    steps = Steps(gpu)
    function = RecordedFunction(steps.step, steps.send)
    for call in range(1, 7):
        x = np.full(3, call, np.float32)
        doubled, more = function(x=x if call % 2 else to_device(x, gpu))
        assert to_numpy(steps.total).tolist() == [call * (call + 1) / 2] * 3
        assert to_numpy(doubled).tolist() == [call * (call + 1)] * 3
        assert to_numpy(more).tolist() == [call + 1] * 3
    assert steps.runs == 3
    assert steps.sends == 4, "once before each replay"


def test_another_shape_is_run_without_the_graph_and_the_graph_still_works(gpu):
    steps = Steps(gpu)
    function = RecordedFunction(lambda x: steps.step(x.sum(axis=0)), steps.send)
    for _ in range(3):
        function(x=np.ones((2, 3), np.float32))
    function(x=np.ones((5, 3), np.float32))
    assert to_numpy(steps.total).tolist() == [11] * 3
    function(x=np.ones((2, 3), np.float32))
    assert to_numpy(steps.total).tolist() == [13] * 3
    assert steps.runs == 4


def test_what_is_sent_while_recording_arrives_when_it_is_over(gpu):
    factors = np.array([1, 10, 100], np.float32)
    seen = []

    def function(x):
        seen.append(is_recording())
        return (x * upload(factors),)

    recorded = RecordedFunction(function, lambda: None)
    for call in range(1, 6):
        (result,) = recorded(x=np.full(3, call, np.float32))
        assert to_numpy(result).tolist() == [call, call * 10, call * 100]
    assert seen == [False, False, True]
    assert not is_recording()


def test_what_is_sent_is_not_where_another_array_of_the_recording_was(gpu):
    """Each replay writes that array again; what was sent is sent once."""
    factors = np.array([1, 10, 100], np.float32)

    def function(x):
        intermediate = x + 1
        total = intermediate.sum()
        del intermediate
        return x * upload(factors), total

    recorded = RecordedFunction(function, lambda: None)
    for call in range(1, 7):
        result, total = recorded(x=np.full(3, call, np.float32))
        assert to_numpy(result).tolist() == [call, call * 10, call * 100]
        assert float(to_numpy(total)) == 3 * call + 3


def test_what_is_sent_outlives_the_recording(gpu):
    factors = np.array([1, 10, 100], np.float32)
    recorded = RecordedFunction(lambda x: (x * upload(factors),), lambda: None)
    others = []
    for call in range(1, 7):
        (result,) = recorded(x=np.full(3, call, np.float32))
        others += [to_device(np.zeros(3, np.float32), gpu) for _ in range(3)]
        assert to_numpy(result).tolist() == [call, call * 10, call * 100]


def sum_of_squares(table):
    """Start a kernel that knows an array by its address only."""
    parts = array_module(table).empty((1, 1), np.float64)
    launch("optimizer.cu", "sums_of_squares<float>", (1, 1), (THREADS,), table, parts)
    return parts


def test_an_array_of_the_recording_that_only_a_kernel_knows_is_not_overwritten(gpu):
    def function(x):
        w = x + 1
        table = upload(np.array([[*[w.data.ptr] * 3, w.size]], np.uint64))
        keep(w)
        if is_recording():
            del w
        others = [x * 0 for _ in range(3)]  # of the size of w
        return sum_of_squares(table), *others

    recorded = RecordedFunction(function, lambda: None)
    for call in range(1, 7):
        total, *_ = recorded(x=np.full(3, call, np.float32))
        assert to_numpy(total).tolist() == [[3 * (call + 1) ** 2]]


def test_an_array_that_only_a_table_knows_outlives_the_recording(gpu):
    weights = [to_device(np.full(3, 5, np.float32), gpu)]

    def function(x):
        table = ArrayTable()
        parts = array_module(x).empty((1, 1), np.float64)
        table.launch("sums_of_squares", [(weights[0], weights[0], weights[0])], parts)
        return (parts + x[:1],)

    recorded = RecordedFunction(function, lambda: None)
    for call in range(1, 7):
        (result,) = recorded(x=np.full(3, call, np.float32))
        if call == 3:
            weights.clear()
        weights += [to_device(np.full(3, call, np.float32), gpu) for _ in range(3) if call >= 3]
        assert to_numpy(result).tolist() == [[75 + call]]


def read_on_the_host(x):
    return float(to_numpy(x)[0])


def multiply_by_cupys_own_cublas(x):
    return x @ x


def wait_for_the_gpu(x):
    array_module(x).cuda.get_current_stream().synchronize()


def swallow_what_went_wrong(x):
    with suppress(Exception):
        to_numpy(x)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (read_on_the_host, "StreamCapture"),
        (multiply_by_cupys_own_cublas, "NotImplementedError: calling cuBLAS API during stream capture"),
        (wait_for_the_gpu, "StreamCapture"),
        (swallow_what_went_wrong, "StreamCapture"),
    ],
)
def test_what_cannot_be_recorded_is_refused_once_and_run_from_then_on(stand_in, spoil, reason):
    steps = Steps(stand_in)

    def function(x):
        spoil(x)
        return steps.step(x)

    recorded = RecordedFunction(function, steps.send)
    for call in range(1, 6):
        if call == 3:
            with pytest.raises(RecordingError, match=reason):
                recorded(x=np.full(3, call, np.float32))
            assert not is_recording()
            assert float(array_module(steps.total).ones(1)[0]) == 1, "the stream is usable again"
            assert to_numpy(steps.total).tolist() == [3] * 3, "nothing ran"
        doubled, more = recorded(x=np.full(3, call, np.float32))
        assert to_numpy(doubled).tolist() == [call * (call + 1)] * 3
        assert to_numpy(more).tolist() == [call + 1] * 3
    assert steps.sends == 0, "the function itself does what is to be done"


def test_what_a_failed_recording_wanted_to_send_is_sent(stand_in):
    """A table remembers what it has sent; the failure comes later."""
    weights = to_device(np.full(3, 5, np.float32), stand_in)
    moved = to_device(np.full(3, 7, np.float32), stand_in)
    table = ArrayTable()

    def function(x):
        parts = array_module(x).empty((1, 1), np.float64)
        w = moved if len(calls) >= 3 else weights  # sent while recording, not again afterwards
        table.launch("sums_of_squares", [(w, w, w)], parts)
        return (parts + read_on_the_host(x),)

    recorded, calls = RecordedFunction(function, lambda: None), []
    for call in range(1, 6):
        calls.append(call)
        if call == 3:
            with pytest.raises(RecordingError):
                recorded(x=np.ones(3, np.float32))
        (result,) = recorded(x=np.ones(3, np.float32))
        assert to_numpy(result).tolist() == [[148 if call >= 3 else 76]]


@pytest.mark.parametrize("error", [KeyError("typo"), ShapeError("wrong"), MemoryError(), KeyboardInterrupt()])
def test_an_error_that_is_not_about_recording_comes_as_itself(stand_in, error):
    def function(x):
        if is_recording():
            raise error
        return (x + 1,)

    recorded = RecordedFunction(function, lambda: None)
    for _ in range(2):
        recorded(x=np.ones(2, np.float32))
    with pytest.raises(type(error)) as caught:
        recorded(x=np.ones(2, np.float32))
    assert caught.value is error
    assert not is_recording()
    assert float(array_module(to_device(np.ones(1), stand_in)).ones(1)[0]) == 1, "the stream is usable again"


def test_forward_and_backward_replayed(gpu, rng):
    w = to_device(rng.normal(size=(3, 3, 4, 6)).astype(np.float32), gpu)
    labels = np.array([1, 0])

    def function(x):
        t, weight = Tensor(x), Tensor(w, requires_grad=True)
        y = F.max_pool2d(F.local_response_norm(F.conv2d_relu(t, weight, padding=1)), 3, 2, ceil_mode=True)
        y = F.avg_pool2d(y, 2)
        loss = 0.3 * F.cross_entropy(F.flatten(y), device_labels)
        loss.backward()
        return loss.data, weight.grad

    device_labels = to_device(labels, gpu)
    recorded = RecordedFunction(function, lambda: None)
    for _ in range(5):
        x = rng.normal(size=(2, 8, 8, 4)).astype(np.float32)
        loss, gradient = (to_numpy(a).copy() for a in recorded(x=x))
        expected_loss, expected = (to_numpy(a) for a in function(to_device(x, gpu)))
        np.testing.assert_array_equal(loss, expected_loss)
        np.testing.assert_array_equal(gradient, expected)


def test_memory_that_is_given_back_while_recording_spoils_the_recording(stand_in):
    """CuPy gives free blocks back when memory is short; the graph already refers to them."""
    import emulated_cupy

    xp = array_module(to_device(np.ones(1), stand_in))

    def function(x):
        xp.zeros(1024, np.float32)  # 4 KiB, gone at once
        if is_recording():
            return (xp.zeros(3072, np.float32) + x.sum(),)  # which the warm-ups did not need
        return (x,)

    recorded = RecordedFunction(function, lambda: None)
    with emulated_cupy.limit_memory(27 << 10):  # it fits, but only after giving back what is free
        for _ in range(2):
            recorded(x=np.ones(8, np.float32))
        with pytest.raises(MemoryError):
            recorded(x=np.ones(8, np.float32))
