"""How Sphinx makes the book: ``make book``. Lessons are shown as they stand; nothing is executed."""
import json
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "notebooks")]

import handouts  # noqa: E402

project = "orthonorm"
author = copyright = "the authors of orthonorm"
extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx.ext.mathjax",
              "sphinx_design"]
exclude_patterns = ["node_modules", "lessons/student", "results"]
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_title = "orthonorm"
html_show_sourcelink = False
html_theme_options = {"navbar_end": ["navbar-icon-links"], "show_prev_next": True, "footer_start": [],
                      "footer_end": [], "secondary_sidebar_items": ["page-toc"]}
html_context = {"default_mode": "light"}
html_sidebars = {"index": [], "read/*": []}  # room for code beside mathematics
mathjax_path = "tex-svg-full.js"  # with the fonts as outlines: nothing else is loaded
mathjax3_config = {"options": {"enableMenu": False}}
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3
numpydoc_show_class_members = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "none"
viewcode_line_numbers = True
# The maps' docstrings stand on two pages, under Read and in the API, with their references.
suppress_warnings = ["ref.citation"]


def lay_out():
    """Bring what stands elsewhere in the repository: lessons, figures, pages, MathJax."""
    lessons = HERE / "lessons"
    shutil.rmtree(lessons, ignore_errors=True)
    (lessons / "student").mkdir(parents=True)
    for path in handouts.LESSONS:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        handouts.write_notebook(handouts.student(notebook), lessons / "student" / path.name)
        for cell in notebook["cells"]:
            if {"plot", "setup"} & set(handouts.tags(cell)):
                cell["metadata"]["tags"].append("hide-input")
        handouts.write_notebook(notebook, lessons / path.name)
    (lessons / "index.md").write_text(list_of_lessons(), encoding="utf-8")
    lay_out_league()
    shutil.copytree(ROOT / "tests" / "benchmarks" / "results", HERE / "results", dirs_exist_ok=True)
    shutil.copy(HERE / "node_modules" / "mathjax" / "es5" / "tex-svg-full.js", HERE / "_static")


def lay_out_league():
    """Copy the pages of the league and the museum; links to files become links to pages."""
    def to_page(match):
        return f":doc:`{match[1]} <{match[2]}>`".ljust(len(match[0]))
    league = HERE / "league"
    shutil.rmtree(league, ignore_errors=True)
    shutil.copytree(ROOT / "tests" / "league" / "results", league)
    shutil.copy(ROOT / "tests" / "league" / "museum.rst", league)
    for page in league.glob("*.rst"):
        text = page.read_text(encoding="utf-8")
        text = re.sub(r"`([^`<]+) <([\w/]+)\.rst>`__", to_page, text)
        for norm in sorted(set(re.findall(r"\|(\w+)\|", text))):  # |W| is a norm, and says so
            text += f"\n.. |{norm}| replace:: \\|{norm}\\|\n"
        page.write_text(text, encoding="utf-8")


def list_of_lessons():
    """Return the page of the lessons: each with its first paragraph, and the notebook for students."""
    page = ["# The lessons", "",
            "Each takes one sitting, calls the package, computes every number that it states, and",
            "ends with three exercises whose cells say whether an answer is right. Times differ",
            "threefold between machines.", ""]
    for path in handouts.LESSONS:
        first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
        title, about = handouts.source(first).split("\n\n")[:2]
        student = f"{{download}}`{path.name} <student/{path.name}>`"
        page += [f"## [{title[2:]}]({path.stem})", "", about, "",
                 f"For students, without solutions: {student}", ""]
    names = [path.stem for path in handouts.LESSONS]
    return "\n".join([*page, "```{toctree}", ":hidden:", "", *names, "```", ""])


def escape_stars(app, what, name, obj, options, lines):
    """Keep docutils from reading the star of a shape, such as (..., *size), as emphasis."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[i] = re.sub(r"(?<=[ (])\*(?=\w+\b(?!\*))", r"\*", line)


def without_way_back(app, pagename, templatename, context, doctree):
    """Drop the links from lines of source to documentation: a function may stand on two pages."""
    if pagename.startswith("_modules/"):
        context["body"] = re.sub(r'<a class="viewcode-back".*?</a>', "", context["body"])


def setup(app):
    lay_out()  # before Sphinx looks for documents
    app.connect("html-page-context", without_way_back)
    app.connect("autodoc-process-docstring", escape_stars)
