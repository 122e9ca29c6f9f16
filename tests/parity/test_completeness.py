"""No op escapes the comparison."""

from pathlib import Path

import pytest

from minicnn import functional as F

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("name", F.__all__)
def test_every_function_is_compared_with_pytorch(name):
    """Comparisons are grouped under the function's name, a string in one of the files here."""
    sources = [
        path.read_text()
        for path in Path(__file__).parent.glob("test_*.py")
        if path.name != Path(__file__).name
    ]
    assert any(f'"{name}"' in source for source in sources)
