"""Every way in which a notebook can fail without a word must be an error here."""

import json
import os
import sys

import nbformat
import pytest
from small_notebooks import FIGURE, write

from lib.errors import UserError
from lib.reports import notebook


def execute(tmp_path, *codes, given=None, **more):
    path = write(tmp_path / "03_small.ipynb", *codes, **more)
    given = {"profile": "smoke"} if given is None else given
    return notebook.execute(path, tmp_path / "out/03_small.ipynb", given, tmp_path)


def text(executed) -> str:
    outputs = [o for cell in executed.cells for o in cell.get("outputs", [])]
    return "".join(o.get("text", "") for o in outputs)


def test_runs_with_the_parameters_given(tmp_path):
    executed = execute(tmp_path, "print(profile, type(profile).__name__)")
    assert text(executed) == "smoke str\n"
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["03_small.ipynb"]


@pytest.mark.parametrize("count", [0, 2])
def test_needs_exactly_one_parameters_cell(tmp_path, count):
    cells = ('profile = "quick"',) * count
    with pytest.raises(UserError, match=f"03_small.ipynb: {count} cells .*exactly one"):
        execute(tmp_path, parameters=cells)


@pytest.mark.parametrize("source", ["profile = dict(a=1)", "import os", "profile: str", "x = ("])
def test_parameters_are_plain_literals(tmp_path, source):
    with pytest.raises(UserError, match="name = literal"):
        execute(tmp_path, parameters=(source,))


def test_unknown_parameter_names_the_nearest(tmp_path):
    with pytest.raises(UserError, match="unknown parameter 'profil': did you mean 'profile'"):
        execute(tmp_path, given={"profil": "smoke"})


def test_unknown_kernel_leaves_the_good_output(tmp_path):
    execute(tmp_path, "print(1)")
    with pytest.raises(UserError, match="needs the kernel 'ir'"):
        execute(tmp_path, "print(2)", kernel="ir")
    assert text(notebook.read_notebook(tmp_path / "out/03_small.ipynb")) == "1\n"


def test_not_a_notebook(tmp_path):
    path = tmp_path / "03_small.ipynb"
    path.write_text("{}")
    with pytest.raises(UserError, match="not a notebook"):
        notebook.read_notebook(path)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("1 / 0", "cell 4: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(0)", "cell 4: SystemExit"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "kernel died"),
        ("import os\nos._exit(0)", "kernel died"),
    ],
)
def test_a_failure_is_told_and_kept_aside(tmp_path, code, fault):
    good = execute(tmp_path, "print(1)")
    with pytest.raises(UserError, match=fault):
        execute(tmp_path, "print(2)", code, "print(3)")
    assert notebook.read_notebook(tmp_path / "out/03_small.ipynb") == good
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["03_small.failed.ipynb", "03_small.ipynb"]
    execute(tmp_path, "print(1)")
    assert not (tmp_path / "out/03_small.failed.ipynb").exists()


def test_figures_show_although_mplbackend_is_exported(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    executed = execute(tmp_path, FIGURE)
    (drawn,) = [c.outputs for c in executed.cells if c.cell_type == "code" and c.outputs]
    assert "image/png" in drawn[0].data
    assert os.environ["MPLBACKEND"] == "agg"


def test_the_kernel_is_this_interpreter(tmp_path, monkeypatch):
    """A user's kernel of the same name points elsewhere; it must not be the one that runs."""
    spec = tmp_path / "home/kernels/python3/kernel.json"
    spec.parent.mkdir(parents=True)
    argv = ["/bin/false", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "home"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    executed = execute(tmp_path, "import os, sys\nprint(sys.executable, os.environ['REPORT_DIR'])")
    assert text(executed).split() == [sys.executable, str(tmp_path.resolve())]


def test_steady_removes_what_differs_between_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "sounds"))
    words = f"{tmp_path}/sounds/a.wav {tmp_path}/sounds-2 <F at 0x7f00aa11bb22> T_0ab12_row1"
    picture = "base64,AA/root/+"
    made = nbformat.v4.new_notebook(metadata={"papermill": {"duration": 1.5}})
    outputs = [nbformat.v4.new_output("stream", text=words + " T_99fff " + picture)]
    made.cells = [nbformat.v4.new_code_cell("1", outputs=outputs, id="random")]
    cell = notebook.steady(made).cells[0]
    assert cell.id == "cell-0"
    expected = f"DATA_ROOT/a.wav {tmp_path}/sounds-2 <F> T_00000_row1 T_00001 {picture}"
    assert cell.outputs[0].text == expected
    assert made.cells[0].id == "random"
