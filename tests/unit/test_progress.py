"""A bar for a terminal; in a file few lines, and no carriage return."""

import io
import re

import pytest

from lib import progress
from lib.paths import PROJECT


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second a reading."""
    seconds = iter(range(10**6))
    monkeypatch.setattr("tqdm.std.time", lambda: float(next(seconds)))


def advance(total: int) -> None:
    with progress.progress_bar(total=total, desc="features") as bar:
        for _ in range(total):
            bar.update(0.5)
            bar.update(0.5)


def test_a_file_gets_at_most_a_line_each_thirty_seconds(clock, capsys):
    advance(100)  # each update reads the clock once, a line some times more
    text = capsys.readouterr().err
    assert "\r" not in text and "\n\n" not in text
    lines = text.splitlines()
    assert 3 <= len(lines) <= 200 / 30 and all(line.startswith("features: ") for line in lines)


def test_short_work_writes_nothing_into_a_file(capsys):
    advance(5)
    assert list(progress.progress_bar("abc", desc="unpacking")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", screen)
    advance(5)
    assert screen.getvalue().startswith("\rfeatures:   0%") and "5.0/5" in screen.getvalue()


def test_every_bar_is_made_here():
    """A bare tqdm would fill log files."""
    sources = {path: path.read_text() for path in (PROJECT / "lib").rglob("*.py")}
    makes = {path.name for path, text in sources.items() if re.search(r"\b(tqdm|trange)\(", text)}
    assert makes == {"progress.py"}
