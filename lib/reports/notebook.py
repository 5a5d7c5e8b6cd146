"""Execute one notebook strictly: nothing may fail unseen.

papermill alone ends with success if a notebook has no parameters cell, if a parameter's name is
unknown, if a cell calls `sys.exit(0)` and if the kernel is killed. Each is an error here.
"""

import ast
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import nbformat
from nbformat import NotebookNode

from lib import files, paths
from lib.errors import UserError, unknown

KERNEL = "python3"
START_SECONDS = 600  # that a kernel may take to start: a busy machine takes minutes
PAPERMILL_TAGS = {"injected-parameters", "papermill-error-cell-tag"}  # cells that papermill adds


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook file in format 4; any other file is a `UserError`."""
    try:
        with files.readable(path):
            return nbformat.read(path, as_version=4)
    except (ValueError, nbformat.ValidationError, AttributeError) as error:
        raise UserError(f"{path}: not a notebook ({error}); restore it from git") from error


def read_parameters(notebook: NotebookNode, name: str) -> dict[str, object]:
    """Return the defaults in the one cell tagged `parameters`: plain `name = literal` lines."""
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise UserError(
            f"{name}: {len(tagged)} cells are tagged 'parameters'; tag exactly one (cell 2)"
        )
    try:
        lines = ast.parse(tagged[0].source).body
        return {line.targets[0].id: ast.literal_eval(line.value) for line in lines}
    except (SyntaxError, ValueError, AttributeError) as error:
        raise UserError(
            f"{name}: its parameters cell must hold only plain lines 'name = literal'"
        ) from error


def check_notebook(notebook: NotebookNode, name: str, given: dict[str, object]) -> None:
    """Raise `UserError` before anything runs: parameters cell, parameter names, kernel."""
    defaults = read_parameters(notebook, name)
    for key in given:
        if key not in defaults:
            raise UserError(f"{name}: {unknown('parameter', key, defaults)}")
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    if kernel != KERNEL:
        raise UserError(f"{name}: needs the kernel {kernel!r}; set its kernel to {KERNEL!r}")


def execute(path: Path, output: Path, given: dict[str, object]) -> NotebookNode:
    """Execute the notebook `path` with the parameters `given`; write it to `output`, return it.

    `output` is written only if every code cell ran. Otherwise the executed part is kept beside it
    as `*.failed.ipynb`, an older `output` stays as it was, and `UserError` says why.
    """
    check_notebook(read_notebook(path), path.name, given)
    failed = output.with_suffix(".failed.ipynb")
    with files.disk_errors(output), tempfile.TemporaryDirectory() as folder:
        executed = Path(folder) / path.name
        problem = _run_papermill(path, executed, given)
        if not problem:
            problem = _find_problem(read_notebook(executed))
        if executed.exists():
            with files.atomic_write(failed if problem else output) as part:
                shutil.copyfile(executed, part)
    if problem:
        raise UserError(f"{path.name}: {problem}; see {failed}")
    failed.unlink(missing_ok=True)
    return read_notebook(output)


def _run_papermill(path: Path, executed: Path, given: dict[str, object]) -> str:
    """Run papermill; return its problem in one line, or ""."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from traitlets.config import Config

    logging.getLogger("papermill").setLevel(logging.ERROR)
    socket = str(executed.parent / "kernel")  # no ports, which two notebooks at once could share
    try:
        with _project_kernel(executed.parent):
            papermill.execute_notebook(
                str(path),
                str(executed),
                parameters=given,
                kernel_name=KERNEL,
                cwd=str(path.parent),
                progress_bar=False,
                start_timeout=START_SECONDS,
                config=Config({"KernelManager": {"transport": "ipc", "ip": socket}}),
            )
    except papermill.PapermillExecutionError as error:
        return _find_problem(read_notebook(executed)) or f"{error.ename}: {error.evalue}"
    except DeadKernelError:
        return "its kernel died (killed, or out of memory)"
    except RuntimeError as error:
        return f"its kernel did not start ({error}); is the machine too busy? start again"
    return "" if executed.exists() else "papermill wrote no notebook"


def _find_problem(notebook: NotebookNode) -> str:
    """Return why an executed notebook can't be trusted, or ""."""
    cells = [c for c in notebook.cells if not PAPERMILL_TAGS & set(c.metadata.get("tags", []))]
    for number, cell in enumerate(cells, 1):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        for error in (o for o in cell.outputs if o.output_type == "error"):
            message = (error.evalue.strip().splitlines() or [""])[0]
            return f"cell {number}: {error.ename}: {message}"
        if cell.execution_count is None:
            return f"cell {number} was never executed"
    return ""


@contextmanager
def _project_kernel(folder: Path) -> Iterator[None]:
    """Make `KERNEL` this interpreter with this checkout's `lib`, described in `folder`.

    A kernel that is installed for the user can point to another Python, and the user's settings
    of IPython and Jupyter can change what is shown, so all of them are looked for in `folder`.
    Progress bars print times.
    """
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    argv.append("--log-level=CRITICAL")  # ipykernel warns about the ipc transport at each start
    environment = paths.python_environment() | {
        "IPYTHONDIR": str(folder / "ipython"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "TQDM_DISABLE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONWARNINGS": "ignore:IProgress not found",  # tqdm needs no widgets here
    }
    spec = {"argv": argv, "env": environment, "display_name": "Python 3", "language": "python"}
    files.write_json(folder / "kernels" / KERNEL / "kernel.json", spec)
    places = ("JUPYTER_PATH", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    with patch.dict(os.environ, dict.fromkeys(places, str(folder))):
        yield
