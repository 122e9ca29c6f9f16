"""Sphinx extension: docs/README.md is the home page of the site, and its links are the navigation.

Each section of README.md becomes a part of the navigation, with the pages it links to, in its order. A page
that is linked from several sections belongs to the last. So there is one list of pages, which repository
browsers show as well.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HOME = "README"


def contents(readme: str) -> dict[str, list[str]]:
    """Give the pages, without `.md`, of each section."""
    section_of: dict[str, str] = {}
    for section in re.split(r"^## ", readme, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        for page in re.findall(r"\]\(([\w/-]+)\.md\)", body):
            section_of.pop(page, None)  # to the end: the order is that of the last section
            section_of[page] = title
    pages: dict[str, list[str]] = {}
    for page, title in section_of.items():
        pages.setdefault(title, []).append(page)
    return pages


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Append the navigation to the text of the home page."""
    if page == HOME:
        for title, pages in contents(source[0]).items():
            options = f":hidden:\n:titlesonly:\n:caption: {title}\n"
            source[0] += f"\n```{{toctree}}\n{options}\n" + "\n".join(pages) + "\n```\n"


def add_index(app: Sphinx, error: Exception | None) -> None:
    """Let the site open at index.html, too."""
    if error is None and app.builder.format == "html":
        shutil.copyfile(Path(app.outdir) / f"{HOME}.html", Path(app.outdir) / "index.html")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", add_contents)
    app.connect("build-finished", add_index)
    return {"parallel_read_safe": True}
