"""Every exercise solved once is right; what is not written, wrong or unusable is not, and says why."""

import re
import sys

import numpy as np
import pytest

from exercise_solutions import attempt, changed, solution
from minicnn.errors import UsageError
from minicnn.op_cases import CASES
from minicnn.study.exercises import EXERCISES, exercise_named, grade, load_backward, template
from minicnn.study.exercises.catalogue import file_name
from minicnn.study.exercises.report import grade_text
from minicnn.study.exercises.tasks.auxiliary_head import AUX_WEIGHT, CASE
from op_runs import assert_gradients_match, run
from package_tree import ROOT

every_exercise = pytest.mark.parametrize("name", EXERCISES)


@every_exercise
def test_the_solution_is_right(name):
    graded = attempt(name, solution(name))
    assert graded.passed, grade_text(graded)
    assert [trial.sample.label for trial in graded.trials][-1] == "float32 stays float32"
    judged = [trial.gradcheck for trial in graded.trials[:-1]]
    assert all(verdict for verdict in judged)
    assert sum(int(verdict.split()[0]) for verdict in judged) > 20  # coordinates that were found right
    assert "Well done" in grade_text(graded)


@every_exercise
def test_the_template_is_not_written_yet(name):
    graded = attempt(name, template(name))
    assert not graded.passed
    assert "NotImplementedError" in graded.not_written
    assert grade_text(graded).startswith(f"{name}: not written yet")


@every_exercise
def test_the_template_names_what_it_is_about(name):
    exercise, text = EXERCISES[name], template(name)
    assert f"minicnn exercise check {name}" in text
    assert exercise.page in text
    assert (ROOT / exercise.page).is_file()
    assert (ROOT / exercise.source).is_file()
    assert load_backward(exercise, ROOT / "minicnn/study/exercises/templates" / file_name(name))


@pytest.mark.parametrize("name", [name for name in EXERCISES if name != "auxiliary-head"])
def test_all_samples_of_the_op_case_grade(name):
    """Those with groups excepted: the exercise about convolution leaves them out."""
    case = CASES[EXERCISES[name].case.name]
    assert EXERCISES[name].case is case
    samples = [s for s in case.samples(np.random.default_rng(0)) if s.settings.get("groups", 1) == 1]
    graded = attempt(name, solution(name), with_gradcheck=False)
    assert [trial.sample.label for trial in graded.trials[:-1]] == [sample.label for sample in samples]


@pytest.mark.parametrize("size", [1e-3, 1e-5, 1e-6])
def test_small_errors_are_errors(size):
    """Also those that difference quotients cannot see."""
    graded = attempt(
        "linear", changed("linear", ("gy @ w.T", f"gy @ w.T * (1 + {size})")), with_gradcheck=False
    )
    assert [trial.wrong for trial in graded.trials[:-1]] == [["gx"]] * 5


def test_the_total_loss_with_a_head_is_what_its_reference_says(rng):
    assert AUX_WEIGHT == 0.3
    for sample in CASE.samples(rng):
        gy = np.asarray(rng.standard_normal())
        y, gradients = run(CASE.function, sample.inputs, sample.settings, gy)
        np.testing.assert_allclose(y, CASE.reference(*sample.inputs, **sample.settings), rtol=1e-12)
        assert_gradients_match(CASE.reference, sample.inputs, sample.settings, gy, gradients, rng)


def test_names():
    assert exercise_named("cross_entropy") is EXERCISES["cross-entropy"]
    assert exercise_named("max-pool2d") is EXERCISES["max_pool2d"]
    with pytest.raises(UsageError, match=r"expected one of relu, linear, .*; got 'sigmoid'"):
        exercise_named("sigmoid")


# ---- files that cannot be graded ----


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "def backward(gy, x:\n    return gy\n",
            r"relu.py:1: this is no Python: .* in: def backward\(gy, x:",
        ),
        ("def backwards(gy, x):\n    return gy\n", r"no function `backward`; define backward\(gy, x\)"),
        ("def backward(gy):\n    return gy\n", r"cannot be called as backward\(gy, x\)"),
        ("import sys\nsys.exit(0)\n", r"relu.py:2: SystemExit.*while the file was being read"),
        ("import numpyy\n", r"relu.py:1: ModuleNotFoundError: .*while the file was being read"),
    ],
)
def test_unusable_files(tmp_path, text, message):
    path = tmp_path / "relu.py"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_backward(EXERCISES["relu"], path)
    assert "\n" not in str(caught.value)


def test_files_of_other_editors_and_helpers_beside_them(tmp_path):
    """A mark at the beginning, as Windows has it, and an import of a file in the same folder."""
    (tmp_path / "masks.py").write_text("def mask(x):\n    return x > 0\n")
    path = tmp_path / "relu.py"
    path.write_text(
        "\ufefffrom masks import mask\n\n\ndef backward(gy, x):\n    return gy * mask(x)\n", "utf-8"
    )
    before = list(sys.path)
    assert grade(EXERCISES["relu"], load_backward(EXERCISES["relu"], path), path).passed
    assert sys.path == before
    del sys.modules["masks"]


def test_a_file_with_a_null_byte(tmp_path):
    (tmp_path / "relu.py").write_bytes(b"a = 1\0\n")
    with pytest.raises(UsageError, match=r"relu\.py: this is no Python"):
        load_backward(EXERCISES["relu"], tmp_path / "relu.py")


def test_no_file(tmp_path):
    with pytest.raises(UsageError, match="cannot be read as a Python file"):
        load_backward(EXERCISES["relu"], tmp_path / "relu.py")


# ---- attempts that give no gradients to look at ----


@pytest.mark.parametrize(
    ("name", "body", "problem"),
    [
        ("relu", "gx = gy * (x > 0)", "backward returns nothing, gx expected: is there a return?"),
        ("linear", "return gy @ w.T, x.T @ gy, None", "gb is None"),
        ("relu", "return Tensor(gy)", "gx is a Tensor; backward works on NumPy arrays"),
        ("relu", "raise SystemExit(0)", "relu.py:5: SystemExit"),
        ("relu", "return gy.astype(object)", "an array of numbers, it is an array of dtype object"),
        ("relu", "return gy, gy", "backward has to return 1 gradient, gx; it returns a tuple of 2"),
        ("linear", "return gy @ w.T, x.T @ gy", "return 3 gradients, gx, gw, gb; it returns a tuple of 2"),
        ("linear", "return gy @ w.T", "as a tuple or list, it returns an array of dtype float64 and"),
        ("linear", "return gy @ w, x.T @ gy, gy", "linear.py:5: ValueError: matmul"),
        ("inception", "return gy", "a dict of gradients, it returns an array of dtype float64 and shape"),
        ("inception", 'return {"gx": saved.x}', "lacks gw1, gb1, gw3_reduce, "),
        ("auxiliary-head", "return saved.weight", "AttributeError: 'types.SimpleNamespace' object has no"),
    ],
)  # fmt: skip
def test_problems_are_explained(name, body, problem):
    arguments = ", ".join(("gy", *EXERCISES[name].arguments))
    graded = attempt(name, f"from minicnn import Tensor\n\n\ndef backward({arguments}):\n    {body}\n")
    assert not graded.passed
    assert problem in graded.trials[0].problem
    text = grade_text(graded)
    assert problem in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("name", "body", "advice"),
    [
        ("linear", "return gy @ w, x.T @ gy, gy.sum(axis=0)", "missing transpose. In a @ b"),
        ("linear", "return np.dot(gy, w), x.T @ gy, gy.sum(axis=0)", "missing transpose. In a @ b"),
        ("linear", "return gy * w.T, x.T @ gy, gy.sum(axis=0)", "an axis that is missing"),
        ("linear", "return (gy @ w.T).reshape(w.shape), x, gy", "an axis that is forgotten in the new shape"),
        ("linear", "return gy @ w.T, x.T @ gy, None", "every gradient is graded"),
        ("relu", "np.broadcast_to(gy, x.shape)[...] = 0", "an array that is not yours"),
        ("relu", "return gy if x > 0 else 0", "Multiply by a mask"),
        ("relu", "return max(gy, 0)", "Multiply by a mask"),
        ("relu", "gx = np.zeros(x.shape, int)\n    gx += gy", "an array of whole numbers"),
        ("concat", "return np.split(gy, len(sizes), axis)", "also takes the positions of the cuts"),
        ("concat", "return np.split(gy, sizes, axis)", "n parts have n - 1 cuts"),
        ("concat", "return np.split(gy, np.cumsum(sizes), axis)", "n parts have n - 1 cuts"),
        ("avg_pool2d", "np.zeros(x_shape)[:, x_shape[1]]", "a row or column beyond the image"),
        ("avg_pool2d", "np.zeros_like(x_shape)[:, 0, 0]", "an array with fewer axes than you think"),
        ("max_pool2d", "x[:, -1:1].argmax()", "A start below 0 counts from the end"),
        ("max_pool2d", "x[:, -1:1].max()", "A start below 0 counts from the end"),
        ("max_pool2d", "i, j = x.argmax()", "np.unravel_index makes row and column"),
        ("max_pool2d", "where = None\n    x[where[0]]", "nothing was found in that window"),
    ],
)  # fmt: skip
def test_numpy_errors_are_translated(name, body, advice):
    arguments = ", ".join(("gy", *EXERCISES[name].arguments))
    text = grade_text(attempt(name, f"import numpy as np\n\n\ndef backward({arguments}):\n    {body}\n"))
    assert advice in text
    assert "gufunc" not in text


def test_numpy_errors_come_with_the_shapes():
    graded = attempt("linear", "def backward(gy, x, w):\n    return gy @ w, x.T @ gy, gy.sum(axis=0)\n")
    assert "(shapes: gy (3, 2), x (3, 4), w (4, 2))" in grade_text(graded)


@pytest.mark.parametrize(
    ("name", "old", "new", "spoiled"),
    [
        ("relu", "    return gy * (x > 0)", "    gy *= x > 0\n    return gy", "gy"),
        ("relu", "    return gy * (x > 0)", "    x[x > 0] = 1\n    return gy * (x > 0)", "x"),
        ("cross-entropy", "p.copy()", "p", "p"),
        ("inception", "    g = {}", "    g = {}\n    saved.x += 1\n    saved.x -= 1.5", "saved.x"),
    ],
)
def test_writing_to_what_belongs_to_others(name, old, new, spoiled):
    graded = attempt(name, solution(name).replace(old, new), with_gradcheck=False)
    assert not graded.passed
    assert spoiled in {trial.spoiled for trial in graded.trials}
    assert f"writes to {spoiled} in place" in grade_text(graded)


def test_float32_has_to_stay():
    graded = attempt("cross-entropy", solution("cross-entropy").replace("p.copy()", "p.astype(float)"))
    assert [trial.sample.label for trial in graded.trials if not trial.passed] == ["float32 stays float32"]
    text = grade_text(graded)
    assert "gx is float64, its input is float32\n  use arrays of the dtype of gy" in text
    assert re.search("float32 stays float32 +WRONG +- +see below", text)


def test_float64_has_to_stay():
    """Numbers rounded to float32 are within the tolerance for values; the dtype gives them away."""
    graded = attempt("linear", changed("linear", ("gy @ w.T", "(gy @ w.T).astype('float32')")))
    assert not any(trial.wrong for trial in graded.trials)
    assert [trial.passed for trial in graded.trials] == [False] * 5 + [True]
    assert 'In "with bias" and 4 more samples:\n  gx is float32, its input is float64' in grade_text(graded)


def test_whole_numbers_have_their_own_advice():
    whole = "import numpy as np\n\n\ndef backward(gy, x):\n    return np.asarray(gy * (x > 0), int)\n"
    text = grade_text(attempt("relu", whole))
    assert "gx is int64, its input is float64\n  likely: an array of whole numbers" in text


def test_a_learner_cannot_spoil_the_grading():
    """The arrays that are handed out are copies: what is right stays right."""
    broken = "def backward(gy, x):\n    gy[...] = 0\n    x[...] = 0\n    return gy\n"
    graded = attempt("relu", broken)
    again = attempt("relu", solution("relu"))
    for one, other in zip(graded.trials[:-1], again.trials[:-1], strict=True):
        np.testing.assert_array_equal(one.gy, other.gy)
        np.testing.assert_array_equal(one.right["gx"], other.right["gx"])


def test_the_gradient_checker_judges_by_itself(monkeypatch):
    """If minicnn's own gradient were wrong, the checker would still object."""
    from minicnn.ops.relu import ReLU

    monkeypatch.setattr(ReLU, "backward", lambda self, gy: (gy,))
    graded = attempt("relu", "def backward(gy, x):\n    return gy\n")
    assert not any(trial.wrong for trial in graded.trials[:1])
    assert graded.trials[0].gradcheck.startswith("FAILED")
    assert not graded.passed


def test_a_backward_that_changes_its_mind():
    text = (
        "import itertools\n\ncalls = itertools.count()\n\n\n"
        "def backward(gy, x):\n    return gy * (x > 0) * (1 + (next(calls) > 0))\n"
    )
    graded = attempt("relu", text)
    assert graded.trials[0].wrong == []
    assert not graded.trials[0].passed


def test_a_backward_that_fails_the_second_time():
    once = (
        "calls = []\n\n\n"
        "def backward(gy, x):\n    calls.append(1 / (1 - len(calls)))\n    return gy * (x > 0)\n"
    )
    graded = attempt("relu", once)
    assert not graded.passed
    assert "relu.py:5: ZeroDivisionError" in graded.trials[0].gradcheck


def test_without_the_checker():
    exercise = EXERCISES["relu"]
    graded = grade(exercise, lambda gy, x: gy * (x > 0), with_gradcheck=False)
    assert graded.passed
    assert {trial.gradcheck for trial in graded.trials} == {""}


def test_solutions_are_not_shipped():
    shipped = {path.read_text() for path in (ROOT / "minicnn").rglob("*.py")}
    for name in EXERCISES:
        assert solution(name) not in shipped


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("inception", "padding=2", "padding=1",
         "inception.py:20: ShapeError: conv2d_backward: gy (2, 3, 2, 1) does not belong to x (2, 3, 2, 1), "
         "w (5, 5, 1, 1), padding=1; padding=2 would fit"),
        ("inception", "saved.w3, padding=1", "saved.w3",
         "w (3, 3, 2, 1), padding=0; padding=1 would fit"),
        ("inception", "3, stride=1, padding=1", "3, padding=1",
         "max_pool2d_backward: gy (2, 3, 2, 2) does not belong to x (2, 3, 2, 2), kernel_size=3, padding=1, "
         "whose output has shape (2, 1, 1, 2)"),
        ("inception", "c3 = c1 +", "c3 =",
         "relu_backward: gy (2, 3, 2, 0) does not belong to y (2, 3, 2, 1), whose output has shape"),
        ("inception", "g3, saved.reduced3, saved.w3", "g3, saved.x, saved.w3",
         "(conv2d: x: expected 1 channels for a weight of shape (3, 3, 1, 3), got 3 channels"),
        ("auxiliary-head", "    head = head.reshape(saved.conv.shape)\n", "",
         "relu_backward: gy (2, 6) does not belong to y (2, 1, 2, 3)"),
        ("auxiliary-head", "3, stride=2", "3", "avg_pool2d_backward: gy (2, 1, 2, 2) does not belong to x"),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_together(name, old, new, problem):
    text = grade_text(attempt(name, changed(name, (old, new)), with_gradcheck=False))
    assert problem in text
    assert "(shapes: gy" not in text
