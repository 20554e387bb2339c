"""The code of notebooks/frameworks.rst."""
import pathlib
import re
import textwrap

PATH = pathlib.Path(__file__).parents[2] / "notebooks" / "frameworks.rst"


def run(title):
    """Execute the code blocks of one section in order; return the names that they define."""
    sections = re.split(r"\n(.+)\n-+\n", PATH.read_text())
    text = sections[sections.index(title) + 1]
    blocks = re.findall(r"\.\. code-block:: python\n\n((?: {4}.*\n|\n)+)", text)
    assert blocks
    names = {}
    for block in blocks:
        exec(compile(textwrap.dedent(block), str(PATH), "exec"), names)
    return names
