"""Every way in which a notebook can fail silently is an error, and an older output survives it."""

import json
import os
import sys

import pytest
from jupyter_client import AsyncKernelClient
from small_notebooks import write

from lib import paths
from lib.errors import UserError
from lib.reports import notebook

FIGURE = "import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])"


def execute(tmp_path, *codes, given=None, **more):
    path = write(tmp_path / "03_small.ipynb", *codes, **more)
    given = {"profile": "smoke"} if given is None else given
    return notebook.execute(path, tmp_path / "out/03_small.ipynb", given)


def text(executed) -> str:
    outputs = [o for cell in executed.cells for o in cell.get("outputs", [])]
    return "".join(o.get("text", "") for o in outputs)


def test_runs_with_the_parameters_given(tmp_path):
    executed = execute(tmp_path, "print(profile, type(profile).__name__)")
    assert text(executed) == "smoke str\n"
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["03_small.ipynb"]


@pytest.mark.parametrize(
    ("problem", "more"),
    [
        ("03_small.ipynb: 0 cells .*exactly one", {"parameters": ()}),
        ("03_small.ipynb: 2 cells .*exactly one", {"parameters": ('profile = "laptop"',) * 2}),
        ("name = literal", {"parameters": ("profile = dict(a=1)",)}),
        ("name = literal", {"parameters": ("import os",)}),
        ("name = literal", {"parameters": ("profile: str",)}),
        ("name = literal", {"parameters": ("x = (",)}),
        ("unknown parameter 'profil': did you mean 'profile'", {"given": {"profil": "smoke"}}),
        ("needs the kernel 'ir'", {"kernel": "ir"}),
    ],
)
def test_what_papermill_would_accept_is_refused_before_anything_runs(tmp_path, problem, more):
    execute(tmp_path, "print(1)")
    with pytest.raises(UserError, match=problem):
        execute(tmp_path, "print(2)", **more)
    assert text(notebook.read_notebook(tmp_path / "out/03_small.ipynb")) == "1\n"


def test_not_a_notebook(tmp_path):
    path = tmp_path / "03_small.ipynb"
    path.write_text("{}")
    with pytest.raises(UserError, match="not a notebook"):
        notebook.read_notebook(path)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("1 / 0", "cell 4: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(0)", "cell 4: SystemExit"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "kernel died"),
        ("import os\nos._exit(0)", "kernel died"),
    ],
)
def test_a_failure_is_reported_and_kept_beside_the_older_output(tmp_path, code, problem):
    older = execute(tmp_path, "print(1)")
    with pytest.raises(UserError, match=problem):
        execute(tmp_path, "print(2)", code, "print(3)")
    assert notebook.read_notebook(tmp_path / "out/03_small.ipynb") == older
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["03_small.failed.ipynb", "03_small.ipynb"]
    execute(tmp_path, "print(1)")
    assert not (tmp_path / "out/03_small.failed.ipynb").exists()


def test_a_kernel_that_does_not_start_in_time_is_a_sentence(tmp_path, monkeypatch):
    async def wait(self, timeout):
        raise RuntimeError(f"Kernel didn't respond in {timeout} seconds")

    monkeypatch.setattr(AsyncKernelClient, "_async_wait_for_ready", wait)
    monkeypatch.setattr(AsyncKernelClient, "wait_for_ready", wait)
    with pytest.raises(UserError, match="its kernel did not start .*start again"):
        execute(tmp_path, "print(1)")
    assert not (tmp_path / "out/03_small.ipynb").exists()


def test_the_kernel_is_this_interpreter_with_this_checkout(tmp_path, monkeypatch):
    """A user's kernel of the same name and an exported MPLBACKEND change nothing."""
    spec = tmp_path / "home/kernels/python3/kernel.json"
    spec.parent.mkdir(parents=True)
    argv = ["/bin/false", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    changed = {"JUPYTER_PATH": str(tmp_path / "home"), "JUPYTER_DATA_DIR": str(tmp_path / "home")}
    changed |= {"JUPYTER_PREFER_ENV_PATH": "0", "MPLBACKEND": "agg"}
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    code = "import sys, lib\nprint(sys.executable, lib.__file__, sep='\\n')"
    executed = execute(tmp_path, code, FIGURE)
    assert text(executed).splitlines() == [sys.executable, str(paths.PROJECT / "lib/__init__.py")]
    (figure,) = [o for o in executed.cells[-2].outputs if "data" in o]
    assert "image/png" in figure.data
    assert dict(os.environ) == before
