"""What probabilities are worth, and what 49 patients can show (no paper: our own question).

Question: do a model's probabilities, and prediction sets that promise 90%, hold on its own
patients, on another stethoscope and on other children or adults; and which differences can ICBHI's
official test set show?
Command: ./run_all.sh laptop 13 (notebook 13_reliability).
Cost: seconds; it reads finished runs and trains nothing.
Expect: sets cover 90% at most on patients like those of the training, and far less elsewhere.
"""

from lib.papers import patchmix, sam, transfer
from lib.papers.table_row import TableRow, tables

# --- PUBLISHED: nothing ---

PUBLISHED: dict = {}

DEVIATIONS = ()

# --- EXPERIMENTS: those of other papers ---

EXPERIMENTS: dict = {}
_ALL = patchmix.EXPERIMENTS | sam.EXPERIMENTS | transfer.EXPERIMENTS

# --- TABLES: method | trained on | experiment | hashes of its finished runs, one a seed ---


def _rows(text: str) -> list[TableRow]:
    rows = []
    for line in text.strip().splitlines():
        method, trained, name, stored = (cell.strip() for cell in line.split("|"))
        label = {"method": method, "trained on": trained}
        rows.append(TableRow(f"reliability/{name}", label, _ALL[name], stored=stored))
    return rows


# Any run that held patients out can be added. The last one has the best Score of all ICBHI's runs
# on its own validation patients (mean of its seeds).
RUNS = _rows("""
Fine-tuning  | SPRSound              | mn04_as/ce@sprsound          | fe559ba6 56eb90e2 88ecccb5
Patch-Mix CL | SPRSound              | mn04_as/patchmix_cl@sprsound | 73d2dd13 ebb789ff c71b64ee
Fine-tuning  | ICBHI, single channel | mn04_as/ce@icbhi             | 9a301e2d
Patch-Mix CE | ICBHI, mel pictures   | mn04_as/patchmix_ce@mel      | ad75e766 90d57881
""")
# Pairs of these that predicted all of ICBHI's official test set say what its patients can show.
OFFICIAL = [RUNS[-1], *_rows("""
Fine-tuning       | ICBHI, mel pictures | mn04_as/ce@mel          | 7b99f86e b99c4b4d
Patch-Mix CL      | ICBHI, mel pictures | mn04_as/patchmix_cl@mel | d1803734 f976dd94
Fine-tuning + SAM | ICBHI, mel pictures | mn04_as/ce/rho=0.05@mel | af485f55
""")]  # fmt: skip
NOTEBOOKS = {"13": {"reliability": [*RUNS, *OFFICIAL[1:]]}}
TABLES = {
    **tables("reliability", RUNS, reliability_calibration="calibration",
             reliability_sets="prediction_sets", reliability_few_patients="few_patients",
             reliability_selective="selective_risk", reliability_worst="worst_groups",
             reliability_groups="by_group"),
    **tables("reliability", OFFICIAL, reliability_pairs="detectable_pairs",
             reliability_claims="detectable_claims"),
}  # fmt: skip

# --- CLAIMS: none ---

CLAIMS = ()
