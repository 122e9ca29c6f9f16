"""Each planted bug is caught by the gradient checker, at the right place; mended, each passes."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

from minicnn import gradcheck
from minicnn.errors import UsageError
from minicnn.study.exercises.bug_catalogue import BUGS, bug_named
from minicnn.study.exercises.bug_report import examination_text, explanation_text
from minicnn.study.exercises.bugs import examine, mended_source, source_of
from package_tree import ROOT

every_bug = pytest.mark.parametrize("name", BUGS)

# For each, the samples that are wrong, the input, and how the checker names the culprit.
CAUGHT = {
    "two_branches": (["two branches"], {0}, "two_branches"),
    "shortcut": (["a block"], {0}, "values that bypass the graph"),
    "surprise": (["three samples"], {0}, "surprise"),
    "window_mean": (["overlapping windows"], {0}, "window_mean"),
    "outer": (["3 samples, 4 channels"], {0}, "outer"),
    "clipped_mean": (["reach 1", "reach 2"], {0}, "clipped_mean"),
    "frame": (["more at the right"], {0}, "frame"),
    "correlate": (["low and wide kernel"], {0, 1}, "correlate"),
    "peaks": (["the last window reaches beyond"], {0}, "peaks"),
    "neighbours": (["even size", "size 2"], {0}, "neighbours"),
    "gate": (["a few values"], {0}, "gate: its backward changes its argument gy in place"),
    "thinned": (["half is dropped"], {0}, "thinned"),
    "variance": (["around 10,000"], {0}, "variance"),
    "zoom": (["two rows"], {0}, "several consumers of one tensor"),
    "distance": (["with a zero"], {0}, "distance"),
}

# Which coordinates are wrong, where not all are: (sample, input) -> test of an index.
WRONG_ONLY = {
    ("peaks", 0): lambda index: index[1] >= 6,  # what only the last window of 8 values in 3/2 can win
    ("clipped_mean", 0): lambda index: index[1] in (0, 1, 6, 7),
    ("correlate", 1): lambda index: index[1] == 2,
    ("window_mean", 0): lambda index: 2 in index[1:3] or index[2] == 4,
    ("distance", 0): lambda index: index == (1,),
}


def examined(name, text, tmp_path):
    path = tmp_path / f"{name}.py"
    path.write_text(text)
    return examine(BUGS[name], path)


def test_there_are_a_dozen_and_more():
    assert len(set(BUGS) - {"distance"}) >= 12  # distance has no wrong gradient
    assert set(CAUGHT) == set(BUGS)


@every_bug
def test_it_is_caught(name, tmp_path):
    findings = examined(name, source_of(BUGS[name]), tmp_path)
    samples, inputs, culprit = CAUGHT[name]
    wrong = [finding for finding in findings if not finding.right]
    assert [finding.sample.label for finding in wrong] == samples
    report = wrong[0].report
    assert not report
    assert {failure.input for failure in report.failures} == inputs
    assert culprit in examination_text(BUGS[name], findings)
    for which in inputs:
        coordinates = [failure.index for failure in report.failures if failure.input == which]
        if (name, which) in WRONG_ONLY:
            assert all(map(WRONG_ONLY[name, which], coordinates))


@every_bug
def test_mended_it_is_right(name, tmp_path):
    findings = examined(name, mended_source(BUGS[name]), tmp_path)
    assert all(finding.right for finding in findings)
    assert "Well done" in examination_text(BUGS[name], findings)


@every_bug
def test_only_one_passage_is_wrong(name):
    bug = BUGS[name]
    assert source_of(bug).count(bug.wrong) == 1
    text = explanation_text(bug)
    for line in [*bug.wrong.split("\n"), *bug.right.split("\n")]:
        assert line.strip() in text


@every_bug
def test_the_file_does_not_give_it_away(name):
    """Whoever opens it sees what it computes, not what is wrong with it."""
    text = source_of(BUGS[name]).lower()
    assert text.startswith('"""find the mistake')
    for word in ("bug", "wrong line", "should be", "forgot"):
        assert word not in text
    assert callable(getattr(importlib.import_module(f"minicnn.study.exercises.wrong.{name}"), name))


def test_the_file_runs_by_itself(tmp_path):
    path = tmp_path / "frame.py"
    path.write_text(source_of(BUGS["frame"]))
    output = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True).stdout
    assert output.startswith("gradcheck: passed, 18 of 18 coordinates right")


def test_a_gradient_of_ones_would_not_catch_outer():
    from minicnn.study.exercises.wrong.outer import outer
    from minicnn.tensor import Tensor

    rng = np.random.default_rng(0)
    a, b = (Tensor(rng.standard_normal(shape), requires_grad=True) for shape in ((3, 1), (4,)))
    outer(a, b).sum().backward()
    np.testing.assert_allclose(a.grad, np.broadcast_to(b.data.sum(), (3, 1)))
    assert not gradcheck(outer, [a.data, b.data], rng=rng)


@pytest.mark.parametrize(
    ("name", "changes", "problem"),
    [
        ("frame", [("return np.pad(x, (", "return 2 * np.pad(x, (")], "forward gives something else"),
        ("outer", [("return a * b\n", "return a * c\n")], "NameError: name 'c' is not defined"),
        ("outer", [("return ga, gb", "return ga")], "gradient of input 0 must be (3, 1) float64, it is"),
        ("distance", [("gy, -gy),)", "gy, -gy) * (x != 0),)")], "not the one of the convention"),
        ("shortcut", [("    return identity + branch", "    return None")], "expected it to return a Tensor"),
    ],
)  # fmt: skip
def test_what_is_no_way_to_mend_it(name, changes, problem, tmp_path):
    text = mended_source(BUGS[name]) if name == "distance" else source_of(BUGS[name])
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    findings = examined(name, text, tmp_path)
    assert not all(finding.right for finding in findings)
    assert problem in examination_text(BUGS[name], findings)


def test_another_way_to_mend_it(tmp_path):
    """Sharing the gradient between equal values is as right where they always move together."""
    shared = source_of(BUGS["zoom"]).replace(
        "won = pairs == y[:, :, None]", "won = (pairs == y[:, :, None]) / 2"
    )
    assert all(finding.right for finding in examined("zoom", shared, tmp_path))


def test_names(tmp_path):
    assert bug_named("two-branches") is BUGS["two_branches"]
    with pytest.raises(UsageError, match=r"expected one of two_branches, .*; got 'butterfly'"):
        bug_named("butterfly")
    (tmp_path / "frame.py").write_text("x = 1\n")
    with pytest.raises(UsageError, match="there is no function `frame`"):
        examine(BUGS["frame"], tmp_path / "frame.py")


def test_the_text_in_short_and_at_length(tmp_path):
    findings = examined("frame", source_of(BUGS["frame"]), tmp_path)
    short, long = (examination_text(BUGS["frame"], findings, more) for more in (False, True))
    assert "first wrong op: frame, input 0 at" in short
    assert "the error stays whatever eps is" not in short
    assert "the error stays whatever eps is" in long


def test_wrong_ops_are_not_used():
    users = [path for path in (ROOT / "minicnn").rglob("*.py") if "exercises.wrong" in path.read_text()]
    assert [path.name for path in users] == ["bugs.py"]  # which reads their text
