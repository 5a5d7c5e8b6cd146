"""Plots of a search: drawn by Optuna, with the numbers in the alt text."""

import matplotlib as mpl
import optuna
import pytest
from matplotlib import pyplot
from optuna.distributions import CategoricalDistribution, FloatDistribution

from lib.plots import tuning
from lib.plots.style import alt_text, to_png

SPACE = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "hop": CategoricalDistribution((64, 128, 512)),
    "tau": FloatDistribution(0.1, 0.9),
}
TRIALS = [(1e-3, 64, 0.1, 50.0), (1e-2, 128, 0.5, 62.5), (1e-4, 64, 0.9, 40.0)]


def study_of(trials):
    study = optuna.create_study(direction="maximize")
    for *values, score in trials:
        params = dict(zip(SPACE, values, strict=True))
        trial = optuna.trial.create_trial(params=params, distributions=SPACE, value=score)
        study.add_trial(trial)
    return study


def test_history_names_the_best_trial():
    fig = tuning.plot_history(study_of(TRIALS))
    assert "from 40.0 to 62.5 percent; the best is trial 1." in alt_text(fig)
    assert fig.axes[0].collections[0].get_offsets()[:, 1].tolist() == [50.0, 62.5, 40.0]


def test_importances_are_shares_largest_first():
    fig = tuning.plot_importances(study_of(TRIALS))
    widths = [bar.get_width() for bar in fig.axes[0].patches]
    assert sum(widths) == pytest.approx(1) and len(widths) == 3
    names = alt_text(fig).removeprefix("Bars of each setting's importance: ").split(", ")
    assert [float(name.rstrip(".").split()[1]) for name in names] == [
        pytest.approx(width, abs=0.005) for width in sorted(widths, reverse=True)
    ]


def test_settings_have_a_panel_each():
    fig = tuning.plot_settings(study_of(TRIALS))
    panels = {ax.get_xlabel(): ax for ax in fig.axes if ax.get_xlabel()}
    assert set(panels) == set(SPACE) and panels["lr"].get_xscale() == "log"
    assert "62.5 percent: lr 0.01, hop 128, tau 0.5." in alt_text(fig)


def test_nothing_of_pyplot_stays():
    before = dict(mpl.rcParams)
    assert to_png(tuning.plot_history(study_of(TRIALS)))
    assert not pyplot.get_fignums() and dict(mpl.rcParams) == before


@pytest.mark.parametrize("plot", [tuning.plot_history, tuning.plot_settings])
def test_without_a_trial_a_figure_says_so(plot):
    assert "no trial is finished" in alt_text(plot(study_of([])))
    assert "too few or too alike" in alt_text(tuning.plot_importances(study_of(TRIALS[:1])))
