"""One notebook: what it must look like, and how it is executed so that nothing fails unseen.

papermill alone ends with success when a notebook has no parameters cell, when a parameter's name
is unknown, when a cell says `sys.exit(0)` and when the kernel is killed. Each is an error here.
"""

import ast
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from traitlets.config import Config

from lib import files, paths
from lib.errors import UserError, unknown

KERNEL = "python3"
ADDED = {"injected-parameters", "papermill-error-cell-tag"}  # cells that papermill puts in


def read(path: Path) -> NotebookNode:
    """A notebook file in format 4; one that is none is a `UserError`."""
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found") from error
    except (ValueError, nbformat.ValidationError, AttributeError) as error:
        raise UserError(f"{path}: not a notebook ({error}); restore it from git") from error


def parameters(notebook: NotebookNode, name: str) -> dict[str, object]:
    """The defaults of the one cell tagged `parameters`: plain `name = literal` lines."""
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
            f"{name}: its parameters cell must hold plain lines 'name = literal' alone"
        ) from error


def check(notebook: NotebookNode, name: str, given: dict[str, object]) -> None:
    """Raise `UserError` before anything runs: parameters cell, their names, the kernel."""
    known = parameters(notebook, name)
    for key in given:
        if key not in known:
            raise UserError(f"{name}: {unknown('parameter', key, known)}")
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    if kernel != KERNEL:
        raise UserError(f"{name}: needs the kernel {kernel!r}; set its kernel to {KERNEL!r}")


def execute(path: Path, output: Path, given: dict[str, object], report_dir: Path) -> NotebookNode:
    """Execute the notebook `path` with the parameters `given`; write it to `output`, return it.

    It is written aside and renamed if every code cell ran; else what there is stays beside
    `output` as `*.failed.ipynb`, an older `output` stays as it was, and `UserError` says why.
    """
    check(read(path), path.name, given)
    output.parent.mkdir(parents=True, exist_ok=True)
    failed = output.with_suffix(".failed.ipynb")
    part = output.with_suffix(".part.ipynb")
    try:
        fault = _papermill(path, part, given, report_dir)
        fault = fault or (_fault(read(part)) if part.exists() else "papermill wrote no notebook")
        if fault and part.exists():
            os.replace(part, failed)
    except KeyboardInterrupt:
        part.unlink(missing_ok=True)
        raise
    if fault:
        raise UserError(f"{path.name}: {fault}; see {failed}")
    failed.unlink(missing_ok=True)
    os.replace(part, output)
    return read(output)


def _papermill(path: Path, part: Path, given: dict[str, object], report_dir: Path) -> str:
    """Run papermill; return its fault in one line, or ""."""
    import papermill
    from nbclient.exceptions import DeadKernelError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        with own_kernel(report_dir):
            papermill.execute_notebook(
                str(path),
                str(part),
                parameters=given,
                kernel_name=KERNEL,
                cwd=str(path.parent),
                progress_bar=False,
                config=Config({"KernelManager": {"transport": "ipc"}}),  # no ports to collide on
            )
    except papermill.PapermillExecutionError as error:
        return _fault(read(part)) or f"{error.ename}: {_first_line(error.evalue)}"
    except DeadKernelError:
        return "its kernel died (killed, or out of memory)"
    return ""


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""


def _fault(notebook: NotebookNode) -> str:
    """Why an executed notebook may not be trusted, or ""."""
    written = [c for c in notebook.cells if not ADDED & set(c.metadata.get("tags", []))]
    for number, cell in enumerate(written, 1):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        errors = [o for o in cell.outputs if o.output_type == "error"]
        if errors:
            return f"cell {number}: {errors[0].ename}: {_first_line(errors[0].evalue)}"
        if cell.execution_count is None:
            return f"cell {number} was never executed"
    return ""


@contextmanager
def own_kernel(report_dir: Path) -> Iterator[None]:
    """The environment of a kernel: this interpreter, figures shown, no bars, stable hashes.

    A kernel installed for the user can point to another Python: ours is put before it. An
    exported MPLBACKEND makes figures vanish without a word. Bars print times.
    """
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "kernels" / KERNEL / "kernel.json"
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        argv.append("--log-level=CRITICAL")  # it warns of its transport at each start
        files.write_json(spec, {"argv": argv, "display_name": "Python 3", "language": "python"})
        changes = {
            "JUPYTER_PATH": folder,
            "MPLBACKEND": None,
            "TQDM_DISABLE": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONWARNINGS": "ignore:IProgress not found",  # tqdm's bars need no widgets here
            "REPORT_DIR": str(report_dir.resolve()),
        }
        with _environment(changes):
            yield


@contextmanager
def _environment(changes: dict[str, str | None]) -> Iterator[None]:
    before = dict(os.environ)
    for key, value in changes.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def steady(notebook: NotebookNode) -> NotebookNode:
    """A copy in which nothing differs between two runs on the same inputs.

    Cell ids, times, memory addresses, the ids of styled tables and the folders of this machine.
    """
    copy = nbformat.from_dict(notebook)
    copy.metadata.pop("papermill", None)
    styles: dict[str, str] = {}
    for number, cell in enumerate(copy.cells):
        cell.id = f"cell-{number}"
        cell.metadata.pop("papermill", None)
        for output in cell.get("outputs", []):
            if "text" in output:
                output.text = _steady_text(output.text, styles)
            for kind in [kind for kind in output.get("data", {}) if kind.startswith("text/")]:
                output.data[kind] = _steady_text(output.data[kind], styles)
    return copy


def _steady_text(text: str, styles: dict[str, str]) -> str:
    """`styles` collects the ids of styled tables, renamed in the order in which they come."""
    folders = dict(_folders())
    path = "|".join(rf"{re.escape(folder)}(?![\w.-])" for folder in folders)

    def word(match: re.Match) -> str:
        if match["path"]:
            return folders[match["path"]]
        if match["style"]:
            return styles.setdefault(match["style"], f"T_{len(styles):05d}")
        return match["data"] or ("cell" if match["cell"] else "")

    pattern = (
        r"(?P<data>base64,[\w+/=]+)"  # pictures and sounds are left alone
        rf"|(?P<path>{path})"
        r"|(?P<cell>/tmp/ipykernel_\d+/\d+\.py)"
        r"|(?P<style>\bT_[0-9a-f]{5}(?![0-9a-f]))"
        r"|(?P<address> at 0x[0-9a-f]{6,})"
    )
    return re.sub(pattern, word, text)


def _folders() -> list[tuple[str, str]]:
    """Folders of this machine and the words that stand for them in a page, longest first."""
    named = {str(paths.PROJECT): "PROJECT", str(Path.home()): "HOME", sys.prefix: "PYTHON"}
    for name in ("REPORTS_ROOT", "DATA_ROOT", "RUNS_ROOT", "FEATURES_ROOT", "WEIGHTS_ROOT"):
        if os.environ.get(name):
            named[str(Path(os.environ[name]).resolve())] = name
    return sorted(named.items(), key=lambda item: -len(item[0]))
