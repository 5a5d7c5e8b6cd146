"""Group report: what tables and checks cost once runs are finished."""

import os
from pathlib import Path

from benchmarks import made
from benchmarks.measure import Case, Unavailable, Variant, Work

RECORDS = 8
PAGE = ("table2", "table2_details", "table2_rules", "table2_selections")


def cases(folder: Path) -> list[Case]:
    """Records made up for the purpose, then those that are here."""
    made_up = (Variant("recomputed from predictions", check_made, {"folder": folder}),)
    read = (Variant("read", read_made, {"folder": folder}),)
    published = (Variant("lib.tables.verify.verify", check_published, {}),)
    page = (Variant("results and tables", page_tables, {}),)
    return [
        Case("a record of 2756 test clips", made_up, "s/record", compared=False),
        Case("a record of 2756 test clips", read, "s/record", compared=False),
        Case("everything published", published, "s/record", compared=False),
        Case("page 04 of the quick profile", page, "s/page", compared=False),
    ]


def _made(folder: Path) -> None:
    for name in ("RUNS_ROOT", "REPORTS_ROOT"):
        os.environ[name] = str(folder / "records" / name)
    if not (folder / "records").exists():
        made.records(RECORDS)


def check_made(folder: Path) -> Work:
    """`lib.runs.folder.verify`: every number of a record from its predictions."""
    from lib.runs import folder as runs_folder

    _made(folder)

    def check(count: int) -> None:
        for _ in range(count):
            _forget()
            if faults := runs_folder.verify():
                raise RuntimeError(faults[0])

    return Work(check, RECORDS)


def read_made(folder: Path) -> Work:
    """`lib.runs.folder.read`: what tables need of a record."""
    from lib.runs import folder as runs_folder

    _made(folder)
    folders = sorted(runs_folder.published_root().iterdir())

    def read(count: int) -> None:
        for _ in range(count):
            _forget()
            for one in folders:
                runs_folder.read(one)

    return Work(read, RECORDS)


def check_published() -> Work:
    """`lib.tables.verify.verify`: published records, results and tables."""
    from lib.runs import folder as runs_folder
    from lib.tables import verify

    count = len(list(runs_folder.published_root().glob("*/result.json")))
    if not count:
        raise Unavailable("no record is published")

    def check(times: int) -> None:
        for _ in range(times):
            _forget()
            verify.verify()

    return Work(check, count, f"{count} records")


def page_tables() -> Work:
    """The tables of page 04 from finished runs."""
    from lib import paths, profiles
    from lib.runs import folder as runs_folder
    from lib.runs import plan, results
    from lib.tables import verify

    roots = (paths.runs_root(), runs_folder.published_root())
    if not any(root.glob("*/result.json") for root in roots):
        raise Unavailable("no run is finished")
    judge = profiles.get("quick").verdict

    def page(times: int) -> None:
        for _ in range(times):
            _forget()
            plan.open_study.cache_clear()
            found = {"table2": results.of("quick", "table2")}
            for name in PAGE:
                verify.TABLES[name](found, judge)

    page(1)  # features are made now if they have to be
    return Work(page, note=f"{results.of('quick', 'table2').run.nunique()} finished runs")


def _forget() -> None:
    """Empty the memory of records that were read."""
    from lib.runs import folder as runs_folder

    runs_folder.read.cache_clear()
