"""A trained model on another data set's recordings: same weights, no training, its own record."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from lib import files, models, rows
from lib.config import SELECTIONS, Experiment, override
from lib.errors import UserError
from lib.evaluation import bootstrap, metrics
from lib.evaluation.tasks import get_task
from lib.features.cache import FeatureCache
from lib.runs import folder as runs_folder
from lib.runs import predictions
from lib.runs.results import COLUMNS, from_record
from lib.tables import transfer as tables_transfer
from lib.tables import verify
from lib.training import trainer, transfer

HOME = Experiment(
    "small/ce@icbhi",
    validation_split=0.25,
    normalise="clip",
    size="nano",
    patch=8,
    stride=8,
    method="patchmix_cl",
    lr=3e-3,
    dropout=0.25,  # so that answering in training mode would show
    batch_size=4,
    epochs=20,
    frequency_mask=4,
    time_mask=8,
    save_weights=True,
)
AWAY = override(HOME, name="small/ce@icbhi/on=sprsound", init_from=HOME.name, method="none",
                dataset="sprsound", save_weights=False)  # fmt: skip


def start(experiment, data, weights=""):
    wanted = runs_folder.RunSpec(experiment, 1, data, weights)
    return wanted, runs_folder.start_run(wanted, {"name": data, "note": ""}, "none")


@pytest.fixture
def other_store(small_cache):
    """The small store, half of it lost in noise, of other patients, with a test in two parts."""
    cycles = small_cache.cycles.assign(dataset="sprsound", patient="c" + small_cache.cycles.patient)
    part = np.where(
        cycles.split == "train", "train", np.where(cycles.index % 8 < 4, "inter", "intra")
    )
    rng = np.random.default_rng(1)
    heard = rng.integers(0, 2, size=(len(cycles), 1, 1))  # half of the clips are noise alone
    noise = rng.normal(size=small_cache.features.shape)
    loud = (heard * small_cache.features + noise).astype(np.float16)
    return FeatureCache(Path("other"), cycles.assign(part=part), loud, small_cache.meta)


@pytest.fixture
def made(small_cache, other_store):
    """A trained run, and the same model's answers on the other store."""
    wanted, home = start(HOME, "icbhi")
    trainer.fit(HOME, 1, small_cache, 40, home)
    _, away = start(AWAY, "sprsound", runs_folder.weights_fingerprint(wanted))
    transfer.fit(AWAY, 1, other_store, 40, away)
    return home, away


def test_the_record_holds_the_kept_weights_answers_to_every_test_clip(made, other_store):
    home, away = made
    found = runs_folder.read_predictions(away)
    test = other_store.cycles[other_store.cycles.split == "test"]
    assert found["test/patient"].tolist() == test.patient.tolist()
    model = models.build_model(HOME, 40, 32, 4).eval()
    state = load_file(home / runs_folder.WEIGHTS)
    assert any(key.startswith("projector.") for key in state)
    model.load_state_dict({k: v for k, v in state.items() if not k.startswith("projector.")})
    for at, row in enumerate(test.index):  # one by one, from the definition
        clip = other_store.features[row].astype(np.float32)
        x = torch.from_numpy((clip - clip.mean()) / (2 * clip.std()))
        with torch.no_grad():
            alone = model(x[None])[0].numpy()
        np.testing.assert_allclose(found["validation/test/logits"][at], alone, atol=2e-4)


def test_at_home_it_answers_as_the_run_did(made, small_cache):
    """The very weights of the epoch that the run kept, also at the first data set."""
    home, _ = made
    record = files.read_json(home / "result.json")["selections"]
    kept = "validation" if record["validation"] else "last"
    test = small_cache.cycles[small_cache.cycles.split == "test"].index.to_numpy()
    logits = transfer.answer(HOME, home / runs_folder.WEIGHTS, small_cache, 40, test)
    said = runs_folder.read_predictions(home)[f"{kept}/test/logits"]
    np.testing.assert_allclose(logits, said, atol=1e-4)


def test_where_no_epoch_qualifies_the_last_one_s_weights_are_kept(small_cache, monkeypatch):
    monkeypatch.setattr(metrics, "LOWEST_SE", 101.0)
    _, home = start(override(HOME, epochs=2), "icbhi")
    trainer.fit(override(HOME, epochs=2), 1, small_cache, 40, home)
    assert files.read_json(home / "result.json")["selections"]["validation"] is None
    test = small_cache.cycles[small_cache.cycles.split == "test"].index.to_numpy()
    logits = transfer.answer(HOME, home / runs_folder.WEIGHTS, small_cache, 40, test)
    np.testing.assert_allclose(
        logits, runs_folder.read_predictions(home)["last/test/logits"], atol=1e-4
    )


def test_its_score_is_the_mean_of_the_parts_and_has_an_interval(made):
    away = runs_folder.read_record(made[1])["selections"]
    assert away["test"] is away["last"] is None and away["validation"]["epoch"] == 0
    found = runs_folder.read_predictions(made[1])
    said = found["validation/test/logits"].argmax(1)
    halves = []
    for part in ("inter", "intra"):
        at = found["test/part"] == part
        normal, label = found["test/label"][at] == 0, found["test/label"][at]
        right = said[at] == label
        halves.append(50 * right[normal].mean() + 50 * right[~normal].mean())
    assert away["validation"]["test"]["score"] == pytest.approx(np.mean(halves), abs=1e-3)
    low, high = bootstrap.patient_bootstrap(
        found["test/label"], said, found["test/patient"], labelling=get_task("label"),
        part=found["test/part"],
    )["score"]  # fmt: skip
    assert low < np.mean(halves) < high
    assert len(set(said)) > 1  # else every number here is the same


def test_weights_of_another_model_are_refused(made, other_store, tmp_path):
    wide = override(AWAY, size="tiny")
    with pytest.raises(UserError, match="does not fit the model"):
        transfer.answer(wide, made[0] / runs_folder.WEIGHTS, other_store, 40, np.arange(4))


def test_it_verifies_and_is_found_like_any_run(made):
    runs_folder.publish(list(made))
    assert runs_folder.verify_records() == []
    path = runs_folder.published_root() / made[1].name / "predictions.npz"
    assert path.exists() and not (path.parent / runs_folder.WEIGHTS).exists()


def lines(experiment, folder, selections=SELECTIONS):
    for selection in selections:
        row = {"experiment": experiment, "seed": 1, "selection": selection, "setting": "small"}
        row |= {"run": folder.name, "path": str(folder)}
        yield row | from_record(runs_folder.read_record(folder), selection)


@pytest.fixture
def results(made, other_store):
    """A transfer to SPRSound, and a run made there: its last epoch alone qualifies."""
    own = override(HOME, name="small/ce@sprsound", dataset="sprsound", method="ce")
    _, there = start(own, "sprsound")
    trainer.fit(own, 1, other_store, 40, there)
    found = [*lines("mn04_as/ce@icbhi/on=sprsound", made[1])]
    found += lines("mn04_as/ce@sprsound", there, ("last",))
    return pd.DataFrame(found, columns=COLUMNS)


def test_the_table_says_what_is_lost_on_the_way(results):
    table = tables_transfer.compare(results).set_index(["Method", "Trained on", "Tested on"])
    row = table.loc[("Fine-tuning", "ICBHI", "SPRSound")]
    last = results[results.selection == "last"].set_index("experiment").score
    chosen = results[results.selection == "validation"].set_index("experiment").score
    lost = chosen["mn04_as/ce@icbhi/on=sprsound"] - last["mn04_as/ce@sprsound"]
    assert row.Change.startswith(f"{lost:+.2f} (") and row["Epoch chosen by"] == "validation"
    home = table.loc[("Fine-tuning", "SPRSound", "SPRSound")]
    assert home["Epoch chosen by"] == "last" and home.Change == "–"
    assert row.Status == "done" and row["Test data"] == "sprsound"
    other = table.loc[("Patch-Mix CL", "SPRSound", "ICBHI")]
    assert other.Score == "not run" and other.Change == "–"
    assert table.iloc[-1].Score == "50.00"
    low, high = map(float, row["95% interval"].split(" to "))
    one = predictions.load_predictions(results, "mn04_as/ce@icbhi/on=sprsound", "validation")
    assert (low, high) == pytest.approx(predictions.score_interval(one), abs=0.006)


def test_the_methods_on_sprsound_stand_beside_fine_tuning(results):
    """The two runs at hand stand for fine-tuning and Patch-Mix CL."""
    names = {"mn04_as/ce@sprsound": "ast_in_as/ce@sprsound"}
    names["mn04_as/ce@icbhi/on=sprsound"] = "ast_in_as/patchmix_cl@sprsound"
    table = tables_transfer.methods(results.replace({"experiment": names})).set_index("Method")
    score = results.set_index(["experiment", "selection"]).score
    plain, mixed = score["mn04_as/ce@sprsound", "last"], score[next(reversed(names)), "validation"]
    assert table.Score["Fine-tuning"] == f"{plain:.2f} (1)" and table.Gain["Fine-tuning"] == "–"
    assert table.Gain["Patch-Mix CL"].startswith(f"{mixed - plain:+.2f} (")
    assert table.Gain["Patch-Mix CE"] == "–" and table.Score["Patch-Mix CE"] == "not run"
    assert table.index[-1] == "always “normal”"


def test_points_for_the_figure_are_the_finished_rows(results):
    points = tables_transfer.interval_points(results)
    assert points.name.tolist() == [
        "Fine-tuning: ICBHI → SPRSound",
        "Fine-tuning: SPRSound → SPRSound",
    ]
    rounded = points.round(3)
    assert ((rounded.low <= rounded.value) & (rounded.value <= rounded.high)).all()
    assert tables_transfer.interval_points(results.iloc[:0]).empty


def test_every_row_of_the_table_has_its_experiment():
    names = {row.experiment for row in rows.TRANSFER}
    assert len(names) == 8
    for row in rows.TRANSFER:
        away = row.label["trained"] != row.label["tested"]
        assert row.experiment.endswith(f"/on={row.label['tested'].lower()}") == away
        assert f"@{row.label['trained'].lower()}" in row.experiment
    assert (
        verify.TABLES["transfer"]({"transfer": pd.DataFrame(columns=COLUMNS)}, False).shape[0] == 9
    )
