"""The plateau at ln(K): who is on it, who is not, and from when on a run is judged."""

import math
from dataclasses import asdict, replace

import pytest

from minicnn.training import Config, Figures, find_recipe
from minicnn.training.recipes import SCHEDULES
from minicnn.training.schedule_of_run import make_schedule, warm_up_steps
from minicnn.training.watch.plateau import PlateauWatch, is_stuck

DEFAULT = Config(**asdict(find_recipe("default", "googlenet-cifar", "shapes")))
AT_ONCE = replace(DEFAULT, schedule="constant")
LEARNING = Figures(1000, 1500.0, 500, 900)


def guessing(images: int = 1000, classes: int = 10) -> Figures:
    return Figures(images, images * math.log(classes), images // classes, images // 2)


@pytest.mark.parametrize(
    ("figures", "stuck"),
    [
        (guessing(), True),
        (Figures(1000, 2260.0, 110, 500), True),
        (Figures(1000, 2250.0, 110, 500), False),  # the loss has begun to fall
        (Figures(1000, 2400.0, 100, 500), False),  # not there yet: large first steps
        (Figures(1000, 2290.0, 200, 600), False),  # unsure, but twice as good as guessing
    ],
)
def test_is_stuck(figures, stuck):
    assert is_stuck(figures, 10) is stuck


def after_epoch(watch: PlateauWatch, epoch: int = 0, **heads: Figures) -> str:
    """Judge an epoch (from 0) whose validation came out as its training did."""
    return str(watch.after_epoch((epoch + 1) * watch.steps_per_epoch, heads, heads))


def test_the_end_of_an_epoch_is_what_counts():
    """Guessing at first is no plateau if the last hundred steps were better; the reverse is one."""
    first, later = guessing(20_000), Figures(10_000, 15_000.0, 5_000, 9_000)
    both = Figures(30_000, first.loss_sum + later.loss_sum, 7_000, 19_000)
    watch = PlateauWatch(10, 300, AT_ONCE)
    watch.before_step(200, {"main": first})
    assert watch.after_epoch(300, {"main": both}, {"main": guessing()}) is None
    watch = PlateauWatch(10, 300, AT_ONCE)
    watch.before_step(500, {"main": later})
    finding = watch.after_epoch(600, {"main": both}, {"main": guessing()})
    assert finding.step == 600
    assert finding.seen == (
        "the loss of the network over the last 100 steps is that of guessing, ln(10) = 2.303 (main 2.303; "
        "accuracy 10.0%)."
    )
    assert finding.advice[0].startswith("try --schedule one-cycle: ")


def test_what_was_learned_in_the_last_steps_shows_in_validation():
    watch = PlateauWatch(10, 50, AT_ONCE)
    assert watch.after_epoch(50, {"main": guessing()}, {"main": Figures(1000, 1950.0, 270, 790)}) is None


def test_said_once_and_taken_back_when_it_is_over():
    watch = PlateauWatch(10, 50, AT_ONCE)
    wobbling = Figures(1000, 2230.0, 150, 600)
    said = after_epoch(watch, main=LEARNING, aux1=guessing(), aux2=guessing())
    assert "of aux1 and aux2 over the last 50 steps" in said
    assert after_epoch(watch, main=LEARNING, aux1=guessing(), aux2=wobbling) == "None"
    assert "of aux2 has left ln(10)" in after_epoch(watch, main=LEARNING, aux1=guessing(), aux2=LEARNING)
    assert "of all heads over" in after_epoch(watch, main=guessing(), aux1=guessing(), aux2=guessing())


def test_so_early_it_is_said_that_it_is_early():
    early = after_epoch(PlateauWatch(10, 50, AT_ONCE), epoch=0, main=guessing())
    assert "may only mean:" in early
    assert "may only mean:" not in after_epoch(PlateauWatch(10, 50, AT_ONCE), epoch=1, main=guessing())


# ---- the warm-up ----


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("warm_up", [0.0, 0.1, 0.25, 0.3, 0.9])
@pytest.mark.parametrize(("epochs", "steps_per_epoch"), [(1, 127), (2, 45), (3, 33), (9, 704)])
def test_no_step_is_judged_while_the_rate_rises(schedule, warm_up, epochs, steps_per_epoch):
    config = replace(DEFAULT, schedule=schedule, warm_up=warm_up, epochs=epochs)
    total = epochs * steps_per_epoch
    factor = make_schedule(config, steps_per_epoch)
    rises = [step for step in range(total - 1) if factor(step + 1, total) > factor(step, total)]
    assert warm_up_steps(config, steps_per_epoch) in {len(rises), len(rises) + 1}, (
        "the last rise may be a fall"
    )
    watch = PlateauWatch(10, steps_per_epoch, config)
    for epoch in range(epochs):
        start, end = watch.judged_from(epoch), (epoch + 1) * steps_per_epoch
        window = min(100, steps_per_epoch)
        if start is None:
            assert end - len(rises) <= window / 2 + 1, "hardly any step came after the warm-up"
        else:
            assert all(step < start for step in rises)
            assert end - window <= start <= end - window / 2
            assert start >= epoch * steps_per_epoch


def test_the_plateau_waits_for_the_warm_up():
    """Four epochs by default: the rate rises in the first, and a head that guesses then is no news."""
    heads = {"main": guessing()}
    for schedule, said in (("one-cycle", [False, True]), ("constant", [True, False])):
        config = replace(DEFAULT, epochs=4, schedule=schedule)
        watch, findings = PlateauWatch(10, 150, config), []
        for epoch in range(2):
            for step in range(150):
                before = {"main": guessing(1 + step)} if step else {}
                watch.before_step(150 * epoch + step, before)
            findings.append(watch.after_epoch(150 * (epoch + 1), heads, heads))
        assert [finding is not None for finding in findings] == said


def test_of_the_epoch_in_which_the_warm_up_ends_only_the_rest_is_judged():
    config = replace(DEFAULT, epochs=4, warm_up=0.2)  # 120 steps
    watch = PlateauWatch(10, 150, config)
    assert watch.judged_from(0) is None, "30 steps are too few"
    config = replace(DEFAULT, epochs=4, warm_up=0.12)  # 72 steps
    watch = PlateauWatch(10, 150, config)
    for step in range(150):
        watch.before_step(step, {"main": guessing(10 * step)} if step else {})
    assert watch.before["main"].images == 720
    assert "over the last 78 steps" in after_epoch(watch, main=guessing(1500))
