"""The runtime's archive: fetched once, checked, and its two files taken out."""

import hashlib
import io
import shutil
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


def npm(folder, monkeypatch, answer):
    """Put a program of that name first in PATH."""
    program = folder / "bin/npm"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


@pytest.fixture
def offer(tmp_path, monkeypatch):
    """Offer an archive with some files at the runtime's address: offer(names)."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path / "weights"))

    def make(*names):
        path = archive(tmp_path / "offered.tgz", names)
        npm(tmp_path, monkeypatch, f"echo {path.as_uri()}")
        monkeypatch.setattr(runtime, "SHA512", hashlib.sha512(path.read_bytes()).hexdigest())
        return path

    return make


def test_it_is_fetched_once(offer):
    path = offer(runtime.SCRIPT, runtime.WASM, "other")
    expected = {name: name.encode() for name in (runtime.SCRIPT, runtime.WASM)}
    assert runtime.runtime_files() == expected
    path.unlink()
    assert runtime.runtime_files() == expected


def test_another_file_is_not_believed(offer, monkeypatch, tmp_path):
    path = offer(runtime.SCRIPT, runtime.WASM)
    monkeypatch.setattr(runtime, "SHA512", "0" * 128)
    with pytest.raises(UserError, match="sha512 differs"):
        runtime.runtime_files()
    shutil.copy(path, tmp_path / "weights" / runtime.ARCHIVE)
    with pytest.raises(UserError, match="sha512 differs.*delete it"):
        runtime.runtime_files()


def test_an_archive_without_them_is_named(offer):
    offer(runtime.SCRIPT)
    with pytest.raises(UserError, match=f"{runtime.ARCHIVE}: not the archive.*wasm"):
        runtime.runtime_files()


@pytest.mark.parametrize(("answer", "said"), [("exit 1", "does not find"), ("", "does not find")])
def test_without_it_a_remedy_is_named(tmp_path, monkeypatch, answer, said):
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path / "weights"))
    npm(tmp_path, monkeypatch, answer)
    with pytest.raises(
        UserError, match=f"npm {said} onnxruntime-web@.*npm pack.*{runtime.ARCHIVE}"
    ):
        runtime.runtime_files()
    (tmp_path / "bin/npm").unlink()
    with pytest.raises(UserError, match="npm is not installed; run `npm pack"):
        runtime.runtime_files()
