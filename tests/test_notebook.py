"""The notebook is what docs/notebook.py makes of the page, and that would notice if the two disagreed."""

import nbformat
import pytest

from docs import notebook
from docs.notebook import NOTEBOOK, PAGE, Step, make_notebook, parts, shows, without_numbers

SMALL = """\
# Title

<!-- not in the notebook -->
Only on the page.
<!-- in both -->

Text, to [two](#2-second-part).

```python
>>> x = 2
>>> for i in range(2):
...     print(i)
...
0
1
>>> print(x)
2
```

```
no code
```

<!-- measured -->
```
$ minicnn train --epochs 2
accuracy 0.93 in 12 s
```

<!-- made: run/curves.png -->
![Curves](pictures/curves.png)

![Drawn in Python](pictures/drawn.png)

## 2. Second part
"""


def code(page):
    return [part for part in parts(page) if isinstance(part, Step)]


def cells(made):
    return [(cell.cell_type, cell.source) for cell in made.cells]


def test_notebook_is_made_from_the_page():
    written = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(written)
    made = make_notebook(PAGE.read_text("utf-8"))
    # Not the outputs: somebody who follows the tour in a checkout may save them.
    assert cells(written) == cells(made), "run: python docs/notebook.py write"


def test_sessions_and_commands_become_cells():
    session, second, command, picture = code(SMALL)
    assert session == Step("x = 2\nfor i in range(2):\n    print(i)", "0\n1\n")
    assert second == Step("print(x)", "2\n")
    assert command == Step("!minicnn train --epochs 2", "accuracy 0.93 in 12 s\n", measured=True)
    assert picture.picture == "pictures/curves.png"
    assert 'Image("run/curves.png")' in picture.code


def test_text_stays_text():
    text = "\n".join(cell.source for cell in make_notebook(SMALL).cells if cell.cell_type == "markdown")
    assert "no code" in text
    assert "Only on the page" not in text
    assert "pictures/" not in text  # the notebook shows what it has made
    assert "<!--" not in text
    assert "[two](#2.-Second-part)" in text


def test_pictures_of_the_page_and_where_they_come_from():
    assert notebook.pictures(SMALL) == {
        "pictures/curves.png": "run/curves.png",
        "pictures/drawn.png": "drawn.png",
    }


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a 1\nb 2\n", "a 1\nb 2\n", True),
        ("a 1\nb 2\n", "a 1\nb 3\n", False),
        ("a 1\n...\nc 3\n", "a 1\nb 2\nc 3\n", True),
        ("c 3\n...\na 1\n", "a 1\nb 2\nc 3\n", False),
    ],
)
def test_quoted_output_has_to_be_printed(expected, printed, same):
    assert shows(Step("!minicnn cost", expected), printed) is same


def test_of_measured_output_only_the_numbers_may_differ():
    step = Step("!minicnn train", "accuracy 93.1%,  loss 1.2e-3\n", measured=True)
    assert shows(step, "accuracy  7.25%, loss 12\n")
    assert not shows(step, "loss 1.2e-3, accuracy 93.1%\n")
    assert without_numbers("  +0.53 -1e-7") == " 0 0"


def test_output_of_a_session_has_to_be_printed():
    assert shows(Step("print(x)", "2\n"), "2\n")
    assert not shows(Step("print(x)", "2\n"), "3\n")
    assert not shows(Step("print(x)", "2\n"), "")
