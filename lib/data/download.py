"""Download the official recordings: resumable, checked, unpacked only into their folder."""

import re
from pathlib import Path

from lib.data.archive import list_names, unpack
from lib.data.dataset import Dataset
from lib.data.fetch import fetch, set_aside
from lib.data.icbhi import DEMOGRAPHICS, DIAGNOSES, ICBHI, SPLIT_FILE
from lib.data.sprsound import BASES, SPRSound
from lib.errors import UserError, unknown
from lib.files import file_lock, read_text, remove_stale, require_writable

LISTS = (SPLIT_FILE, DIAGNOSES, DEMOGRAPHICS)  # beside ICBHI's archive
RELEASES = ("BioCAS2022", "BioCAS2023")  # of SPRSound; later ones have no labels of records


def download(dataset: str, root: Path) -> Path:
    """Fetch what is missing of a dataset that lies in `root`, else all of it into `root/<dataset>`.

    Returns its folder. The makers publish no checksums: the size that the server names, if it does,
    and the archive's own CRC of every file are checked. Interrupted, it goes on where it stopped,
    if the server can send a part. Raises `UserError` if the server, the archive or the disk fails.
    """
    if dataset not in DATASETS:
        raise unknown("dataset", dataset, DATASETS)
    kind = {each.name: each for each in (ICBHI, SPRSound)}[dataset]
    folder = kind.locate(Path(root)) or Path(root) / dataset
    require_writable("--data", folder)
    with file_lock(folder / ".lock"):  # two that go on with the same part would mix it up
        remove_stale(folder)
        opened = DATASETS[dataset](folder)
    print(f"{folder}: {opened.banner or 'all recordings are here.'}")
    return folder


def _icbhi(folder: Path) -> Dataset:
    """Download ICBHI: about 2 GB, and the lists beside it."""
    for name in LISTS:
        if path := ICBHI(folder).find_list(name):
            _set_aside_if_no_text(path)
        if not ICBHI(folder).find_list(name):
            fetch(f"{ICBHI.download_url}/{name}", folder / name)
    if not ICBHI.lies_in(folder):
        name = f"{ICBHI.folder}.zip"
        archive = fetch(f"{ICBHI.download_url}/{name}", folder / name)
        unpack(archive, ICBHI.folder, folder / ICBHI.folder)
        archive.unlink()
    return ICBHI.open(folder)


def _set_aside_if_no_text(path: Path) -> None:
    try:
        page = read_text(path).lstrip().startswith("<")
    except UserError:
        page = True
    if page:
        set_aside(path)


def _sprsound(folder: Path) -> Dataset:
    """Download SPRSound: two releases out of an archive of its repository (1 GB or more).

    The server packs it anew for everyone: it names no size and cannot send a part.
    """
    missing = [
        name for name in RELEASES if not any((folder / base / name).exists() for base in BASES)
    ]
    if missing:
        archive = fetch(SPRSound.download_url, folder / "sprsound.zip")
        for name in missing:
            unpack(archive, _folder_in(archive, name), folder / name)
        archive.unlink()
    return SPRSound.open(folder)


def _folder_in(archive: Path, name: str) -> str:
    """Return the path of a release in the repository's archive; it has been in two places."""
    names = list_names(archive)
    for base in BASES:
        pattern = re.compile(rf"([^/]+/{base and base + '/'}{name})/")
        for match in filter(None, map(pattern.match, names)):
            return match[1]
    aside = set_aside(archive)
    raise UserError(
        f"{archive}: it holds no {name}, set aside as {aside.name}; start again to download it anew"
    )


DATASETS = {"icbhi": _icbhi, "sprsound": _sprsound}
