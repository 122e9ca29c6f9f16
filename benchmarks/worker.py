"""One framework on one workload, in a process of its own: takes steps when it is told to.

    python -m benchmarks.worker '{"framework": "torch", "workload": {...}, ...}'

It builds the network, takes the first steps, and answers with one line of JSON: `{"values": [...]}`, the
losses of these steps. Then it answers what comes on standard input, until that ends:

    step N       {"seconds": s}        takes N steps; s is the mean
    peak         {"peak_bytes": n}     the largest resident memory so far
    profile N    {"seconds": s, ...}   minicnn only: where the time of N steps went

Whatever the framework itself prints goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from benchmarks.workloads import Workload

# Training: the third loss has seen two updates, so it agrees only if gradients and SGD do. Caches, thread
# pools and compiled graphs are warm after that.
FIRST_STEPS = 3


def main() -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job = json.loads(sys.argv[1])
    workload = Workload(**job["workload"])
    images, labels = workload.images_and_labels()
    with np.load(job["weights"]) as file:
        weights = dict(file)
    framework = importlib.import_module(f"benchmarks.frameworks.with_{job['framework']}")
    step = framework.prepare(workload, weights, images, labels, job["threads"], **job["options"])
    del weights

    results = [step() for _ in range(FIRST_STEPS)]
    values = results if workload.training else [cross_entropy(logits, labels) for logits in results]
    answer(answers, values=[float(value) for value in values])
    for line in sys.stdin:
        match line.split():
            case ["step", count]:
                started = time.perf_counter()
                for _ in range(int(count)):
                    step()
                answer(answers, seconds=(time.perf_counter() - started) / int(count))
            case ["peak"]:
                answer(answers, peak_bytes=peak_bytes())
            case ["profile", count]:
                answer(answers, **framework.profile(step, int(count)))


def answer(stream: TextIO, **content: Any) -> None:
    """Write one line of JSON."""
    print(json.dumps(content), file=stream, flush=True)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean cross entropy, in float64: one number to compare all logits by."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=1))
    return float((log_sums - shifted[np.arange(len(labels)), labels]).mean())


def peak_bytes() -> int:
    """Return the largest resident memory this process ever had.

    `ru_maxrss` would do, but on Linux it begins with that of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


if __name__ == "__main__":
    main()
