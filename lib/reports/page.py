"""What a notebook shows: the banner of its study; tables and figures, saved as they are shown."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas as pd
from IPython.display import HTML, display
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from lib.plots import style
from lib.reports import format
from lib.runs import plan


@dataclass(frozen=True)
class Page:
    """One page of a study; what it shows is saved below `folder`."""

    study: plan.Study
    folder: Path

    def table(self, table: pd.DataFrame, name: str, caption: str = "") -> Styler:
        """Show a table and save it as tables/<name>.csv, .md and .tex."""
        format.save_table(table, name, self.folder / "tables")
        return format.style_table(table, name, caption)

    def figure(self, fig: Figure, name: str) -> style.Picture:
        """Show a figure with its alt text and save it as figures/<name>.png and .svg."""
        style.save(fig, name, self.folder / "figures")
        return style.show(fig)


def open_page(profile: str, *datasets: str) -> Page:
    """Show the banner that belongs on every page: profile, data, and what may be concluded.

    datasets: icbhi (where none is named) and sprsound, whichever the page's numbers stand on.
    """
    here = plan.open_study(profile)
    if "icbhi" in (datasets or ("icbhi",)):
        here.check_icbhi()
    display(HTML(banner(here, *datasets)))
    return Page(here, here.folder)


def banner(here: plan.Study, *datasets: str) -> str:
    """HTML that says how far the numbers of this study are from the published setting."""
    profile = here.profile
    words = [
        f"<b>Profile {profile.name}</b>: {escape(profile.about)}.",
        f"<b>Data</b>: {escape(' '.join(_data(here, name) for name in datasets or ('icbhi',)))}",
        f"<b>Seeds</b>: {len(profile.seeds)}.",
    ]
    if not profile.verdict:
        words.append("They show that the way works; they are <b>no verdict</b> on a paper.")
    return f'<div class="banner">{" ".join(words)}</div>'


def _data(here: plan.Study, dataset: str) -> str:
    """A sentence on how complete a data set is here."""
    if dataset == "icbhi":
        return here.source.banner or "ICBHI 2017, all 920 recordings."
    whole = "SPRSound, BioCAS2022: all 2,683 recordings."
    return plan.sprsound_source(here.profile).banner or whole
