"""The rules that every notebook keeps: thin, clean, in one order, ending with paper and ours."""

import ast
import re

import nbformat
import pytest

from lib import rows
from lib.paths import PROJECT
from lib.reports import html, notebook
from lib.tables import verify

PATHS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
LINES = 10
PAPER_BESIDE_OURS = ("03", "04", "05", "06")


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def book(request) -> tuple[str, nbformat.NotebookNode]:
    nbformat.validate(nbformat.read(request.param, as_version=4))
    return request.param.stem, notebook.read_notebook(request.param)


def code(nb: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def test_the_notebooks_of_the_first_paper_are_there():
    assert [path.stem[:2] for path in PATHS][:8] == [f"{n:02d}" for n in range(8)]
    assert set(rows.NOTEBOOKS) <= {path.stem[:2] for path in PATHS}


def test_committed_without_outputs(book):
    for cell in code(book[1]):
        assert cell.outputs == [] and cell.execution_count is None


def test_first_cell_says_what_why_and_where(book):
    name, nb = book
    title, question = html.heading(nb)
    assert title.startswith(f"{name[:2]} ") and question.endswith("?")
    words = [line.split("**")[1] for line in nb.cells[0].source.splitlines() if "**" in line]
    assert words == ["Question.", "Inputs.", "Writes."]


def test_parameters_then_imports(book):
    name, nb = book
    assert nb.cells[1].metadata.get("tags") == ["parameters"]
    known = notebook.read_parameters(nb, name)
    assert next(iter(known.items())) == ("profile", "quick")
    for line in nb.cells[1].source.splitlines():  # papermill's inspector is a regular expression
        assert "#" not in line or "=" not in line.split("#")[1]
    first = ast.parse(nb.cells[2].source).body
    assert all(isinstance(line, ast.Import | ast.ImportFrom) for line in first)
    for cell in code(nb)[2:]:
        assert not re.search(r"^\s*(import|from)\b", cell.source, re.M)


def test_cells_are_thin(book):
    """No definitions, no branches, no shell, no paths: all of that lives in lib."""
    banned = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.If, ast.While, ast.Try)
    for cell in code(book[1]):
        assert len(cell.source.splitlines()) <= LINES, cell.source
        assert not re.search(
            r"^\s*[!%]|sys\.path|subprocess|os\.system|os\.environ", cell.source, re.M
        )
        found = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, banned)]
        assert not found, cell.source


def test_every_step_is_said_before_it_is_shown(book):
    """After the opening cells: words, then one thing, or two that belong together."""
    kinds = [cell.cell_type for cell in book[1].cells[4:]]
    assert "code code code" not in " ".join(kinds)


def test_the_end(book):
    """Last code cell: the paper's numbers beside ours; last words: deviations, open questions."""
    name, nb = book
    assert nb.cells[-1].cell_type == "markdown"
    assert nb.cells[-1].source.startswith("## Deviations and open questions")
    last = code(nb)[-1]
    assert last is nb.cells[-2]
    if name[:2] in PAPER_BESIDE_OURS:
        assert "page.table" in last.source


def test_it_runs_with_our_kernel(book):
    name, nb = book
    notebook.check_notebook(nb, name, {"profile": "quick"})


def test_each_rule_can_fail():
    """The checks above on a notebook that breaks them."""
    bad = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("!ls\ndef f(): pass")])
    for rule in (test_cells_are_thin, test_the_end):
        with pytest.raises((AssertionError, SyntaxError)):
            rule(("03_bad", bad))


# Tables that no run makes: of recordings, of benchmarks, and of how runs stand.
NOT_OF_RUNS = (
    *("ages", "counts", "quirks", "preprocessing", "overview", "sam_zeros", "sam_wave_error"),
    *("sprsound_sizes", "sprsound_events", "sprsound_records", "sprsound_oddities"),
    *("sprsound_length_alone", "sam_costs", "srad_costs", "srad_scan", "benchmarks_"),
)


def saved_tables(nb: nbformat.NotebookNode) -> set[str]:
    """The names under which a notebook saves its tables: `page.table(table, name, caption)`."""
    calls = [node for cell in code(nb) for node in ast.walk(ast.parse(cell.source))]
    calls = [node for node in calls if isinstance(node, ast.Call)]
    return {call.args[1].value for call in calls if ast.unparse(call.func) == "page.table"}


def test_every_table_of_runs_is_verified():
    """What a page shows of runs is made again from their records by `./run_all.sh verify`."""
    shown = set().union(*(saved_tables(notebook.read_notebook(path)) for path in PATHS))
    assert {name for name in shown if not name.startswith(NOT_OF_RUNS)} == set(verify.TABLES)


def test_what_is_published_is_what_its_runs_give(monkeypatch):
    monkeypatch.setenv("REPORTS_ROOT", str(PROJECT / "reports"))
    assert verify.verify() == []
