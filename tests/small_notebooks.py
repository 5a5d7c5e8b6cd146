"""Small notebooks for the tests of what executes and renders them."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

FIRST = "# 03 Small\n\n**Question.** Does it\nrun?\n**Inputs.** None."
PARAMETERS = 'profile = "laptop"'
BANNER = (
    '<div class="banner" data-profile="laptop" data-data="ICBHI, partial" data-seeds="2">b</div>'
)
SHOW_BANNER = f"from IPython.display import HTML, display\ndisplay(HTML({BANNER!r}))"
ABOUT = {
    "title": "03 Small <one>",
    "question": "Does it run?",
    "profile": "laptop",
    "data": "ICBHI, <partial>",
    "seeds": "2",
    "status": "complete",
}


def write(
    path: Path,
    *codes: str,
    parameters: tuple[str, ...] = (PARAMETERS,),
    words: str = "The end.",
    kernel: str = "python3",
) -> Path:
    """Write a notebook: heading, parameters cells, code cells, words."""
    tags = {"tags": ["parameters"]}
    cells = [new_markdown_cell(FIRST)]
    cells += [new_code_cell(source, metadata=tags) for source in parameters]
    cells += [new_code_cell(source) for source in codes]
    cells.append(new_markdown_cell(words))
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": spec}), path)
    return path
