"""Transfer between the datasets on made-up records: which runs, which set, which difference."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lib.papers.transfer import CHILDREN, TRANSFER
from lib.tables import transfer
from tests.unit.tables.conftest import clips, first_normal, table_of

ROWS = {tuple(row.label.values()): row for row in TRANSFER}
LABEL = np.arange(32) % 4


def score(wrong, part=slice(None)):
    """Sp 100 and Se by hand, of clips of which the first `wrong` are called normal."""
    label, predicted = LABEL[part], first_normal(LABEL, wrong)[part]
    return 50 + 50 * (predicted == label)[label > 0].mean()


@pytest.fixture
def results(save_run):
    """Fine-tuning trained on ICBHI, tested on both; trained on SPRSound, its last epoch alone."""
    icbhi = clips(32, 4)
    sprsound = clips(32, 4, subset=np.repeat(["inter", "intra"], 16), prefix="s")
    home = {
        "test": (icbhi, first_normal(LABEL, 8)),
        "sprsound": (sprsound, first_normal(LABEL, 20)),
    }
    away = {"test": (sprsound, first_normal(LABEL, 4))}
    lines = save_run("mn04_as/ce@icbhi", home, test_sets=("sprsound",))
    name = "mn04_as/ce@sprsound"
    lines += save_run(name, away, dataset="sprsound", data="SPRSound", selections=("last",))
    return table_of(lines)


def test_transfer_by_hand(results):
    table = transfer.transfer(TRANSFER, results).set_index(["Method", "Trained on", "Tested on"])
    row = table.loc[("Fine-tuning", "ICBHI", "SPRSound")]
    inter, intra = slice(0, 16), slice(16, 32)
    moved, home = ((score(n, inter) + score(n, intra)) / 2 for n in (20, 4))
    assert row.Score == f"{moved:.2f} (1)" and row["Epoch chosen by"] == "validation"
    assert row.Difference.startswith(f"{moved - home:+.2f} (")
    assert row.Setting.startswith("ICBHI; none; ast base, 50 epochs, ")
    assert row["Test data"] == "SPRSound"
    low, high = map(float, row["95% interval"].split(" to "))
    assert low <= moved <= high
    own = table.loc[("Fine-tuning", "SPRSound", "SPRSound")]
    assert (own["Epoch chosen by"], own.Difference, own.Status) == ("last", "–", "done")
    assert table.loc[("Fine-tuning", "ICBHI", "ICBHI")].Score == f"{score(8):.2f} (1)"
    assert table.loc[("Fine-tuning", "SPRSound", "ICBHI")].Score == "not saved"
    missing = table.loc[("Patch-Mix CL", "SPRSound", "ICBHI")]
    assert (missing.Score, missing.Difference) == ("not run", "–")
    assert table.index[-1][0] == "always “normal”" and table.iloc[-1].Score == "50.00"


def test_auroc_and_mark_of_a_row(results):
    table = transfer.transfer(TRANSFER, results).set_index(["Method", "Trained on", "Tested on"])
    row = table.loc[("Fine-tuning", "ICBHI", "ICBHI")]
    predictions = transfer.load_row(ROWS["Fine-tuning", "ICBHI", "ICBHI"], results)
    expected = roc_auc_score(predictions.label > 0, predictions.log_odds[0])
    assert row.AUROC.startswith(f"{expected:.3f} (") and row.Mark == "–"


def test_every_device_of_the_set_that_a_row_is_scored_on(save_run):
    devices = np.repeat(["Meditron", "AKGC417L"], 16)
    home = {"test": (clips(32, 4) | {"device": devices}, first_normal(LABEL, 8))}
    table = transfer.by_device(TRANSFER, table_of(save_run("mn04_as/ce@icbhi", home)))
    own = table[table.Device != "–"]
    assert own.Device.tolist() == ["AKGC417L", "Meditron"] and set(own.Clips) == {"16"}
    assert set(own.Row) == {"Fine-tuning: ICBHI → ICBHI"}
    assert own.Score.tolist() == ["100.00 (1)", f"{score(8, slice(0, 16)):.2f} (1)"]
    assert set(table.Score[table.Device == "–"]) == {"not run"}


def test_methods_on_one_dataset_are_compared_with_the_first(results):
    names = {"mn04_as/ce@sprsound": "ast_in_as/ce@sprsound"}
    names["mn04_as/ce@icbhi"] = "ast_in_as/patchmix_cl@sprsound"
    renamed = results.replace({"experiment": names})
    same = renamed.assign(path=renamed.path[0])  # predictions of the same clips
    table = transfer.transfer(CHILDREN, same).set_index("Method")
    assert table.Difference.tolist() == ["–", "–", "+0.00 (+0.00 to +0.00)", "–"]
    assert table.Score["Patch-Mix CE"] == "not run"


def test_predictions_of_a_row_are_those_of_the_set_it_is_scored_on(results):
    row = ROWS["Fine-tuning", "ICBHI", "SPRSound"]
    predictions = transfer.load_row(row, results)
    assert predictions.cycle[0] == "s:0" and (predictions.predicted[0, :20] == 0).all()
    assert transfer.load_row(ROWS["Patch-Mix CL", "ICBHI", "ICBHI"], results) is None
