"""The training loop: same bytes for same seeds, also after kill -9; what a run leaves behind."""

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from small_runs import BASE, write_cache
from torch.utils._pytree import tree_leaves, tree_map

from lib import files, paths
from lib.config import override
from lib.errors import TrainingError, UserError
from lib.evaluation import metrics
from lib.features.cache import FeatureCache
from lib.models import build
from lib.runs import folder as runs_folder
from lib.training import augment, checkpoint, optim, trainer

SMALL = override(BASE, method="patchmix_cl", epochs=3, save_embeddings=True)


def start(experiment=SMALL, weights="", **changes):
    """The folder of a run that is not trained yet.

    It is named by the experiment alone, so that two runs with the same hash have two folders.
    """
    spec = runs_folder.RunSpec(override(experiment, **changes), 1, "f" * 64, weights)
    folder = runs_folder.start_run(spec, {"name": "small", "note": ""}, "none")
    return folder.rename(folder.with_name(runs_folder.slug(spec.experiment.name)))


def train(cache, folder, seed=1, **settings):
    experiment = runs_folder.read_spec(folder).experiment
    trainer.fit(experiment, seed, cache, 40, folder, **settings)
    return folder


def run(cache, name, **changes):
    return train(cache, start(name=name, **changes))


def same(a, b):
    texts = all(
        (a / f).read_bytes() == (b / f).read_bytes() for f in ("history.csv", "result.json")
    )
    a, b = runs_folder.read_predictions(a), runs_folder.read_predictions(b)
    return texts and a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def history(folder):
    return pd.read_csv(folder / "history.csv")


def test_same_seed_same_bytes_and_other_seed_other_result(small_cache):
    first = run(small_cache, "a")
    assert same(first, run(small_cache, "b"))
    assert not same(first, train(small_cache, start(name="c"), seed=2))


def test_what_a_run_leaves_behind(small_cache):
    folder = run(small_cache, "a")
    table, arrays = history(folder), runs_folder.read_predictions(folder)
    assert table.epoch.tolist() == [1, 2, 3]
    assert arrays["last/test/logits"].shape == (16, 4)
    embedded = sorted(key for key in arrays if key.endswith("embedding"))
    selection = embedded[0].split("/")[0]
    assert selection in ("test", "last") and arrays[embedded[0]].shape == (16, 32)
    assert embedded == [f"{selection}/test/embedding", f"{selection}/validation/embedding"]
    assert not list(folder.glob("*.pt")) and not list(folder.glob("*.part~rs"))
    assert list((folder / "events").iterdir())
    result = files.read_json(folder / "result.json")
    last, best = (result["selections"][name] for name in ("last", "test"))
    assert last["test"]["score"] == pytest.approx(table.test_score.iloc[-1], abs=1e-3)
    allowed = table[table.test_se > 5]  # the best epoch on the test set with Se > 5
    assert best["epoch"] == allowed.epoch[allowed.test_score.idxmax()]
    assert result["clips"] == {"train": 24, "validation": 8, "test": 16}


def test_the_learning_rate_is_the_scheduled_one(small_cache):
    for optimizer in ("adam", "sgd"):
        rates = history(run(small_cache, optimizer, optimizer=optimizer)).lr
        assert rates.tolist() == pytest.approx([1e-3 * optim.cosine(t, 3) for t in (1, 2, 3)])


def test_it_learns_what_can_be_learnt(small_cache):
    folder = run(small_cache, "a", method="ce", epochs=40, validation_split=0.0)
    assert files.read_json(folder / "result.json")["selections"]["last"]["test"]["score"] > 70


def command(folder, cache):
    return [sys.executable, "-m", "lib.worker", str(folder), str(cache), "40"]


def test_killed_anywhere_it_ends_with_the_same_bytes(small_cache, tmp_path):
    """kill -9 in two epochs, then let it end."""
    cache = write_cache(tmp_path / "cache", small_cache)
    settings = {"epochs": 5, "rho": 0.05, "optimizer": "adamw"}
    whole, killed = (start(name=name, **settings) for name in ("whole", "killed"))
    subprocess.run(command(whole, cache), check=True, cwd=paths.PROJECT)
    for name in ("epoch-0001.pt", "epoch-0003.pt"):
        process = subprocess.Popen(command(killed, cache), cwd=paths.PROJECT)
        while not (killed / name).exists() and process.poll() is None:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    subprocess.run(command(killed, cache), check=True, cwd=paths.PROJECT)
    assert same(whole, killed)


def test_a_broken_checkpoint_goes_back_by_one_epoch(small_cache, monkeypatch, capsys):
    whole, broken, save = run(small_cache, "whole"), start(name="broken"), checkpoint.save

    def stop_after_two(folder, epoch, state):
        save(folder, epoch, state)
        if epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        train(small_cache, broken)
    monkeypatch.setattr(checkpoint, "save", save)
    (broken / "epoch-0002.pt").write_bytes((broken / "epoch-0002.pt").read_bytes()[:1000])
    assert same(whole, train(small_cache, broken))
    assert "epoch-0002.pt: cannot be read" in capsys.readouterr().err


def test_any_flipped_bit_of_a_checkpoint_is_noticed(tmp_path, capsys):
    """Each goes back to the checkpoint before; of the newest two one is always left."""
    for epoch in (1, 2, 3):
        checkpoint.save(tmp_path, epoch, {"epoch": epoch, "w": torch.arange(9.0)})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-0002.pt", "epoch-0003.pt"]
    path = tmp_path / "epoch-0003.pt"
    whole = path.read_bytes()
    cpu = torch.device("cpu")
    assert checkpoint.load(tmp_path, cpu)["epoch"] == 3
    for position in range(0, len(whole), 17):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        assert checkpoint.load(tmp_path, cpu)["epoch"] == 2, position
        assert "epoch-0003.pt: cannot be read" in capsys.readouterr().err


def test_features_that_are_not_finite_never_count_as_normal(small_cache):
    """In a test clip alone, which no loss sees; in a further test set, too."""
    features = small_cache.features.copy()
    features[-1, 3, 3] = np.inf
    broken = replace(small_cache, features=features)
    with pytest.raises(TrainingError, match="a: the test set: 1 of 16 clips have a logit that"):
        run(broken, "a", method="ce", epochs=1)
    with pytest.raises(TrainingError, match="b: the more set: 1 of 16 clips"):
        train(small_cache, start(name="b", method="ce", epochs=1), test_caches={"more": broken})
    assert not list(paths.runs_root().glob("*/result.json"))


def test_a_full_disk_loses_nothing(small_cache, monkeypatch):
    """The disk fills while the second checkpoint is written; with space again the run goes on."""
    whole, full, write, calls = run(small_cache, "whole"), start(name="full"), Path.write_bytes, []

    def fail_once(path, content):
        calls.append(path)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", fail_once)
    with pytest.raises(UserError, match="epoch-0002.pt: no space left on the disk"):
        train(small_cache, full)
    assert {path.name for path in full.glob("*.pt*")} == {"epoch-0001.pt"}
    assert same(whole, train(small_cache, full))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 64}, "24 training clips do not fill one batch of 64"),
        ({"lr": float("inf")}, "the loss is nan in epoch 1"),
    ],
)
def test_runs_that_cannot_train_say_why(small_cache, changes, message):
    with pytest.raises(UserError, match=message):
        run(small_cache, "a", **changes)


def test_train_predictions_are_saved_if_asked_for(small_cache):
    more, plain = run(small_cache, "a", save_train_predictions=True), run(small_cache, "b")
    arrays, fewer = runs_folder.read_predictions(more), runs_folder.read_predictions(plain)
    selections = {key.split("/")[0] for key in fewer if key.endswith("test/logits")}
    expected = {f"train/{key}" for key in ("label", "cycle", "patient", "device", "subset")}
    assert set(arrays) - set(fewer) == expected | {f"{name}/train/logits" for name in selections}
    assert all(np.array_equal(arrays[key], fewer[key]) for key in fewer)
    last = files.read_json(more / "result.json")["selections"]["last"]
    assert np.sum(last["train"]["confusion"]) == 24


METHODS = {
    "ce": {"label_smoothing": 0.1},
    "patchmix_ce": {},
    "patchmix_cl": {"precision": "bf16"},
    "mixup": {"model": "resnet18", "batch_size": 8},
    "supcon": {"model": "resnet18", "batch_size": 8, "tau": 0.1},
}


@pytest.mark.parametrize("method", METHODS)
def test_sam_works_with_every_method_and_changes_what_is_learnt(small_cache, method):
    settings = {"method": method, "epochs": 1, "save_embeddings": False} | METHODS[method]
    plain, sam = (history(run(small_cache, f"{rho}", rho=rho, **settings)) for rho in (0.0, 0.05))
    assert "sharpness_gap" not in plain and np.isfinite(sam.sharpness_gap).all()
    assert plain.loss.item() != sam.loss.item()


def test_fp16_with_sam_is_fp32_within_its_precision(small_cache):
    settings = {"method": "ce", "epochs": 1, "rho": 0.05}
    values = [
        history(run(small_cache, each, precision=each, **settings)).loss.item()
        for each in ("fp32", "fp16")
    ]
    assert values[0] == pytest.approx(values[1], rel=0.01)


def test_what_is_random_depends_on_seed_epoch_and_step(small_cache):
    prepared = trainer.prepare_run(SMALL, 1, small_cache, 40, start())
    first, again, second = (trainer.sample_epoch(prepared, epoch) for epoch in (1, 1, 2))
    values = [tree_leaves(sampled) for sampled in (first, again, second)]
    for a, b, c in zip(*values, strict=True):  # indices, masks and mix
        assert torch.equal(a, b) and not torch.equal(a, c)
    assert not torch.equal(first["mix"].mask[0], first["mix"].mask[1])  # of two steps
    assert sorted(first["indices"].flatten().tolist()) == sorted(prepared.sets["train"].indices)


def variable_length(cache):
    """The same clips, all frames one after another."""
    frames = cache.features.shape[1]
    cycles = cache.cycles.assign(offset=frames * cache.cycles.index, frames=frames)
    return replace(cache, cycles=cycles, features=cache.features.reshape(-1, 32))


def mels_128(cache):
    """The same clips with as many bins as gain and noise are for."""
    return replace(cache, features=np.tile(cache.features, 4))


@pytest.mark.parametrize(
    ("changes", "change_cache", "sampled"),
    [
        ({"method": "dual_axis_cl"}, None, {"indices", "masks", "time", "frequency"}),
        ({"roll": True}, None, {"indices", "masks", "mix", "roll"}),
        ({"gain": 0.5, "noise": 0.1}, mels_128, {"indices", "masks", "mix", "gain_noise"}),
        ({"method": "mixup", "flip": 0.5, "sampler": "balanced", "spec_augment": 0.0},
         variable_length, {"indices", "crop_flip", "mixup"}),
    ],
)  # fmt: skip
def test_everything_random_is_another_in_another_epoch(small_cache, changes, change_cache, sampled):
    cache, e = (change_cache or (lambda same: same))(small_cache), override(SMALL, **changes)
    prepared = trainer.prepare_run(e, 1, cache, 40, start(e))
    first, second = (trainer.sample_epoch(prepared, epoch) for epoch in (1, 2))
    assert set(first) == sampled
    for a, b in zip(tree_leaves(first), tree_leaves(second), strict=True):
        assert not torch.equal(a, b)


def test_clips_are_stretched_after_they_are_masked(small_cache):
    """As the Lung-SRAD code runs: masks of at most so many frames of the clip, then twice as long.

    By hand: a frame of the longer clip lies a quarter of a frame beside one of the shorter.
    """
    e = override(SMALL, method="ce", interpolated_frames=80, spec_augment=1.0, time_mask=20)
    prepared = trainer.prepare_run(e, 1, small_cache, 40, start(e))
    sampled = tree_map(lambda values: values[0], trainer.sample_epoch(prepared, 1))
    x, _ = trainer.augmented_batch(prepared, sampled)
    short, _ = prepared.dataset.clips(sampled["indices"])
    short = augment.spec_augment(short, sampled["masks"]).numpy()
    assert (np.ptp(short, axis=2) == 0).any() and x.shape == (len(short), 80, 32)  # masked frames
    places = np.clip((np.arange(80) + 0.5) / 2 - 0.5, 0, 39)
    low, share = np.floor(places).astype(int), (places % 1)[None, :, None]
    high = np.minimum(low + 1, 39)
    expected = short[:, low] * (1 - share) + short[:, high] * share
    np.testing.assert_allclose(x, expected, atol=1e-5)


def test_dropout_is_keyed_by_epoch(small_cache, monkeypatch):
    keys, seed = [], torch.manual_seed
    monkeypatch.setattr(torch, "manual_seed", lambda key: keys.append(key) or seed(key))
    run(small_cache, "a", method="ce")
    train(small_cache, start(name="b", method="ce"), seed=2)
    assert len(keys) == 2 * (1 + 3) and len(set(keys)) == 8  # initial weights and three epochs


def test_dropout_is_on_while_training(small_cache):
    settings = {"method": "ce", "epochs": 1}
    whole, dropped = (run(small_cache, f"{p}", dropout=p, **settings) for p in (0.0, 0.5))
    assert history(whole).loss.item() != history(dropped).loss.item()


def test_each_rule_selects_by_its_own_set():
    scores = {"test": [40.0, 50.0, 45.0], "validation": [60.0, 30.0, 20.0]}
    table = [
        {"epoch": i + 1} | {f"{s}_{k}": scores[s][i] for s in scores for k in ("se", "score")}
        for i in range(3)
    ]
    chosen = {rule: checkpoint.selected_epoch(table, rule) for rule in (*scores, "last")}
    assert chosen == {"test": 2, "validation": 1, "last": 3}


def test_class_weights_come_from_the_training_clips_alone(small_cache):
    """Neither test nor validation clips have a part in them: 1 / n by hand."""
    cycles = small_cache.cycles.copy()
    cycles.loc[cycles.split == "test", "label"] = "normal"
    held_out = trainer.split_cycles(cycles, BASE, 1)["validation"]
    cycles.loc[held_out[::2], "label"] = "both"
    cache = replace(small_cache, cycles=cycles)
    prepared = trainer.prepare_run(override(BASE, epochs=1), 1, cache, 40, start(BASE, epochs=1))
    weight = prepared.method.loss.keywords["cross_entropy"].keywords["weight"]
    sets = prepared.sets
    inverse = 1 / np.bincount(sets["train"].labels, minlength=4)
    both = np.concatenate([sets["train"].labels, sets["validation"].labels])
    wrong = 1 / np.bincount(both, minlength=4)
    assert not np.allclose(inverse / inverse.sum(), wrong / wrong.sum())
    np.testing.assert_allclose(weight / weight.sum(), inverse / inverse.sum(), rtol=1e-6)


def test_a_run_starts_from_the_encoder_of_another_and_keeps_it_if_frozen(small_cache):
    """Its batch-norm statistics too; the classifier alone learns."""
    settings = {"model": "resnet18", "batch_size": 8, "epochs": 1, "save_embeddings": False}
    first = run(small_cache, "first", save_weights=True, method="supcon", **settings)
    spec = runs_folder.read_spec(first)
    first = first.rename(first.with_name(f"first-{spec.hash8}"))  # found by its hash
    weights = runs_folder.weights_fingerprint(spec)
    child = {"init_from": "first", "freeze": True, "save_weights": True, "method": "ce"}
    folder = train(small_cache, start(name="child", weights=weights, **settings | child))
    before, after = (load_file(path / runs_folder.WEIGHTS) for path in (first, folder))
    for key, value in after.items():
        assert key.startswith("classifier.") or torch.equal(value, before[key]), key
    assert "from a run" in (folder / "weights.csv").read_text()


HOME = override(BASE, method="patchmix_cl", normalise="clip", lr=3e-3, dropout=0.25, epochs=8,
                save_weights=True)  # fmt: skip


@pytest.fixture
def other_cache(small_cache):
    """Other recordings: half of the clips are noise; its test set has two subsets."""
    cycles = small_cache.cycles.assign(dataset="sprsound", patient="c" + small_cache.cycles.patient)
    subset = np.where(cycles.index % 8 < 4, "inter", "intra")
    rng = np.random.default_rng(1)
    audible = rng.integers(0, 2, size=(len(cycles), 1, 1))
    features = audible * small_cache.features + rng.normal(size=small_cache.features.shape)
    cycles = cycles.assign(subset=np.where(cycles.split == "train", "train", subset))
    return FeatureCache(Path("other"), cycles, features.astype(np.float16), small_cache.meta)


def assert_saved_weights_give(folder, selection, test_set, cache):
    """Logits one by one, in evaluation mode, from the definition."""
    arrays = runs_folder.read_predictions(folder)
    model, state = build.build_model(HOME, 40, 32).eval(), load_file(folder / runs_folder.WEIGHTS)
    model.load_state_dict({k: v for k, v in state.items() if not k.startswith("projector.")})
    test = cache.cycles[cache.cycles.split == "test"]
    assert arrays[f"{test_set}/patient"].tolist() == test.patient.tolist()
    for row, logits in zip(test.index, arrays[f"{selection}/{test_set}/logits"], strict=True):
        clip = cache.features[row].astype(np.float32)
        x = torch.from_numpy((clip - clip.mean()) / (2 * clip.std()))
        with torch.no_grad():
            np.testing.assert_allclose(logits, model(x[None])[0], atol=2e-4)


def test_further_test_sets_are_scored_at_the_selected_epochs(small_cache, other_cache):
    """They change nothing else; their Score is the mean over the subsets."""
    plain = train(small_cache, start(HOME))
    folder = train(small_cache, start(HOME, name="more"), test_caches={"sprsound": other_cache})
    arrays, fewer = (runs_folder.read_predictions(path) for path in (folder, plain))
    assert {key for key in arrays if "sprsound" not in key} == set(fewer)
    assert all(np.array_equal(arrays[key], fewer[key]) for key in fewer)
    selections = files.read_json(folder / "result.json")["selections"]
    assert selections["validation"]["epoch"] < HOME.epochs
    assert_saved_weights_give(folder, "validation", "sprsound", other_cache)
    assert_saved_weights_give(folder, "validation", "test", small_cache)
    predicted, label = arrays["last/sprsound/logits"].argmax(1), arrays["sprsound/label"]
    halves = []
    for subset in ("inter", "intra"):
        right, normal = predicted == label, label == 0
        of_subset = arrays["sprsound/subset"] == subset
        shares = [100 * right[of_subset & each].mean() for each in (normal, ~normal)]
        halves.append(np.mean(shares))
    assert selections["last"]["sprsound"]["score"] == pytest.approx(np.mean(halves), abs=1e-3)
    assert "sprsound" not in history(folder).columns.str.cat()


def test_if_no_epoch_qualifies_the_last_weights_are_saved(small_cache, monkeypatch):
    monkeypatch.setattr(metrics, "MIN_SE", 101.0)
    folder = train(small_cache, start(HOME, epochs=2))
    assert files.read_json(folder / "result.json")["selections"]["validation"] is None
    assert_saved_weights_give(folder, "last", "test", small_cache)


def test_a_run_that_was_stopped_before_its_analyses_makes_them_in_evaluation_mode(small_cache):
    modes = []

    def stop(model, *_):
        modes.append(model.training)
        raise KeyboardInterrupt

    folder = start(name="a", method="ce", dropout=0.5)
    for _ in range(2):  # the second time no epoch is left to train
        with pytest.raises(KeyboardInterrupt):
            train(small_cache, folder, on_train_end=stop)
    assert modes == [False, False]


def test_analyses_of_the_trained_model_are_saved(small_cache):
    def analyse(model, dataset, cycles, splits, experiment):
        x, y = dataset.batch(torch.from_numpy(splits["test"]))
        assert cycles.split[splits["test"]].eq("test").all() and experiment.name == "a"
        return {"logits": model(x).detach().numpy(), "y": y.numpy()}

    folder = train(small_cache, start(name="a", method="ce"), on_train_end=analyse)
    saved, arrays = (
        runs_folder.read_arrays(folder / name)
        for name in (runs_folder.ANALYSIS, runs_folder.PREDICTIONS)
    )
    np.testing.assert_allclose(saved["logits"], arrays["last/test/logits"], atol=1e-5)
    np.testing.assert_array_equal(saved["y"], arrays["test/label"])


def test_the_unscored_subset_is_predicted_too_and_changes_no_score(small_cache):
    """SPRSound's test2023 lies between the other clips of the test set."""
    subset = np.where(small_cache.cycles.split == "train", "train", "inter")
    subset[36::4] = "test2023"
    cycles = small_cache.cycles.assign(subset=subset)
    folder = train(replace(small_cache, cycles=cycles), start(HOME))
    assert_saved_weights_give(folder, "validation", "test", small_cache)
    arrays = runs_folder.read_predictions(folder)
    scored = arrays["test/subset"] == "inter"
    right = arrays["last/test/logits"].argmax(1) == arrays["test/label"]
    normal = arrays["test/label"] == 0
    shares = [100 * right[scored & each].mean() for each in (normal, ~normal)]
    assert 0 < scored.sum() < len(scored)
    assert history(folder).test_score.iloc[-1] == pytest.approx(np.mean(shares), abs=1e-3)
