"""One HTML file that needs no other: template, style, scripts and data put together.

The template names what goes where as {{NAME}}. All names are replaced at once, so nothing that is put in is
looked at again. Data stand in a script element; a "<" in them is written as JSON's escape, since the text
"</script>" would end the element wherever it stands.
"""

from __future__ import annotations

import html
import json
import re
from importlib import resources
from typing import Any

LIBRARY = "dagre 3.1.3"


def page_of(described: dict[str, Any]) -> str:
    """Return the HTML of a page.

    Parameters
    ----------
    described : dict
        What `describe` returned.

    Examples
    --------
    >>> page = page_of({"title": "</title><script>alert(1)</script>"})
    >>> "<script>alert(1)" in page
    False
    """
    parts = {
        "TITLE": html.escape(str(described["title"])),
        "STYLE": _file("page", "explorer.css"),
        "LIBRARY": LIBRARY,
        "LICENCE": _file("vendor", "dagre.LICENSE.txt"),
        "LAYOUT": _file("vendor", "dagre.min.js"),
        "PROGRAM": "\n".join(_file("page", name) for name in PROGRAMS),
        "DATA": data_text(described),
    }
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda match: parts[match[1]], _file("page", "index.html"))


# In the order in which they are run.
PROGRAMS = ("recording.js", "layout.js", "drawing.js", "panel.js", "patches.js", "explorer.js")


def data_text(described: dict[str, Any]) -> str:
    r"""Write data as JSON that can stand inside a script element.

    Examples
    --------
    >>> print(data_text({"title": "</script>"}))
    {"title":"\u003c/script>"}
    """
    text = json.dumps(described, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c")


def _file(folder: str, name: str) -> str:
    return (resources.files("minicnn.study.explorer") / folder / name).read_text(encoding="utf-8")
