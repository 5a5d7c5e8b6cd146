#!/usr/bin/env bash
# Installs what is needed, once, and runs a command. `./run_all.sh --help` lists the commands.
set -euo pipefail

# Nothing of the user's own settings reaches this project's Python.
unset CDPATH PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONOPTIMIZE PYTHONWARNINGS
export PYTHONNOUSERSITE=1 PYTHONUTF8=1 PIP_USER=0
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"  # threads sleep while they wait for others

project="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
venv="$project/.venv"
stamp="$venv/installed"
requirements=("$project/requirements.txt")
if [[ "${1:-}" == test ]]; then
    requirements+=("$project/requirements-dev.txt" "$project/requirements-export.txt")
    stamp="$venv/installed-dev"
fi

fail() {
    echo "error: $*" >&2
    exit 2
}

# The first Python of version 3.11 or 3.12 on the path.
find_python() {
    local name
    for name in python3.11 python3.12 python3 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
            >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    fail "no Python 3.11 or 3.12 found; install one (Debian: apt install python3.11-venv) or" \
        "use conda env create -f environment.yml"
}

# An active environment is used only if it holds every pin.
active_fits() {
    local active="${VIRTUAL_ENV:-${CONDA_PREFIX:-}}"
    [[ -n "$active" && -x "$active/bin/python" ]] || return 1
    "$active/bin/python" -P - "${requirements[@]}" <<'PY' 2>/dev/null
import re, sys
from importlib.metadata import version
from pathlib import Path
text = "".join(Path(name).read_text() for name in sys.argv[1:])
pins = re.findall(r"^([\w.-]+)==(\S+)", text, re.M)
assert sys.version_info[:2] in ((3, 11), (3, 12)) and pins
assert all(version(name).split("+")[0] == pin for name, pin in pins)
PY
}

# What the environment is made from; its place counts too, because scripts in it hold the path.
wanted_stamp() {
    echo "$venv"
    "$1" --version
    cat "${requirements[@]}" "$project/pyproject.toml"
}

install() {
    local base="$1" options=() file place
    place="$(cat "$venv"/installed* 2>/dev/null | head -n 1 || true)"
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 || [[ "${place:-$venv}" != "$venv" ]]; then
        "$base" -m venv --clear "$venv" ||
            fail "$base cannot make $venv; install its venv module (Debian: python3.11-venv)"
    fi
    rm -f "$stamp"
    echo "Installing into $venv (some minutes, once) ..." >&2
    for file in "${requirements[@]}"; do options+=(-r "$file"); done
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        "${options[@]}" -e "$project" ||
        fail "the installation failed (see above); fix it and start the same command again"
    wanted_stamp "$base" >"$stamp.part"
    mv "$stamp.part" "$stamp"
}

if [[ ! "${1:-}" =~ ^(test|python)$ && " $* " =~ \ (-h|--help)\  ]]; then # nothing to install
    PYTHONPATH="$project" exec "$(find_python)" -P -m lib "$@"
fi

if active_fits; then
    python="${VIRTUAL_ENV:-$CONDA_PREFIX}/bin/python"
else
    base="$(find_python)"
    if ! cmp -s <(wanted_stamp "$base") "$stamp"; then
        install "$base"
    fi
    python="$venv/bin/python"
fi
PYTHONPATH="$project" exec "$python" -P -m lib "$@"
