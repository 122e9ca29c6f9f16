"""The pages in docs/ and the README agree with the code.

What is shown is checked: sessions (```python blocks with >>>) run and print what they say they print, quoted
code (```python blocks whose first line names a file) stands in that file word for word, links lead
somewhere, and ops, their pages and their test cases name each other.
"""

import ast
import doctest
import importlib
import re
import textwrap
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from minicnn import functional
from minicnn.op_cases import CASES
from package_tree import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
OP_FILES = sorted(path for path in (ROOT / "minicnn" / "ops").glob("*.py") if path.name != "__init__.py")
# A page explains functions; or another algorithm for functions of an op that has a page of its own.
ALGORITHM_PAGES = [
    page for page in sorted((DOCS / "ops").glob("*.md")) if "\n| algorithm for |" in page.read_text("utf-8")
]
OP_PAGES = sorted({*(DOCS / "ops").glob("*.md")} - {*ALGORITHM_PAGES})
README = ROOT / "README.md"
WITH_README = [*PAGES, ROOT / "benchmarks" / "README.md", *([README] if README.exists() else [])]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def each(paths):
    return pytest.mark.parametrize("path", paths, ids=name_of)


# ---- taking a page apart ----------------------------------------------------------------------------


CODE = ("python", "cuda")  # languages of blocks


class Block(NamedTuple):
    """A fenced block: its language, the number of its first line (from 1) and its lines."""

    language: str
    start: int
    lines: list[str]

    @property
    def is_session(self) -> bool:
        return self.language == "python" and any(line.lstrip().startswith(">>> ") for line in self.lines)

    @property
    def quoted_file(self) -> str | None:
        """What the block quotes: a comment in its first line says so, in Python or in CUDA."""
        match = re.fullmatch(r"# (\S+\.py)|// (\S+\.cu)", self.lines[0]) if self.lines else None
        return (match[1] or match[2]) if match and self.language in CODE and not self.is_session else None


def blocks(path: Path) -> list[Block]:
    found: list[Block] = []
    inside = False
    for number, line in enumerate(text_of(path).splitlines(), start=1):
        if line.startswith("```"):
            if not inside:
                found.append(Block(line.removeprefix("```").strip(), number + 1, []))
            inside = not inside
        elif inside:
            found[-1].lines.append(line)
    assert not inside, f"{name_of(path)}: the last ``` block is not closed"
    return found


def prose(path: Path) -> str:
    """The page without its fenced blocks and without `code` in its lines."""
    return re.sub(r"`[^`\n]*`", "`code`", without_blocks(path))


def without_blocks(path: Path) -> str:
    return re.sub(r"^```.*?^```$", "", text_of(path), flags=re.MULTILINE | re.DOTALL)


def header(page: Path) -> dict[str, str]:
    """The rows of the table that every page in docs/ops begins with."""
    rows = re.findall(r"^\| (functions|algorithm for|code|tests) \| (.*) \|$", text_of(page), re.MULTILINE)
    subject = "algorithm for" if page in ALGORITHM_PAGES else "functions"
    assert [name for name, _ in rows] == [subject, "code", "tests"], f"{name_of(page)}: rows of the table"
    return dict(rows)


def linked_files(row: str, page: Path) -> list[Path]:
    return [(page.parent / target).resolve() for target in re.findall(r"\]\(([^)#]+)\)", row)]


def names(row: str) -> list[str]:
    return re.findall(r"`(\w+)`", row)


# ---- sessions and quotes ----------------------------------------------------------------------------


@each([page for page in WITH_README if any(block.is_session for block in blocks(page))])
def test_sessions(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sessions = [block for block in blocks(path) if block.is_session]
    shown = {block.start + i: line for block in sessions for i, line in enumerate(block.lines)}
    # Empty lines in place of everything else: so a failure is reported with its line in the page.
    text = "\n".join(shown.get(number, "") for number in range(1, max(shown) + 1)) + "\n"
    session = doctest.DocTestParser().get_doctest(text, {}, name_of(path), str(path), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(session)
    assert runner.failures == 0, "see the captured output"


def test_readme_runs(tmp_path, monkeypatch):
    """The README's plain python blocks are one program, from top to bottom."""
    if not README.exists():
        pytest.skip("there is no README.md")
    monkeypatch.chdir(tmp_path)
    variables = {"__name__": "__readme__"}
    for block in blocks(README):
        if block.language == "python" and not block.is_session:
            program = "\n" * (block.start - 1) + "\n".join(block.lines)  # line numbers as in the page
            exec(compile(program, str(README), "exec"), variables)


@each(PAGES)
def test_code_is_either_run_or_quoted(path):
    for block in blocks(path):
        if block.language in CODE:
            where = f"{name_of(path)}:{block.start}"
            assert block.is_session or block.quoted_file, f"{where}: neither a session nor a quote of a file"


def quotes(path: Path) -> list[tuple[str, list[str]]]:
    """File and lines of every quoted passage; a line of three dots separates two passages of a block."""
    found = []
    for block in blocks(path):
        if block.quoted_file:
            for passage in re.split(r"\n *\.\.\.\n", "\n".join(block.lines[1:])):
                found.append((block.quoted_file, textwrap.dedent(passage).strip("\n").split("\n")))
    return found


@each([page for page in PAGES if quotes(page)])
def test_quotes(path):
    for file, lines in quotes(path):
        source = text_of(ROOT / file).splitlines()
        passages = [source[start : start + len(lines)] for start in range(len(source))]
        verbatim = any(textwrap.dedent("\n".join(passage)).split("\n") == lines for passage in passages)
        assert verbatim, f"{name_of(path)} quotes what is not in {file}:\n" + "\n".join(lines)


# ---- links ------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """What `#...` may refer to: the headings, the way forges turn them into names."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each(WITH_README)
def test_links(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"\w+:", target):
            continue  # the web; not asked, so that the tests run without it
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), f"{name_of(path)}: no such file: {target}"
        assert ROOT in linked.parents, f"{name_of(path)}: leads out of the repository: {target}"
        if anchor:
            assert anchor in anchors(linked), f"{name_of(path)}: no such heading: {target}"


def test_every_page_is_in_the_index():
    index = DOCS / "README.md"
    listed = linked_files(prose(index), index)
    assert {page for page in PAGES if page != index} <= set(listed)


# ---- ops, pages and tests name each other -----------------------------------------------------------


@each(OP_FILES)
def test_op_file_names_its_pages(path):
    """... and those pages name the file."""
    described = ast.get_docstring(ast.parse(text_of(path))) or ""
    derivation = re.search(r"^Derivation: (.*)\.$", described, re.MULTILINE)
    assert derivation, "the docstring has no line 'Derivation: docs/ops/....md.'"
    pages = re.findall(r"docs/ops/\w+\.md", derivation[1])
    assert pages
    for page in pages:
        assert (ROOT / page).is_file(), f"{page} does not exist"
        assert path in linked_files(header(ROOT / page)["code"], ROOT / page), f"{page} does not name it"


@each(OP_PAGES + ALGORITHM_PAGES)
def test_page_names_its_op_files(path):
    """... which name the page and are quoted on it."""
    files = linked_files(header(path)["code"], path)
    assert files
    for file in files:
        assert f"docs/ops/{path.name}" in text_of(file), f"{name_of(file)} names another page"
        assert name_of(file) in {quoted for quoted, _ in quotes(path)}, f"{name_of(file)} is not quoted"


@each(OP_PAGES)
def test_op_files_define_the_functions_of_the_page(path):
    files = linked_files(header(path)["code"], path)
    functions = names(header(path)["functions"])
    assert functions
    modules = [importlib.import_module(f"minicnn.ops.{file.stem}") for file in files]
    for function in functions:
        assert any(getattr(module, function, None) is getattr(functional, function) for module in modules)


@each(OP_PAGES)
def test_page_shows_the_op_and_its_gradient(path):
    shown = "\n".join(line for block in blocks(path) if block.is_session for line in block.lines)
    for function in names(header(path)["functions"]):
        assert re.search(rf"\b{function}\b", shown) or OPERATORS.get(function, "\0") in shown
    assert ".backward(" in shown
    assert ".grad" in shown


# Functions that a page may show by their operator.
OPERATORS = {
    "add": " + ", "subtract": " - ", "multiply": " * ", "divide": " / ", "power": "**", "negate": "-",
    "matmul": " @ ", "getitem": "[",
}  # fmt: skip


@each(OP_PAGES)
def test_page_names_its_tests(path):
    tests = header(path)["tests"]
    files = linked_files(tests, path)
    assert ROOT / "tests" / "ops" / "test_cases.py" in files
    for file in files:
        assert file.is_file(), f"{name_of(file)} does not exist"
        assert ROOT / "tests" in file.parents
        words = set(re.findall(r"\w+", text_of(file)))
        assert file.name == "test_cases.py" or words & set(names(tests)), f"{name_of(file)} tests no such op"
    assert names(tests) == names(header(path)["functions"]), "cases are named like the functions, in order"
    assert set(names(tests)) <= set(CASES), "there is no such case in minicnn/op_cases.py"


@each(ALGORITHM_PAGES)
def test_algorithm_page_names_its_functions_and_its_tests(path):
    """... the functions with a link to their page, and for each file it names tests that are about it."""
    op_pages = linked_files(header(path)["algorithm for"], path)
    functions = names(header(path)["algorithm for"])
    assert functions
    assert set(functions) <= {name for page in op_pages for name in names(header(page)["functions"])}
    tests = linked_files(header(path)["tests"], path)
    assert tests
    untested = {code.stem for code in linked_files(header(path)["code"], path)}
    for file in tests:
        assert ROOT / "tests" in file.parents
        subjects = untested & set(re.findall(r"\w+", text_of(file)))
        assert subjects, f"{name_of(file)} tests something else"
        untested -= subjects
    assert not untested


def test_every_function_has_exactly_one_page():
    counted = Counter(function for page in OP_PAGES for function in names(header(page)["functions"]))
    assert counted == Counter(functional.__all__)
