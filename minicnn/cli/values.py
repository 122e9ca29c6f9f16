"""From the text of an argument to a value, with errors in words."""

from __future__ import annotations

import argparse


def model_name(text: str) -> str:
    """Accept "googlenet_cifar" for "googlenet-cifar"."""
    return text.replace("_", "-")


def whole_number(text: str) -> int:
    """Read an int."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got '{text}'") from None


def number(text: str) -> float:
    """Read a float."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got '{text}'") from None


def positive_whole_number(text: str) -> int:
    """Read an int of at least 1."""
    value = whole_number(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {value}")
    return value


def positive_number(text: str) -> float:
    """Read a float above 0."""
    value = number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {value:g}")
    return value
