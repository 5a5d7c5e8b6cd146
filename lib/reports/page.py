"""What a notebook sees: the banner, tables and figures (saved as they are shown), sounds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML, Audio
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from lib import paths
from lib.plots import style
from lib.reports import format
from lib.runs import execute, plan
from lib.tables import build_table

NO_SOUND = "(A sound player stands here in pages that are built locally.)"


@dataclass(frozen=True)
class Page:
    """One page; tables and figures are saved below `context.folder`."""

    context: plan.Context
    sounds: bool  # whether sounds may be embedded

    @property
    def judge(self) -> bool:
        """Whether this profile's numbers are a verdict on the published ones."""
        return self.context.profile.verdict

    def results(self, group: str) -> pd.DataFrame:
        """Return the results of a group of experiments; trains the runs that are missing."""
        return execute.train_and_load(self.context.profile.name, group)

    def table(self, name: str, caption: str = "", data: pd.DataFrame | None = None) -> Styler:
        """Show a table and save it as tables/<name>.csv, .md and .tex.

        Without `data` it is the registered table of that name (`lib.papers.TABLES`).
        """
        if data is None:
            data = build_table(name, self.results, self.judge)
        format.save_table(data, name, self.context.folder / "tables")
        return format.style_table(data, name, caption)

    def figure(self, fig: Figure, name: str) -> HTML:
        """Show a figure with its alt text and save it as figures/<name>.png and .svg."""
        style.save_figure(fig, name, self.context.folder / "figures")
        return style.show_figure(fig)

    def audio(self, wave: np.ndarray, rate_hz: int) -> Audio | HTML:
        """Return a player of a wave (samples,), or a note if the page may hold no sound."""
        return Audio(wave, rate=rate_hz) if self.sounds else HTML(f"<p>{NO_SOUND}</p>")


def may_hold_sounds(folder: Path) -> bool:
    """Whether pages in a folder may embed real sounds: never where git could commit them."""
    folder, local = folder.resolve(), (paths.reports_root() / "local").resolve()
    repository = (paths.PROJECT, paths.reports_root().resolve())
    return folder.is_relative_to(local) or not any(map(folder.is_relative_to, repository))
