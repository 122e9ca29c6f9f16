"""Sphinx extension: links to files of the repository lead to pages of the site that show them.

The pages in docs/ link to `../minicnn/ops/conv.py` and the like, as repository browsers understand it. On the
site, each file that is linked to gets a page with its text, in colours and with numbered lines.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx.addnodes import download_reference, pending_xref
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FOLDER = "source"  # on the site

linked: set[str] = set()  # files, relative to the root; a build starts afresh (sphinx-build -E)


def target(node: Element, page: Path) -> Path:
    """Give the file a link leads to, as MyST has noted it."""
    if isinstance(node, download_reference):
        return (page.parent / node["reftarget"].partition("#")[0]).resolve()
    return (DOCS / f"{node['reftarget']}.md").resolve()  # a page, without its ending


class LinkToFilePages(SphinxTransform):
    """Make links out of docs/ lead to the pages of those files."""

    default_priority = 100

    def apply(self, **options: Any) -> None:
        page = DOCS / f"{self.env.docname}.md"
        links = [
            *self.document.findall(download_reference),
            *(node for node in self.document.findall(pending_xref) if node.get("refdomain") == "doc"),
        ]
        for node in links:
            file = target(node, page)
            if DOCS in file.parents or not file.is_file():
                continue  # Sphinx knows what to do with it
            path = file.relative_to(ROOT).as_posix()
            linked.add(path)
            up = "../" * self.env.docname.count("/")
            # Headings inside a file are no places on its page, which shows it as text.
            address = f"{up}{FOLDER}/{path}.html"
            node.replace_self(nodes.reference("", "", *node.children, refuri=address, internal=True))


def file_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield name, content and template of the page of each file."""
    for path in sorted(linked):
        text = (ROOT / path).read_text(encoding="utf-8")
        try:
            lexer = get_lexer_for_filename(path)
        except ClassNotFound:
            lexer = TextLexer()
        shown = highlight(text, lexer, HtmlFormatter(linenos="inline", lineanchors="L", anchorlinenos=True))
        body = f"<h1>{html.escape(path)}</h1>\n{shown}"
        yield f"{FOLDER}/{path}", {"title": path, "body": body}, "page.html"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_transform(LinkToFilePages)
    app.connect("html-collect-pages", file_pages)
    return {"parallel_read_safe": False}
