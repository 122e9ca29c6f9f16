"""Workers seen from the process that measures: each is started once, and then takes steps when told to."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.contenders import ROOT, Contender, python_of
from benchmarks.errors import BenchmarkError
from benchmarks.workloads import Workload

# NumPy's BLAS and PyTorch's OpenMP read these when they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

PROFILED_STEPS = 3


class Worker:
    """A contender's process on one workload. A context manager, which ends the process.

    Parameters
    ----------
    contender : Contender
    workload : Workload
    weights : Path
        An .npz file with the initial weights by minicnn's names.
    threads : int

    Attributes
    ----------
    values : list of float
        The losses of the first steps, which have been taken when the constructor returns.

    Raises
    ------
    BenchmarkError
        If the process ends before it has answered: with the last line it wrote.
    """

    def __init__(self, contender: Contender, workload: Workload, weights: Path, threads: int) -> None:
        self.contender = contender
        self.workload = workload
        threads = 1 if contender.one_thread else threads
        job = {
            "framework": contender.framework, "workload": asdict(workload), "weights": str(weights),
            "threads": threads, "options": dict(contender.options),
        }  # fmt: skip
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [python_of(contender.framework), "-m", "benchmarks.worker", json.dumps(job)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints, text=True,
            cwd=ROOT, env=environment_of(contender, threads),
        )  # fmt: skip
        try:
            self.values: list[float] = self._answer()["values"]
        except BaseException:
            self.__exit__()
            raise

    def turn(self) -> float:
        """Let it take the steps of one turn; return the seconds that one step took."""
        return float(self._ask(f"step {self.workload.steps_per_turn}")["seconds"])

    def peak_bytes(self) -> int:
        """Return the largest resident memory its process has had so far."""
        return int(self._ask("peak")["peak_bytes"])

    def profile(self) -> Mapping[str, Any]:
        """Return where the time of a step goes, as `with_minicnn.profile` has it."""
        return self._ask(f"profile {PROFILED_STEPS}")

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._complaints.close()

    def _ask(self, question: str) -> Mapping[str, Any]:
        assert self._process.stdin
        try:
            self._process.stdin.write(question + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, which the missing answer will tell
        return self._answer()

    def _answer(self) -> Mapping[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._complaints.seek(0)
            last = (self._complaints.read().strip() or "without a word").splitlines()[-1]
            what = f"{self.contender.title} on {self.workload.title}"
            raise BenchmarkError(f"{what}: its process ended with status {status}: {last}")
        answer: Mapping[str, Any] = json.loads(line)
        return answer


def environment_of(contender: Contender, threads: int) -> dict[str, str]:
    """Return the variables a worker starts with."""
    return {
        **os.environ,
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        **contender.environment,
        "PYTHONPATH": str(ROOT / "tests"),  # for the network that the parity tests use
    }
