"""Is a hand-written gradient right? It is compared with difference quotients: `minicnn.gradcheck`.

    >>> import numpy as np
    >>> from minicnn import functional as F, gradcheck
    >>> x = np.array([[0.5, -1.0, 2.0]])
    >>> bool(gradcheck(lambda x: F.softmax(x), [x], rng=np.random.default_rng(0)))
    True

The parts, in the order in which they build on each other:

    recording.py    run a function and note every op, and which branch each ReLU and max took
    differences.py  difference quotients, tolerances, and how an error moves with the step width
    findings.py     what there is to say about single coordinates and single ops
    report.py       what was found altogether, and how it reads
    single_op.py    one recorded op by itself; the first wrong one on the backward path
    examination.py  one check, from the first run of the function to the report
    check.py        `gradcheck`
    network.py      `gradcheck_model`, all parameters of a network
    tables.py       what `minicnn gradcheck` prints

docs/gradient-checking.md explains the method.
"""

from minicnn.gradient_check.check import gradcheck
from minicnn.gradient_check.findings import Failure, Kink, WrongOp
from minicnn.gradient_check.network import gradcheck_model
from minicnn.gradient_check.report import GradcheckReport, InputReport
from minicnn.gradient_check.tables import cli_report

__all__ = [
    "Failure",
    "GradcheckReport",
    "InputReport",
    "Kink",
    "WrongOp",
    "cli_report",
    "gradcheck",
    "gradcheck_model",
]
