"""Benchmarks: the plain reference computes what the library computes; rows are kept."""

import copy
import time
from functools import partial

import numpy as np
import pytest
import torch

from benchmarks import __main__ as commands
from benchmarks import common, evaluation, features, gpu, plain, results, scan
from lib.data.icbhi import ICBHI
from lib.data.synthetic import write_icbhi
from lib.errors import UserError
from lib.features.cache import cache_for
from lib.features.frontends import Fbank
from lib.models import build
from lib.models.scan import selective_scan
from lib.training import methods, optim

FRAMES, MELS, BATCH = 64, 64, 6


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def two_models(model, size, method):
    """An experiment, our model and the plain one with its weights, in float64.

    Positions and special tokens start near zero; they are drawn again, so that they matter.
    """
    e = common.experiment(model, size, method, batch_size=BATCH, class_weights=True, lr=1e-3)
    torch.manual_seed(0)
    ours = build.build_model(e, FRAMES, MELS)
    build.add_projector(ours, e)
    for name, p in ours.named_parameters():
        if "token" in name or "pos_embed" in name:
            torch.nn.init.normal_(p)
    ours = ours.double().train()
    return e, ours, plain.plain_model(ours).train()


def sample(method, rng):
    x = torch.from_numpy(rng.normal(size=(BATCH, FRAMES, MELS)))
    y = torch.from_numpy(rng.integers(0, 4, BATCH))
    return (x, y), method.sample(rng, BATCH)


@pytest.mark.parametrize(
    ("model", "method"), [("ast", "ce"), ("ast", "patchmix_cl"), ("mn04", "patchmix_cl")]
)
def test_a_plain_step_has_our_loss_and_gradients(model, method):
    e, ours, reference = two_models(model, "nano", method)
    if model == "mn04":  # the two would draw dropout in another order
        for each in (ours, reference):
            each.classifier[2].p = 0.0
    weight = torch.tensor([0.1, 0.2, 0.3, 0.4]).double()
    our_method = methods.build_method(e, ours, (FRAMES, MELS), weight)
    batch, sampled = sample(our_method, np.random.default_rng(1))
    loss, _ = our_method.loss(ours, batch, sampled)
    expected = plain.loss(reference, batch, sampled.get("mix"), e, weight)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    parameters = dict(reference.named_parameters())
    assert parameters.keys() == dict(ours.named_parameters()).keys()
    size = max(p.grad.abs().max() for p in parameters.values())
    for name, p in ours.named_parameters():
        torch.testing.assert_close(p.grad, parameters[name].grad, rtol=1e-8, atol=1e-10 * size)


@pytest.mark.parametrize("method", ["ce", "patchmix_cl"])
def test_four_plain_steps_and_averages_are_ours(method):
    e, ours, reference = two_models("ast", "nano", method)
    start = copy.deepcopy(ours.state_dict())
    our_method = methods.build_method(e, ours, (FRAMES, MELS), None)
    our_adam = optim.build_optimizer(ours, e)
    plain_adam = torch.optim.Adam(reference.parameters(), e.lr, weight_decay=e.weight_decay)
    unscaled = torch.amp.GradScaler("cpu", enabled=False)
    rng = np.random.default_rng(2)
    for _ in range(4):
        batch, sampled = sample(our_method, rng)
        loss, _ = our_method.loss(ours, batch, sampled)
        our_adam.zero_grad()
        loss.backward()
        our_adam.step()
        compute = partial(plain.loss, reference, batch, sampled.get("mix"), e, None)
        plain.update(reference, plain_adam, e.moving_average, compute, unscaled)
    moved = 0.0
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-8, atol=1e-10)
        moved = max(moved, (value - start[name]).abs().max().item())
    assert moved > 1e-3


def test_plain_features_are_ours(tmp_path):
    """Float16 is 0.004 of log energy; torchaudio's two resamplers differ in the empty top bins."""
    write_icbhi(tmp_path / "data", patients=2, cycles=2)
    dataset = ICBHI.open(tmp_path / "data")
    cache = cache_for(dataset, Fbank(), progress=False)
    for name, path in dataset.audio_files().items():
        cycles = dataset.clips()
        expected = features.plain_recording(path, cycles[cycles.recording == name])
        clips = cache.features[cache.cycles.recording == name]
        for clip, plain_clip in zip(clips, expected, strict=True):
            assert np.abs(clip - plain_clip.numpy()).max() < 0.02


def test_the_step_loop_computes_our_scan():
    given = scan.arguments(50)
    torch.testing.assert_close(scan.step_loop(*given), selective_scan(*given), rtol=1e-4, atol=1e-5)


def sleeping(seconds):
    return lambda: time.sleep(seconds)


def test_rows_hold_medians_and_ratios(monkeypatch):
    monkeypatch.setattr(common, "peak_memory", lambda make: 12.0)
    variants = [
        common.Variant("slow", partial(sleeping, 0.02), note="sleeps"),
        common.Variant("fast", partial(sleeping, 0.005)),
        common.Variant("two at once", partial(sleeping, 0.02), units=2),
    ]
    rows = {r["variant"]: r for r in common.compare("sleep", variants, "s", 3, 0.02)}
    assert rows["slow"]["median"] == pytest.approx(0.02, rel=0.5) and rows["slow"]["faster"] == 1
    assert rows["fast"]["faster"] == pytest.approx(4, rel=0.5) and rows["fast"]["base"] == "slow"
    assert rows["two at once"]["faster"] == pytest.approx(2, rel=0.5)
    assert rows["slow"]["q1"] <= rows["slow"]["median"] <= rows["slow"]["q3"]
    assert rows["slow"]["note"] == "sleeps" and rows["slow"]["rounds"] == 3
    assert rows["slow"]["peak_mb"] == 12


def test_memory_is_that_of_a_process_of_its_own():
    works = [partial(partial, bytearray, megabytes << 20) for megabytes in (1, 301)]
    small, large = map(common.peak_memory, works)
    assert large - small == pytest.approx(300, rel=0.1)


def test_steps_and_answers_run_on_a_random_cache(tmp_path):
    cache = common.random_cache(tmp_path / "cache", 16, 8, 40, 32)
    for method in ("ce", "patchmix_cl"):
        e = common.experiment("ast", "nano", method)
        common.training_steps(e, cache)()
        plain.training_steps(e, cache)()
    common.scoring(common.experiment("dass", "nano", "ce", blur=1.0), cache, 4, 8)()


def test_a_stream_is_cut_into_all_its_windows():
    assert len(evaluation.windows(evaluation.STREAMS["CNN"])()) == evaluation.SECONDS - 2


def test_a_dry_run_of_the_gpu_script(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "compare", lambda case, variants, *_, **__: [{"case": case}])
    rows = gpu.gpu(tmp_path, 1, "nano", 98)
    assert [row["case"][:5] for row in rows] == ["error", "error", "no st", "step ", "scori"]
    assert [row["note"].split(":")[0] for row in rows[:3]] == ["right", "right", "dry run"]


def test_a_wrong_result_is_an_error_code(tmp_path, monkeypatch):
    """Of a group that is measured and written; unknown groups have a hint."""
    row = {"case": "a", "variant": "b", "unit": "s", "median": 1.0, "note": "WRONG: loss 1"}
    monkeypatch.setitem(commands.GROUPS, "scan", [lambda folder, rounds: [row]])
    out = tmp_path / "out.csv"
    assert commands.main(["scan", "--out", str(out)]) == 1
    assert results.read(out)[["group", "note"]].to_numpy().tolist() == [["scan", "WRONG: loss 1"]]
    with pytest.raises(UserError, match="did you mean 'scan'"):
        commands.main(["scna"])


def test_every_group_is_described():
    assert set(commands.GROUPS) == set(results.GROUPS)
