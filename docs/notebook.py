"""The tour as a notebook: written from docs/studying.md, and executed.

    python docs/notebook.py write     # docs/studying.ipynb from docs/studying.md
    python docs/notebook.py run       # execute it; fail on errors and on output that the page does not show
    python docs/notebook.py update    # ... and put measured output and pictures of this run into the page

The page is the source. Sessions become cells of code, `$ minicnn ...` becomes `!minicnn ...`, everything else
is text. Three comments in the page, which no reader sees, steer it:

    <!-- not in the notebook --> ... <!-- in both -->     what only makes sense on the page
    <!-- measured -->                                     numbers in the next block differ between machines
    <!-- made: FILE -->                                   the next picture is this file, made by a command
"""

from __future__ import annotations

import argparse
import doctest
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "studying.md"
NOTEBOOK = DOCS / "studying.ipynb"

FIRST_TEXT = """\
This is [studying.md](studying.md) as a notebook. It needs minicnn and Jupyter. In a checkout, `make tour`
installs both and opens it. By hand, in the folder of the checkout:

```
python3 -m venv .venv
.venv/bin/pip install ".[notebook]"
.venv/bin/jupyter lab docs/studying.ipynb
```

Run the cells from the top, with Shift+Enter; the first makes a folder `tour` beside the notebook and
goes there.
"""
FIRST_CODE = """\
import os, sys
from pathlib import Path

import minicnn  # not found? The notebook runs with another Python than the one minicnn is installed in

%matplotlib inline
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # for !minicnn
if Path.cwd().name != "tour":
    Path("tour").mkdir(exist_ok=True)
    os.chdir("tour")"""

# In this order: a block with its mark, a picture with its mark, or what only the page has.
SPECIAL = re.compile(
    r"(?P<measured><!-- measured -->\n)?^```(?P<language>\w*)\n(?P<body>.*?)^```\n"
    r"|(?:<!-- made: (?P<made>\S+) -->\n)?^!\[(?P<alt>[^\]]*)\]\((?P<picture>pictures/[^)]+)\)\n"
    r"|^<!-- not in the notebook -->\n.*?^<!-- in both -->\n",
    re.MULTILINE | re.DOTALL,
)


class Step(NamedTuple):
    """A cell of code and what the page says about it."""

    code: str
    expected: str = ""
    measured: bool = False
    made: str = ""  # the picture that the cell shows,
    picture: str = ""  # and where the page has it

    @property
    def is_command(self) -> bool:
        return self.code.startswith("!")


def session_steps(body: str) -> list[Step]:
    """Cut a session after each output."""
    steps = [Step("")]
    for example in doctest.DocTestParser().get_examples(body):
        steps[-1] = Step(steps[-1].code + example.source, example.want)
        if example.want:
            steps.append(Step(""))
    return [step._replace(code=step.code.rstrip("\n")) for step in steps if step.code]


def parts(page: str) -> list[str | Step]:
    """Cut the page into text and steps, in order."""
    found: list[str | Step] = []
    end = 0
    for match in SPECIAL.finditer(page):
        steps: list[Step] | None = None
        if match["body"] and match["body"].startswith(">>> "):
            steps = session_steps(match["body"])
        elif match["body"] and match["body"].startswith("$ "):
            command, _, expected = match["body"].removeprefix("$ ").partition("\n")
            steps = [Step(f"!{command}", expected, bool(match["measured"]))]
        elif match["picture"]:
            shown = f'from IPython.display import Image\nImage("{match["made"]}")'
            # Without a mark the figure is drawn in Python, and the notebook shows it below its cell.
            steps = [Step(shown, made=match["made"], picture=match["picture"])] if match["made"] else []
        elif match["body"] is None:
            steps = []
        if steps is not None:
            found += [page[end : match.start()], *steps]
            end = match.end()
    return [*found, page[end:]]


def text_cell(text: str, page: str) -> str:
    """Make links to headings what Jupyter calls them."""
    for heading in re.findall(r"^## (.*)$", page, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        text = text.replace(f"](#{slug})", f"](#{heading.replace(' ', '-')})")
    return text.strip("\n")


def make_notebook(page: str) -> nbformat.NotebookNode:
    """Make the notebook, without outputs; always the same from the same page."""
    cells = []
    for part in parts(page):
        if isinstance(part, Step):
            cells.append(new_code_cell(part.code))
        elif part.strip():
            cells.append(new_markdown_cell(text_cell(part, page)))
    cells[1:1] = [new_markdown_cell(FIRST_TEXT), new_code_cell(FIRST_CODE)]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


# ---- running it -------------------------------------------------------------------------------------


def output_of(cell: nbformat.NotebookNode) -> str:
    """Give what the cell has printed, as a terminal would show it in the end."""
    text = ""
    for output in cell.outputs:
        if output.output_type == "stream":
            text += output.text
        elif "text/plain" in output.get("data", {}) and "image/png" not in output.data:
            text += output.data["text/plain"] + "\n"
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line.split("\r")[-1]) for line in lines)


def without_numbers(text: str) -> str:
    """Keep words and order, forget numbers and how columns are aligned."""
    text = re.sub(r"\d[\d.,]*(e[+-]?\d+)?", "0", text)
    return re.sub(r"[ \-+]+", " ", text)


def shows(step: Step, printed: str) -> bool:
    """Say whether a cell printed what the page shows; a line of three dots stands for lines left out."""
    if not step.is_command:
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        return not step.expected or doctest.OutputChecker().check_output(step.expected, printed, flags)
    expected = step.expected
    if step.measured:
        expected, printed = without_numbers(expected), without_numbers(printed)
    place = 0
    for passage in re.split(r"^\.\.\.\n", expected, flags=re.MULTILINE):
        place = printed.find(passage, place)
        if place < 0:
            return False
        place += len(passage)
    return True


def run(page: str, folder: Path) -> list[tuple[Step, str]]:
    """Execute the notebook in a folder; give each step with what it printed.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails, or a command does.
    """
    from nbclient import NotebookClient

    steps = [part for part in parts(page) if isinstance(part, Step)]
    notebook = make_notebook(page)
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "code" and cell.source.startswith("!"):
            check = new_code_cell("assert _exit_code == 0", id=f"{cell.id}-status")
            cells.append(check)
    executed = notebook.copy()
    executed.cells = cells
    NotebookClient(
        executed, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    code = [cell for cell in cells if cell.cell_type == "code" and not cell.id.endswith("-status")][1:]
    assert [cell.source for cell in code] == [step.code for step in steps]
    return [(step, output_of(cell)) for step, cell in zip(steps, code, strict=True)]


def pictures(page: str) -> dict[str, str]:
    """Give the file that each picture of the page is a copy of."""
    found = {}
    for match in SPECIAL.finditer(page):
        if match["picture"]:
            found[match["picture"]] = match["made"] or Path(match["picture"]).name
    return found


def complaints(page: str, results: list[tuple[Step, str]], folder: Path) -> list[str]:
    """Compare a run with the page."""
    from PIL import Image

    found = [
        f"{step.code}\n--- the page shows\n{step.expected}--- printed\n{printed}"
        for step, printed in results
        if not shows(step, printed)
    ]
    for picture, made in pictures(page).items():
        file = folder / "tour" / made
        if not file.is_file():
            found.append(f"{picture}: the run has made no {made}")
        elif Image.open(file).size != Image.open(DOCS / picture).size:
            found.append(f"{picture}: {made} has another size; see: python docs/notebook.py update")
    return found


def update(page: str, results: list[tuple[Step, str]], folder: Path) -> None:
    """Put measured output and pictures of a run into docs/."""
    for step, printed in results:
        if step.measured and "...\n" not in step.expected:
            command = f"$ {step.code.removeprefix('!')}\n"
            page = page.replace(f"{command}{step.expected}```", f"{command}{printed.strip()}\n```")
    PAGE.write_text(page, encoding="utf-8")
    for picture, made in pictures(page).items():
        shutil.copyfile(folder / "tour" / made, DOCS / picture)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["write", "run", "update"])
    action = parser.parse_args().action
    page = PAGE.read_text(encoding="utf-8")
    if action != "write":
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            results = run(page, folder)
            if action == "update":
                update(page, results, folder)
                page = PAGE.read_text(encoding="utf-8")
            elif found := complaints(page, results, folder):
                print("\n\n".join(found), file=sys.stderr)
                return 1
        print(f"{len(results)} cells ran as {PAGE.name} shows")
    if action != "run":
        nbformat.write(make_notebook(page), NOTEBOOK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
