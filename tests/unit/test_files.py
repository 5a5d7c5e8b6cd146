"""Writing aside: what exists is never lost or half there, and faults name the file."""

import errno
import os
import subprocess
import sys
import time

import pytest

from lib import files
from lib.errors import UserError, unknown


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    files.write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), files.atomic_write(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EFBIG, "larger than the disk or `ulimit -f` allows"),
        (errno.EROFS, "not writable"),
        (errno.ENOTDIR, "not writable"),
    ],
)
def test_a_full_or_read_only_disk_is_told(tmp_path, code, words):
    path = tmp_path / "table.csv"
    with pytest.raises(UserError, match=f"table.csv: {words}"), files.atomic_write(path):
        raise OSError(code, "disk")
    assert not list(tmp_path.iterdir())


def test_unknown_names_come_with_the_nearest():
    assert "did you mean 'quick'" in str(unknown("profile", "quik", ["quick", "paper"]))
    assert "known: quick, paper" in str(unknown("profile", "zzz", ["quick", "paper"]))


def test_json_faults_name_the_file(tmp_path):
    with pytest.raises(UserError, match="none.json: not found"):
        files.read_json(tmp_path / "none.json")


@pytest.fixture
def dead():
    """The number of a process that runs no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_two_machines_write_aside_under_two_names(tmp_path, monkeypatch):
    """The same process number on both, as in containers that share a disk."""
    here = files.temp_path(tmp_path / "a.csv")
    there = os.uname_result(("Linux", "other.machine", "", "", ""))
    monkeypatch.setattr(os, "uname", lambda: there)
    assert files.temp_path(tmp_path / "a.csv") != here
    assert files.temp_path(tmp_path / "a.csv").name == f"a.csv.other.machine.{os.getpid()}.part"


def test_what_a_dead_process_left_is_swept(tmp_path, dead):
    machine = os.uname().nodename
    kept = [
        files.temp_path(tmp_path / "mine.csv"),
        tmp_path / f"young.csv.other.{dead}.part",  # nobody here knows whether it is alive
        tmp_path / "database.zip.part",  # a download goes on with it
        tmp_path / "table.csv",
    ]
    swept = [
        tmp_path / f"a.csv.{machine}.{dead}.part",
        tmp_path / f"below/b.npy.{machine}.{dead}.part",
        tmp_path / f"folder.{machine}.{dead}.part/c.wav",
        tmp_path / f"old.csv.other.{os.getpid()}.part",
    ]
    for path in (*kept, *swept):
        files.write_text(path, "half")
    for path in (swept[-1], kept[2], kept[3]):
        os.utime(path, (0, time.time() - 2 * files.OLD_SECONDS))
    files.remove_stale(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)
    assert not swept[2].parent.exists()
    files.remove_stale(tmp_path / "not there")


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    files.require_writable("REPORTS_ROOT", tmp_path / "a/b")
    assert list((tmp_path / "a/b").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/b: cannot be .*directory.*; set REPORTS_ROOT to"):
        files.require_writable("REPORTS_ROOT", tmp_path / "file/b")
