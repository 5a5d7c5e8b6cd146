"""The conventions of every notebook: thin, clean, in one order, with registered tables."""

import ast
import re

import nbformat
import numpy as np
import pytest

from lib import papers
from lib.paths import PROJECT
from lib.plots import style
from lib.reports import html, notebook
from lib.tables.verify import verify

PATHS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
LINES = 10
HEADINGS = ["Question.", "Profiles.", "Inputs.", "Writes."]
TABLE_LAST = ("03", "04", "05", "06")  # they end with the paper's numbers beside ours
HINT = "# An import fails? This is not the project's kernel: close it and start ./run_all.sh lab"
EXAMPLE = "## A worked example"
BY_HAND = {"03", "04", "05", "06", "08", "09", "13"}  # their example gives a number twice


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def book(request) -> tuple[str, nbformat.NotebookNode]:
    nbformat.validate(nbformat.read(request.param, as_version=4))
    return request.param.stem, notebook.read_notebook(request.param)


def code(nb: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def test_there_is_a_notebook_for_every_number():
    numbers = {path.stem[:2] for path in PATHS}
    assert {f"{n:02d}" for n in range(8)} | set(papers.NOTEBOOKS) <= numbers


def test_committed_without_outputs(book):
    for cell in code(book[1]):
        assert cell.outputs == [] and cell.execution_count is None


def test_the_first_cell_states_question_cost_inputs_and_outputs(book):
    name, nb = book
    about = html.describe_page(nb)
    assert about["title"].startswith(f"{name[:2]} ") and about["question"].endswith("?")
    lines = [line for line in nb.cells[0].source.splitlines() if line.startswith("**")]
    assert [line.split("**")[1] for line in lines] == HEADINGS


def test_parameters_then_imports(book):
    name, nb = book
    assert nb.cells[1].metadata.get("tags") == ["parameters"]
    defaults = notebook.read_parameters(nb, name)
    assert next(iter(defaults.items())) == ("profile", "laptop")
    for line in nb.cells[1].source.splitlines():  # papermill's inspector is a regular expression
        assert "#" not in line or "=" not in line.split("#")[1]
    imports = ast.parse(nb.cells[2].source).body
    assert all(isinstance(line, ast.Import | ast.ImportFrom) for line in imports)
    for cell in code(nb)[2:]:
        assert not re.search(r"^\s*(import|from)\b", cell.source, re.M)


def test_a_kernel_without_lib_shows_what_to_do(book):
    """The hint stands above the first import of this project, so the traceback shows it too."""
    lines = book[1].cells[2].source.splitlines()
    own = [i for i, line in enumerate(lines) if re.match(r"from (lib|benchmarks)\b", line)]
    assert lines[own[0] - 1] == HINT


class StubPage:
    """What a worked example sees of its page."""

    def figure(self, fig, name: str) -> str:
        """Return the alt text of a figure; no file is written."""
        assert name.startswith("example_")
        return style.alt_text(fig)


def run_example(nb: nbformat.NotebookNode) -> list[object]:
    """What the cells of a worked example show, executed without a page and without any data."""
    names, shown, inside = {"page": StubPage()}, [], False
    exec(nb.cells[2].source, names)
    for cell in nb.cells[3:]:
        if cell.cell_type == "markdown":
            inside = cell.source.startswith(EXAMPLE) or (inside and "## " not in cell.source)
        elif inside:
            *steps, last = ast.parse(cell.source).body
            exec(compile(ast.Module(steps, []), "cell", "exec"), names)
            if isinstance(last, ast.Expr):
                shown.append(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
            else:
                exec(compile(ast.Module([last], []), "cell", "exec"), names)
    return shown


def test_a_worked_example_gives_what_the_library_gives(book):
    name, nb = book
    shown = run_example(nb)
    assert bool(shown) == (name[:2] in papers.NOTEBOOKS), "one worked example a page of runs"
    tables = [table for table in shown if hasattr(table, "columns")]
    pairs = [("by hand", "library"), ("λ by hand", "λ")]
    twice = [(t[a], t[b]) for t in tables for a, b in pairs if {a, b} <= set(t.columns)]
    assert bool(twice) == (name[:2] in BY_HAND)
    for by_hand, library in twice:
        np.testing.assert_allclose(by_hand, library, atol=2e-4)


def test_cells_are_thin(book):
    """No definitions, no branches, no shell, no paths: all of that belongs to lib."""
    banned = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.If, ast.While, ast.Try)
    for number, cell in enumerate(code(book[1])):
        assert number == 1 or len(cell.source.splitlines()) <= LINES, cell.source  # 1: imports
        assert not re.search(
            r"^\s*[!%]|sys\.path|subprocess|os\.system|os\.environ", cell.source, re.M
        )
        nodes = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, banned)]
        assert not nodes, cell.source


def test_every_step_is_explained_before_it_is_shown(book):
    """After the opening cells: text, then one code cell, or two that belong together."""
    kinds = [cell.cell_type for cell in book[1].cells[4:]]
    assert "code code code" not in " ".join(kinds)


def test_the_end(book):
    """The last code cell shows the paper beside ours; then deviations and open questions."""
    name, nb = book
    assert nb.cells[-1].cell_type == "markdown"
    assert nb.cells[-1].source.startswith("## Deviations and open questions")
    assert f"The finished page: `reports/{name}.html`." in nb.cells[-1].source
    last = code(nb)[-1]
    assert last is nb.cells[-2]
    if name[:2] in TABLE_LAST:
        assert "page.table" in last.source


def test_it_can_be_executed_with_our_kernel(book):
    name, nb = book
    notebook.check_notebook(nb, name, {"profile": "laptop"})


def test_each_rule_can_fail():
    bad = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("!ls\ndef f(): pass")])
    for rule in (test_cells_are_thin, test_the_end):
        with pytest.raises((AssertionError, SyntaxError)):
            rule(("03_bad", bad))


def test_every_table_of_runs_is_registered_and_shown():
    """`page.table(name)` without data is a registered table, which `verify` recomputes."""
    sources = [cell.source for path in PATHS for cell in code(notebook.read_notebook(path))]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    shown = [node.args for node in calls if ast.unparse(node.func) == "page.table"]
    assert {name.value for name, *more in shown if len(more) < 2} <= set(papers.TABLES)
    assert set(papers.TABLES) <= {name.value for name, *_ in shown}


def test_what_is_published_is_what_its_runs_give(monkeypatch):
    monkeypatch.setenv("REPORTS_ROOT", str(PROJECT / "reports"))
    assert verify() == []
