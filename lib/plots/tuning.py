"""Figures of a hyperparameter search: its history and importances by Optuna, and settings."""

import warnings
from collections.abc import Callable

import matplotlib as mpl
import optuna
from matplotlib import pyplot
from matplotlib.figure import Figure
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.visualization import matplotlib as optuna_plots

from lib.plots import style
from lib.plots.style import format_values

NO_TRIAL = "Nothing to draw: no trial is finished; ./run_all.sh tune makes some."
TOO_ALIKE = "Nothing to draw: the trials are too few or too alike to tell settings apart."
SCORE = "validation score (%)"


def plot_history(study: optuna.Study) -> Figure:
    """Plot the score of every finished trial in order, and the best so far."""
    trials = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    if not trials:
        return style.empty_figure(NO_TRIAL)
    fig = _draw(optuna_plots.plot_optimization_history, 6.5, study, target_name=SCORE)
    scores = [trial.value for trial in trials]
    best = f"{study.best_value:.1f} percent; the best is trial {study.best_trial.number}"
    alt = f"Validation scores of {len(trials)} trials from {min(scores):.1f} to {best}."
    return style.set_alt_text(fig, alt)


def plot_importances(study: optuna.Study) -> Figure:
    """Plot each setting's share in the variance of the score (fANOVA); a hint if trials are few."""
    if len({trial.value for trial in study.trials}) < 2:
        return style.empty_figure(TOO_ALIKE)
    evaluator = FanovaImportanceEvaluator(seed=0)
    shares = get_param_importances(study, evaluator=evaluator)
    fig = _draw(optuna_plots.plot_param_importances, 5.5, study, evaluator=evaluator)
    alt = f"Bars of each setting's importance: {format_values(shares, shares.values(), 2)}."
    return style.set_alt_text(fig, alt)


def plot_settings(study: optuna.Study) -> Figure:
    """Plot the score against each setting, a panel for each; later trials are darker."""
    trials = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    if not trials:
        return style.empty_figure(NO_TRIAL)
    fig, axes = style.panels(len(study.best_params), 2, 3.3, 2.6, sharey=True)
    for ax, name in zip(axes, study.best_params, strict=True):
        tried = [trial for trial in trials if name in trial.params]
        x, y = [t.params[name] for t in tried], [t.value for t in tried]
        ax.scatter(x, y, c=[t.number for t in tried], cmap="Blues", edgecolors="black")
        wide = min(x) > 0 and max(x) > 10 * min(x)
        ax.set(xlabel=name, xscale="log" if wide else "linear")
    axes[0].set_ylabel(SCORE)
    best = ", ".join(f"{name} {value:.4g}" for name, value in study.best_params.items())
    alt = f"Validation score against each setting. Best, {study.best_value:.1f} percent: {best}."
    return style.set_alt_text(fig, alt)


def _draw(plot: Callable, width: float, study: optuna.Study, **settings: object) -> Figure:
    """Let Optuna draw on a figure of pyplot, and take it away from pyplot's global state."""
    with mpl.rc_context(style.STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        plot(study, **settings)
        fig = pyplot.gcf()
        pyplot.close(fig)
    fig.set_layout_engine("constrained")
    fig.set_size_inches(width, 3.2)
    return fig
