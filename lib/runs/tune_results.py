"""What the searches of page 08 found: the trials that are here, or else the published ones."""

import pandas as pd

from lib import files
from lib.paper_sprsound import TASKS
from lib.runs import folder as runs_folder
from lib.runs import plan, tune_trials
from lib.runs.predictions_sprsound import TUNED
from lib.runs.tune_trials import Search
from lib.tables import tuning
from lib.tables.tuning import COLUMNS, NAME

SEARCHES = (("1-1", "cnn2/ce"), *((task, TUNED) for task in TASKS))  # what is tuned: task, model


def found(profile: str) -> pd.DataFrame:
    """One row for each finished trial of each search, and as trial 0 the settings by default.

    All is text, as in a published file: which search, the settings, Scores in percent of the epoch
    chosen on held-out patients (score: theirs; inter, intra, test), run. Of a search with fewer
    trials here than were published, the published ones are taken.
    """
    known = tuning.published()
    return pd.concat([_search(*one, profile, known) for one in SEARCHES], ignore_index=True)


def keep(profile: str) -> pd.DataFrame:
    """`found`, written to tables/ for `lib.tables.verify` and for those who have no trial of their own."""
    table = found(profile)
    folder = plan.open_study(profile).folder / "tables"
    files.write_text(folder / f"{NAME}.csv", table.to_csv(index=False))
    return table


def _search(task: str, model: str, profile: str, known: pd.DataFrame) -> pd.DataFrame:
    search = tune_trials.plan(task, model, profile)
    about = {"search": search.folder.name, "task": task, "model": model, "profile": profile}
    done = tune_trials.results(search)[["trial", *search.space, "score"]].to_dict("records")
    lines = [_line(search, one) for one in ({"trial": 0, **tune_trials.defaults(search)}, *done)]
    here = pd.DataFrame([about | line for line in lines], columns=COLUMNS)
    here = here.astype(object).where(here.notna(), "").astype(str)
    published = known[known.search == search.folder.name]
    return max(here, published, key=len)


def _line(search: Search, settings: dict) -> dict:
    """A trial with what its run says, where the run is here or published."""
    folder = runs_folder.find(tune_trials.wanted(search, settings)[-1])
    if folder is None:
        return settings
    return settings | tuning.scores(runs_folder.read(folder)) | {"run": folder.name}
