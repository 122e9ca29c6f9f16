"""The command `minicnn` as a process: how it is found, and Ctrl-C while it is being loaded."""

import importlib.metadata
import signal
import subprocess
import sys

import pytest

import minicnn_command

# A shell that starts the tests in the background has them, and what they start, ignore SIGINT.
INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
PROGRAM = "import sys; from minicnn_command import main; sys.exit(main())"


def test_the_command():
    (found,) = importlib.metadata.entry_points(group="console_scripts", name="minicnn")
    assert found.load() is minicnn_command.main


@pytest.mark.parametrize(
    "loaded",
    ["numpy.version", "numpy._core.multiarray", "numpy", "minicnn.errors", "minicnn.nn", "minicnn.cli.train"],
)
def test_interrupted_while_it_is_being_loaded(loaded):
    """`-X importtime` writes a line when a module is loaded: so it is known how far the process has come."""
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-c", f"{INTERRUPTIBLE}; {PROGRAM}", "summary", "googlenet"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    while not (line := process.stderr.readline()).endswith(f" {loaded}\n"):
        assert line, f"{loaded} was not loaded"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert [line for line in err.splitlines() if not line.startswith("import time:")] == ["minicnn: stopped"]
    assert (process.returncode, out) == (130, "")


@pytest.mark.parametrize("before", ["default_int_handler", "SIG_IGN"])
def test_loading_leaves_the_handling_of_ctrl_c_as_it_was(before):
    """Also where a shell has switched it off, as for a command in the background."""
    program = (
        "import signal, sys, types; import minicnn_command; "
        f"before = signal.{before}; signal.signal(signal.SIGINT, before); "
        "package, cli = types.ModuleType('minicnn'), types.ModuleType('minicnn.cli'); "
        "sys.modules.update({'minicnn': package, 'minicnn.cli': cli}); "
        "cli.main = lambda: 0 if signal.getsignal(signal.SIGINT) is before else 1; "
        "sys.exit(minicnn_command.main())"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
