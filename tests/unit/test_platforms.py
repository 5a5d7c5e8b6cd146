"""What any system has: no module of one system alone, no forks, folders of any name."""

import ast

from lib.config import Experiment
from lib.data import ICBHI, synthetic
from lib.features.cache import cache_for
from lib.features.frontends import frontend_for
from lib.paths import PROJECT

ONE_SYSTEM = {"fcntl", "grp", "pty", "pwd", "termios", "msvcrt", "winreg"}
FORKS = {"concurrent.futures.process", "ProcessPoolExecutor"}  # a process with threads, by default


def test_lib_uses_nothing_that_one_system_has_or_that_forks_a_process_with_threads():
    """The processes of `multiprocessing` come from a context that names how they start."""
    for path in (PROJECT / "lib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in getattr(node, "names", [])]
            names += [getattr(node, "module", None) or ""]
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert not (ONE_SYSTEM | FORKS) & set(names), path
                assert getattr(node, "module", "") != "multiprocessing", path
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("fork", "forkpty"), path
                assert ast.unparse(node) not in ("multiprocessing.Process", "multiprocessing.Pool")
            if isinstance(node, ast.Constant):
                assert node.value != "fork", path


def test_folders_may_have_spaces_and_other_letters(tmp_path, monkeypatch):
    folder = tmp_path / "Daten für ä b"
    monkeypatch.setenv("FEATURES_ROOT", str(folder / "Merkmale"))
    synthetic.write_icbhi(folder / "icbhi", patients=2, cycles=2)
    dataset = ICBHI.open(ICBHI.locate(folder))
    assert dataset.validate() == []
    cache = cache_for(dataset, frontend_for(Experiment("x", clip_seconds=1.0)), progress=False)
    assert len(cache.features) == len(dataset.load()) > 0
    assert cache.path.is_relative_to(folder)
