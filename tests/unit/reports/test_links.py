"""Every line of a registered table that is made from runs knows them."""

import pandas as pd
import pytest

from lib.config import SELECTIONS
from lib.papers import CLAIMS, GROUPS, TABLES
from lib.papers.sam import PAIRS
from lib.reports import links
from lib.runs.results import COLUMNS
from lib.tables import build_table
from lib.tables.compare import NORMAL, QUOTED

# Their lines come from what runs have saved: without runs there is none.
FROM_RUNS = {"neighbours", "sam_neighbours", "srad_weights", "srad_frequencies"}
NO_RUNS = {"deviations", "tuned", "detectable_claims"}  # nothing of them is of the runs of a group


def results_of(groups: str, done: bool) -> pd.DataFrame:
    """Results of two seeds of each experiment of some groups, all done or all not run."""
    names = [row.experiment.name for group in groups.split() for row in GROUPS[group]
             if row.experiment]  # fmt: skip
    lines = [
        {"experiment": name, "seed": seed, "selection": selection, "setting": "s",
         "status": "done" if done else "not run", "reason": None if done else "too long",
         "run": f"{name.replace('/', '.')}-s{seed}-0000000{seed}" if done else None}
        for name in dict.fromkeys(names) for seed in (1, 2) for selection in SELECTIONS
    ]  # fmt: skip
    return pd.DataFrame(lines, columns=COLUMNS)


def lines_of(name: str, done: bool) -> tuple[pd.DataFrame, list[links.Origin]]:
    """A table that nothing was run for, and the origins of its lines if all was."""
    groups = []
    data = build_table(name, lambda group: groups.append(group) or results_of(group, False))
    results = results_of(" ".join(dict.fromkeys(" ".join(groups).split())), done)
    return data, links.line_origins(name, data, results)


@pytest.mark.parametrize("name", [n for n, t in TABLES.items() if t.view not in NO_RUNS])
def test_every_line_has_the_runs_that_it_is_made_from(name):
    data, origins = lines_of(name, done=True)
    assert len(data) == len(origins) and (len(data) or TABLES[name].view in FROM_RUNS)
    for line, origin in zip(data.astype(str).to_dict("records"), origins, strict=True):
        known = NORMAL in line.values() or "abstract" in str(line) or origin.reason == QUOTED
        assert origin.runs or known or origin.reason.startswith("quoted"), line
        assert len({run for _, _, run in origin.runs}) % 2 == 0  # two seeds each


@pytest.mark.parametrize("name", [n for n, t in TABLES.items() if t.view == "headline"])
def test_a_line_that_was_not_run_says_why(name):
    for line, origin in zip(*map(list, lines_of_dicts(name)), strict=True):
        assert not origin.runs
        reasons = ("too long", QUOTED.removeprefix("not run: "))
        assert NORMAL in line.values() or origin.reason in reasons, line


def lines_of_dicts(name):
    data, origins = lines_of(name, done=False)
    return data.to_dict("records"), origins


@pytest.mark.parametrize("view", sorted(FROM_RUNS))
def test_lines_of_what_runs_have_saved_are_named_by_their_model(view):
    (table, *_) = (table for table in TABLES.values() if table.view == view)
    for source in links.table_sources(table):
        line = pd.DataFrame([source.cells])
        results = results_of(table.results, done=True)
        (origin,) = links.line_origins(table.name, line, results)
        names = {run.split("-s")[0] for _, _, run in origin.runs}
        assert names == {e.name.replace("/", ".") for e in source.experiments}


def names_of(runs: list[tuple[int, str]]) -> list[str]:
    return list(dict.fromkeys(run.split("-s")[0] for _, run in runs))


def test_a_claim_has_the_runs_of_both_sides():
    _, origins = lines_of("claims", done=True)
    for claim, origin in zip(CLAIMS, origins, strict=True):
        sides = [side.experiment.name.replace("/", ".") for side in (claim.a, claim.b)]
        assert names_of(origin.of_column("Difference")) == sides
        stand_in = names_of(origin.of_column("On a model that has learnt"))
        assert (set(stand_in) != set(sides)) == bool(claim.stand_in)


def test_what_sam_changes_has_the_runs_with_it_first():
    _, origins = lines_of("sam_effects", done=True)
    for origin, (_, plain, sam) in zip(origins, PAIRS, strict=True):
        assert names_of(origin.of_column("4 classes")) == [
            e.name.replace("/", ".") for e in (sam, plain)
        ]


def test_a_cell_of_a_pivot_has_the_runs_of_its_column():
    _, origins = lines_of("srad_backbones", done=True)
    for column, model in (("AST", "ast"), ("DASS, validation", "dass"), ("mn04", "mn04")):
        found = {run.split("_")[0].split(".")[0] for _, run in origins[0].of_column(column)}
        assert found == {model}
