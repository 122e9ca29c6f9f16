"""A few steps of a run under the profiler, while training goes on as ever."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from minicnn.profiling import Record, profile
from minicnn.training.durable import write_durably
from minicnn.training.run_folder import PROFILE_TABLES, PROFILE_TRACE, RunFolder

WARM_UP = 2  # the first steps start threads and make work arrays
STEPS = 5


class StepProfiler:
    """Profiles steps of a session, from the end of one to the end of another; a context manager.

    These are five, after two to warm up, or as many as the first epoch has: validation is no part of it.

    Parameters
    ----------
    run : RunFolder
        Gets profile.txt and profile.json.
    step : int
        Steps completed in earlier sessions.
    steps_per_epoch : int
    say : callable
        Prints a text.
    """

    def __init__(self, run: RunFolder, step: int, steps_per_epoch: int, say: Callable[[str], None]) -> None:
        self.run = run
        self.say = say
        self.step = step
        self.first = step + min(WARM_UP, steps_per_epoch - 1)
        self.last = min(self.first + STEPS, step + steps_per_epoch)
        self._block = ExitStack()
        self._record: Record

    def after_step(self) -> None:
        """Count a step; begin or end the profile if it is time."""
        self.step += 1
        self._begin_if_due()
        if self.step == self.last:
            self._block.close()
            self._report(self._record)

    def __enter__(self) -> StepProfiler:
        self._begin_if_due()
        return self

    def __exit__(self, error: type[BaseException] | None, *details: object) -> None:
        self._block.close()
        if error is None and self.step < self.last:
            self.say("--profile: there was no training step left to profile")

    def _begin_if_due(self) -> None:
        if self.step == self.first:
            self._record = self._block.enter_context(profile())

    def _report(self, record: Record) -> None:
        steps = self.last - self.first
        by_op = record.table(steps=steps)
        by_module = record.table(by="layer", depth=1, steps=steps)
        by_layer = record.table(by="layer", steps=steps)
        tables, trace = self.run.path / PROFILE_TABLES, self.run.path / PROFILE_TRACE
        text = "\n\n".join([by_op, by_module, by_layer]) + "\n"
        self.run.attempt(PROFILE_TABLES, lambda: write_durably(tables, text.encode()))
        self.run.attempt(PROFILE_TRACE, lambda: write_durably(trace, record.trace_text().encode()))
        which = f"step {self.last}" if steps == 1 else f"steps {self.first + 1} to {self.last}"
        self.say(
            f"profile of {which}:\n{by_op}\n"
            f"the same by layer is in {tables}; {trace} shows when what ran: "
            "open it at https://ui.perfetto.dev or chrome://tracing"
        )
