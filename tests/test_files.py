"""Writing aside: what exists is never lost or half there, and faults name the file."""

import errno

import pytest

from lib import files
from lib.errors import UserError, unknown


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    files.write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), files.aside(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "no space left"), (errno.EROFS, "not writable")]
)
def test_a_full_or_read_only_disk_is_told(tmp_path, code, words):
    path = tmp_path / "table.csv"
    with pytest.raises(UserError, match=f"table.csv: {words}"), files.aside(path):
        raise OSError(code, "disk")
    assert not list(tmp_path.iterdir())


def test_unknown_names_come_with_the_nearest():
    assert "did you mean 'quick'" in str(unknown("profile", "quik", ["quick", "paper"]))
    assert "known: quick, paper" in str(unknown("profile", "zzz", ["quick", "paper"]))


def test_json_faults_name_the_file(tmp_path):
    with pytest.raises(UserError, match="none.json: not found"):
        files.read_json(tmp_path / "none.json")
