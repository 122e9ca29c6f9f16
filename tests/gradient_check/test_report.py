"""The printed report, letter by letter: what a student reads."""

import pytest

from minicnn.gradient_check.findings import Failure, Kink
from minicnn.gradient_check.report import GradcheckReport, InputReport

FIRST = InputReport("input 0", (2, 3), 6, 2, 1, 0.25, 0.5, 1.0)
SECOND = InputReport("fc.weight", (), 1, 1, 0, 0.0, 0.0, 0.0)


def kinks(count):
    return tuple(Kink(0, "input 0", (0, n), "relu", "block", (n,)) for n in range(count))


def test_a_failure_and_kinks():
    failure = Failure(0, "input 0", (1, 2), 1.5, -0.0, errors_by_eps=((1e-4, 1.5), (1e-5, 1.5), (1e-6, 1.5)))
    report = GradcheckReport((failure,), kinks(2), (FIRST, SECOND))
    assert not report
    assert (
        str(report)
        == """\
gradcheck: FAILED, 1 of 7 coordinates wrong, 2 at a kink
  input      shape             checked  kinks  max abs err  max rel err
  input 0    (2, 3)                  6      2      2.5e-01      5.0e-01
  fc.weight  ()                      1      1      0.0e+00      0.0e+00
  fc.weight: all 1 coordinates that were looked at are kinks: nothing can be said

Wrong gradients of sum(gy * y), for a random gy
  input 0[1, 2]: backward 1.5, differences 0
    eps          1e-04      1e-05      1e-06
    error     1.50e+00   1.50e+00   1.50e+00
    the error stays whatever eps is: the gradient is wrong

Kinks inside x ± eps, neither right nor wrong
  input 0[0, 0]: relu in block at element [0]
  input 0[0, 1]: relu in block at element [1]"""
    )


@pytest.mark.parametrize(("count", "shown", "more"), [(5, 5, ""), (6, 5, "  ... and 1 more")])
def test_long_lists_are_cut(count, shown, more):
    lines = str(GradcheckReport((), kinks(count), (FIRST,))).splitlines()
    listed = lines[lines.index("Kinks inside x ± eps, neither right nor wrong") + 1 :]
    assert len([line for line in listed if line.startswith("  input 0")]) == shown
    assert listed[shown:] == ([more] if more else [])
