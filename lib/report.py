"""From a profile to pages: make the runs, execute the notebooks, write the HTML and the indexes.

Everything goes to `reports/local/<profile>-<data>/`. A notebook whose inputs are unchanged since
its page was made is left alone.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lib import cards, files, notebook, pages
from lib.cards import Card
from lib.errors import UserError, unknown

LAST_DEFAULT = "07"  # the other systems' notebooks run when asked for by number, or by `all`


@dataclass(frozen=True)
class Facts:
    """What a notebook's numbers come from, as far as its page and its fingerprint need it."""

    status: str
    seeds: str
    runs: tuple[str, ...]
    digest: str  # of all results, and of the recordings


@dataclass(frozen=True)
class Job:
    """Pages to be made: of which profile, on which data, into which folder."""

    profile: str
    folder: Path
    data: str
    banner: str
    synthetic: bool
    facts: Callable[[str], Facts]  # of a notebook's number


def local_root() -> Path:
    """Where local pages lie, a folder for each profile and data."""
    return files.reports_root() / "local"


def folder(profile: str = "quick") -> Path:
    """Where a notebook writes tables and figures: REPORT_DIR, else the local folder."""
    from lib.study import open_study

    given = os.environ.get("REPORT_DIR")
    return Path(given) if given else local_root() / open_study(profile).name


def select(names: list[str], root: Path | None = None) -> list[Path]:
    """Notebook files by number; none: those of the first paper; "all": every one."""
    found = sorted((root or files.PROJECT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    known = {path.name[:2]: path for path in found if not path.name.endswith(".failed.ipynb")}
    if not names:
        return [path for number, path in known.items() if number <= LAST_DEFAULT]
    if "all" in names:
        return list(known.values())
    for name in names:
        if name not in known:
            raise unknown("notebook", name, [*known, "all"])
    return [path for number, path in known.items() if number in names]


def build(profile: str, names: list[str]) -> None:
    """Make every run these notebooks want, then their pages, then the indexes.

    Raises `UserError` at the end if a notebook failed; the other pages are made all the same.
    """
    from lib import execute, registry

    chosen = select(names)
    tables = [t for path in chosen for t in registry.NOTEBOOKS.get(path.name[:2], ())]
    execute.tables(profile, *tables)
    job = open_job(profile)
    faults = make_pages(job, chosen)
    index = write_indexes(job.folder)
    print(f"reports: {index}")
    if faults:
        raise UserError("; ".join(faults))


def open_job(profile: str) -> Job:
    """The job of a profile on the data that is here."""
    from lib.study import open_study

    study = open_study(profile)
    source = study.source
    data = {"official": "ICBHI, complete", "partial": "ICBHI, partial"}.get(source.kind, "synthetic")
    shared = _digest_files(sorted(p for p in source.root.rglob("*") if p.is_file()))
    return Job(
        profile=profile,
        folder=local_root() / study.name,
        data=data,
        banner=source.banner,
        synthetic=source.kind == "synthetic",
        facts=lambda number: _facts(profile, number, shared),
    )


def _facts(profile: str, number: str, shared: str) -> Facts:
    """A notebook with tables of its own depends on their results, any other on all results."""
    from lib import registry, study

    results = study.results(profile, *(registry.NOTEBOOKS.get(number) or registry.TABLES))
    done = results[results.status.isin(["done", "none qualifies"])]
    kept = hashlib.sha256(shared.encode())
    kept.update(results.drop(columns="path").to_csv(index=False).encode())
    for path in sorted(set(done.path)):
        kept.update((Path(path) / "result.json").read_bytes())
    wanted, missing = results.experiment.nunique(), results[~results.index.isin(done.index)]
    gone = missing.experiment.nunique()
    status = f"{gone} of {wanted} experiments not run" if gone else "complete"
    seeds = str(done.seed.nunique()) if len(done) else "none"
    return Facts(status, seeds, tuple(sorted(set(done.run))), kept.hexdigest())


def make_pages(job: Job, chosen: list[Path]) -> list[str]:
    """Execute notebooks one after another and write their pages; returns the faults, one each."""
    faults = []
    stubs = [_card(job, path, job.facts(path.name[:2])) for path in chosen]
    around = _neighbours(job.folder, stubs)
    for path, card in zip(chosen, stubs, strict=True):
        before, after = around[card.name]
        digest = job.facts(path.name[:2]).digest
        mark = job.folder / "fingerprints" / path.stem
        print_ = fingerprint(job, path, card, digest)
        if _same(mark, print_) and (job.folder / f"{path.stem}.html").exists():
            _refresh(job, path, card, before, after)
            print(f"{path.name}: unchanged", flush=True)
            continue
        mark.unlink(missing_ok=True)
        start = time.monotonic()
        try:
            _make(job, path, card, before, after)
        except UserError as error:
            faults.append(str(error))
            cards.write_card(job.folder, replace(card, status="failed; its last words are local"))
            print(f"{path.name}: FAILED: {error}", flush=True)
            continue
        files.write_text(mark, print_)
        print(f"{path.name}: done in {time.monotonic() - start:.0f} s", flush=True)
    return faults
