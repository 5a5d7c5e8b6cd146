"""The rows of a run of benchmarks, merged with what was measured before and written as files."""

from pathlib import Path

import pandas as pd

from benchmarks import machine, results
from lib import files, paths
from lib.reports import format
from lib.tables import format as tables_format


def write(new: pd.DataFrame, name: str = results.FILE, folder: Path | None = None) -> pd.DataFrame:
    """Write the rows as <name>.csv and .md; rows of groups not among them stay if they may."""
    folder = folder or paths.reports_root()
    new = new.assign(**machine.facts()).reindex(columns=results.COLUMNS)
    new = new.fillna({"note": "", "base": ""})
    path = folder / f"{name}.csv"
    merged = merge(results.read(path), new)
    files.write_text(path, tables_format.csv_text(merged))
    files.write_text(folder / f"{name}.md", text(merged))
    return merged


def merge(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """New rows, and old ones of other groups if they were measured on the same machine."""
    here = tuple(new[list(results.MACHINE)].astype(str).iloc[0])
    others = old[~old.group.isin(new.group)]
    same = [tuple(map(str, row)) == here for row in others[list(results.MACHINE)].to_numpy()]
    same = pd.Series(same, index=others.index, dtype=bool)
    if not same.all():
        dropped = others[~same]
        names = ", ".join(dropped.group.unique())
        print(f"{len(dropped)} rows measured on another machine are dropped: {names}")
    kept = others[same]
    merged = pd.concat([kept, new] if len(kept) else [new], ignore_index=True)
    order = {name: at for at, name in enumerate(results.GROUPS)}
    return merged.sort_values("group", key=lambda g: g.map(order), kind="stable", ignore_index=True)


def text(merged: pd.DataFrame) -> str:
    """The Markdown page: the machine, how it was measured, a table for each group."""
    parts = ["# Benchmarks\n", f"{results.machine(merged)}. {results.HOW}\n"]
    for group in merged.group.unique():
        parts += [f"## {group}\n", f"{results.GROUPS[group]}\n"]
        parts.append(format.markdown(results.table(merged, group)))
        if group == "scaling":
            parts += ["Lines fitted by least squares:\n", format.markdown(results.fits(merged))]
    return "\n".join(parts)
