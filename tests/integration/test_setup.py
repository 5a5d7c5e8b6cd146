"""One place holds the pins; `run_all.sh` installs once, and again only when they change."""

import os
import re
import shutil
import stat
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from lib.paths import PROJECT

PIN = re.compile(r"^([\w.-]+)==([\w.]+)$")
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt", "requirements-export.txt")


def pins(name: str) -> list[str]:
    lines = (PROJECT / name).read_text().splitlines()
    return [pin for line in lines if (pin := line.split("#")[0].strip())]


def test_every_requirement_is_pinned_once_and_installed():
    lines = [pin for name in REQUIREMENTS for pin in pins(name)]
    names = [PIN.fullmatch(line)[1].lower() for line in lines]
    assert len(set(names)) == len(names) > 20
    for line in lines:
        name, pin = PIN.fullmatch(line).groups()
        assert version(name).split("+")[0] == pin, line


def test_conda_takes_the_pins_from_the_same_file():
    """environment.yml names no package but Python and pip, so nothing can differ."""
    dependencies = yaml.safe_load((PROJECT / "environment.yml").read_text())["dependencies"]
    assert dependencies == ["python=3.11", "pip", {"pip": ["-r requirements.txt", "-e ."]}]


def test_ci_runs_the_tests_as_anyone_would():
    script = PROJECT / ".ci/run"
    assert os.access(script, os.X_OK) and os.access(PROJECT / "run_all.sh", os.X_OK)
    assert script.read_text().splitlines()[-1] == "./run_all.sh test"


# A Python that only notes what it is asked to do, so that no test needs the net.
STUB = """#!/usr/bin/env bash
echo "$(basename "$0") $*" >>"$LOG"
case "$*" in
*sys.version_info*) exit "${VERSION_PROBLEM:-0}" ;;
*"-m venv"*)
    folder="${!#}"
    mkdir -p "$folder/bin"
    cp "$0" "$folder/bin/python"
    ;;
*"pip install"*) exit "${INSTALL_PROBLEM:-0}" ;;
--version) echo "Python 3.11.0" ;;
"-P - "*) exit 1 ;;
esac
"""
TOOLS = ("bash", "env", "dirname", "basename", "cat", "cmp", "head", "rm", "mv", "mkdir", "cp")


@pytest.fixture
def checkout(tmp_path):
    """A copy of the files that install, and a path with nothing but bash's tools and the stub."""
    folder, tools = tmp_path / "check out", tmp_path / "bin"
    folder.mkdir()
    tools.mkdir()
    for name in ("run_all.sh", *REQUIREMENTS, "pyproject.toml"):
        shutil.copy(PROJECT / name, folder)
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name))
    write_stub(tools / "python3.11")
    return folder


def write_stub(path: Path) -> None:
    path.write_text(STUB)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def start(checkout: Path, *arguments: str, **environment: str) -> tuple[int, str, list[str]]:
    """Start run_all.sh from another folder; return its code, errors and the stub's calls."""
    log = checkout.parent / "log"
    log.unlink(missing_ok=True)
    given = {"PATH": str(checkout.parent / "bin"), "LOG": str(log), **environment}
    script = str(checkout / "run_all.sh")
    done = subprocess.run(
        [script, *arguments], env=given, cwd=checkout.parent, capture_output=True, text=True
    )
    calls = log.read_text().splitlines() if log.exists() else []
    return done.returncode, done.stderr, calls


def installs(calls: list[str]) -> int:
    return sum("pip install" in line for line in calls)


def test_it_installs_once_and_again_when_the_pins_change(checkout):
    code, _, calls = start(checkout, "laptop", "03", "--data", "a b")
    assert code == 0 and installs(calls) == 1
    assert calls[-1] == "python -P -m lib laptop 03 --data a b"
    assert installs(start(checkout)[2]) == 0
    with open(checkout / "requirements.txt", "a") as file:
        file.write("added==1\n")
    assert installs(start(checkout)[2]) == 1


def test_only_the_tests_need_the_requirements_of_the_tests(checkout):
    (call,) = [line for line in start(checkout)[2] if "pip install" in line]
    assert "requirements-dev.txt" not in call
    (call,) = [line for line in start(checkout, "test")[2] if "pip install" in line]
    assert "requirements.txt" in call and "requirements-dev.txt" in call


def test_a_failed_installation_is_tried_again(checkout):
    code, errors, calls = start(checkout, INSTALL_PROBLEM="1")
    assert code == 2 and "error: the installation failed" in errors
    assert not any("-m lib" in line for line in calls)
    code, _, calls = start(checkout)
    assert code == 0 and installs(calls) == 1


def test_a_moved_checkout_gets_a_new_environment(checkout):
    start(checkout)
    _, _, calls = start(checkout.rename(checkout.with_name("moved")))
    assert any("-m venv --clear" in line for line in calls) and installs(calls) == 1


def test_no_fitting_python(checkout):
    code, errors, _ = start(checkout, VERSION_PROBLEM="1")
    assert code == 2 and "error: no Python 3.11 or 3.12 found; install one" in errors


@pytest.mark.parametrize("arguments", [("--help",), ("laptop", "-h"), ("verify", "--help")])
def test_help_installs_nothing(checkout, arguments):
    code, _, calls = start(checkout, *arguments)
    assert code == 0 and installs(calls) == 0
    assert calls[-1].endswith(f"-P -m lib {' '.join(arguments)}")


def test_an_active_environment_of_other_pins_is_left_alone(checkout):
    """Such as conda's base: asked whether it fits, then neither used nor changed."""
    other = checkout.parent / "base"
    (other / "bin").mkdir(parents=True)
    write_stub(other / "bin/python")
    code, _, calls = start(checkout, CONDA_PREFIX=str(other))
    assert code == 0 and (checkout / ".venv/bin/python").exists() and installs(calls) == 1


def test_an_active_environment_that_fits_is_used(tmp_path):
    """The real script and this very interpreter: nothing is installed, the command runs."""
    before = (PROJECT / ".venv").exists()
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix, "PYTHONPATH": str(PROJECT)}
    command = [str(PROJECT / "run_all.sh"), "papr"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "did you mean 'paper'" in done.stderr
    assert (PROJECT / ".venv").exists() == before
