"""Atomic writes, stale files, locks and checksums; every error names its file."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time

import filelock
import pytest

from lib import files, paths
from lib.errors import UserError, unknown


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    files.write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), files.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EFBIG, "larger than the disk or `ulimit -f` allows"),
        (errno.EROFS, "not writable"),
        (errno.ENOTDIR, "not writable"),
    ],
)
def test_a_full_or_read_only_disk_is_a_user_error(tmp_path, code, message):
    path = tmp_path / "table.csv"
    with pytest.raises(UserError, match=f"table.csv: {message}"), files.atomic_write(path):
        raise OSError(code, "disk")
    assert not list(tmp_path.iterdir())


def test_numpy_s_short_write_is_a_full_disk(tmp_path):
    """`np.save` raises an OSError without a number."""
    path = tmp_path / "a.npy"
    with pytest.raises(UserError, match="a.npy: no space left"), files.atomic_write(path):
        raise OSError("6272 requested and 2436 written")


def test_a_folder_that_is_not_writable_is_named(tmp_path):
    files.require_writable("REPORTS_ROOT", tmp_path / "a/b")
    assert list((tmp_path / "a/b").iterdir()) == []
    (tmp_path / "a/b/.writable").write_text("a user's file")
    files.require_writable("REPORTS_ROOT", tmp_path / "a/b")
    assert (tmp_path / "a/b/.writable").read_text() == "a user's file"
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/b: cannot be .*directory.*; set REPORTS_ROOT to"):
        files.require_writable("REPORTS_ROOT", tmp_path / "file/b")


def test_json_errors_name_the_file(tmp_path):
    with pytest.raises(UserError, match="none.json: not found"):
        files.read_json(tmp_path / "none.json")
    for damaged in ("{", "[" * 10**5):
        (tmp_path / "half.json").write_text(damaged)
        with pytest.raises(UserError, match="half.json: not valid JSON"):
            files.read_json(tmp_path / "half.json")
    for value in ("[]", "null", '"text"'):
        (tmp_path / "half.json").write_text(value)
        with pytest.raises(UserError, match="half.json: holds no JSON object"):
            files.read_json(tmp_path / "half.json")


def test_json_is_read_strictly_and_in_what_programs_save(tmp_path):
    for text in ('{"a": 1, "a": 2}', '{"b": {"a": 1, "c": 3, "a": 2}}'):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(UserError, match="a.json: not valid JSON .the key 'a' is there twice"):
            files.read_json(tmp_path / "a.json")
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "a.json").write_bytes('{"ä": 1}'.encode(encoding))
        assert files.read_json(tmp_path / "a.json") == {"ä": 1}
    (tmp_path / "a.json").write_bytes('{"ä": 1}'.encode("latin-1"))
    with pytest.raises(UserError, match="a.json: not UTF-8; save it as UTF-8"):
        files.read_json(tmp_path / "a.json")


def test_what_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.json").mkdir()
    for read in (files.read_json, files.sha256_of):
        with pytest.raises(UserError, match="a.json: cannot be read .*directory"):
            read(tmp_path / "a.json")


def test_unknown_names_come_with_the_nearest():
    assert "did you mean 'laptop'" in str(unknown("profile", "labtop", ["laptop", "paper"]))
    assert "known: laptop, paper" in str(unknown("profile", "zzz", ["laptop", "paper"]))


def test_checksums(tmp_path):
    (tmp_path / "a").write_bytes(b"bytes")
    assert files.sha256_of(tmp_path / "a") == hashlib.sha256(b"bytes").hexdigest()
    assert files.digest({"b": 1, "a": [2]}) == files.digest({"a": [2], "b": 1})
    assert files.digest({"a": 1}) == hashlib.sha256(b'{"a": 1}').hexdigest()


# Stale files


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_two_machines_write_to_two_temporary_paths(tmp_path, monkeypatch):
    """With the same process number on both, as in containers that share a disk."""
    here = files.temp_path(tmp_path / "a.csv")
    monkeypatch.setattr(files.platform, "node", lambda: "other.machine")
    assert files.temp_path(tmp_path / "a.csv") != here
    name = f".a.csv.other.machine.{os.getpid()}.part~rs"
    assert files.temp_path(tmp_path / "a.csv").name == name


def test_only_stale_files_of_this_project_are_removed(tmp_path, dead):
    day = 2 * files.OLD_SECONDS
    ages = {  # path -> age in seconds, of what stays
        files.temp_path(tmp_path / "mine.csv"): day,  # this process still runs
        tmp_path / f".young.csv.other.{dead}.part~rs": 0,  # may still be written
        tmp_path / "database.zip.part": day,  # a download continues it
        tmp_path / "below/album.2.part/song.wav": day,  # a user's files
        tmp_path / f"backup.{dead}.part~rs": day,
        tmp_path / ".notes.part~rs": day,
        tmp_path / "table.csv": day,
        files.temp_path(tmp_path / "a/user's/backup.npy", dead): day,  # not where this one writes
        files.temp_path(tmp_path.with_name("linked") / "c.csv", dead): day,
    }
    stale = {
        files.temp_path(tmp_path / "a.csv", dead): 0,
        files.temp_path(tmp_path / "below/b.npy", dead): 0,
        files.temp_path(tmp_path / "folder", dead) / "c.wav": 0,
        tmp_path / f".old.csv.other.{os.getpid()}.part~rs": day,
    }
    for path, age in (ages | stale).items():
        files.write_text(path, "half")
        os.utime(path, (0, time.time() - age))
    (tmp_path / "link").symlink_to(tmp_path.with_name("linked"))
    files.remove_stale(tmp_path)
    assert all(path.exists() for path in ages) and not any(path.exists() for path in stale)
    assert not files.temp_path(tmp_path / "folder", dead).exists()
    files.remove_stale(tmp_path / "not there")


# Locks


def test_a_lock_names_its_holder_and_is_free_again(tmp_path):
    path = tmp_path / "runs/.lock"
    message = f"runs: in use by process {os.getpid()}; wait for it"
    with files.file_lock(path):
        for _ in range(2):  # the name stays after the first refusal
            with pytest.raises(UserError, match=message), files.file_lock(path):
                pass
    with files.file_lock(path):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = (
        "import sys, time, pathlib; from lib import files\n"
        "with files.file_lock(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / ".lock")]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=paths.PROJECT)
    assert holder.stdout.readline() == b"held\n"
    with (
        pytest.raises(UserError, match=f"in use by process {holder.pid}"),
        files.file_lock(tmp_path / ".lock"),
    ):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with files.file_lock(tmp_path / ".lock", wait=True):
        pass


def test_a_lock_never_writes_through_a_link(tmp_path):
    (tmp_path / "notes.txt").write_text("a user's file")
    (tmp_path / ".lock").symlink_to(tmp_path / "notes.txt")
    with pytest.raises(UserError, match=".lock: not writable"), files.file_lock(tmp_path / ".lock"):
        pass
    assert (tmp_path / "notes.txt").read_text() == "a user's file"


def test_a_file_system_without_locks_is_accepted(tmp_path, monkeypatch):
    def refuse_with(code):
        def acquire(*_):
            raise OSError(code, os.strerror(code))

        return acquire

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse_with(errno.ENOLCK))
    with files.file_lock(tmp_path / ".lock"):
        pass
    monkeypatch.setattr(filelock.FileLock, "acquire", refuse_with(errno.EIO))
    with pytest.raises(OSError, match="[Ii]nput/output"), files.file_lock(tmp_path / ".lock"):
        pass
