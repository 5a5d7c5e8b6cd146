"""The download against a local server: resuming, sizes, checksums, archives that mean harm."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lib import files
from lib.data import archive as archive_module
from lib.data import download, synthetic
from lib.data.icbhi import ICBHI, SPLIT_FILE
from lib.data.sprsound import SPRSound
from lib.errors import UserError

COMMIT = SPRSound.download_url.rsplit("/", 1)[1]


class Files(BaseHTTPRequestHandler):
    """Serves `server.files`, with ranges unless `server.ranges` is off; `server.cut` bytes only."""

    def do_GET(self):
        body = self.server.files.get(self.path.lstrip("/"))
        asked = self.headers.get("Range")
        self.server.asked.append((self.path.lstrip("/"), asked))
        if body is None:
            self.send_error(404)
            return
        first = int(asked[6:-1]) if asked and self.server.ranges else 0
        if first >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.end_headers()
            return
        if self.server.chunked:
            self.send_chunks(body)
            return
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        self.wfile.write(body[first : self.server.cut])

    def send_chunks(self, body):
        """As GitHub sends archives: no size, no ranges, and a mark at the end."""
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for first in range(0, len(body), 5000):
            if self.server.cut is not None and first >= self.server.cut:
                return
            part = body[first : first + 5000]
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    server.files, server.asked, server.ranges, server.cut = {}, [], True, None
    server.chunked = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(ICBHI, "download_url", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(SPRSound, "download_url", f"{ICBHI.download_url}/zip/{COMMIT}")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def official(server, tmp_path):
    """The server holds a small database in the official layout."""
    made = tmp_path / "made"
    synthetic.write_icbhi(made, patients=1, cycles=2)
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as out:
        for path in sorted((made / ICBHI.folder).iterdir()):
            out.write(path, f"{ICBHI.folder}/{path.name}")
        out.writestr("__MACOSX/._note", "rubbish")
    server.files["ICBHI_final_database.zip"] = box.getvalue()
    server.files |= {name: (made / name).read_bytes() for name in download.LISTS}
    return made


def archive(tmp_path, name, text="x", mode=0o100644):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as out:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        out.writestr(member, text)
    return path


def test_download_gives_the_official_layout(official, server, tmp_path):
    folder = download.download("icbhi", tmp_path / "data")
    want = {p.name: p.read_bytes() for p in (official / ICBHI.folder).iterdir()}
    got = {p.name: p.read_bytes() for p in (folder / ICBHI.folder).iterdir()}
    assert got == want
    left = {p.name for p in folder.iterdir()}
    assert left == {*download.LISTS, ICBHI.folder, ".lock"}
    server.asked.clear()
    download.download("icbhi", tmp_path / "data")
    assert server.asked == []  # nothing is fetched twice


def test_an_interrupted_download_goes_on(server, tmp_path):
    body = bytes(range(256)) * 100
    server.files["a"], server.cut = body, 10_000
    with pytest.raises(UserError, match="10000 of 25600 bytes arrived; start again"):
        download.fetch(f"{ICBHI.download_url}/a", tmp_path / "a")
    assert not (tmp_path / "a").exists()
    server.cut = None
    assert download.fetch(f"{ICBHI.download_url}/a", tmp_path / "a").read_bytes() == body
    assert server.asked[-1] == ("a", "bytes=10000-")
    assert not (tmp_path / "a.part").exists()


def test_a_server_without_ranges_starts_anew(server, tmp_path):
    server.files["a"], server.ranges = b"0123456789", False
    (tmp_path / "a.part").write_bytes(b"01234")
    assert download.fetch(f"{ICBHI.download_url}/a", tmp_path / "a").read_bytes() == b"0123456789"


@pytest.mark.parametrize("have", [b"0123456789", b"0123456789 and more"])
def test_a_part_that_is_whole_is_kept_and_one_too_long_is_not(server, tmp_path, have):
    server.files["a"] = b"0123456789"
    (tmp_path / "a.part").write_bytes(have)
    if len(have) == 10:
        assert download.fetch(f"{ICBHI.download_url}/a", tmp_path / "a").read_bytes() == have
    else:
        with pytest.raises(UserError, match="of 10 bytes"):
            download.fetch(f"{ICBHI.download_url}/a", tmp_path / "a")
    assert not (tmp_path / "a.part").exists()


def test_no_such_file_and_no_server(server, tmp_path):
    with pytest.raises(UserError, match="the server answers 404 Not Found.*put the file to"):
        download.fetch(f"{ICBHI.download_url}/missing", tmp_path / "a")
    with pytest.raises(UserError, match="refused.*start again"):
        download.fetch("http://127.0.0.1:9/a", tmp_path / "a")


@pytest.mark.parametrize(
    "name", ["../evil", "db/../../evil", "/tmp/evil", "db\\..\\evil", "C:evil"]
)
def test_no_path_leaves_the_target(tmp_path, name):
    with pytest.raises(UserError, match="would leave the folder"):
        download.unpack(archive(tmp_path, name), "db", tmp_path / "out" / "db")
    assert not (tmp_path / "out").exists() and not (tmp_path / "evil").exists()


def test_no_links(tmp_path):
    with pytest.raises(UserError, match="would leave the folder"):
        download.unpack(archive(tmp_path, "db/a", "/etc", 0o120777), "db", tmp_path / "db")


def test_a_wrong_checksum_leaves_nothing_half(tmp_path):
    path = archive(tmp_path, "db/a.wav", "the sound of breath")
    path.write_bytes(path.read_bytes().replace(b"breath", b"brexxh"))
    with pytest.raises(UserError, match="damaged.*CRC.*start again to download it"):
        download.unpack(path, "db", tmp_path / "db")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip.damaged"]


def test_an_archive_that_is_none_or_lacks_the_folder(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match="damaged"):
        download.unpack(tmp_path / "a.zip", "db", tmp_path / "db")
    with pytest.raises(UserError, match="damaged"):
        download.unpack(archive(tmp_path, "other/a"), "db", tmp_path / "db")


def test_a_second_download_is_told_who_holds_the_folder(official, server, tmp_path):
    """Two that go on with the same part would mix it up."""
    with (
        files.file_lock(tmp_path / "data/icbhi/.lock"),
        pytest.raises(UserError, match=f"icbhi: in use by process {os.getpid()}"),
    ):
        download.download("icbhi", tmp_path / "data")
    assert server.asked == []


def test_a_killed_unpacking_is_swept(official, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    folder = tmp_path / "data/icbhi"
    half = files.temp_path(folder / ICBHI.folder, process.pid)
    half.mkdir(parents=True)
    download.download("icbhi", tmp_path / "data")
    assert not half.exists() and (folder / ICBHI.folder).is_dir()


def test_a_closed_folder_is_told(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written to .*; set --data to a folder"):
        download.download("icbhi", tmp_path / "file")


def test_unknown_dataset(tmp_path):
    with pytest.raises(UserError, match="did you mean 'icbhi'"):
        download.download("icbi", tmp_path)


@pytest.fixture
def repository(server, tmp_path):
    """The server holds an archive of a small SPRSound repository, sent as GitHub does."""
    made = tmp_path / "made"
    synthetic.write_sprsound(made, patients=1)

    def pack(base=""):
        box, top = io.BytesIO(), f"SPRSound-{COMMIT}"
        with zipfile.ZipFile(box, "w") as out:
            for path in sorted(path for path in made.rglob("*.*") if path.is_file()):
                out.write(path, f"{top}/{base}{path.relative_to(made)}")
            out.writestr(f"{top}/{base}BioCAS2023/README.md", "a test set")
            out.writestr(f"{top}/BioCAS2025/a.wav", "later")
            link = zipfile.ZipInfo(f"{top}/latest")  # elsewhere, and never unpacked
            link.external_attr = 0o120777 << 16
            out.writestr(link, "BioCAS2025")
        server.files[f"zip/{COMMIT}"] = box.getvalue()

    pack()
    server.chunked, server.pack = True, pack
    return made


@pytest.mark.parametrize("base", ["", "releases/"])
def test_sprsound_comes_out_of_the_repositorys_archive(repository, server, tmp_path, base):
    server.pack(base)
    folder = download.download("sprsound", tmp_path / "data")
    assert sorted(p.name for p in folder.iterdir()) == [".lock", "BioCAS2022", "BioCAS2023"]
    want = {p.relative_to(repository): p.read_bytes() for p in repository.rglob("*.wav")}
    got = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.wav")}
    assert got == want and len(SPRSound(folder).load("record")) == 5
    server.asked.clear()
    download.download("sprsound", tmp_path / "data")
    assert server.asked == []  # nothing is fetched twice


def test_a_cut_archive_without_a_size_is_told_and_fetched_again(repository, server, tmp_path):
    server.cut = 20_000
    with pytest.raises(UserError, match="IncompleteRead.*start again"):
        download.download("sprsound", tmp_path / "data")
    folder = tmp_path / "data/sprsound"
    assert (folder / "sprsound.zip.part").exists() and not (folder / "sprsound.zip").exists()
    server.cut = None
    download.download("sprsound", tmp_path / "data")  # the part is of no use: GitHub starts anew
    assert len(SPRSound(folder).load("record")) == 5 and not (folder / "sprsound.zip").exists()


def test_an_archive_without_the_release_is_refused(repository, server, tmp_path):
    server.files[f"zip/{COMMIT}"] = archive(tmp_path, "SPRSound-0/README.md").read_bytes()
    with pytest.raises(UserError, match="holds no BioCAS2022.*start again to download it"):
        download.download("sprsound", tmp_path / "data")
    server.files[f"zip/{COMMIT}"] = b"<html>gone</html>"
    with pytest.raises(UserError, match="a web page, not the file"):
        download.download("sprsound", tmp_path / "data")
    left = sorted(path.name for path in (tmp_path / "data/sprsound").iterdir())
    assert left == [".lock", "sprsound.zip.damaged"]


def test_a_file_without_size_or_marks_is_refused(server, tmp_path, monkeypatch):
    server.files["a"] = b"0123456789"
    monkeypatch.setattr(Files, "send_header", lambda self, key, value: None)
    with pytest.raises(UserError, match="does not name the file's size"):
        download.fetch(f"{ICBHI.download_url}/a", tmp_path / "a")


# Archives and servers that mean harm, or are damaged


def zip_of(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, text in members.items():
            out.writestr(f"db/{name}", text)
    return path


def set_field(path, at, value):
    """Write two bytes of a member, in its header and (2 bytes later) in the directory."""
    body = bytearray(path.read_bytes())
    for first in (body.index(b"PK\3\4") + at, body.index(b"PK\1\2") + at + 2):
        body[first : first + 2] = value.to_bytes(2, "little")
    path.write_bytes(body)


def damage_deflate(path):
    body = bytearray(path.read_bytes())
    first = body.index(b"a.wav") + 5
    body[first : first + 20] = bytes(range(200, 220))
    path.write_bytes(body)


FLAGS, METHOD = 6, 8
LZMA, DEFLATE64, ENCRYPTED = 14, 9, 1
DAMAGES = {
    "zlib": damage_deflate,
    "lzma": lambda path: set_field(path, METHOD, LZMA),
    "an unknown method": lambda path: set_field(path, METHOD, DEFLATE64),
    "encrypted": lambda path: set_field(path, FLAGS, ENCRYPTED),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:60]),
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_archive_is_set_aside(tmp_path, damage):
    path = zip_of(tmp_path / "a.zip", **{"a.wav": "sound " * 5000})
    DAMAGES[damage](path)
    with pytest.raises(UserError, match="a.zip: damaged .*set aside as a.zip.damaged; start again"):
        download.unpack(path, "db", tmp_path / "db")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip.damaged"]


def test_a_member_with_two_names_is_not_left_out(tmp_path):
    """The directory says dc/b.wav, which is not below db; the member's own header says db/b.wav."""
    path = zip_of(tmp_path / "a.zip", **{"a.wav": "sound", "b.wav": "sound"})
    body = bytearray(path.read_bytes())
    body[body.rindex(b"db/b.wav") + 1] = ord("c")
    path.write_bytes(body)
    with pytest.raises(UserError, match="a.zip: damaged .*header b'db/b.wav' differ"):
        download.unpack(path, "db", tmp_path / "db")
    assert not (tmp_path / "db").exists()


def test_the_next_start_fetches_a_damaged_archive_anew(official, server, tmp_path):
    name, whole = "ICBHI_final_database.zip", server.files["ICBHI_final_database.zip"]
    server.files[name] = whole[:300] + bytes(300) + whole[600:]
    with pytest.raises(UserError, match="damaged .*start again to download it"):
        download.download("icbhi", tmp_path / "data")
    server.files[name] = whole
    folder = download.download("icbhi", tmp_path / "data")
    assert len(ICBHI(folder).load()) == len(ICBHI(official).load())


def test_an_archive_that_would_fill_the_disk_is_refused(tmp_path, monkeypatch):
    path = zip_of(tmp_path / "a.zip", a=bytes(10**6), b=bytes(10**6))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(archive_module, "MAX_BYTES", 10**6)
    with pytest.raises(UserError, match="would unpack to 2 files of 2,000,000 bytes"):
        download.unpack(path, "db", tmp_path / "db")
    monkeypatch.setattr(archive_module, "MAX_BYTES", 10**7)
    free = archive_module.shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr(archive_module.shutil, "disk_usage", lambda _: free)
    path = zip_of(tmp_path / "a.zip", a=bytes(10**6), b=bytes(10**6))
    with pytest.raises(UserError, match="needs 0.0 GB, 0.0 are free; free space and start again"):
        download.unpack(path, "db", tmp_path / "db")
    assert path.exists() and not (tmp_path / "db").exists()  # nothing is wrong with the archive


def test_a_size_that_lies_is_noticed(tmp_path):
    """Reading a member ends at its size, so that the sum of sizes bounds what is written."""
    path = zip_of(tmp_path / "a.zip", a=bytes(10**6))
    body = path.read_bytes()
    path.write_bytes(body.replace((10**6).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(UserError, match="damaged .*CRC"):
        download.unpack(path, "db", tmp_path / "db")


PAGE = b"\n<!DOCTYPE html><title>Sign in to the network</title>"


def test_a_page_of_the_network_is_no_file(official, server, tmp_path):
    good = server.files[SPLIT_FILE]
    server.files[SPLIT_FILE] = PAGE
    with pytest.raises(UserError, match=f"{SPLIT_FILE}: a web page, not the file .*sign in"):
        download.download("icbhi", tmp_path / "data")
    folder = tmp_path / "data/icbhi"
    assert not list(folder.glob(f"{SPLIT_FILE}*"))
    (folder / SPLIT_FILE).write_bytes(PAGE)  # as an earlier version kept it
    server.files[SPLIT_FILE] = good
    download.download("icbhi", tmp_path / "data")
    assert (folder / SPLIT_FILE).read_bytes() == good


def test_a_page_does_not_replace_the_part_that_is_there(server, tmp_path, monkeypatch):
    server.files["a"], server.ranges = PAGE, False
    (tmp_path / "a.part").write_bytes(b"the first half")
    header = lambda self: self.send_header("Content-Type", "text/html")  # noqa: E731
    end = Files.end_headers
    monkeypatch.setattr(Files, "end_headers", lambda self: (header(self), end(self)))
    with pytest.raises(UserError, match="a web page, not the file"):
        download.fetch(f"{ICBHI.download_url}/a", tmp_path / "a")
    assert (tmp_path / "a.part").read_bytes() == b"the first half"


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_file_with_a_published_checksum_is_that_file(server, tmp_path, algorithm):
    url, path = f"{ICBHI.download_url}/a", tmp_path / "a"
    checksum = f"{algorithm}:{hashlib.new(algorithm, b'good').hexdigest()}"
    server.files["a"] = b"evil"
    with pytest.raises(UserError, match=f"another file than the published one .its {algorithm}"):
        download.fetch(url, path, checksum)
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"evil")
    server.files["a"] = b"good"
    assert download.fetch(url, path, checksum).read_bytes() == b"good"
    assert (tmp_path / "a.damaged").read_bytes() == b"evil"


def test_only_what_is_missing_is_fetched(official, server, tmp_path):
    """Recordings in another layout, without the challenge's list."""
    sounds = tmp_path / "data/Respiratory_Sound_Database/audio_and_txt_files"
    shutil.copytree(official / ICBHI.folder, sounds)
    with pytest.raises(UserError, match=f"{SPLIT_FILE}: not found; .*download icbhi --data"):
        ICBHI.open(ICBHI.locate(tmp_path / "data")).load()
    folder = download.download("icbhi", tmp_path / "data")
    assert folder == sounds and {name for name, _ in server.asked} == set(download.LISTS)
    assert len(ICBHI.open(folder).load()) == len(ICBHI(official).load())
