"""The runtime's archive: fetched once, checked, and its two files taken out."""

import hashlib
import io
import tarfile

import pytest

from lib.errors import UserError
from lib.export import runtime


def archive(path, names):
    with tarfile.open(path, "w:gz") as box:
        for name in names:
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(name)
            box.addfile(member, io.BytesIO(name.encode()))
    return path


@pytest.fixture
def offer(tmp_path, monkeypatch):
    """Offer an archive with some files at the runtime's address: offer(names)."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path / "weights"))

    def make(*names):
        path = archive(tmp_path / "offered.tgz", names)
        monkeypatch.setattr(runtime, "URL", path.as_uri())
        checksum = f"sha512:{hashlib.sha512(path.read_bytes()).hexdigest()}"
        monkeypatch.setattr(runtime, "CHECKSUM", checksum)
        return path

    return make


def test_it_is_fetched_once(offer):
    path = offer(runtime.SCRIPT, runtime.WASM, "other")
    expected = {name: name.encode() for name in (runtime.SCRIPT, runtime.WASM)}
    assert runtime.runtime_files() == expected
    path.unlink()
    assert runtime.runtime_files() == expected


def test_another_file_is_not_believed(offer, monkeypatch):
    path = offer(runtime.SCRIPT, runtime.WASM)
    monkeypatch.setattr(runtime, "CHECKSUM", f"sha512:{'0' * 128}")
    with pytest.raises(UserError, match="sha512 differs"):
        runtime.runtime_files()
    path.unlink()


def test_an_archive_without_them_is_named(offer):
    offer(runtime.SCRIPT)
    with pytest.raises(UserError, match=f"{runtime.ARCHIVE}: not the archive.*wasm"):
        runtime.runtime_files()
