"""A command of `minicnn` that has to fail."""

from minicnn.cli import main

PREFIX = "minicnn: error: "


def fails(capsys, *arguments: str) -> str:
    """Run a command that must fail with status 2; return its one line, without the prefix."""
    try:
        status = main(arguments)
    except SystemExit as stop:  # argparse
        status = stop.code
    captured = capsys.readouterr()
    assert status == 2
    (line,) = captured.err.splitlines()
    assert line.startswith(PREFIX)
    return line.removeprefix(PREFIX)
