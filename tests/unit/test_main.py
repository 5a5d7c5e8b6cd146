"""The command line: what it understands, what it hands on, and its exit codes."""

import errno
import json
import os
import subprocess
import sys

import pytest

from lib import __main__ as front
from lib import paths
from lib.data import recordings_found
from lib.errors import UserError
from lib.reports import build
from lib.runs import execute

EMPTY = ("data", "features", "weights", "out", "executor", "address")
VARIABLES = ("DATA_ROOT", "WEIGHTS_ROOT", "FEATURES", "OUT", "SEEDS", "EXECUTOR", "RAY_ADDRESS")


@pytest.fixture
def built(tmp_path, monkeypatch):
    """What `build` was asked for, in a working folder with nothing set in the environment."""
    for name in (*VARIABLES, *paths.python_environment()):
        monkeypatch.setenv(name, "")  # so that what the command line sets is undone afterwards
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    calls = []
    monkeypatch.setattr(build, "build", lambda *given: calls.append(given))
    monkeypatch.setattr(build, "describe_recordings", lambda *given: [])
    return calls


def shell(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "lib", *arguments]
    return subprocess.run(command, cwd=paths.PROJECT, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("line", "command", "words"),
    [
        ("", "run", []),
        ("03 04", "run", ["03", "04"]),
        ("all", "run", ["all"]),
        ("--seeds 2", "run", []),
        ("paper", "run", ["paper"]),
        ("run smoke 00 --data x 01", "run", ["smoke", "00", "01"]),
        ("--data x laptop --features y 03", "run", ["laptop", "03"]),
        ("status laptop --json", "status", ["laptop"]),
        ("tune laptop 1-1 cnn2/ce --trials 3", "tune", ["laptop", "1-1", "cnn2/ce"]),
        ("download icbhi --data x", "download", ["icbhi"]),
        ("lab --no-browser --data x", "lab", ["--no-browser"]),
        ("test -k scores --data x", "test", ["-k", "scores", "--data", "x"]),
        ("python --help", "python", ["--help"]),
    ],
)
def test_commands(line, command, words):
    name, options = front.parse(line.split())
    assert (name, options.words) == (command, words)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("papr", "unknown command or profile 'papr': did you mean 'paper'"),
        ("statsu", "unknown command or profile 'statsu': did you mean 'status'"),
        ("laptop --dat x", "unknown option '--dat': did you mean '--data'"),
        ("verify --out x", "unknown option '--out'"),
        ("verify laptop", "verify takes no arguments"),
        ("laptop --data", "expected one argument; see ./run_all.sh run --help"),
        ("laptop --seeds two", "argument --seeds: invalid int value: 'two'"),
    ],
)
def test_what_is_not_understood(line, problem):
    with pytest.raises(UserError, match=problem):
        front.parse(line.split())


def test_every_command_has_help_and_an_example(capsys):
    for name in set(front.COMMANDS) - {"test", "python"}:  # theirs is pytest's and Python's
        with pytest.raises(SystemExit) as end:
            front.parse([name, "--help"])
        text = capsys.readouterr().out
        assert end.value.code == 0 and f"example:\n  ./run_all.sh {name}" in text


def test_the_profile_follows_from_the_data(built, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    assert not recordings_found()
    assert front._split_profile(["03"]) == ("smoke", ["03"])
    assert "no recordings found" in capsys.readouterr().err
    assert front._split_profile(["paper", "03"]) == ("paper", ["03"])
    (tmp_path / "data/icbhi/ICBHI_final_database").mkdir(parents=True)
    assert front._split_profile([]) == ("laptop", [])
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data/icbhi"))
    assert front._split_profile([]) == ("laptop", [])


def test_options_are_handed_on_by_environment(built, tmp_path, monkeypatch):
    """Relative folders and ~ become absolute, given as an option or by environment."""
    for name in "abc":
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RUNS_ROOT", "~/runs")
    monkeypatch.setenv("DATA_ROOT", "nowhere")
    line = "laptop 03 --data a --features b --features c --weights ~/a --out d --seeds 2"
    assert front.main([*line.split(), "--executor", "ray", "--address", "host:6379"]) == 0
    assert built == [("laptop", ["03"])]
    roots = [os.environ[name] for name in ("DATA_ROOT", "WEIGHTS_ROOT", "OUT", "RUNS_ROOT")]
    assert roots == [str(tmp_path / name) for name in ("a", "a", "d", "runs")]
    assert os.environ["FEATURES"] == os.pathsep.join(str(tmp_path / name) for name in "bc")
    assert [os.environ[name] for name in ("SEEDS", "EXECUTOR")] == ["2", "ray"]
    assert os.environ["RAY_ADDRESS"] == "host:6379"
    monkeypatch.setenv("FEATURES", f"b{os.pathsep}~/c")
    assert front.main(["laptop", "03"]) == 0
    assert os.environ["FEATURES"] == os.pathsep.join(str(tmp_path / name) for name in "bc")


def test_a_link_keeps_its_own_name(built, tmp_path, monkeypatch):
    (tmp_path / "object-17").mkdir()
    (tmp_path / "icbhi").symlink_to(tmp_path / "object-17")
    assert front.main(["laptop", "03", "--data", "icbhi"]) == 0
    assert os.environ["DATA_ROOT"] == str(tmp_path / "icbhi")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("laptop all x", "unknown notebook 'x'"),
        ("laptop 42", "unknown notebook '42'"),
        ("laptop --weights nowhere", "nowhere: no such folder"),
        ("laptop --features nowhere", "nowhere: no such folder"),
        *((f"laptop --{name}=", f"--{name}: nothing is given") for name in EMPTY),
        ("laptop --features b --features=", "--features: nothing is given"),
        ("download icbhi --data=", "--data: nothing is given"),
        ("laptop --seeds 0", "--seeds 0: give a number of seeds"),
        ("laptop --executor rya", "unknown executor 'rya': did you mean 'ray'"),
        ("laptop --address host:6379", "--address: add --executor ray"),
        ("tune laptop 1-1", "tune: give a task and a model"),
        ("download", "download: name one dataset"),
    ],
)
def test_a_problem_is_one_line_and_exit_code_2(line, problem, built, capsys):
    assert front.main(line.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and problem in error
    assert built == []


@pytest.mark.parametrize(
    ("line", "trained"),
    [
        ("train paper 04", ("paper", ["04"])),
        ("train laptop 03 07", ("laptop", ["03", "07"])),
    ],
)
def test_train_makes_runs_without_pages(line, trained, built, monkeypatch):
    calls = []
    monkeypatch.setattr(execute, "train_notebooks", lambda *given: calls.append(given) or [])
    assert front.main(line.split()) == 0 and calls == [trained] and built == []
    monkeypatch.setattr(execute, "train_notebooks", lambda *given: ["run x: failed"])
    assert front.main(line.split()) == 2


def test_exit_codes_of_the_program():
    for line, code in {"--help": 0, "papr": 2, "smoke 42": 2, "verify": 2}.items():
        done = shell(*line.split())
        assert done.returncode == code, (line, done.stderr)
        assert "Traceback" not in done.stderr


def test_status_lists_the_runs_of_a_notebook():
    done = shell("status", "07", "--json")
    rows = json.loads(done.stdout)
    assert {(row["experiment"], row["status"]) for row in rows} >= {("ast_in_as/ce", "to train")}
    assert "profile smoke, synthetic sounds" in done.stderr
    lines = shell("status", "smoke", "07").stdout.splitlines()
    assert lines[0].split() == ["experiment", "seed", "status"]  # no column is empty
    assert "ast_in_as/ce" in {line.split()[0] for line in lines}


def test_a_program_that_reads_no_more_is_no_error():
    command = f"'{sys.executable}' -m lib status smoke 07 2>&1 | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=paths.PROJECT, capture_output=True)
    assert done.stdout == b"141\n" and done.stderr == b""


def test_a_disk_or_a_permission_is_one_line(built, monkeypatch, capsys):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/a.wav")

    def fail(*_):
        raise full

    monkeypatch.setattr(build, "build", fail)
    assert front.main(["smoke", "00"]) == 2
    assert "error: /data/a.wav: No space left on device; mend that" in capsys.readouterr().err


def test_test_and_python_take_all_arguments():
    done = shell("test", "--version")
    assert done.returncode == 0 and "pytest" in done.stdout + done.stderr
    done = shell("python", "-c", "import sys, lib; print(sys.argv[1:], lib.__name__)", "--help")
    assert done.returncode == 0 and done.stdout == "['--help'] lib\n"


# The user's own settings


def test_the_users_settings_are_not_those_of_this_project(tmp_path, monkeypatch):
    """Another `lib`, a sitecustomize, a locale and a matplotlibrc; no home."""
    for name in ("lib/__init__.py", "sitecustomize.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("print('not of this project')")
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings/matplotlibrc").write_text("lines.linewidth: 9\n")
    given = {"VIRTUAL_ENV": sys.prefix, "PYTHONPATH": str(tmp_path), "HOME": "/nowhere"}
    given |= {
        "MPLBACKEND": "none such",
        "MATPLOTLIBRC": str(tmp_path / "settings"),
        "CDPATH": str(tmp_path),
    }
    given |= {"LC_ALL": "POSIX", "PYTHONOPTIMIZE": "2", "FEATURES_ROOT": str(tmp_path / "features")}
    code = (
        "import lib, os, sys, matplotlib, pathlib\n"
        "print(lib.__file__, os.getcwd(), matplotlib.rcParams['lines.linewidth'], __debug__,\n"
        "pathlib.Path.home(), sys.flags.utf8_mode, sys.stdout.encoding, sep='\\n')"
    )
    script = str(paths.PROJECT / "run_all.sh")
    done = subprocess.run(
        [script, "python", "-c", code], env=os.environ | given, cwd=tmp_path, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        *(str(paths.PROJECT / "lib/__init__.py"), str(tmp_path), "1.5", "True"),
        *(str(tmp_path / "features/.home"), "1", "utf-8"),
    ]
