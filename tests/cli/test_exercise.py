"""`minicnn exercise`: what it prints and writes, its exit status, and its errors."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_process import start
from exercise_solutions import changed, solution
from failing_command import fails as command_fails
from minicnn.cli import main
from minicnn.study.exercises import EXERCISES, template
from minicnn.study.exercises.bug_catalogue import BUGS
from minicnn.study.exercises.bugs import mended_source, source_of
from minicnn.study.exercises.catalogue import file_name
from package_tree import ROOT


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def exercise(capsys, *arguments, status=0):
    """Run a command that shall end with this status; return what it prints."""
    assert main(["exercise", *arguments]) == status
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def fails(capsys, *arguments):
    return command_fails(capsys, "exercise", *arguments)


def test_a_course_of_one_exercise(capsys):
    assert "exercises/relu.py" in exercise(capsys, "start", "relu")
    assert Path("exercises/relu.py").read_text() == template("relu")
    assert "not written yet (exercises/relu.py:" in exercise(capsys, "check", "relu", status=1)

    Path("exercises/relu.py").write_text(changed("relu", ("x > 0", "x >= 0")))
    wrong = exercise(capsys, "check", "relu", status=1)
    assert "likely: the convention at the kink" in wrong
    assert "to do: use x > 0" not in wrong
    assert "to do: use x > 0" in exercise(capsys, "check", "relu", "--more", status=1)

    Path("exercises/relu.py").write_text(solution("relu"))
    right = exercise(capsys, "check", "relu")
    assert "6 of 6 samples right" in right
    assert "minicnn/ops/relu.py" in right
    assert "Next: minicnn exercise start linear" in right


def test_the_list_says_how_far_one_is(capsys):
    untouched = exercise(capsys, "list")
    assert untouched == exercise(capsys)
    rows = {line.split()[0]: line.split()[2] for line in untouched.splitlines()[1 : 1 + len(EXERCISES)]}
    assert rows == dict.fromkeys(EXERCISES, "-")

    for name in ("relu", "linear", "cross-entropy", "concat"):
        exercise(capsys, "start", name)
    Path("exercises/linear.py").write_text(solution("linear"))
    Path("exercises/cross_entropy.py").write_text(changed("cross-entropy", ("-= 1", "-= 2")))
    Path("exercises/concat.py").write_text("def backward(\n")
    lines = {line.split()[0]: line for line in exercise(capsys, "list").splitlines() if line}
    for name, status in (
        ("relu", "started"), ("linear", "right"), ("cross-entropy", "not right yet"),
        ("concat", "cannot be read"), ("lrn", "-"),
    ):  # fmt: skip
        assert f"  {status}  " in lines[name]


def test_the_list_says_what_comes_next(capsys):
    def last_line(*arguments):
        return exercise(capsys, *arguments).splitlines()[-1]

    assert last_line().endswith(". To begin: minicnn exercise start relu")
    exercise(capsys, "start", "relu")
    assert last_line().endswith(". To go on: minicnn exercise check relu")
    Path("exercises/relu.py").write_text(solution("relu"))
    assert last_line().endswith(". Next: minicnn exercise start linear")
    for name in EXERCISES:
        Path("exercises", file_name(name)).write_text(solution(name))
    assert last_line().endswith(". All of them are right.")
    assert last_line("bugs").endswith(f". To begin: minicnn exercise bugs start {next(iter(BUGS))}")


def test_every_exercise_and_bug_can_be_started(capsys):
    for name in EXERCISES:
        exercise(capsys, "start", name)
    for name in BUGS:
        exercise(capsys, "bugs", "start", name)
        assert Path(f"exercises/bugs/{name}.py").read_text() == source_of(BUGS[name])
    assert len(list(Path("exercises").glob("*.py"))) == len(EXERCISES)


def test_a_file_of_the_learner_is_never_replaced(capsys):
    exercise(capsys, "start", "relu")
    Path("exercises/relu.py").write_text("mine")
    assert "is there already, and is yours" in fails(capsys, "start", "relu")
    assert Path("exercises/relu.py").read_text() == "mine"
    exercise(capsys, "start", "relu", "--force")
    assert Path("exercises/relu.py").read_text() == template("relu")


def test_another_file(capsys):
    assert "--file mine/a.py" in exercise(capsys, "start", "relu", "--out", "mine/a.py")
    assert not Path("exercises").exists()
    Path("mine/a.py").write_text(solution("relu"))
    exercise(capsys, "check", "relu", "--file", "mine/a.py")


def test_bugs(capsys):
    listed = exercise(capsys, "bugs")
    assert listed == exercise(capsys, "bugs", "list")
    assert all(f"\n{name} " in listed for name in BUGS)

    started = exercise(capsys, "bugs", "start", "frame")
    assert "checker says: python exercises/bugs/frame.py\nWhen you have mended it: minicnn exerc" in started
    wrong = exercise(capsys, "bugs", "check", "frame", status=1)
    assert "more at the right: (2, 3, 3, 1), vertical=(1, 1), horizontal=(0, 1)" in wrong
    assert BUGS["frame"].right.strip() not in wrong
    Path("exercises/bugs/frame.py").write_text(mended_source(BUGS["frame"]))
    right = exercise(capsys, "bugs", "check", "frame")
    assert "Next: minicnn exercise bugs start correlate" in right
    assert BUGS["frame"].right.strip() in exercise(capsys, "bugs", "explain", "frame")


def test_the_list_of_bugs_says_how_far_one_is(capsys):
    for name in ("two_branches", "outer", "frame", "gate"):
        exercise(capsys, "bugs", "start", name)
    Path("exercises/bugs/outer.py").write_text(mended_source(BUGS["outer"]))
    Path("exercises/bugs/frame.py").write_text("# I looked at it\n" + source_of(BUGS["frame"]))
    Path("exercises/bugs/gate.py").write_text("def gate(\n")
    lines = {line.split()[0]: line for line in exercise(capsys, "bugs", "list").splitlines() if line}
    for name, status in (
        ("two_branches", "started"), ("outer", "mended"), ("frame", "not right yet"),
        ("gate", "cannot be read"), ("peaks", "-"),
    ):  # fmt: skip
        assert f"  {status}  " in lines[name]


# ---- files that do not come to an end ----

ENDLESS = """\
from pathlib import Path


def backward(gy, x):
    Path("begun").touch()
    while True:
        pass
"""


def test_an_endless_loop_is_stopped_with_one_line():
    Path("exercises").mkdir()
    Path("exercises/relu.py").write_text(ENDLESS)
    run = start(["exercise", "check", "relu"])
    while not Path("begun").exists():
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert re.fullmatch(
        r'minicnn: stopped at exercises/relu\.py:[67], sample 1 of 6, "images"\n', err
    )  # fmt: skip
    assert (out, run.returncode) == ("", 130)


def stopped(capsys, *arguments):
    assert main(["exercise", *arguments]) == 130
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_where_one_was_when_one_stopped_it(capsys):
    in_the_third = (
        "import itertools\n\ncalls = itertools.count()\n\n\ndef backward(gy, x, w):\n"
        "    if next(calls) == 2:\n        raise KeyboardInterrupt\n"
        "    return gy @ w.T, x.T @ gy, gy.sum(axis=0)\n"
    )
    at = 'minicnn: stopped at exercises/linear.py:8, sample 3 of 6, "one sample, many outputs"\n'
    Path("exercises/bugs").mkdir(parents=True)
    Path("exercises/linear.py").write_text(in_the_third)
    assert stopped(capsys, "list") == at

    in_the_checker = in_the_third.replace("== 2", "== 1")
    Path("exercises/linear.py").write_text(in_the_checker)
    assert 'linear.py:8, sample 1 of 6, "with bias"' in stopped(capsys, "check", "linear")

    Path("exercises/linear.py").write_text("raise KeyboardInterrupt\n")
    assert stopped(capsys, "check", "linear").endswith("linear.py:1, while the file was being read\n")

    text = source_of(BUGS["frame"]).replace(
        "        return (gy[", "        raise KeyboardInterrupt\n        (gy["
    )
    Path("exercises/bugs/frame.py").write_text(text)
    for arguments in (["bugs"], ["bugs", "check", "frame"]):
        assert re.search(r'frame\.py:\d+, sample 1 of 3, "alike on', stopped(capsys, *arguments))


def test_an_interruption_elsewhere_is_not_the_learners(capsys, monkeypatch):
    def interrupted(self, task, path, more, tell):
        raise KeyboardInterrupt

    exercise(capsys, "start", "relu")
    monkeypatch.setattr("minicnn.cli.exercise.kinds.Exercises.check", interrupted)
    assert stopped(capsys, "check", "relu") == "minicnn: stopped\n"


def test_what_is_run_is_shown_on_a_terminal(capsys, monkeypatch):
    shown = []

    class Line:
        def __init__(self, **settings):
            assert settings["disable"] is None  # nothing is shown but on a terminal

        def __enter__(self):
            return self

        def __exit__(self, *error):
            shown.append("")

        set_description_str = shown.append

    monkeypatch.setattr("tqdm.tqdm", Line)
    Path("exercises").mkdir()
    Path("exercises/relu.py").write_text(solution("relu"))
    exercise(capsys, "check", "relu")
    assert shown[0] == 'relu: sample 1 of 6, "images" (Ctrl-C stops)'
    assert len(shown) == 7
    assert shown[-1] == ""


def test_errors(capsys, tmp_path):
    assert "expected one of relu, linear" in fails(capsys, "start", "sigmoid")
    assert "begin with: minicnn exercise start relu" in fails(capsys, "check", "relu")
    assert "begin with: minicnn exercise bugs start frame" in fails(capsys, "bugs", "check", "frame")
    assert "expected one of two_branches" in fails(capsys, "bugs", "explain", "butterfly")
    assert "invalid choice: 'solve'" in fails(capsys, "solve")
    assert "required: NAME" in fails(capsys, "check")
    Path("exercises").mkdir()
    Path("exercises/relu.py").write_text("def backward(gy, x)\n    return gy\n")
    assert fails(capsys, "check", "relu").startswith("exercises/relu.py:1: this is no Python: expected ':'")
    Path("folder.py").mkdir()
    assert "expected a file to write, got a folder" in fails(capsys, "start", "relu", "--out", "folder.py")
    assert "cannot be read as a Python file" in fails(capsys, "check", "relu", "--file", "folder.py")


def test_a_file_with_an_error_gives_its_line_and_no_traceback(capsys):
    Path("exercises").mkdir()
    Path("exercises/linear.py").write_text(
        "def backward(gy, x, w):\n    return gy @ w, x.T @ gy, gy.sum(0)\n"
    )
    text = exercise(capsys, "check", "linear", status=1)
    assert "exercises/linear.py:2: ValueError: matmul" in text
    assert "Traceback" not in text


def test_help_explains_itself(capsys):
    for arguments in ([], ["start"], ["check"], ["bugs"], ["bugs", "check"]):
        with pytest.raises(SystemExit) as stop:
            main(["exercise", *arguments, "--help"])
        assert stop.value.code == 0
        assert "usage: minicnn exercise" in capsys.readouterr().out


def test_other_commands_load_no_exercise():
    program = "import sys, minicnn.cli.parser; print([m for m in sys.modules if 'exercises' in m])"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "[]"


DOCUMENTED = re.findall(
    r"^```console\n(.*?)^```$", (ROOT / "docs/exercises.md").read_text(), re.DOTALL | re.MULTILINE
)


@pytest.mark.parametrize("session", DOCUMENTED)
def test_the_documented_sessions_are_real(session, capsys):
    """`cat FILE` shows what the learner has written; everything else is typed."""
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
        program, *arguments = command.split()
        if program == "cat":
            Path(arguments[0]).write_text(shown)
        else:
            main(arguments)
            assert capsys.readouterr().out == shown, command
