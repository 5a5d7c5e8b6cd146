"""Local pages and records become published ones: the only way anything in `reports/` changes."""

import re
import shutil
from pathlib import Path

from lib import files
from lib import paths as lib_paths
from lib.errors import UserError, unknown
from lib.reports import index, metadata
from lib.reports.build import PUBLISHED, local_root

PARTS = ("results", "tables", "figures")
KINDS = (".csv", ".md", ".tex", ".png", ".svg")
PAGE_BYTES = 10_000_000
FOLDER_BYTES = 40_000_000  # pages, tables and figures together
RUNS_BYTES = 20_000_000  # four systems
SOUND = re.compile(r"<audio\b.*?</audio>", re.S | re.I)
SOUND_LEFT = re.compile(r"data:(?:audio|video)/|<(?:audio|video)\b|\bnew Audio\b", re.I)
NO_SOUND = '<p class="about">(A sound player stands here in local reports.)</p>'


def publish(name: str | None = None) -> Path:
    """Copy a local folder's pages, results, tables, figures and run records; returns the index.

    Players of real sounds are left out. Raises `UserError`, before anything is copied, if a page
    failed, if sound is left in a page of real recordings, or if it would be too large.
    """
    folder = _local(name)
    made = metadata.cards(folder)
    texts = {card.name: _page(folder, card) for card in made}
    others = [p for kind in PARTS for p in _files(folder / kind)]
    records = _records(made)
    total = sum(map(len, texts.values())) + sum(path.stat().st_size for path in others)
    _limit(f"{folder}: pages, tables and figures", total, FOLDER_BYTES)
    _limit("run records", sum(p.stat().st_size for p in _record_files(records)), RUNS_BYTES)
    return _copy(folder, made, texts, others, records)


def _local(name: str | None) -> Path:
    """The folder of local pages to publish: the one named, or the only one."""
    known = {p.parent.name: p.parent for p in sorted(local_root().glob("*/cards"))}
    if not known:
        raise UserError(f"{local_root()}: holds no reports; make some with ./run_all.sh first")
    if name is None and len(known) > 1:
        raise UserError(f"several local reports: say which, publish {' | '.join(known)}")
    if name is not None and name not in known:
        raise unknown("local report", name, known)
    return known[name or next(iter(known))]


def _page(folder: Path, card: metadata.Card) -> str:
    """A page as it may be committed: without the sounds of real recordings."""
    path = folder / f"{card.name}.html"
    if card.status.startswith("failed") or not path.exists():
        raise UserError(f"{card.name}: {card.status or 'has no page'}; mend it, then publish")
    text = path.read_text(encoding="utf-8")
    if not card.synthetic:
        text = SOUND.sub(NO_SOUND, text)
        if SOUND_LEFT.search(text):
            raise UserError(f"{path}: holds real sound outside an <audio> player; take it out")
    _limit(str(path), len(text.encode()), PAGE_BYTES)
    return text


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in KINDS)


def _records(made: list[metadata.Card]) -> list[Path]:
    """The local run folders that the pages' numbers come from."""
    names = sorted({run for card in made for run in card.runs})
    return [path for name in names if (path := lib_paths.runs_root() / name).is_dir()]


def _record_files(records: list[Path]) -> list[Path]:
    """What `reports/runs` would hold: these records and those already there."""
    from lib.runs.folder import RECORD, published_root

    old = [path for path in published_root().glob("*") if path.name not in _names(records)]
    return [path / name for path in [*records, *old] for name in RECORD if (path / name).exists()]


def _names(paths: list[Path]) -> set[str]:
    return {path.name for path in paths}


def _limit(what: str, size: int, most: int) -> None:
    if size > most:
        raise UserError(
            f"{what}: {size / 1e6:.1f} MB, more than {most / 1e6:.0f} MB; make its figures smaller "
            "or publish fewer runs"
        )


def _copy(
    folder: Path,
    made: list[metadata.Card],
    texts: dict[str, str],
    others: list[Path],
    records: list[Path],
) -> Path:
    from lib.runs import folder as runs_folder

    root = lib_paths.reports_root()
    runs_folder.publish(records)
    for path in others:
        _copy_file(path, root / path.relative_to(folder))
    for card in made:
        files.write_text(root / f"{card.name}.html", texts[card.name])
        for part in (Path("thumbnails") / f"{card.name}.png", Path("cards") / f"{card.name}.json"):
            if (folder / part).exists():
                _copy_file(folder / part, root / part)
    index.write_index(root / "index.html", [("Published", PUBLISHED, root)])
    return root / "index.html"


def _copy_file(path: Path, target: Path) -> None:
    with files.atomic_write(target) as part:
        shutil.copyfile(path, part)
