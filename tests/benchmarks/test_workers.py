"""Workers, their turns, and whether they compute the same, on a network small enough for a test."""

import dataclasses
import types

import numpy as np
import pytest

from benchmarks import agreement, command_line, comparison, contenders, team, work, worker
from benchmarks.contenders import MINICNN, MINICNN_WITHOUT_LRN, OTHERS, choose
from benchmarks.errors import BenchmarkError
from benchmarks.records import read_reports
from benchmarks.workloads import NAMES, WORKLOADS, Workload

TINY = Workload("tiny", small=True, width=0.25, batch=2, classes=3, training=True, steps_per_turn=2)
TINY_INFERENCE = dataclasses.replace(TINY, training=False)
ON_ONE_THREAD = next(contender for contender in OTHERS if contender.one_thread)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return work.write_weights(TINY, tmp_path_factory.mktemp("weights"))


def test_worker(weights):
    with team.Worker(MINICNN, TINY, weights, 1) as minicnn:
        assert len(minicnn.values) == worker.FIRST_STEPS
        assert len(set(minicnn.values)) == worker.FIRST_STEPS, "the weights do not change"
        assert 0 < minicnn.turn() < 10
        assert (10 << 20) < minicnn.peak_bytes() < (1 << 30)
        profile = minicnn.profile()
        assert {"conv2d_relu", "max_pool2d"} <= {op["name"] for op in profile["ops"]}
        assert sum(op["flop"] for op in profile["ops"]) == pytest.approx(work.count_flop(TINY), rel=0.01)


def test_a_worker_that_fails_says_why(tmp_path):
    with pytest.raises(BenchmarkError, match=r"minicnn on tiny training: its process ended .*nowhere\.npz"):
        team.Worker(MINICNN, TINY, tmp_path / "nowhere.npz", 1)


def test_a_worker_that_dies_is_missed(weights):
    with team.Worker(MINICNN, TINY, weights, 1) as minicnn:
        minicnn._process.kill()
        minicnn._process.wait()
        with pytest.raises(BenchmarkError, match="its process ended with status -9: without a word"):
            minicnn.turn()


@pytest.mark.parametrize("workload", [TINY, TINY_INFERENCE], ids=lambda w: w.title)
def test_compare(workload, weights):
    turns = []
    measurement = comparison.compare(workload, [ON_ONE_THREAD], weights, 2, 3, turns.append)
    assert turns == [MINICNN.title, ON_ONE_THREAD.title, ON_ONE_THREAD.title, MINICNN.title, *turns[:2]]
    assert [times.name for times in measurement.times] == ["minicnn", "minicnn-1"]
    assert all(len(times.measured) == 3 for times in measurement.times)
    assert measurement.of("minicnn-1").one_thread
    assert "difference between frameworks 0e+00" in measurement.agreement


@pytest.mark.parametrize("workload", [TINY, TINY_INFERENCE], ids=lambda w: w.title)
def test_another_network_is_refused(workload, weights):
    """Without LRN, and without saying so."""
    impostor = dataclasses.replace(MINICNN_WITHOUT_LRN, title="Impostor", lrn=True)
    with pytest.raises(BenchmarkError, match=f"Impostor on {workload.title}: expected minicnn's losses"):
        comparison.compare(workload, [impostor], weights, 1, 1, lambda who: None)


def test_a_network_that_says_it_has_no_lrn_is_compared_with_one_without(weights):
    measurement = comparison.compare(TINY, [MINICNN_WITHOUT_LRN], weights, 1, 1, lambda who: None)
    assert len(measurement.times) == 2


@pytest.mark.parametrize(
    "values", [[2.0, 1.9, 1.8001], [2.0, 1.9, float("nan")], [float("inf"), 1.9, 1.8]], ids=str
)
def test_losses_that_disagree(values):
    with pytest.raises(BenchmarkError, match="does not compute the same"):
        agreement.check("Somebody on W1", [2.0, 1.9, 1.8], values)


def test_losses_that_agree():
    assert agreement.check("Somebody on W1", [2.0, 1.0], [2.000002, 1.0]) == pytest.approx(1e-6)


class Stopwatch:
    """Stands in for a worker; notes who had a turn."""

    def __init__(self, name: str, log: list[str], every: int = 1) -> None:
        self.contender = types.SimpleNamespace(title=name, every=every)
        self.log = log

    def turn(self) -> float:
        self.log.append(self.contender.title)
        return float(len(self.log))


def test_everybody_begins_once_and_slow_ones_sit_out(monkeypatch):
    monkeypatch.setattr(comparison, "PAUSE_SECONDS", 0)
    log: list[str] = []
    workers = [Stopwatch("a", log), Stopwatch("b", log), Stopwatch("c", log, every=3)]
    seconds = comparison.take_turns(workers, 4, lambda who: None)
    assert "".join(log) == "abc" + "ba" + "ab" + "abc"
    assert seconds == [[1, 5, 6, 8], [2, 4, 7, 9], [3, None, None, 10]]


def test_cross_entropy():
    logits = np.log(np.array([[0.25, 0.75], [0.5, 0.5]])).astype(np.float32)
    assert worker.cross_entropy(logits, np.array([0, 1])) == pytest.approx((np.log(4) + np.log(2)) / 2)


def test_all_installed_is_the_default(monkeypatch):
    monkeypatch.setattr(contenders, "installed_version", lambda name: None if name == "torch" else "1.0")
    chosen, missing = choose(None)
    assert [contender.name for contender in chosen] == ["minicnn-1", "tensorflow", "dezero"]
    assert missing == ["torch is not installed and left out (make .venv/installed-parity)"]


def test_asked_for_by_name_but_missing(monkeypatch):
    monkeypatch.setattr(contenders, "installed_version", lambda name: None)
    with pytest.raises(BenchmarkError, match=r"--against: torch is not installed \(make"):
        choose(["torch", "torch-nchw"])


def test_nobody():
    assert choose([]) == ([], [])


def test_environment_does_not_leak_between_contenders():
    tuned = next(contender for contender in OTHERS if contender.name == "torch-tuned")
    assert team.environment_of(tuned, 2)["MALLOC_MMAP_MAX_"] == "0"
    assert "MALLOC_MMAP_MAX_" not in team.environment_of(MINICNN, 2)


def test_workloads_are_those_of_the_tables():
    assert NAMES == ("W1", "W2", "W3", "W3-1")
    assert len({workload.title for workload in WORKLOADS}) == len(WORKLOADS) == 7


def test_compare_command(tmp_path, monkeypatch, capsys):
    """All the way through, with minicnn against itself."""
    monkeypatch.setattr(command_line, "WORKLOADS", (dataclasses.replace(TINY, name="W2"),))
    monkeypatch.setattr(command_line.machine, "measure_gemm", lambda threads: 1e11)
    arguments = ["compare", "--workloads", "W2", "--against", "minicnn-1", "--rounds", "2", "--threads", "2"]
    assert command_line.main([*arguments, "--output", str(tmp_path)]) == 0
    assert "W2 training: googlenet_cifar" in capsys.readouterr().out
    report = read_reports([tmp_path / "comparison.json"])
    assert [times.name for times in report.measurements[0].times] == ["minicnn", "minicnn-1"]
    assert report.gemm_flops == {"1": 1e11, "2": 1e11}
    assert str(tmp_path) not in (tmp_path / "comparison.json").read_text()


@pytest.mark.parity
def test_pytorch_computes_the_same(weights):
    pytest.importorskip("torch", reason='needs PyTorch: the extra "parity"')
    frameworks = [contender for contender in OTHERS if contender.framework == "torch"]
    for workload in (TINY, TINY_INFERENCE):
        measurement = comparison.compare(workload, frameworks, weights, 1, 1, lambda who: None)
        assert len(measurement.times) == 4
