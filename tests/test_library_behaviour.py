"""What a library owes its program: no global state changed, threads kept apart, nothing leaked."""

import gc
import json
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from minicnn import Function, Tensor, composed, models, nn, no_grad, optim, parallel, profile
from minicnn import functional as F
from minicnn.tensor import _state, fusion_enabled, observe
from op_runs import threads

# ---- global state ----

LOOK = """
import json, locale, os, random, signal, sys, threading, warnings
import numpy as np
from threadpoolctl import threadpool_info

def state():
    found = {
        "NumPy's reactions": np.geterr(),
        "NumPy's buffer": np.getbufsize(),
        "NumPy's random state": repr(np.random.get_state()),
        "NumPy's way of printing": repr(np.get_printoptions()),
        "random state": repr(random.getstate()),
        "warning filters": repr(warnings.filters),
        "who shows warnings": repr(warnings.showwarning),
        "signal handlers": {s.name: repr(signal.getsignal(s)) for s in signal.Signals},
        "locale": locale.setlocale(locale.LC_ALL),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "threads": [t.name for t in threading.enumerate() if t.name != "minicnn-tiles"],
        "recursion limit": sys.getrecursionlimit(),
        "hooks": repr([sys.excepthook, sys.displayhook, threading.excepthook, sys.gettrace()]),
        "path": sys.path,
        "threads of BLAS": [(p["filepath"], p["num_threads"]) for p in threadpool_info()],
    }
    if "matplotlib" in sys.modules:
        import matplotlib
        found["matplotlib"] = [matplotlib.get_backend(auto_select=False), repr(matplotlib.rcParams)]
    return found
"""


def changes(statement: str, prepare: str = "", before_in: Path | None = None) -> dict[str, list[object]]:
    """Run a statement in a fresh interpreter, and return what is different after it."""
    program = (
        f"{LOOK}\n{prepare}\nbefore = state()\n{statement}\nafter = state()\n"
        "print(json.dumps({n: [before[n], after[n]] for n in before if before[n] != after[n]}))"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=before_in
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_look_sees_a_change():
    found = changes(
        "np.seterr(over='raise'); os.environ['X'] = 'y'; random.random(); warnings.simplefilter('error')"
    )
    assert set(found) == {"NumPy's reactions", "environment", "random state", "warning filters"}


@pytest.mark.parametrize("module", ["minicnn", "minicnn.study", "minicnn.training", "minicnn.cli"])
def test_an_import_changes_nothing(module):
    assert changes(f"import {module}") == {}


def test_a_step_of_training_changes_nothing():
    program = """
import minicnn
rng = np.random.default_rng(0)
model = minicnn.models.googlenet_cifar(width=0.06, rng=rng)
x = minicnn.Tensor(rng.standard_normal((4, 32, 32, 3)).astype(np.float32))
with minicnn.profile(), minicnn.detect_anomaly():
    minicnn.models.total_loss(model(x), np.arange(4)).backward()
minicnn.optim.SGD(model.parameters(), 0.1).step()
"""
    assert changes(program, "import minicnn") == {}


def test_a_run_of_the_command_line_changes_nothing(tmp_path):
    """With its progress, its curves (matplotlib's backend is the user's) and its profile."""
    flags = "--width 0.06 --limit 64 --batch-size 16 --epochs 1 --profile --watch-gradients --out run"
    program = f"from minicnn.cli import main\nassert main('train {flags}'.split()) == 0"
    prepare = "import matplotlib; matplotlib.use('svg'); import matplotlib.pyplot, minicnn.cli"
    assert changes(program, prepare, before_in=tmp_path) == {}


# ---- several threads at once ----


def numbers_of_training(seed: int, steps: int = 4) -> list[np.ndarray]:
    """Train a small GoogLeNet; return its weights and which module called which op."""
    rng = np.random.default_rng(seed)
    model = models.googlenet_cifar(width=0.06, rng=rng)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    seen: list[str] = []
    with observe(lambda function, inputs, output: seen.append(repr(function))):
        for _ in range(steps):
            x = Tensor(rng.standard_normal((4, 32, 32, 3)).astype(np.float32))
            optimizer.zero_grad()
            models.total_loss(model(x), rng.integers(0, 10, 4)).backward()
            optimizer.step()
    return [*(p.data for p in model.parameters()), np.array(seen)]


def numbers_of_inference(form) -> list[np.ndarray]:
    """Look at images without a graph, op by op or fused, under a profile."""
    rng = np.random.default_rng(7)
    model = models.googlenet_cifar(width=0.06, rng=rng).eval()
    found = []
    with no_grad(), form(), profile() as measured:
        for _ in range(6):
            y = model(Tensor(rng.standard_normal((3, 32, 32, 3)).astype(np.float32))).logits
            assert not y.requires_grad
            assert fusion_enabled() == (form is not composed)
            found.append(y.data)
    rows = {(row.name, row.calls) for row in measured.rows("layer")}
    return [*found, np.array(sorted(map(str, rows)))]


def test_threads_do_not_see_each_other():
    """Two train, two look at images with other switches, one changes the number of threads all the time."""
    tasks = {
        "training 1": lambda: numbers_of_training(1),
        "training 2": lambda: numbers_of_training(2),
        "composed": lambda: numbers_of_inference(composed),
        "without a graph": lambda: numbers_of_inference(no_grad),
    }
    alone = {name: task() for name, task in tasks.items()}
    together: dict[str, list[np.ndarray]] = {}
    everybody = threading.Barrier(len(tasks), timeout=60)
    done = threading.Event()

    def work(name):
        everybody.wait()
        together[name] = tasks[name]()

    def fidget():
        for count in iter(lambda: len(together) % 3 + 1, None):
            parallel.set_num_threads(count)
            if done.wait(0.002):
                return

    with threads(2):
        users = [threading.Thread(target=work, args=(name,)) for name in tasks]
        restless = threading.Thread(target=fidget)
        for user in (*users, restless):
            user.start()
        for user in users:
            user.join(120)
        done.set()
        restless.join()
    assert together.keys() == alone.keys(), "a thread failed"
    for name, expected in alone.items():
        for ours, array in zip(together[name], expected, strict=True):
            np.testing.assert_array_equal(ours, array, err_msg=name)
    assert parallel._blas_holders == 0


# ---- leaks ----


class Training:
    """A network that may be trained as long as one likes."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.model = models.googlenet_cifar(width=0.06, rng=self.rng)
        self.optimizer = optim.SGD(self.model.parameters(), lr=1e-3)

    def steps(self, count: int) -> None:
        for _ in range(count):
            x = Tensor(self.rng.standard_normal((2, 32, 32, 3)).astype(np.float32))
            self.optimizer.zero_grad()
            models.total_loss(self.model(x), self.rng.integers(0, 10, 2)).backward()
            self.optimizer.step()


def living() -> int:
    """Count tensors and applications of ops that somebody holds, without helping by collecting cycles.

    Objects are not asked for their class: some of PyTorch's, if a test has loaded it, warn when they are.
    """
    return sum(issubclass(type(thing), (Tensor, Function)) for thing in gc.get_objects())


def test_a_step_leaves_no_tensor_and_no_function_behind():
    """Not even in a cycle, which would wait for the collector."""
    training = Training()
    training.steps(2)
    gc.collect()
    gc.disable()
    try:
        before = living()
        training.steps(30)
        assert living() == before
    finally:
        gc.enable()


def test_memory_is_flat_over_a_few_steps():
    """What Python has in use; a collection empties its own lists of free tuples. A leak shows every time."""
    training = Training()
    tracemalloc.start()
    try:
        training.steps(30)  # what was there before is not counted, and what replaces it is
        in_use = []
        for _ in range(6):
            training.steps(12)
            gc.collect()
            in_use.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    grown = min(np.diff(in_use))
    assert grown < 12 * 200, "200 bytes a step are less than one tensor of one number takes with its array"


def resident_bytes() -> int:
    """Memory of this process that is in use; Linux only."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc, which only Linux has")
def test_memory_is_flat_over_2000_steps(capsys):
    training = Training()
    training.steps(200)
    gc.collect()
    after_200, tensors = resident_bytes(), living()
    training.steps(1800)
    gc.collect()
    grown = resident_bytes() - after_200
    with capsys.disabled():
        print(f"\nafter 200 steps {after_200 / 1e6:.1f} MB, after 2,000 {grown / 1e6:+.1f} MB", end=" ")
    assert living() == tensors
    assert grown < 4 << 20, "1,800 steps that each left one activation of 32 KiB would leave 56 MiB"


# ---- errors ----


class Fails(Function):
    """Works, or fails in the forward or backward pass."""

    name = "fails"

    def __init__(self, where: str) -> None:
        self.where = where

    def forward(self, x):
        if self.where == "forward":
            raise ZeroDivisionError
        self.save(x)
        return x * 1

    def backward(self, gy):
        if self.where == "backward":
            raise ZeroDivisionError
        return (gy,)


class FailingNetwork(nn.Module):
    def __init__(self, where: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, rng=np.random.default_rng(0))
        self.after = nn.Conv2d(4, 2, 1, rng=np.random.default_rng(1))
        self.where = where

    def forward(self, x):
        return F.global_avg_pool2d(self.after(Fails(self.where).apply(self.conv(x))))


def thread_state() -> tuple[object, ...]:
    return (
        _state.recording, _state.fusing, _state.winograd, list(_state.module_names), list(_state.observers),
        parallel._blas_holders, parallel._thread.inside_tile, parallel._thread.wrappers, np.geterr(),
        np.getbufsize(), parallel.get_num_threads(),
    )  # fmt: skip


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_an_error_in_the_middle_leaves_nothing_behind(where):
    """No switch, no name, no pinned BLAS; no gradient in part; no tensor, once the error is forgotten."""
    x = np.ones((2, 6, 6, 3), np.float32)
    network, sound = FailingNetwork(where), FailingNetwork("nowhere")
    before = thread_state()
    gc.collect()
    alive = living()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), profile(), observe(look_on):
            network(Tensor(x)).sum().backward()
        assert thread_state() == before
    gc.collect()
    assert living() == alive
    assert network.conv.weight.grad is None

    for model in (network, sound):
        model.where = "nowhere"
        model(Tensor(x)).sum().backward()
    for ours, expected in zip(network.parameters(), sound.parameters(), strict=True):
        np.testing.assert_array_equal(ours.grad, expected.grad)


def look_on(function, inputs, output):
    """Look on, as an observer does."""
