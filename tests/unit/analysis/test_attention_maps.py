"""Attention over the cycles it was kept of: a small study, pictures and shares by hand."""

import numpy as np
import pandas as pd
import pytest

from lib import data, profiles, registry
from lib.analysis import attention_maps
from lib.config import override
from lib.data import Source, icbhi, synthetic
from lib.evaluation import scores
from lib.features.frontends import frontend_for
from lib.runs import folder as runs_folder
from lib.runs import plan

METHODS = {"plain": "ast_geo/wrs", "SAM": "ast_geo/wrs_sam"}


@pytest.fixture
def here(small_store, tmp_path, monkeypatch):
    """The small store, 40 frames x 32 mels, stands for what the quick profile would build."""
    applied = override(
        profiles.apply(profiles.get("quick"), registry.get("ast_geo/wrs")), pad_frames=64, stride=16
    )
    monkeypatch.setattr(attention_maps, "apply", lambda profile, experiment: applied)
    monkeypatch.setattr(attention_maps, "clip_frames", lambda experiment: 40)
    stores = {}
    source = Source("icbhi", tmp_path, "partial", "")
    made = plan.Study(profiles.get("quick"), source, _stores=stores)
    stores[source, frontend_for(applied)] = small_store
    return made


@pytest.fixture
def results(tmp_path, small_store):
    rows = []
    for at, experiment in enumerate(METHODS.values()):
        folder = tmp_path / f"run{at}"
        folder.mkdir()
        last = np.full((1, 2, 4), 1 / 8)  # 32 mels x 64 frames: 2 x 4 patches
        rollout = np.zeros((1, 2, 4))
        rollout[0, 1, 3] = 1  # high mels, at the end: nothing but zeros
        cycle = scores.cycle_ids(small_store.cycles)[-2:-1]
        runs_folder.write_arrays(
            folder / runs_folder.GEOMETRY,
            {"attention/cycle": cycle, "attention/last": last, "attention/rollout": rollout},
        )
        rows.append({"experiment": experiment, "seed": 1, "path": str(folder)})
    return pd.DataFrame(rows)


def test_maps_lie_over_the_spectrogram_and_its_zeros(here, results, small_store):
    (one,) = attention_maps.cycles(here, results, METHODS)
    assert one.label == "wheeze" and one.cycle.endswith(":2")
    assert one.spectrogram.shape == (64, 32) and one.frames == 40
    np.testing.assert_array_equal(one.spectrogram[:40], small_store.features[-2])
    assert not one.spectrogram[40:].any()
    assert list(one.maps) == ["plain: last", "plain: rollout", "SAM: last", "SAM: rollout"]
    rolled = one.maps["SAM: rollout"]
    assert (rolled[48:, 16:] == 1).all() and rolled.sum() == 16 * 16


def test_shares_on_zeros(here, results):
    table = attention_maps.on_zeros(here, results, METHODS)
    assert table.iloc[0].tolist() == ["plain", "25.0", "25.0", "100.0"]  # of 0 16 32 48: 48 >= 40


def test_nothing_kept_nothing_shown(here, results):
    nothing = results.assign(path=None)
    assert attention_maps.cycles(here, nothing, METHODS) == []
    assert attention_maps.on_zeros(here, nothing, METHODS).empty
    assert attention_maps.sounds(Source("icbhi", here.source.root, "none", ""), []) == []


def test_sounds_are_the_annotated_seconds(tmp_path):
    synthetic.write(tmp_path, patients=6, cycles=3)
    source = data.source(tmp_path)
    cycle = icbhi.cycles(tmp_path).iloc[1]
    name = f"{cycle.recording}:{cycle.cycle}"
    (sound,) = attention_maps.sounds(
        source, [attention_maps.Attended(name, "", np.zeros((1, 1)), {}, 20)]
    )
    assert len(sound) == 20 * 160  # what the picture shows of it
    heard = attention_maps.Attended(name, "", np.zeros((1, 1)), {}, 9999)
    (whole,) = attention_maps.sounds(source, [heard])
    assert len(whole) == pytest.approx(16000 * (cycle.end - cycle.start), abs=1)
