"""The examples in docstrings run, and print what they say they print.

Collected here rather than by pytest's own option, so that every module is run under the name users
import it by: pytest would load models/ a second time, as a package of that name.
"""

import doctest
import importlib

import pytest

from package_tree import modules

WITH_EXAMPLES = [name for name, path in modules().items() if ">>> " in path.read_text()]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name):
    results = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    assert results.attempted > 0
    assert results.failed == 0, "see the captured output"
