"""Parity tests are left alone unless they were asked for, and say at the end how close they came.

Merely collecting them costs many seconds: PyTorch is imported, and the ONNX package draws its vectors when
it is imported. So where the marker expression excludes them, as the default one does, they are not even
read.
"""

import sys
from pathlib import Path

import pytest

from parity.comparison import closeness_report


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    is_test = collection_path.name.startswith("test_")
    return True if is_test and "not parity" in config.option.markexpr else None


@pytest.fixture(scope="session", autouse=True)
def one_thread_for_pytorch() -> None:
    """Save time: PyTorch's threads wait by spinning, which costs more than they bring on small arrays."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = closeness_report()
    if lines:
        terminalreporter.section("parity: worst relative errors")
        for line in lines:
            terminalreporter.write_line(line)
