"""Files that mean harm: none runs code here, and what they say is text wherever it is shown."""

import os
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from small_notebooks import FIRST

from lib import data, files
from lib.analysis import explore
from lib.data import icbhi, synthetic
from lib.errors import UserError
from lib.features.cache import open_cache
from lib.papers.profiles import SMOKE
from lib.plots import spectrograms, style
from lib.reports import format, html
from lib.reports import page as reports_page
from lib.reports.template import render_template
from lib.runs import folder as runs_folder
from lib.training import checkpoint

EVIL = "<img src=x onerror=alert(1)>"


class Payload:
    """Unpickling this would run code."""

    def __reduce__(self):
        return os.mkdir, (os.environ["PAYLOAD"],)


def test_no_file_runs_code(tmp_path, monkeypatch, capsys):
    """Checkpoints, predictions and stores; weights stand in test_weights."""
    monkeypatch.setenv("PAYLOAD", str(tmp_path / "was run"))
    folder = tmp_path / "run"
    checkpoint.save(folder, 1, {"w": torch.ones(2)})
    (folder / "epoch-0002.pt").write_bytes(pickle.dumps({"w": Payload()}, protocol=2))
    torch.save({"w": Payload()}, folder / "epoch-0003.pt")
    assert checkpoint.load(folder, torch.device("cpu"))["w"].tolist() == [1, 1]
    said = capsys.readouterr().err
    assert "epoch-0003.pt: cannot be read" in said and "epoch-0002.pt: cannot be read" in said
    evil = np.array([Payload()], dtype=object)
    np.savez(folder / "predictions.npz", a=evil)
    with pytest.raises(UserError, match="predictions.npz: cannot be read"):
        runs_folder.read_predictions(folder)
    np.save(folder / "features.npy", evil)
    files.write_json(folder / "meta.json", {"mean": 0, "std": 1})
    (folder / "cycles.csv").write_text(
        "recording,cycle,start,end,split,label\na,0,0,1,train,both\n"
    )
    with pytest.raises(UserError, match="features.npy not readable"):
        open_cache(folder)
    assert not (tmp_path / "was run").exists()


def test_what_files_say_is_text_in_pages_indexes_and_tables(tmp_path):
    """A recording, a store's name, a table and a banner that hold markup."""
    synthetic.write_icbhi(tmp_path, patients=1, cycles=4)
    evil = '101_1"onerror="alert(1)<script>alert(1)_Al_sc_Meditron'
    old = next(iter(data.ICBHI(tmp_path).annotation_files()))
    for path in (tmp_path / data.ICBHI.folder).glob(f"{old}.*"):
        path.rename(path.with_name(evil + path.suffix))
    split = tmp_path / icbhi.SPLIT_FILE
    split.write_text(split.read_text().replace(old, evil))
    source = data.ICBHI(tmp_path, "partial", EVIL)
    cycles = explore.load_cycles(source)
    assert evil in set(cycles.recording)
    wave, spans = (
        np.random.default_rng(0).normal(size=80000),
        explore.recording_cycles(cycles, evil),
    )
    table = pd.DataFrame({EVIL: [EVIL, evil], "Data": [rf"$\text{{{EVIL}}}$", EVIL]})
    htmls = [
        cycles[cycles.recording == evil].to_html(),  # what a notebook shows of a data frame
        style.show_figure(spectrograms.plot_waveform(wave, 4000, evil, spans))._repr_html_(),
        format.render_table(table, "evil", EVIL),
        reports_page.banner(SMOKE, [source]),
        r"<p>$\text{&lt;script&gt;alert(1)&lt;/script&gt;}$</p>",
    ]
    code = new_code_cell("1", outputs=[*map(shown, htmls), new_output("stream", text=EVIL)])
    formula = new_markdown_cell(r"$\text{<script>alert(1)</script>}$")
    notebook = new_notebook(cells=[new_markdown_cell(FIRST), code, formula])
    about = html.describe_page(notebook)
    assert about["data"] == "ICBHI partial"
    about = dict.fromkeys([*about, "status"], EVIL)
    page = html.render_page(notebook, "03_small", about, sounds=False)
    around = {"pages": [("02.html", EVIL)], "here": "", "root": ""}
    page += render_template("navigation", **around)
    for text in (page, html.render_index({"03_small": about}), format.markdown(table)):
        soup = BeautifulSoup(text, "html.parser")
        assert not soup.find_all(onerror=True) and EVIL in soup.text
        assert not [tag for tag in soup.find_all("script") if "alert" in tag.text]
    assert BeautifulSoup(page, "html.parser").text.count(evil) == 6  # 4 cycles, a cell, a figure
    assert BeautifulSoup(page, "html.parser").find("img")["alt"].count(evil) == 1


def shown(text: str) -> NotebookNode:
    return new_output("display_data", data={"text/html": text})
