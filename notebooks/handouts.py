"""What is handed out, made of the lessons: ``python notebooks/handouts.py student|solutions|slides``.

* ``student``: the lessons without solutions and outputs, in ``build/student``;
* ``solutions``: the lessons with each solution in its cell, and what it prints, in ``build/solutions``;
* ``slides``: each lesson as reveal.js slides, cut at headings, without the code of figures, in
  ``build/slides``. Needs nbconvert, and the packages of ``book/package.json``, installed by ``make``.

Every notebook that comes out runs alone: ``lessons.py`` is in its first code cell.
"""
import argparse
import base64
import copy
import json
import re
import shutil
import textwrap
import zlib
from pathlib import Path

FOLDER = Path(__file__).parent
BUILD = FOLDER.parent / "build"
LESSONS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
JAVASCRIPT = FOLDER / "book" / "node_modules"
PYTHON = re.compile(r"^```python\n(.*?)^```\n*", re.DOTALL | re.MULTILINE)
PRINTED = re.compile(r"^It prints:\n\n```text\n(.*?)^```\n*", re.DOTALL | re.MULTILINE)
HELPER = '''\
# lessons.py, which lies beside the lessons: the style of the figures and the checks of the exercises.
import base64, sys, types, zlib

TEXT = """
{text}
"""
sys.modules["lessons"] = types.ModuleType("lessons")
exec(zlib.decompress(base64.b85decode(TEXT.replace("\\n", ""))), vars(sys.modules["lessons"]))
'''


def tags(cell):
    return cell["metadata"].get("tags", [])


def source(cell):
    return "".join(cell["source"])


def cell_of(kind, text, *tags, outputs=()):
    cell = {"cell_type": kind, "metadata": {"tags": list(tags)}, "source": text}
    return cell | {"execution_count": None, "outputs": list(outputs)} if kind == "code" else cell


def helper():
    """Return a folded cell that is lessons.py: packed, so that the answers are not read by accident."""
    packed = base64.b85encode(zlib.compress((FOLDER / "lessons.py").read_bytes(), 9)).decode()
    cell = cell_of("code", HELPER.format(text="\n".join(textwrap.wrap(packed, 96))), "setup", "helper")
    cell["metadata"]["jupyter"] = {"source_hidden": True}
    return cell


def with_helper(notebook, cells):
    """Return a notebook of these cells, the helper before the first code, the cells numbered."""
    first = next(i for i, cell in enumerate(cells) if cell["cell_type"] == "code")
    cells = copy.deepcopy(cells[:first] + [helper()] + cells[first:])
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i:02d}"
    return notebook | {"cells": cells}


def student(notebook):
    """Leave out solutions and outputs."""
    cells = [cell | ({"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {})
             for cell in notebook["cells"] if "solution" not in tags(cell)]
    return with_helper(notebook, cells)


def solutions(notebook):
    """Put each solution, and what it prints, in the place of the empty cell before it."""
    cells = []
    for cell in notebook["cells"]:
        if "solution" in tags(cell):
            text = source(cell)
            given = source(cells.pop()).split("\n\n")[0].rsplit("\n", 1)
            code = "\n".join([*given[:-1], *PYTHON.findall(text)]).rstrip()
            words = PRINTED.sub("", PYTHON.sub("", text))
            words = re.sub(r"</?details>|<summary>.*?</summary>", "", words)
            printed = {"name": "stdout", "output_type": "stream", "text": PRINTED.search(text)[1]}
            cells += [cell_of("markdown", f"**Solution.** {words.strip()}", "solution"),
                      cell_of("code", code, "solution", outputs=[printed])]
        else:
            cells.append(cell)
    return with_helper(notebook, cells)


def slides(notebook):
    """Cut at headings into slides; each further text, and each figure, goes below its slide."""
    cells = []
    for cell in notebook["cells"]:
        if {"solution", "answer"} & set(tags(cell)):
            continue
        words = cell["cell_type"] == "markdown"
        pieces = re.split(r"(?m)^(?=##? )", source(cell)) if words else [None]
        for piece in filter(lambda piece: piece is None or piece.strip(), pieces):
            one = cell_of("markdown", piece.strip()) if words else copy.deepcopy(cell)
            heading = piece is not None and piece.startswith("#")
            below = piece is not None or "plot" in tags(cell)
            one["metadata"]["slideshow"] = {
                "slide_type": "slide" if heading else "subslide" if below else "-"}
            cells.append(one)
    return notebook | {"cells": cells}


def write_slides(notebook, path):
    """Write slides that need nothing from the network: reveal.js and MathJax lie beside them."""
    import nbformat
    from nbconvert import SlidesExporter
    from traitlets.config import Config
    config = Config()
    config.SlidesExporter.reveal_url_prefix = "reveal.js"
    config.SlidesExporter.reveal_scroll = True
    config.TagRemovePreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_input_tags = {"plot", "setup"}
    for i, cell in enumerate(notebook["cells"]):
        cell["id"] = f"cell-{i:02d}"
    title = source(notebook["cells"][0]).splitlines()[0].removeprefix("# ")
    text, _ = SlidesExporter(config).from_notebook_node(
        nbformat.reads(json.dumps(notebook), 4), {"metadata": {"name": title}})
    mathjax = '''<script>MathJax = {tex: {inlineMath: [["$", "$"]]}}</script>
<script src="tex-svg-full.js"></script>'''
    text = re.sub(r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", lambda _: mathjax,
                  text, flags=re.DOTALL)
    text = re.sub(r'https://[^"]*/require.min.js', "require.js", text)
    text = re.sub(r'<script src="https://[^"]*jquery[^"]*"></script>', "", text)
    path.with_suffix(".html").write_text(text, encoding="utf-8")
    shutil.copytree(JAVASCRIPT / "reveal.js", path.parent / "reveal.js", dirs_exist_ok=True)
    shutil.copy(JAVASCRIPT / "mathjax" / "es5" / "tex-svg-full.js", path.parent)
    shutil.copy(JAVASCRIPT / "requirejs" / "require.js", path.parent)


def write_notebook(notebook, path):
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["student", "solutions", "slides"])
    what = parser.parse_args().what
    folder = BUILD / what
    folder.mkdir(parents=True, exist_ok=True)
    write = write_slides if what == "slides" else write_notebook
    for path in LESSONS:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        write(globals()[what](notebook), folder / path.name)
    print(f"{len(LESSONS)} lessons in {folder}")


if __name__ == "__main__":
    main()
