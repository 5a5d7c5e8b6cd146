"""This machine's pool: no GPU given away twice, no more runs than cores, and no orphans."""

import os
import subprocess
import sys
import time
from pathlib import Path
from textwrap import indent
from types import SimpleNamespace

import pytest

from lib import paths
from lib.config import Experiment
from lib.errors import UserError
from lib.runs import local


@pytest.fixture
def environments(monkeypatch):
    """The environment of every process that a pool would have started; each ends at once."""
    started = []

    def fork_process(words, log, environment):
        started.append(environment)
        return SimpleNamespace(exitcode=0, close=list)

    monkeypatch.setattr(local, "fork_process", fork_process)
    return started


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function that writes a module and returns the words that run it."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, code):
        (tmp_path / f"{name}.py").write_text(f"def main(arguments):\n{indent(code, '    ')}")
        return ["-m", name, "argument"]

    return write


@pytest.mark.parametrize(
    ("model", "size", "share"),
    [("ast", "base", 1), ("ast", "small", 0.5), ("ast", "mini", 0.25), ("mn04", "base", 0.25)],
)
def test_gpu_shares(model, size, share):
    assert local.gpu_share(Experiment("x", model=model, size=size)) == share


def fill(pool, shares):
    """The shares that get room, in the order given."""
    taken = []
    for number, share in enumerate(shares):
        if pool.room(share):
            pool.start(str(number), share, [], "log")
            taken.append(share)
    return taken


ON_GPU = {"CUDA_VISIBLE_DEVICES": "2"}


@pytest.mark.parametrize(
    ("cores", "gpus", "asked", "taken", "expected"),
    [  # shares of a GPU never sum to more than one; a single GPU is not named
        (64, ["0"], [0.5, 0.25, 1, 0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [{}] * 3),
        (2, ["7"], [0.25, 0.25, 0.25], [0.25, 0.25], [{}] * 2),  # cores are counted too
        (64, ["2", "5"], [0.25, 0.5, 1, 0.25, 0.25], [0.25, 0.5, 1, 0.25],  # the fullest first
         [ON_GPU, ON_GPU, {"CUDA_VISIBLE_DEVICES": "5"}, ON_GPU]),
        (3, [], [1, 1, 0.25, 0.25], [1, 1, 0.25], [local.ONE_THREAD] * 3),  # a core for each run
    ],
)  # fmt: skip
def test_runs_share_cores_and_gpus(environments, cores, gpus, asked, taken, expected):
    assert fill(local.LocalPool(cores, gpus), asked) == taken
    assert environments == expected


def test_a_finished_run_makes_room(environments):
    pool = local.LocalPool(64, ["0", "1"])
    fill(pool, [1, 0.5, 0.5])
    assert not pool.room(0.25)
    assert sorted(pool.finished()) == [("0", 0), ("1", 0), ("2", 0)]
    assert fill(pool, [1, 1, 0.25]) == [1, 1]


OLD_DRIVER = "import sys; sys.exit('UserWarning: x\\nRuntimeError: driver too old')"


@pytest.mark.parametrize(
    ("given", "device", "torch", "gpus", "said"),
    [
        (None, None, "", [], ""),
        (None, "nvidia0", "print(0); print(1)", ["0", "1"], ""),
        (None, "dxg", "print(0)", ["0"], ""),  # WSL2
        (None, "nvidia0", "", [], "no GPU is used although {}/nvidia0 is here: torch finds none"),
        (None, "nvidia0", OLD_DRIVER, [], "too old"),
        (None, "nvidia0", "import time; time.sleep(9)", [], "torch gave no answer in 0.5 s"),
        (None, "nvidiactl", "print(0)", ["0"], "1 GPUs of torch are used; {} shows none"),
        ("1", "nvidia0", "print(0)", ["1"], ""),
        ("GPU-a,GPU-b", "nvidia0", "print(0); print(1)", ["GPU-a", "GPU-b"], ""),
        ("", "nvidia0", "", [], ""),  # hidden on purpose
        ("-1", "nvidia0", "", [], ""),
    ],
)
def test_torch_says_which_gpus_there_are(
    tmp_path, monkeypatch, capsys, given, device, torch, gpus, said
):
    """Asked once; where /dev looks otherwise, one line says so."""
    monkeypatch.setattr(local, "DEVICES", tmp_path)
    monkeypatch.setattr(local, "ASK_TORCH", torch)
    if "sleep" in torch:
        monkeypatch.setattr(local, "ASK_SECONDS", 0.5)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    if device:
        (tmp_path / device).touch()
    local.count_gpus.cache_clear()
    try:
        assert local.visible_gpus() == local.visible_gpus() == gpus
    finally:
        local.count_gpus.cache_clear()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == bool(said) and said.format(tmp_path) in "".join(lines)


def test_without_a_gpu_a_run_sees_none_and_torch_agrees(monkeypatch):
    """The question to torch as it is asked, and what a run's own torch answers."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    local.count_gpus.cache_clear()
    assert local.visible_gpus() == [] and local.ONE_THREAD["CUDA_VISIBLE_DEVICES"] == ""


def test_arguments_of_a_worker():
    words = local.worker_arguments(Path("/runs/a"), Path("/caches/b"), 298, "icbhi=/c", "mel=/d")
    assert words == ["-m", "lib.worker", "/runs/a", "/caches/b", "298", "--with-parent",
                     "--test", "icbhi=/c", "--test", "mel=/d"]  # fmt: skip


def test_exit_codes_and_output_of_real_processes(tmp_path, module, monkeypatch):
    monkeypatch.setenv("SET_SINCE", "yes")
    code = (
        "import os, sys; assert 'torch' in sys.modules or sys.platform != 'linux'\n"
        "print(os.getcwd(), *arguments, os.environ['OMP_NUM_THREADS'], os.environ['SET_SINCE'])\n"
        "sys.exit(3)"
    )
    pool = local.LocalPool(3, [])
    pool.start("a", 1, module("exits", code), tmp_path / "log")
    pool.start("b", 1, module("dies", "import os; os.kill(os.getpid(), 9)"), tmp_path / "other")
    pool.start("c", 1, module("says", "raise SystemExit('error: why')"), tmp_path / "third")
    ended = {}
    while len(ended) < 3:
        ended.update(pool.finished())
    assert ended == {"a": 3, "b": -9, "c": 1}
    assert (tmp_path / "log").read_text() == f"{paths.PROJECT} argument 1 yes\n"
    assert (tmp_path / "third").read_text() == "error: why\n"


def test_stop_ends_what_runs(tmp_path, module):
    pool = local.LocalPool(1, [])
    pool.start("a", 1, module("sleeps", "import time; time.sleep(60)"), tmp_path / "log")
    start = time.monotonic()
    pool.stop()
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("start", ["start_process", "fork_process"])
def test_a_run_sees_the_end_of_a_killed_parent(tmp_path, monkeypatch, start):
    """The parent is killed; its child sees it, and ends."""
    child = "def main(arguments):\n" + indent(
        "import os; from types import SimpleNamespace; from lib import worker\n"
        "end = lambda code: print('end', flush=True)\n"
        "worker.os = SimpleNamespace(read=os.read, _exit=end)\n"
        f"open({str(tmp_path / 'up')!r}, 'w')\n"
        "worker._end_with_parent()\n",
        "    ",
    )
    (tmp_path / "waits.py").write_text(f"{child}\nif __name__ == '__main__':\n    main([])")
    code = (
        "import os, pathlib, sys; from lib.runs import local\n"
        f"local.{start}(['-m', 'waits'], pathlib.Path(sys.argv[1]), {{}})\n"
        f"while not os.path.exists({str(tmp_path / 'up')!r}): pass\n"
        "os.kill(os.getpid(), 9)"
    )
    monkeypatch.setenv("PYTHONPATH", f"{paths.PROJECT}{os.pathsep}{tmp_path}")
    log = tmp_path / "log"
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(log)], cwd=paths.PROJECT, stdin=subprocess.PIPE
    )
    parent.wait()  # its own standard input stays open
    end = time.monotonic() + 10
    while log.read_text() != "end\n":
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_unknown_executor(monkeypatch):
    assert local.executor_name() == "local"
    monkeypatch.setenv("EXECUTOR", "rya")
    with pytest.raises(UserError, match="unknown executor 'rya': did you mean 'ray'"):
        local.executor_name()
