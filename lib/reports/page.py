"""What a notebook sees: the banner, tables and figures (saved as they are shown), sounds."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML, Audio, display
from matplotlib.figure import Figure

from lib import paths
from lib.analysis.mistakes import Mistake
from lib.data import Dataset
from lib.papers.profiles import Profile
from lib.plots import style
from lib.reports import format, links, listen
from lib.reports.template import render_template
from lib.runs import execute, plan
from lib.runs.folder import published_root
from lib.runs.results import collect_results, read_results
from lib.tables import build_table

NO_SOUND = "(Pages that are built locally have a sound player here.)"


@dataclass(frozen=True)
class Page:
    """One page; tables and figures are saved below `context.folder`."""

    context: plan.Context
    sounds: bool  # whether real sounds may be embedded
    train: bool = True  # whether missing runs are trained
    _results: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)

    def results(self, group: str) -> pd.DataFrame:
        """Return the results of a group of rows (`lib.runs.results.collect_results`)."""
        if group not in self._results:
            self._results[group] = self._load(group)
        return self._results[group]

    def _load(self, group: str) -> pd.DataFrame:
        """The results, as another page has written them if this one trains nothing."""
        written = self.context.folder / "results" / f"{group}.csv"
        if not self.train and written.exists():
            return read_results(written, published_root(), paths.runs_root())
        load = execute.train_and_load if self.train else collect_results
        return load(self.context.profile.name, group)

    def table(self, name: str, caption: str = "", data: pd.DataFrame | None = None) -> HTML:
        """Show a table and save it as tables/<name>.csv, .md and .tex.

        Without `data` it is the registered table of that name (`lib.papers.TABLES`), whose numbers
        link to their runs.
        """
        origins = ()
        if data is None:
            used: dict[str, pd.DataFrame] = {}

            def results(group: str) -> pd.DataFrame:
                return used.setdefault(group, self.results(group))

            data = build_table(name, results, self.context.profile.verdict)
            if used:
                origins = links.line_origins(name, data, pd.concat(used.values()))
        format.save_table(data, name, self.context.folder / "tables")
        return HTML(format.render_table(data, name, caption, origins))

    def figure(self, fig: Figure, name: str) -> HTML:
        """Show a figure with its alt text and save it as figures/<name>.png and .svg."""
        style.save_figure(fig, name, self.context.folder / "figures")
        return style.show_figure(fig, name)

    def listen(self) -> HTML:
        """Show synthetic examples of every class: players with spectrograms."""
        return HTML(listen.players())

    def mistakes(self, mistakes: list[Mistake], dataset: Dataset) -> HTML:
        """Show mistakes on a dataset: spectrograms and, if the page may hold them, real sounds."""
        note = "" if self.sounds else f"<p>{NO_SOUND}</p>"
        return HTML(listen.gallery(mistakes, dataset, self.sounds) + note)

    def audio(self, wave: np.ndarray, rate_hz: int) -> Audio | HTML:
        """Return a player of a wave (samples,), or a note if the page may hold no real sound."""
        return Audio(wave, rate=rate_hz) if self.sounds else HTML(f"<p>{NO_SOUND}</p>")


def open_page(profile: str, *datasets: str, train: bool = True) -> Page:
    """Show the banner and return the page.

    datasets: those that the page's numbers come from (icbhi by default, sprsound). train: whether
    the page trains missing runs. Raises `UserError` if the profile needs all recordings of ICBHI
    and some are missing.
    """
    context = plan.open_context(profile)
    names = datasets or ("icbhi",)
    if "icbhi" in names:
        context.check_icbhi()
    sources = [context.sprsound if name == "sprsound" else context.source for name in names]
    display(HTML(banner(context.profile, sources)))
    return Page(context, _synthetic(sources) or may_hold_sounds(context.folder), train)


def banner(profile: Profile, sources: list[Dataset]) -> str:
    """Return HTML that says how far the numbers of a page are from the published setting."""
    sentences = [source.banner or f"{source.title}: all recordings." for source in sources]
    return render_template(
        "banner",
        profile=profile,
        data=", ".join(source.label for source in sources),  # a template would index a dataset
        sentences=list(dict.fromkeys(sentences)),
        synthetic=_synthetic(sources),
    )


def answer_box(question: str, answer: str, number: str, state: str, decides: str) -> str:
    """Return HTML of the box that opens a page: its question, answered.

    number: the one that decides, with interval and baseline; state: confirmed, refuted, undecided
    or not run, with a reason in brackets if it has one; decides: what would decide it, "" if
    nothing is open. Raises `UserError` for another state.
    """
    given = {"question": question, "answer": answer, "number": number, "decides": decides}
    return render_template("answer", state=state, look=format.state_look(state), **given)


def _synthetic(sources: list[Dataset]) -> bool:
    return all(source.kind == "synthetic" for source in sources)


def may_hold_sounds(folder: Path) -> bool:
    """Whether pages in a folder may embed real sounds: never where git could commit them."""
    folder, reports = folder.resolve(), paths.reports_root().resolve()
    in_repository = folder.is_relative_to(paths.PROJECT) or folder.is_relative_to(reports)
    return folder.is_relative_to(reports / "local") or not in_repository
