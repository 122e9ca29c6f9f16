"""What stands around Sphinx: navigation and the check of the finished site; `make docs` tests the rest."""

from docs._site.check_links import problems
from docs._site.contents_from_readme import contents
from package_tree import ROOT


def test_navigation_of_the_site_has_every_page_once():
    docs = ROOT / "docs"
    pages = {path.relative_to(docs).with_suffix("").as_posix() for path in docs.rglob("*.md")} - {"README"}
    navigation = [
        page for group in contents((docs / "README.md").read_text("utf-8")).values() for page in group
    ]
    assert sorted(navigation) == sorted(pages)
    assert navigation[0] == "studying"


def test_page_linked_twice_belongs_to_the_last_section():
    readme = "## One\n[a](a.md) [b](ops/b.md#c)\n[b](ops/b.md)\n## Two\n[b](ops/b.md) [c](c.md)\n"
    assert contents(readme) == {"One": ["a"], "Two": ["ops/b", "c"]}


def test_good_links(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "index.html").write_text(
        '<a href="folder/page.html#there">x</a> <a href="https://numpy.org">y</a>'
    )
    (tmp_path / "folder" / "page.html").write_text('<h1 id="there">x</h1><a href="../index.html">y</a>')
    assert problems(tmp_path) == []


def test_broken_links_are_found(tmp_path):
    (tmp_path / "index.html").write_text(
        '<a href="missing.html">x</a><a href="#nowhere">y</a><a href="https://">z</a>'
        '<script src="https://example.org/a.js"></script><link href="style.css"><img src="data:,">'
    )
    assert problems(tmp_path) == [
        "index.html: #nowhere names no place on that page",
        "index.html: https:// is no link",
        "index.html: https://example.org/a.js is loaded from another host",
        "index.html: missing.html does not exist",
        "index.html: style.css does not exist",
    ]
