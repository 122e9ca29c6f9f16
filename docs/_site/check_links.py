"""Check the finished site: every link leads somewhere, and nothing is loaded from another host.

    python docs/_site/check_links.py site

Sphinx checks the links that pages were written with; this checks what came of them, files of the repository
included. Links to other hosts are not followed: only their form is checked.
"""

from __future__ import annotations

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, what it loads, and what links to it can name."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        elif tag == "link" and "href" in values:
            self.loaded.add(values["href"])
        if "src" in values:
            self.loaded.add(values["src"])


@cache
def read(path: Path) -> Page:
    return Page(path)


def problem(path: Path, address: str, loaded: bool) -> str | None:
    """Say what is wrong with an address on a page, if anything is."""
    parts = urlsplit(address)
    if parts.scheme == "data":
        return None
    if parts.scheme or parts.netloc:
        if loaded:
            return "is loaded from another host"
        return (
            None
            if parts.scheme in {"http", "https", "mailto"} and (parts.netloc or parts.path)
            else "is no link"
        )
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return "does not exist"
    anchor = unquote(parts.fragment)
    if anchor and target.suffix == ".html" and anchor not in read(target).anchors:
        return "names no place on that page"
    return None


def problems(site: Path) -> list[str]:
    """Check all pages of a site."""
    found = []
    for path in sorted(site.resolve().rglob("*.html")):
        page = read(path)
        addresses = [(address, False) for address in page.links] + [
            (address, True) for address in page.loaded
        ]
        for address, loaded in sorted(addresses):
            if wrong := problem(path, address, loaded):
                found.append(f"{path.relative_to(site.resolve())}: {address} {wrong}")
    return found


if __name__ == "__main__":
    found = problems(Path(sys.argv[1]))
    sys.exit("\n".join(found) if found else None)
