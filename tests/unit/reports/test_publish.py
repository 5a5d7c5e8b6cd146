"""Only `publish` changes published reports, and no real sound ever gets among them."""

from dataclasses import replace

import pytest
from small_notebooks import CARD

from lib import files, paths
from lib.errors import UserError
from lib.reports import metadata, publish
from lib.runs.folder import RECORD

SOUND = '<audio controls="controls"><source src="data:audio/wav;base64,UklGRg=="></audio>'


def make(name: str = "quick-x", page: str = "<p>page</p>", **card):
    """A local folder with one page, its tables and figures, and the run it names."""
    folder = paths.reports_root() / "local" / name
    metadata.write_page(folder, page, replace(CARD, **card))
    for path in ("tables/t.csv", "tables/t.tex", "figures/f.svg", "results/table1.csv"):
        files.write_text(folder / path, "content")
    files.write_text(folder / "figures/breath.wav", "sound")
    files.write_text(folder / "notebooks/03_small.ipynb", "{}")
    for path in (*RECORD, "checkpoint.pt"):
        files.write_text(paths.runs_root() / CARD.runs[0] / path, "record")
    return folder


def published() -> set[str]:
    root = paths.reports_root()
    found = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    return {path for path in found if not path.startswith("local/")}


def test_what_is_published():
    make()
    assert publish.publish() == paths.reports_root() / "index.html"
    record = {f"runs/{CARD.runs[0]}/{name}" for name in RECORD}
    assert published() == record | {
        *("index.html", "03_small.html", "cards/03_small.json"),
        *("tables/t.csv", "tables/t.tex", "figures/f.svg", "results/table1.csv"),
    }


def test_real_sound_is_left_out_and_synthetic_sound_may_stay():
    make(page=f"<p>a</p>{SOUND}<p>b</p>")
    publish.publish()
    page = (paths.reports_root() / "03_small.html").read_text()
    assert "audio" not in page and "<p>a</p>" in page and "<p>b</p>" in page
    make(page=SOUND, synthetic=True)
    publish.publish()
    assert SOUND in (paths.reports_root() / "03_small.html").read_text()


@pytest.mark.parametrize(
    "page", ["<audio src='x.wav'>", '<a href="data:audio/wav;base64,AA">', "<video></video>"]
)
def test_real_sound_in_another_form_is_refused(page):
    make(page=page)
    with pytest.raises(UserError, match="holds real sound"):
        publish.publish()
    assert published() == set()


@pytest.mark.parametrize(
    ("limit", "what"),
    [("PAGE_BYTES", "03_small.html"), ("FOLDER_BYTES", "tables"), ("RUNS_BYTES", "run records")],
)
def test_too_large_is_refused_before_anything_is_copied(monkeypatch, limit, what):
    make()
    monkeypatch.setattr(publish, limit, 5)
    with pytest.raises(UserError, match=f"{what}.*more than"):
        publish.publish()
    assert published() == set()


def test_records_already_published_count(monkeypatch):
    make()
    publish.publish()
    make(runs=("b-s1-11111111",))
    for name in RECORD:
        files.write_text(paths.runs_root() / "b-s1-11111111" / name, "record")
    monkeypatch.setattr(publish, "RUNS_BYTES", len("record") * (2 * len(RECORD) - 1))
    with pytest.raises(UserError, match="run records"):
        publish.publish()


def test_a_failed_page_is_refused():
    make(status="failed; this page is an older one")
    with pytest.raises(UserError, match="03_small: failed"):
        publish.publish()


def test_which_folder():
    with pytest.raises(UserError, match="holds no reports"):
        publish.publish()
    make("quick-a")
    make("quick-b", page="<p>b</p>")
    with pytest.raises(UserError, match="publish quick-a | quick-b"):
        publish.publish()
    with pytest.raises(UserError, match="did you mean 'quick-b'"):
        publish.publish("quick-bb")
    publish.publish("quick-b")
    assert (paths.reports_root() / "03_small.html").read_text() == "<p>b</p>"
