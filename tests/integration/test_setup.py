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
LISTED = (PROJECT / "requirements.txt").read_text().splitlines()
PINS = [pin for line in LISTED if (pin := line.split("#")[0].strip())]


def test_every_requirement_is_pinned_once_and_installed():
    names = [PIN.fullmatch(line)[1].lower() for line in PINS]
    assert len(set(names)) == len(names) > 20
    for line in PINS:
        name, pin = PIN.fullmatch(line).groups()
        assert version(name).split("+")[0] == pin, line


def test_conda_takes_the_pins_from_the_same_file():
    """No package but Python and pip is named in environment.yml: nothing can differ."""
    wanted = yaml.safe_load((PROJECT / "environment.yml").read_text())["dependencies"]
    assert wanted == ["python=3.11", "pip", {"pip": ["-r requirements.txt", "-e ."]}]


def test_every_package_is_installed_with_the_project():
    listed = re.search(r"^packages = \[(.*)\]", (PROJECT / "pyproject.toml").read_text(), re.M)
    there = {p.parent for p in (PROJECT / "lib").rglob("__init__.py")}
    named = {PROJECT / name.strip(' "').replace(".", "/") for name in listed[1].split(",")}
    assert named == there


def test_ci_runs_the_tests_as_anyone_would():
    script = PROJECT / ".ci/run"
    assert os.access(script, os.X_OK) and os.access(PROJECT / "run_all.sh", os.X_OK)
    assert script.read_text().splitlines()[-1] == "./run_all.sh test"


# A Python that only notes what it is asked to do, so that no test needs the net.
STUB = """#!/usr/bin/env bash
echo "$(basename "$0") $*" >>"$LOG"
case "$*" in
*sys.version_info*) exit "${VERSION_FAULT:-0}" ;;
*"-m venv"*)
    folder="${!#}"
    mkdir -p "$folder/bin"
    cp "$0" "$folder/bin/python"
    ;;
*"pip install"*) exit "${INSTALL_FAULT:-0}" ;;
--version) echo "Python 3.11.0" ;;
"-P - "*) exit 1 ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """A copy of the files that install, and a path with nothing but bash's tools and the stub."""
    folder = tmp_path / "check out"
    folder.mkdir()
    for name in ("run_all.sh", "requirements.txt", "pyproject.toml"):
        shutil.copy(PROJECT / name, folder)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "basename", "cat", "cmp", "head", "rm", "mv", "mkdir", "cp"):
        (tools / name).symlink_to(shutil.which(name))
    (tools / "env").symlink_to(shutil.which("env"))
    write_stub(tools / "python3.11")
    return folder


def write_stub(path: Path) -> None:
    path.write_text(STUB)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def start(checkout: Path, *arguments: str, **environment: str) -> tuple[int, str, list[str]]:
    """Exit code, what was said, and what the stub was asked, from another folder."""
    log = checkout.parent / "log"
    log.unlink(missing_ok=True)
    given = {"PATH": str(checkout.parent / "bin"), "LOG": str(log), **environment}
    script = str(checkout / "run_all.sh")
    done = subprocess.run(
        [script, *arguments], env=given, cwd=checkout.parent, capture_output=True, text=True
    )
    asked = log.read_text().splitlines() if log.exists() else []
    return done.returncode, done.stderr, asked


def installs(asked: list[str]) -> int:
    return sum("pip install" in line for line in asked)


def test_it_installs_once_and_again_when_the_pins_change(checkout):
    code, _, asked = start(checkout, "quick", "03", "--data", "a b")
    assert code == 0 and installs(asked) == 1
    assert asked[-1] == "python -P -m lib quick 03 --data a b"
    assert installs(start(checkout)[2]) == 0
    with open(checkout / "requirements.txt", "a") as file:
        file.write("added==1\n")
    assert installs(start(checkout)[2]) == 1


def test_a_failed_installation_is_tried_again(checkout):
    code, said, asked = start(checkout, INSTALL_FAULT="1")
    assert code == 2 and "error: the installation failed" in said
    assert not any("-m lib" in line for line in asked)
    code, _, asked = start(checkout)
    assert code == 0 and installs(asked) == 1


def test_a_moved_checkout_makes_its_environment_anew(checkout):
    start(checkout)
    moved = checkout.rename(checkout.with_name("moved"))
    _, _, asked = start(moved)
    assert any("-m venv --clear" in line for line in asked) and installs(asked) == 1


def test_no_fitting_python(checkout):
    code, said, _ = start(checkout, VERSION_FAULT="1")
    assert code == 2 and "error: no Python 3.11 or 3.12 found; install one" in said


def test_help_installs_nothing(checkout):
    code, _, asked = start(checkout, "--help")
    assert code == 0 and installs(asked) == 0 and asked[-1].endswith("-P -m lib --help")


def test_an_active_environment_of_other_pins_is_left_alone(checkout):
    """Such as conda's base: asked whether it fits, then neither used nor changed."""
    other = checkout.parent / "base"
    (other / "bin").mkdir(parents=True)
    write_stub(other / "bin/python")
    code, _, asked = start(checkout, CONDA_PREFIX=str(other))
    assert code == 0 and (checkout / ".venv/bin/python").exists() and installs(asked) == 1


def test_an_active_environment_that_fits_is_used(tmp_path):
    """The real script and this very interpreter: nothing is made, the help is shown."""
    before = (PROJECT / ".venv").exists()
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix, "PYTHONPATH": str(PROJECT)}
    command = [str(PROJECT / "run_all.sh"), "papr"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "did you mean 'paper'" in done.stderr
    assert (PROJECT / ".venv").exists() == before
