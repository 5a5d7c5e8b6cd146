"""The command line: what it understands, what it hands on, and its exit codes."""

import os
import subprocess
import sys

import pytest

from lib import __main__ as front
from lib import paths
from lib.errors import UserError
from lib.reports import build
from lib.runs import execute


def shell(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "lib", *arguments]
    return subprocess.run(command, cwd=paths.PROJECT, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("line", "command", "words"),
    [
        ("", "quick", []),
        ("03 04", "quick", ["03", "04"]),
        ("all", "quick", ["all"]),
        ("paper", "paper", []),
        ("smoke 00 --data x", "smoke", ["00"]),
        ("--data x quick --store y 03", "quick", ["03"]),
        ("download icbhi", "download", ["icbhi"]),
        ("publish quick-x", "publish", ["quick-x"]),
    ],
)
def test_commands(line, command, words):
    assert front.parse(line.split())[:2] == (command, words)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("papr", "unknown command or profile 'papr': did you mean 'paper'"),
        ("quick --dat x", "unknown option '--dat': did you mean '--data'"),
        ("quick --data", "expected one argument; see ./run_all.sh --help"),
    ],
)
def test_what_is_not_understood(line, fault):
    with pytest.raises(UserError, match=fault):
        front.parse(line.split())


def test_folders_are_handed_on_by_environment(tmp_path, monkeypatch):
    for name in ("DATA_ROOT", "WEIGHTS_ROOT", "STORE"):
        monkeypatch.setenv(name, "before")
    for name in "abc":
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    built = []
    monkeypatch.setattr(build, "build", lambda *given: built.append(given))
    line = "quick 03 --data a --store b --store c --weights a"
    assert front.run(line.split()) == 0
    assert built == [("quick", ["03"])]
    assert os.environ["DATA_ROOT"] == os.environ["WEIGHTS_ROOT"] == str(tmp_path / "a")
    assert os.environ["STORE"].split(os.pathsep) == [str(tmp_path / "b"), str(tmp_path / "c")]


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ("train", ("quick", ["03", "04", "05", "06", "07"])),
        ("train paper 04", ("paper", ["04"])),
        ("train 03 07", ("quick", ["03", "07"])),
    ],
)
def test_train_makes_runs_alone(line, made, monkeypatch):
    asked = []
    monkeypatch.setattr(execute, "run", lambda *given: asked.append(given) or [])
    assert front.run(line.split()) == 0 and asked == [made]
    with pytest.raises(UserError, match="unknown notebook with runs '00'"):
        front.run(["train", "00"])
    monkeypatch.setattr(execute, "run", lambda *given: ["run x: failed"])
    with pytest.raises(UserError, match="run x: failed"):
        front.run(line.split())


def test_the_executor_is_handed_on_by_environment(monkeypatch):
    monkeypatch.setenv("EXECUTOR", "local")
    monkeypatch.setenv("RAY_ADDRESS", "before")
    built = []
    monkeypatch.setattr(build, "build", lambda *given: built.append(os.environ["EXECUTOR"]))
    assert front.run(["paper", "--executor", "ray"]) == 0
    assert built == ["ray"] and os.environ["RAY_ADDRESS"] == "before"
    front.run(["paper", "--executor", "ray", "--address", "host:6379"])
    assert os.environ["RAY_ADDRESS"] == "host:6379"
    front.run(["paper", "--executor", "local"])
    assert built == ["ray", "ray", "local"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("quick --executor rya", "unknown executor 'rya': did you mean 'ray'"),
        ("quick --address host:6379", "--address host:6379: add --executor ray"),
        ("quick --executor local --address host:6379", "add --executor ray"),
    ],
)
def test_an_executor_that_is_not_understood(line, fault, monkeypatch):
    monkeypatch.setenv("EXECUTOR", "")
    monkeypatch.setattr(build, "build", lambda *given: pytest.fail("was started"))
    with pytest.raises(UserError, match=fault):
        front.run(line.split())


def test_a_folder_that_is_not_there():
    with pytest.raises(UserError, match="nowhere: no such folder"):
        front.run(["quick", "--data", "nowhere"])


def test_exit_codes():
    answers = {"--help": 0, "papr": 2, "quick --data /nowhere": 2, "quick 42": 2, "verify": 1}
    for line, code in answers.items():
        done = shell(*line.split())
        assert done.returncode == code, (line, done.stderr)
        assert "Traceback" not in done.stderr
        if code == 2:
            assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "unknown notebook '42'" in shell("quick", "42").stderr


def test_test_hands_its_arguments_to_pytest():
    done = shell("test", "--version")
    assert done.returncode == 0 and "pytest" in done.stdout + done.stderr


def test_python_is_that_of_the_environment():
    done = shell("python", "-c", "import sys, lib; print(sys.argv[1:], lib.__name__)", "--help")
    assert done.returncode == 0 and done.stdout == "['--help'] lib\n"
