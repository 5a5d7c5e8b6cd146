"""What the searches found, as a table: the best trial's settings and Scores beside the default's.

`found` is the table of `lib.runs.tune_results.found`, all text, or the published one.
"""

import pandas as pd

from lib import paths
from lib.paper_sprsound import TASK_NAMES
from lib.tables.sprsound import NOT_KEPT, number

NAME = "sprsound_trials"
SETTINGS = (
    *(
        "lr",
        "hop",
        "n_mfcc",
        "n_fft",
        "c1",
        "c2",
        "l1",
        "l2",
    ),  # the names of `lib.runs.tune_trials`
    *("supcon_lr", "tau"),
)
SCORES = {
    "score": "validation Score",
    "inter": "test Score, inter",
    "intra": "test Score, intra",
    "test": "test Score, mean",
}
NOT_RUN, NONE_QUALIFIES = "not run", "no epoch has Se > 5"
COMMAND = "python -m lib.runs.tune {task} {model} --profile {profile}"
ABOUT = ("search", "task", "model", "profile", "trial")
COLUMNS = [*ABOUT, *SETTINGS, *SCORES, "run"]


def published() -> pd.DataFrame:
    """The published trials; no rows where none were published."""
    path = paths.reports_root() / "tables" / f"{NAME}.csv"
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def scores(record: dict) -> dict[str, float]:
    """Percent of the epoch that held-out patients chose: `SCORES`; {} where none qualifies."""
    chosen = record["selections"]["validation"]
    if chosen is None:
        return {}
    parts = {name: one["score"] for name, one in chosen["test"].get("parts", {}).items()}
    known = {"score": chosen["validation"]["score"], "test": chosen["test"]["score"], **parts}
    return {name: known[name] for name in SCORES if name in known}


def trials(found: pd.DataFrame, task: str, model: str) -> pd.DataFrame:
    """The finished trials of one search for `lib.plots.tuning`: numbers, and no empty column."""
    one = found[(found.task == task) & (found.model == model) & (found.trial != "0")]
    numbers = [name for name in SETTINGS if (one[name] != "").any()]
    table = one[["trial", *numbers, "score"]].apply(pd.to_numeric)
    return table.assign(run=one.run).reset_index(drop=True)


def best(found: pd.DataFrame) -> pd.DataFrame:
    """The trial of each search with the highest validation Score, the first of equals."""
    made = found[found.trial != "0"]
    order = pd.to_numeric(made.score).sort_values(ascending=False, kind="stable").index
    return made.loc[order].drop_duplicates("search").sort_index()


def tuned(found: pd.DataFrame) -> pd.DataFrame:
    """A line for each setting and Score of each search: by default, and in the best trial.

    Scores from 0 to 1, one seed, epoch chosen on held-out patients. A search without a finished
    trial is one line with the command that makes some.
    """
    top = best(found).set_index("search")
    lines = []
    for search, one in found.groupby("search", sort=False):
        default = one[one.trial == "0"].iloc[0]
        about = {"Task": TASK_NAMES[default.task], "Model": default.model}
        if search in top.index:
            count = f"{len(one) - 1} finished, best: {top.trial[search]}"
            lines += [about | {"Trials": count} | line for line in _lines(default, top.loc[search])]
        else:
            cells = {"Default": _cell("test", default, NOT_RUN), "Best trial": _not_run(default)}
            line = {"Trials": "0 finished", "Setting or Score": SCORES["test"]}
            lines.append(about | line | cells)
    columns = ["Task", "Model", "Trials", "Setting or Score", "Default", "Best trial"]
    return pd.DataFrame(lines, columns=columns)


def _not_run(default: pd.Series) -> str:
    return "not run: " + COMMAND.format(**default[["task", "model", "profile"]])


def _lines(default: pd.Series, top: pd.Series) -> list[dict[str, str]]:
    """Of one search: settings, Scores, runs."""
    named = {name: name for name in SETTINGS if default[name]} | SCORES | {"run": "run"}
    return [
        {
            "Setting or Score": shown,
            "Default": _cell(name, default, NOT_RUN),
            "Best trial": _cell(name, top, NOT_KEPT),
        }
        for name, shown in named.items()
    ]


def _cell(name: str, trial: pd.Series, missing: str) -> str:
    if not trial[name]:
        return NONE_QUALIFIES if trial.run and not trial.test else missing
    if name == "run":
        return trial.run[-8:]
    return number(float(trial[name]) / 100) if name in SCORES else f"{float(trial[name]):.4g}"
