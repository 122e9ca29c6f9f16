"""How a grade reads: a line for each sample, then hints."""

from __future__ import annotations

from minicnn.study.exercises.advice import advice_on
from minicnn.study.exercises.catalogue import EXERCISES
from minicnn.study.exercises.exercise import Trial
from minicnn.study.exercises.grading import Grade
from minicnn.study.exercises.hints import SHOWN, Hint, hints
from minicnn.study.text_tables import Column, as_text

COLUMNS = [
    Column("sample", left=True),
    Column("result", left=True),
    Column("gradient checker", left=True),
    Column("wrong", left=True),
]

# More would bury the first: one mistake often spoils all gradients that are computed after it.
HINTS = 3


def grade_text(grade: Grade, more: bool = False) -> str:
    """Write what came of an attempt: a table and, if something is wrong, hints; with `more` longer ones."""
    exercise = grade.exercise
    if grade.not_written:
        return f"{exercise.name}: not written yet ({grade.not_written})"
    failed = [trial for trial in grade.trials if not trial.passed]
    lines = [f"{exercise.name}: {exercise.title}", ""]
    lines += as_text(COLUMNS, [_row(trial) for trial in grade.trials])
    passed = len(grade.trials) - len(failed)
    lines += ["", f"{passed} of {len(grade.trials)} samples right"]
    if not failed:
        return "\n".join([*lines, *_praise(grade)])
    lines += _problems(failed)
    found = hints(exercise, grade.trials)
    # What is understood comes first; mended, it often mends the others.
    found.sort(key=lambda hint: hint.mistake is None)
    for hint in found[:HINTS]:
        lines += ["", *_hint_lines(hint, more)]
    if found and found[0].mistake is not None and found[-1].mistake is None:
        lines += [
            "",
            "Mend what is explained first, and check again: one mistake may spoil several gradients",
        ]
    if found[HINTS:]:
        lines += ["", f"{', '.join(h.gradient for h in found[HINTS:])}: wrong too; mend the above first"]
    if found and not more:
        lines += ["", "More: add --more, which says what to do and shows more values"]
    return "\n".join(lines)


def _row(trial: Trial) -> list[str]:
    if trial.problem or (trial.dtype and not trial.wrong):
        wrong = "see below"
    elif trial.spoiled:
        wrong = f"writes to {trial.spoiled}"
    else:
        wrong = ", ".join(trial.wrong)
    return [trial.sample.label, "right" if trial.passed else "WRONG", trial.gradcheck or "-", wrong]


def _problems(failed: list[Trial]) -> list[str]:
    lines: list[str] = []
    problems = [(trial.sample.label, trial.problem) for trial in failed if trial.problem]
    dtypes = [(trial.sample.label, trial.dtype) for trial in failed if trial.dtype]
    for found in filter(None, (problems, dtypes)):
        # The first; those of other samples are mostly the same with other numbers.
        (label, problem), others = found[0], len(found) - 1
        more = f" and {others} more sample{'s' if others > 1 else ''}" if others else ""
        lines += ["", f'In "{label}"{more}:', f"  {problem}", *(f"  {line}" for line in advice_on(problem))]
    spoiled = dict.fromkeys(trial.spoiled for trial in failed if trial.spoiled)
    for name in spoiled:
        who = "a second consumer of y is given the same gy" if name == "gy" else "forward has saved it"
        lines += [
            "",
            f"backward writes to {name} in place: others may still need that array ({who})",
            "  likely: an in-place operation such as gy *= ..., or x[...] = ...; make a new array instead",
        ]
    return lines


def _hint_lines(hint: Hint, more: bool) -> list[str]:
    shown = hint.values[: SHOWN if more else 1]
    lines = [f'{hint.gradient}: {hint.summary} ("{hint.label}")', *(f"  {value}" for value in shown)]
    lines += [f"  {where}" for where in hint.where]
    if hint.mistake is None:
        lines.append("  no known mistake gives all of these numbers by itself: there may be two at once")
        return lines
    lines.append(f"  likely: {hint.mistake.name}: {hint.mistake.likely}")
    if more:
        lines.append(f"  to do: {hint.mistake.more}")
    return lines


def _praise(grade: Grade) -> list[str]:
    exercise = grade.exercise
    names = list(EXERCISES)
    place = names.index(exercise.name) + 1
    lines = [
        f"Well done: {exercise.name} is right, on every sample and for the gradient checker.",
        f"How minicnn does it: {exercise.source}; the derivation: {exercise.page}",
    ]
    if place < len(names):
        lines.append(f"Next: minicnn exercise start {names[place]}")
    else:
        lines.append("That was the last one. Now find the mistakes of others: minicnn exercise bugs")
    return lines
