"""Benchmarks: the plain reference computes what we compute, and rows are measured and kept."""

import copy
import math
import os
import time
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import __main__ as commands
from benchmarks import (
    dass,
    features,
    flops,
    gpu_step,
    made,
    measure,
    ours,
    plain,
    results,
    stream,
    table,
)
from benchmarks.measure import Case, Unavailable, Variant, Work
from lib import models
from lib.data.icbhi import cycles
from lib.data.synthetic import write as write_recordings
from lib.features.cache import open_store
from lib.features.cache_build import build
from lib.runs import folder
from lib.training import augment, losses, methods, optim


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


METHODS = ("ce", "patchmix_ce", "patchmix_cl")
FRAMES, MELS, BATCH = 64, 64, 6


def setup(model, size, method):
    """An experiment, our model and the plain one with its weights, in float64, and a step's draws.

    Positions and special tokens start near zero; they are drawn again, so that they matter.
    """
    e = ours.experiment(model, size, method, batch=BATCH, class_weights=True, lr=1e-3)
    torch.manual_seed(0)
    mine = models.build(e, FRAMES, MELS)
    if method == "patchmix_cl":
        mine.projector = losses.Projector(mine.width, 32)
    for name, p in mine.named_parameters():
        if "token" in name or "pos_embed" in name:
            torch.nn.init.normal_(p)
    mine = mine.double().train()
    return e, mine, plain.model_of(mine, e).train()


def draw(e, method, rng):
    x = torch.from_numpy(rng.normal(size=(BATCH, FRAMES, MELS)))
    y = torch.from_numpy(rng.integers(0, 4, BATCH))
    return (x, y), method.draw(rng, BATCH)


@pytest.mark.parametrize(
    ("model", "method"), [*(("ast", method) for method in METHODS), ("mn04", "patchmix_cl")]
)
def test_a_plain_step_has_our_loss_and_gradients(model, method):
    e, mine, reference = setup(model, "nano", method)
    if model == "mn04":  # dropout draws differ in order between the two
        for one in (mine, reference):
            one.classifier[2].p = 0.0
    weight = torch.tensor([0.1, 0.2, 0.3, 0.4]).double()
    ours_is = methods.build(e, mine, (FRAMES, MELS), weight)
    batch, drawn = draw(e, ours_is, np.random.default_rng(1))
    found, _ = ours_is.loss(mine, batch, drawn)
    expected = plain.loss(reference, *batch, drawn.get("mix"), e, weight)
    found.backward()
    expected.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    theirs = dict(reference.named_parameters())
    assert theirs.keys() == dict(mine.named_parameters()).keys()
    size = max(p.grad.abs().max() for p in theirs.values())
    for name, p in mine.named_parameters():
        torch.testing.assert_close(p.grad, theirs[name].grad, rtol=1e-8, atol=1e-10 * size)


@pytest.mark.parametrize("method", METHODS)
def test_four_plain_steps_and_averages_are_ours(method):
    e, mine, reference = setup("ast", "nano", method)
    start = copy.deepcopy(mine.state_dict())
    ours_is = methods.build(e, mine, (FRAMES, MELS), None)
    unscaled = torch.amp.GradScaler("cpu", enabled=False)
    ours_adam = optim.adam(mine, e.lr, e.weight_decay, e.moving_average)
    plain_adam = plain.adam(reference, e)
    rng = np.random.default_rng(2)
    for _ in range(4):
        batch, drawn = draw(e, ours_is, rng)
        found, _ = ours_is.loss(mine, batch, drawn)
        ours_adam.zero_grad()
        found.backward()
        ours_adam.step()
        compute = partial(plain.loss, reference, *batch, drawn.get("mix"), e, None)
        plain.update(reference, plain_adam, e.moving_average, compute, unscaled)
    moved = 0.0
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(mine.state_dict()[name], value, rtol=1e-8, atol=1e-10)
        moved = max(moved, (value - start[name]).abs().max().item())
    assert moved > 1e-3


def test_plain_spec_augment_is_ours():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(8, FRAMES, MELS)))
    spans = augment.draw_spans(rng, 8, (FRAMES, MELS), 0.8, 20, 30)
    expected = augment.spec_augment(x, spans)
    found = [plain.spec_augment(clip, *(part[i] for part in spans)) for i, clip in enumerate(x)]
    torch.testing.assert_close(torch.stack(found), expected)
    assert not torch.equal(expected, x)


def test_plain_features_are_ours(tmp_path):
    """Float16 is what a store keeps: 0.004 in log energy."""
    write_recordings(tmp_path / "data", patients=5, cycles=2)
    source = features.data.source(tmp_path / "data")
    build(tmp_path / "store", source, features.FrontEnd(), "mark", False)
    store = open_store(tmp_path / "store")
    audio = features.icbhi.audio_files(source.root)
    rows = cycles(source.root)
    for name in list(audio)[:4]:
        expected = plain_features = features.plain_recording(
            audio[name], rows[rows.recording == name]
        )
        found = store.features[store.cycles.recording == name]
        for one, expected in zip(found, plain_features, strict=True):
            assert np.abs(one - expected.numpy()).max() < 0.01


@pytest.mark.parametrize("size", ["nano", "mini"])
def test_flops_are_those_that_pytorch_counts(size):
    """The forward by formula and by count; attention is written out, so that it is counted."""
    e, _, reference = setup("ast", size, "patchmix_cl")
    batch, drawn = draw(e, methods.build(e, reference_like(reference), (FRAMES, MELS), None),
                        np.random.default_rng(0))  # fmt: skip
    with FlopCounterMode(display=False) as counter:
        plain.loss(reference, *batch, drawn["mix"], e, None)
    tokens = reference.vit.pos_embed.shape[1]
    width = reference.classifier[1].in_features
    embedding = 2 * (tokens - 2) * e.patch**2 * width * BATCH  # a second time, the plain way
    assert 3 * counter.get_total_flops() == flops.step(reference, BATCH, e.patch) + 3 * embedding


def reference_like(reference):
    """What `methods.build` asks of a model, for a plain one."""
    reference.grid = augment.input_grid(FRAMES, MELS)
    reference.embed = None
    return reference


def slow(seconds):
    return Work(lambda count: time.sleep(seconds * count), note="sleeps")


def missing():
    raise Unavailable("no such thing")


def broken():
    raise ValueError("out of order")


def ends_at_once():
    return Work(lambda count: os._exit(1))


def test_rounds_are_measured_and_faults_are_told(capfd):
    variants = (
        Variant("slow", slow, {"seconds": 0.02}),
        Variant("fast", slow, {"seconds": 0.005}),
        Variant("two", slow, {"seconds": 0.02}, copies=2),
        Variant("missing", missing, {}),
        Variant("broken", broken, {}),
        Variant("dies", ends_at_once, {}),
    )
    rows = {r["variant"]: r for r in measure.run(Case("sleep", variants, round_seconds=0.05), 3)}
    assert rows["slow"]["median"] == pytest.approx(0.02, rel=0.5)
    assert rows["fast"]["faster"] == pytest.approx(4, rel=0.5)
    assert rows["two"]["faster"] == pytest.approx(2, rel=0.5)
    assert rows["slow"]["faster"] == 1 and rows["slow"]["rounds"] == 3
    assert rows["slow"]["q1"] <= rows["slow"]["median"] <= rows["slow"]["q3"]
    assert rows["slow"]["peak_mb"] > 10
    assert rows["missing"]["note"] == "not run: no such thing" and "median" not in rows["missing"]
    assert rows["broken"]["note"] == "failed: ValueError: out of order"
    assert rows["dies"]["note"].startswith("failed: its process ended")
    assert "out of order" in capfd.readouterr().err


def frame(group, **changes):
    row = {"group": group, "case": "a", "variant": "ours", "base": "plain", "unit": "s/step"}
    row |= {"median": 1.0, "q1": 0.9, "q3": 1.1, "rounds": 3, "peak_mb": 100.0, "note": ""}
    return pd.DataFrame([row | changes]).reindex(
        columns=[c for c in results.COLUMNS if c not in results.MACHINE]
    )


def test_groups_that_were_not_run_stay_on_the_same_machine(tmp_path, monkeypatch, capsys):
    here = {"cpu": "A", "cores": 2, "torch": "2", "gpu": "none"}
    monkeypatch.setattr(table.machine, "facts", lambda: here)
    table.write(frame("step"), folder=tmp_path)
    table.write(frame("features", median=7.0), folder=tmp_path)
    table.write(frame("step", median=2.0), folder=tmp_path)
    kept = results.read(tmp_path / "benchmarks.csv")
    assert kept[["group", "median"]].to_numpy().tolist() == [["features", 7.0], ["step", 2.0]]
    assert "A, 2 cores, no GPU" in (tmp_path / "benchmarks.md").read_text()
    monkeypatch.setattr(table.machine, "facts", lambda: here | {"cpu": "B"})
    table.write(frame("step"), folder=tmp_path)
    assert results.read(tmp_path / "benchmarks.csv").group.tolist() == ["step"]
    assert "1 rows measured on another machine are dropped: features" in capsys.readouterr().out


def test_gpu_notes_are_made_of_what_was_measured():
    rows = [
        {"case": "bf16 matrix product", "variant": "torch", "unit": "s", "median": 0.5,
         "note": '{"flops": 100000000000000}'},
        {"case": "step of AST", "variant": "ours bf16", "unit": "s/step", "median": 0.25,
         "note": '{"flops": 25000000000000}'},
        {"case": "copy", "variant": "torch", "unit": "s", "median": 2.0,
         "note": '{"bytes": 4000000000000}'},
        {"case": "error", "variant": "fp32", "unit": "of the norm", "median": 0.0,
         "note": '{"error": 0.1, "limit": 0.01, "what": "loss"}'},
        {"case": "scoring", "variant": "batch 8", "unit": "s/clip", "median": 0.01, "note": ""},
        {"case": "write a checkpoint", "variant": "ours", "unit": "s/epoch", "median": 1.0,
         "note": ""},
    ]  # fmt: skip
    gpu_step._finish(rows)
    assert rows[1]["note"] == "100 TFLOP/s, 50.0% of the bf16 ceiling"
    assert rows[2]["note"] == "2 TB/s read and written"
    assert rows[3]["note"] == "WRONG: loss" and rows[3]["median"] == 0.1
    (projected,) = gpu_step._projection(rows)
    assert projected["median"] == pytest.approx(50 * (517 * 0.25 + 2756 * 0.01 + 1) / 60)


def test_made_stores_are_read_and_records_hold(tmp_path):
    path = made.store(tmp_path / "store", 8, 4, 20, 8)
    store = open_store(path)
    assert store.features.shape == (12, 20, 8) and math.isfinite(store.features.mean())
    made.records(2, clips=12)
    assert len(list(folder.published_root().iterdir())) == 2 and folder.verify() == []


def test_a_stream_s_cost_is_that_of_all_its_windows():
    work = stream.windows("cnn2/mixup@1-2-windows")
    assert work.units == 30 and "real-time factor 0.0" in work.note
    work.run(1)


def test_every_group_is_described():
    assert set(commands.GROUPS) == set(results.GROUPS)


def test_dass_beside_ast_on_the_same_clips(tmp_path):
    """Variants of a case differ in the model alone; what is measured says how large it is."""
    found = {case.name: {v.name: v for v in case.variants} for case in dass.cases(tmp_path)}
    step = found["step, dual_axis_cl"]
    assert list(step) == ["AST mini", "DASS nano", "DASS mini", "DASS nano, blur"]
    for case in found.values():
        assert len({str(v.settings["store"]) for v in case.values()}) == 1
    blurred = step["DASS nano, blur"]
    run = dass._prepared(blurred.settings["asked"], "dual_axis_cl", *_folders(blurred))
    assert run.experiment.blur == 1 and run.experiment.mix_at == "tokens"
    assert run.clips.shape == (298, 128) and run.experiment.batch_size == 8
    one = found["answer, 3 s, batch 1"]["AST mini"]
    assert one.make(**one.settings).note == "487,012 parameters"


def _folders(variant):
    return variant.settings["store"], variant.settings["folder"]
