"""Where time and memory go: per op and per layer, as a table and as a trace.

    with minicnn.profile() as record:
        loss = total_loss(model(Tensor(images)), labels)
        loss.backward()
    print(record)
    record.save_trace("step.json")

docs/profiling.md says what is measured, and how to read it.
"""

from minicnn.profiling.record import Record
from minicnn.profiling.recorder import profile
from minicnn.profiling.rows import Row

__all__ = ["Record", "Row", "profile"]
