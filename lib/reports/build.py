"""From a profile to pages: make the runs, execute the notebooks, write the HTML and the indexes.

Everything goes to `reports/local/<profile>-<data>/`. A notebook whose inputs are unchanged since
its page was made is left alone.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import results as benchmarks_results
from lib import files, paths, rows
from lib.errors import UserError, unknown
from lib.reports import html, index, metadata, notebook
from lib.reports.metadata import Card

DATA_WORDS = {
    "official": "ICBHI",
    "partial": "ICBHI, partial",
    "synthetic": "synthetic sounds",
    "none": "features without recordings",
}
NAMES = {"icbhi": "ICBHI", "sprsound": "SPRSound"}


@dataclass(frozen=True)
class Facts:
    """What a notebook's numbers come from, as far as its page and its fingerprint need it."""

    status: str
    seeds: str
    runs: tuple[str, ...]
    digest: str  # of all results, and of the recordings
    data: tuple[str, str, bool] | None = None  # words, banner, all synthetic; None: the job's


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
    return paths.reports_root() / "local"


def select(names: list[str], root: Path | None = None) -> list[Path]:
    """Notebook files by number; none: those of the first paper; "all": every one."""
    found = sorted((root or paths.PROJECT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    known = {path.name[:2]: path for path in found if not path.name.endswith(".failed.ipynb")}
    if not names:
        return [path for number, path in known.items() if number <= rows.LAST_DEFAULT]
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
    from lib.runs import execute

    chosen = select(names)
    _check_places(profile)
    try:
        faults = execute.run(profile, [path.name[:2] for path in chosen])
        job = open_job(profile)
        with files.file_lock(job.folder / ".lock"):
            faults += make_pages(job, chosen)
            print(f"reports: {write_indexes(job.folder)}")
    finally:  # Ctrl-C ends the workers in the middle of what they write
        for root in _roots().values():
            files.remove_stale(root)
    if faults:
        raise UserError("; ".join(faults))


def _check_places(profile: str) -> None:
    """Say now, not after hours of training, that nothing can be written; sweep what was killed."""
    for name, root in _roots().items():
        files.require_writable(name, root)
        files.remove_stale(root)
    for folder in local_root().glob(f"{profile}-*/"):
        files.require_writable("REPORTS_ROOT", folder)


def _roots() -> dict[str, Path]:
    return {
        "RUNS_ROOT": paths.runs_root(),
        "FEATURES_ROOT": paths.features_root(),
        "REPORTS_ROOT": paths.reports_root(),
    }


def open_job(profile: str) -> Job:
    """The job of a profile on the data that is here."""
    from lib.runs.plan import open_study

    study = open_study(profile)
    source = study.source
    shared = _digest_files(sorted(p for p in source.root.rglob("*") if p.is_file()))
    return Job(
        profile=profile,
        folder=study.folder,
        data=DATA_WORDS[source.kind],
        banner=source.banner,
        synthetic=source.kind == "synthetic",
        facts=lambda number: _facts(profile, number, shared),
    )


def _facts(profile: str, number: str, shared: str) -> Facts:
    """A notebook with tables of its own depends on their results, any other on the default ones."""
    from lib.runs import results

    own = rows.NOTEBOOKS.get(number)
    found = results.of(profile, *(own or rows.DEFAULT_TABLES))
    done = found[found.status.isin(["done", "none qualifies"])]
    kept = hashlib.sha256(shared.encode())
    kept.update(found.drop(columns="path").to_csv(index=False).encode())
    for path in sorted(set(done.path)):
        kept.update((Path(path) / "result.json").read_bytes())
    best, trials = _searched(profile) if number == rows.SEARCHES else (set(), b"")
    kept.update(trials)
    used, digest = tuple(sorted(set(done.run) | best)), kept.hexdigest()
    about = _about(profile, number)
    if own is None:
        return Facts("complete", "trains nothing", used, digest)
    gone = found.experiment.nunique() - done.experiment.nunique()
    status = f"{gone} of {found.experiment.nunique()} experiments not run" if gone else "complete"
    seeds = done.groupby("experiment").seed.nunique()
    least, most = (seeds.min(), seeds.max()) if len(seeds) else (0, 0)
    return Facts(status, str(most) if least == most else f"{least} to {most}", used, digest, about)


def _searched(profile: str) -> tuple[set[str], bytes]:
    """The runs of the searches' best trials, and all that the searches found."""
    from lib.runs import tune_results
    from lib.tables import tuning

    found = tune_results.found(profile)
    return set(tuning.best(found).run) - {""}, found.to_csv(index=False).encode()


def _about(profile: str, number: str) -> tuple[str, str, bool] | None:
    """Of a page on other data sets than ICBHI alone: data in words, banner, all synthetic."""
    from lib.runs.plan import open_study, sprsound_source

    if number not in rows.DATASETS:
        return None
    study = open_study(profile)
    known = {"icbhi": study.source, "sprsound": sprsound_source(study.profile)}
    sources = [known[name] for name in rows.DATASETS[number]]
    words = [DATA_WORDS[one.kind].replace("ICBHI", NAMES[one.dataset]) for one in sources]
    banner = " ".join(one.banner for one in sources if one.banner)
    return ", ".join(words), banner, all(one.kind == "synthetic" for one in sources)


def make_pages(job: Job, chosen: list[Path]) -> list[str]:
    """Execute notebooks one after another, render all pages; returns the faults, one line each."""
    faults = []
    for path in chosen:
        start = time.monotonic()
        try:
            said = "done" if _execute(job, path) else "unchanged"
            print(f"{path.name}: {said} ({time.monotonic() - start:.0f} s)", flush=True)
        except UserError as error:
            faults.append(str(error))
            print(f"{path.name}: FAILED", flush=True)
    return faults + render_pages(job.folder)


def _execute(job: Job, path: Path) -> bool:
    """Execute a notebook and write its card, unless its inputs are unchanged."""
    facts = job.facts(path.name[:2])
    mark, output = job.folder / "fingerprints" / path.stem, job.folder / "notebooks" / path.name
    wanted = fingerprint(job, path, facts)
    if output.exists() and mark.exists() and mark.read_text() == wanted:
        return False
    mark.unlink(missing_ok=True)
    card = _card(job, path, facts)
    try:
        notebook.execute(path, output, {"profile": job.profile}, job.folder)
    except UserError:
        metadata.write_card(job.folder, replace(card, status="failed; this page is an older one"))
        raise
    metadata.write_card(job.folder, card)
    files.write_text(mark, wanted)
    return True


def _card(job: Job, path: Path, facts: Facts) -> Card:
    title, question = html.heading(notebook.read_notebook(path))
    data, banner, synthetic = facts.data or (job.data, job.banner, job.synthetic)
    return Card(
        name=path.stem,
        title=title,
        question=question,
        status=facts.status,
        profile=job.profile,
        data=data,
        banner=banner,
        seeds=facts.seeds,
        synthetic=synthetic,
        runs=facts.runs,
    )


def fingerprint(job: Job, path: Path, facts: Facts) -> str:
    """Hash of all a page depends on: notebook, library, versions, profile, data, results."""
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    pins = paths.PROJECT / "requirements.txt"
    kept = hashlib.sha256(
        "|".join((job.profile, job.data, job.banner, facts.digest, str(facts.data))).encode()
    )
    measured = [
        p for p in benchmarks_results.paths() if path.stem.startswith(rows.COSTS) and p.exists()
    ]
    for source in (path, pins, *sources, *measured):
        kept.update(source.read_bytes())
    return kept.hexdigest()


def _digest_files(found: list[Path]) -> str:
    """Hash of names, sizes and times: enough to see that recordings were changed."""
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in found]
    return hashlib.sha256(repr(stats).encode()).hexdigest()


def render_pages(folder: Path) -> list[str]:
    """Write the HTML of every executed notebook in a folder; returns the faults."""
    known = [
        c for c in metadata.cards(folder) if (folder / "notebooks" / f"{c.name}.ipynb").exists()
    ]
    faults = []
    for at, card in enumerate(known):
        before = known[at - 1] if at else None
        after = known[at + 1] if at + 1 < len(known) else None
        executed = notebook.read_notebook(folder / "notebooks" / f"{card.name}.ipynb")
        try:
            metadata.write_page(folder, html.render(executed, card, before, after), card)
        except UserError as error:
            faults.append(str(error))
    return faults


def write_indexes(folder: Path) -> Path:
    """Write the folder's own index and the one of all local and published pages; returns it."""
    index.write_index(folder / "index.html", [("These pages", LOCAL, folder)])
    root = paths.reports_root()
    mine = [p.parent for p in sorted(local_root().glob("*/cards")) if p.is_dir()]
    groups = [(f"Made here: {path.name}", LOCAL, path) for path in mine]
    path = local_root() / "index.html"
    index.write_index(path, [*groups, ("Published", PUBLISHED, root)])
    return path


LOCAL = "Made on this machine; not part of the repository until published."
PUBLISHED = "Committed with the repository; changed only by ./run_all.sh publish."
