"""The examples in the docstrings of benchmarks/ run."""

import doctest
import importlib

import pytest

from package_tree import ROOT

WITH_EXAMPLES = [path.stem for path in (ROOT / "benchmarks").glob("*.py") if ">>> " in path.read_text()]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name):
    results = doctest.testmod(importlib.import_module(f"benchmarks.{name}"))
    assert results.attempted > 0
    assert results.failed == 0, "see the captured output"
