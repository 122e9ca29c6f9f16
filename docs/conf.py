"""Settings of Sphinx, which makes the site from these pages: `make docs`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "_site"))

project = "minicnn"
copyright = "the minicnn developers, MIT licence"
extensions = ["myst_parser", "sphinx_copybutton", "contents_from_readme", "repository_files"]

root_doc = "README"
exclude_patterns = ["_site", "tour"]
highlight_language = "text"  # of blocks that name no language: output of commands, formulas
myst_heading_anchors = 4  # links to headings are checked
nitpicky = True

html_theme = "furo"
html_title = "minicnn"
html_static_path = ["_site/minicnn.css"]
html_css_files = ["minicnn.css"]
html_copy_source = False
html_show_sphinx = False

# What one copies from an example are the lines to type: no prompts, no output.
copybutton_prompt_text = r">>> |\.\.\. ?|\$ "
copybutton_prompt_is_regexp = True
copybutton_copy_empty_lines = True
