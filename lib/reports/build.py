"""Build pages: train what notebooks need, execute them, write HTML pages and their index.

Everything goes to one folder: `--out`, else reports/local/<profile>-<data>. If that folder is
reports/ itself, the records of the runs behind the pages are copied to reports/runs.
"""

import os
import re
import shutil
import time
from pathlib import Path

from bs4 import BeautifulSoup

from lib import data, files, papers, paths
from lib.errors import UserError, unknown
from lib.reports import html, notebook, page, runs, score, site
from lib.runs import execute, results, tune
from lib.runs.folder import RECORD, published_root
from lib.runs.plan import open_context
from lib.tables.format import MISSING

RECORDS_BYTES = 40_000_000  # of all published records
RUN_LINK = re.compile(r'href="runs/([^"/]+)/index\.html"')
PAGE_BYTES = 1_500_000  # of one published page, its sounds aside
SOUNDS = re.compile(r'data:audio/[^"]+')
LEFT_OUT = ("Test-selected", "Setting", "Runs")  # of the table of claims, on the index


def select_notebooks(names: list[str], folder: Path | None = None) -> list[Path]:
    """Return notebook files by number; no names: those of the main paper; "all": every one."""
    folder = folder or paths.PROJECT / "notebooks"
    by_number = {path.name[:2]: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    for name in names:
        if name not in (*by_number, "all"):
            raise unknown("notebook", name, [*by_number, "all"])
    last = max(papers.DEFAULT_NOTEBOOKS)
    return [
        path
        for number, path in by_number.items()
        if number in names or "all" in names or (not names and number <= last)
    ]


def describe_recordings(profile: str, numbers: list[str]) -> list[str]:
    """Return one line for each dataset that these notebooks show: which recordings are used.

    A profile of synthetic sounds has a line only if recordings were named, which it does not read.
    """
    context, named = open_context(profile), os.environ.get("DATA_ROOT")
    if context.profile.synthetic:
        return [f"profile {profile} reads no recordings: {named} is not used"] if named else []
    groups = [row for name in papers.groups_of(numbers) for row in papers.GROUPS[name]]
    used = [row.experiment for row in groups if row.experiment]
    names = {name for each in used for name in (each.dataset, *each.test_sets)}
    sources = [context.sprsound] if "sprsound" in names else []
    if names != {"sprsound"}:
        sources.insert(0, context.source)
    return data.recordings_used(sources)


def build(profile: str, numbers: list[str]) -> None:
    """Train every run that these notebooks need, then write their pages and the index.

    Raises `UserError` at the end if a notebook failed; the other pages are written all the same.
    """
    roots = {"RUNS_ROOT": paths.runs_root(), "FEATURES_ROOT": paths.features_root()}
    if not os.environ.get("OUT"):
        roots["REPORTS_ROOT"] = paths.reports_root()
    for name, root in roots.items():  # now, not after hours of training
        files.require_writable(name, root)
        files.remove_stale(root)
    folder = open_context(profile).folder
    files.require_writable("--out", folder)
    try:
        problems = execute.train_notebooks(profile, numbers)
        with files.file_lock(folder / ".lock"):
            problems += make_pages(profile, select_notebooks(numbers), folder)
    finally:  # Ctrl-C ends workers while they write
        for root in (*roots.values(), folder):
            files.remove_stale(root)
    if problems:
        raise UserError("; ".join(problems))


def make_pages(profile: str, notebooks: list[Path], folder: Path) -> list[str]:
    """Execute notebooks one after another and write their pages; returns one line a problem.

    The overview is the last one, since it shows what the others have written.
    """
    problems = []
    for path in sorted(notebooks, key=lambda path: path.name.startswith("00")):
        start = time.monotonic()
        try:
            _make_page(profile, path, folder)
            print(f"{path.name}: done ({time.monotonic() - start:.0f} s)", flush=True)
        except UserError as error:
            problems.append(str(error))
            _update_pages(folder, path.stem, {"status": "failed; this page is an older one"})
            print(f"{path.name}: FAILED", flush=True)
    if folder == paths.reports_root():  # its rows of stored runs are those that were published now
        score.write_leaderboard(folder)
    print(f"pages: {write_index(folder)}")
    return problems


def _make_page(profile: str, path: Path, folder: Path) -> None:
    """Execute a notebook and write its page; publish its records if `folder` is reports/."""
    executed = notebook.execute(path, folder / "notebooks" / path.name, {"profile": profile})
    about = html.describe_page(executed)
    sounds = bool(about.pop("synthetic")) or page.may_hold_sounds(folder)
    status, records = _runs_behind(profile, path.name[:2])
    extra = {"stamp": site.stamp(records), "sources": site.page_sources(path, folder)}
    text = html.render_page(executed, path.stem, about | extra, sounds)
    if folder == paths.reports_root():
        _check_size(path.stem, len(SOUNDS.sub("", text).encode()), PAGE_BYTES)
        publish_records(records)
    files.write_text(folder / f"{path.stem}.html", text)
    _update_pages(folder, path.stem, about | {"status": status})


def _runs_behind(profile: str, number: str) -> tuple[str, set[Path]]:
    """Return how complete a notebook's experiments are, and the records of its finished runs."""
    groups = papers.NOTEBOOKS.get(number, ())
    table = results.collect_results(profile, *groups)
    done = table[table.status.isin(["done", "none qualifies"])]
    total, missing = (
        table.experiment.nunique(),
        table.experiment.nunique() - done.experiment.nunique(),
    )
    records = set(map(Path, done.path))
    if number in papers.sprsound.NOTEBOOKS:
        records |= tune.best_records(tune.collect_trials(profile))
    return f"{missing} of {total} experiments not run" if missing else "complete", records


def publish_records(records: set[Path]) -> None:
    """Copy complete run records, without weights and checkpoints, to reports/runs."""
    root = published_root()
    for record in sorted(records):
        for name in RECORD:  # result.json last: it marks a complete record
            if record.parent != root and (record / name).exists():
                with files.atomic_write(root / record.name / name) as temporary:
                    shutil.copyfile(record / name, temporary)
    _check_size("run records", sum(path.stat().st_size for path in root.glob("*/*")), RECORDS_BYTES)


def _check_size(what: str, size: int, limit: int) -> None:
    if size > limit:
        raise UserError(f"{what}: {size / 1e6:.1f} MB, more than {limit / 1e6:g} MB; save less")


def _update_pages(folder: Path, name: str, about: dict[str, str]) -> None:
    """Merge facts about one page into pages.json; without a page there is nothing to say."""
    if (folder / f"{name}.html").exists():
        pages = site.read_pages(folder) | {name: site.read_pages(folder).get(name, {}) | about}
        files.write_json(folder / "pages.json", pages)


def write_index(folder: Path) -> Path:
    """Write the index, the pages of runs, glossary and search, and link all; returns the index."""
    pages = site.read_pages(folder)
    claims = claims_table(folder, pages)
    records = runs.find_records(linked_runs(folder, pages))
    count = runs.write_runs(records, folder, pages)
    text = html.render_index(pages, claims, count, site.stamp(records))
    files.write_text(folder / "index.html", text)
    site.finish(folder)
    return folder / "index.html"


def linked_runs(folder: Path, pages: dict[str, dict[str, str]]) -> set[str]:
    """Return the names of the runs that pages link to, and of all published ones for reports/."""
    texts = [(folder / f"{name}.html").read_text(encoding="utf-8") for name in pages]
    names = {name for text in texts for name in RUN_LINK.findall(text)}
    if folder == paths.reports_root():
        names |= {path.parent.name for path in published_root().glob("*/result.json")}
    return names


def claims_table(folder: Path, pages: dict[str, dict[str, str]]) -> str:
    """Return the overview's table of claims for the index, with links to the pages it names.

    Without the columns `LEFT_OUT`, and with labels for a phone, where a row is a card.
    """
    path = folder / "00_overview.html"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    section = BeautifulSoup(text, "html.parser").find(id="table-claims")
    if section is None:
        return ""
    by_number = {name[:2]: name for name in pages}
    names = [header.get_text() for header in section.select("thead th")]
    for row in section.find_all("tr"):
        for column, cell in zip(names, row.find_all(["th", "td"], recursive=False), strict=True):
            cell["data-label"] = column
            if cell.get_text() == MISSING:
                cell["class"] = "nothing"
            if name := by_number.get(cell.get_text()):
                link = BeautifulSoup(f'<a href="{name}.html">{name[:2]}</a>', "html.parser")
                cell.string.replace_with(link)
            if column in LEFT_OUT:
                cell.decompose()
    for common in section.select(".common"):
        common.decompose()
    section["class"].append("cards")
    return str(section)
