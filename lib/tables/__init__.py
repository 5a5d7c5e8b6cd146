"""Tables that put published numbers beside ours; `build_table` makes each of them by its name."""

from collections.abc import Callable

import pandas as pd

from lib.analysis.embedding import compare_embeddings, load_embeddings
from lib.config import Experiment
from lib.errors import unknown
from lib.papers import DEVIATIONS, TABLES
from lib.papers.patchmix import MAIN_METHODS
from lib.papers.sam import EMBEDDED
from lib.papers.table_row import Table
from lib.runs.tune import published_trials
from lib.tables import (
    claims,
    compare,
    detectable,
    groups,
    lung_srad,
    reliability,
    sam,
    sprsound,
    transfer,
)


def _neighbours(methods: dict[str, Experiment], results: pd.DataFrame) -> pd.DataFrame:
    names = {method: experiment.name for method, experiment in methods.items()}
    return compare_embeddings(load_embeddings(results, names))


# Views (`lib.papers.table_row.Table`) beside those of `compare`: functions of table t, results r.
VIEWS: dict[str, Callable[[Table, pd.DataFrame], pd.DataFrame]] = {
    "selection_rule": lambda t, r: compare.selection_rule(t.rows, r),
    "method_differences": lambda t, r: claims.method_differences(t.rows, r),
    "deviations": lambda t, r: pd.DataFrame(
        DEVIATIONS, columns=["Paper", "As published", "Our setting for it", "Alternatives"]
    ),
    "neighbours": lambda t, r: _neighbours(MAIN_METHODS, r),
    "totals": lambda t, r: sprsound.totals(t.rows, r),
    "mixup": lambda t, r: sprsound.mixup(t.rows, r),
    "variants": lambda t, r: sprsound.variants(t.rows, r),
    "windows": lambda t, r: sprsound.windows(t.rows, r),
    "tuned": lambda t, r: sprsound.tuned(published_trials()),
    "transfer": lambda t, r: transfer.transfer(t.rows, r),
    "by_device": lambda t, r: transfer.by_device(t.rows, r),
    "sam_effects": lambda t, r: sam.effects(r),
    "sam_flatness": lambda t, r: sam.flatness(r),
    "sam_neighbours": lambda t, r: _neighbours(EMBEDDED, r),
    "srad_weights": lambda t, r: lung_srad.weights(r),
    "srad_low_pass": lambda t, r: lung_srad.low_pass(r),
    "srad_frequencies": lambda t, r: lung_srad.high_frequencies(r),
    "calibration": lambda t, r: reliability.calibration_table(t.rows, r),
    "prediction_sets": lambda t, r: reliability.sets_table(t.rows, r),
    "few_patients": lambda t, r: reliability.few_patients_table(t.rows, r),
    "selective_risk": lambda t, r: reliability.selective_table(t.rows, r),
    "by_group": lambda t, r: groups.groups_table(t.rows, r),
    "worst_groups": lambda t, r: groups.worst_table(t.rows, r),
    "detectable_pairs": lambda t, r: detectable.pairs_table(t.rows, r),
    "detectable_claims": lambda t, r: detectable.claims_table(t.rows, r),
}


def build_table(
    name: str, results: Callable[[str], pd.DataFrame], judge: bool = False
) -> pd.DataFrame:
    """The table of that name, all cells text; an unknown name is a `UserError`.

    results: group -> its results (`lib.runs.results.collect_results`). judge: whether the profile
    runs the published setting, so that its numbers are a verdict on the published ones.
    """
    if name not in TABLES:
        raise unknown("table", name, TABLES)
    table = TABLES[name]
    if table.view == "claims":
        return claims.claims_table(results, judge)
    own = results(table.results) if table.results else pd.DataFrame()
    if table.view in VIEWS:
        return VIEWS[table.view](table, own)
    return compare.compare(table.view, table.rows, own, judge, table.two_class)
