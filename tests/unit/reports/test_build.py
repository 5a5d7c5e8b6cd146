"""Notebooks become pages, an index and published records; a failure is not silent."""

import json

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from small_notebooks import SHOW_BANNER, write

from lib import papers, paths
from lib.errors import UserError
from lib.reports import build, format
from lib.runs.folder import RECORD
from lib.runs.results import COLUMNS

SOUND = "display(HTML('<audio src=\"data:audio/wav;base64,AA==\"></audio>'))"


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """An output folder; page 03 is made from one finished run, another one is missing."""
    record = paths.runs_root() / "a-s1-00000000"
    record.mkdir(parents=True)
    for name in (*RECORD, "weights.safetensors", "log.txt"):
        (record / name).write_text("content")
    rows = [
        {"experiment": "a", "seed": 1, "status": "done", "path": str(record)},
        {"experiment": "b", "seed": 1, "status": "not run"},
    ]

    def collect(profile, *groups):
        return pd.DataFrame(rows if groups else [], columns=COLUMNS)

    monkeypatch.setattr(build.results, "collect_results", collect)
    return tmp_path / "out"


def test_pages_the_index_and_links_between_neighbours(tmp_path, folder):
    books = [write(tmp_path / f"books/{n}_small.ipynb", SHOW_BANNER) for n in ("02", "03")]
    assert build.make_pages("laptop", books[1:], folder) == []
    first = (folder / "03_small.html").read_bytes()
    assert build.make_pages("laptop", books[1:], folder) == []
    assert (folder / "03_small.html").read_bytes() == first  # executed again: the same bytes
    assert build.make_pages("laptop", books[:1], folder) == []
    assert 'href="02_small.html"' in (folder / "03_small.html").read_text()  # linked afterwards
    index = BeautifulSoup((folder / "index.html").read_text(), "html.parser")
    rows = [[cell.text for cell in row.find_all("td")[1:]] for row in index.find_all("tr")[1:]]
    assert [a["href"] for a in index.select("tbody a")] == ["02_small.html", "03_small.html"]
    assert rows == [
        ["complete", "laptop", "ICBHI, partial", "2"],
        ["1 of 2 experiments not run", "laptop", "ICBHI, partial", "2"],
    ]
    pages = json.loads((folder / "pages.json").read_text())
    assert pages["03_small"]["profile"] == "laptop"  # what `verify` reads
    assert not (paths.reports_root() / "runs").exists()


def test_the_index_shows_the_overviews_claims_with_labels_and_links(tmp_path):
    columns = ["Claim", "Paper", "Page", "Test-selected", "Setting"]
    table = pd.DataFrame([["SAM helps", "–", "10", "+1.00", "lr 1"]], columns=columns)
    page = f"<main>{format.render_table(table, 'claims', 'Claims')}</main>"
    (tmp_path / "00_overview.html").write_text(page)
    section = BeautifulSoup(build.claims_table(tmp_path, {"10_sam": {}}), "html.parser").section
    assert [cell.text for cell in section.select("thead th")] == ["Claim", "Paper", "Page"]
    cells = {cell["data-label"]: cell for cell in section.select("tbody tr > *")}
    assert {name: cell.text for name, cell in cells.items()} == {
        "Claim": "SAM helps", "Paper": "–", "Page": "10",
    }  # fmt: skip
    assert section.select(".nothing") == [cells["Paper"]]
    assert cells["Page"].a["href"] == "10_sam.html" and "cards" in section["class"]
    assert build.claims_table(tmp_path / "empty", {}) == ""


def test_a_failed_notebook_is_reported_and_the_others_are_made(tmp_path, folder):
    book = write(tmp_path / "03_small.ipynb", "print(1)")
    other = write(tmp_path / "04_other.ipynb", "import matplotlib.pyplot as plt\nplt.plot([1])")
    assert len(build.make_pages("laptop", [book, other], folder)) == 1
    write(book, "1 / 0")
    problems = build.make_pages("laptop", [book, other], folder)
    assert "03_small.ipynb: cell 3: ZeroDivisionError" in problems[0]
    assert "04_other: 'plt.plot([1])' draws a picture without a description" in problems[1]
    assert not (folder / "04_other.html").exists()
    assert "failed; this page is an older one" in (folder / "index.html").read_text()
    assert "1" in BeautifulSoup((folder / "03_small.html").read_text(), "html.parser").text


def test_published_pages_bring_their_records_and_no_real_sound(tmp_path, folder, monkeypatch):
    book = write(tmp_path / "03_small.ipynb", f"{SHOW_BANNER}\n{SOUND}")
    assert build.make_pages("laptop", [book], folder) == []
    (problem,) = build.make_pages("laptop", [book], paths.reports_root())
    assert "holds a real sound" in problem
    assert not (paths.reports_root() / "03_small.html").exists()
    write(book, SHOW_BANNER)
    for _ in range(2):  # the second time from the published records
        assert build.make_pages("laptop", [book], paths.reports_root()) == []
    assert (paths.reports_root() / "leaderboard.html").exists()
    published = paths.reports_root() / "runs/a-s1-00000000"
    assert {path.name for path in published.iterdir()} == set(RECORD)
    for limit, what in (("PAGE_BYTES", "03_small"), ("RECORDS_BYTES", "run records")):
        with monkeypatch.context() as context:
            context.setattr(build, limit, 5)
            (problem,) = build.make_pages("laptop", [book], paths.reports_root())
            assert what in problem and "more than" in problem


def test_the_best_trials_are_published_with_the_page_of_the_searches(folder, monkeypatch):
    trial = paths.runs_root() / "b-s1-00000001"
    monkeypatch.setattr(build.tune, "collect_trials", lambda profile: None)
    monkeypatch.setattr(build.tune, "best_records", lambda trials: {trial})
    (number,) = papers.sprsound.NOTEBOOKS
    assert trial in build._runs_behind("laptop", number)[1]
    assert trial not in build._runs_behind("laptop", "03")[1]


def test_select(tmp_path):
    for name in ("00_a", "03_b", "08_c"):
        write(tmp_path / f"{name}.ipynb")
    names = {
        (): ["00_a", "03_b"],
        ("all",): ["00_a", "03_b", "08_c"],
        ("08", "00"): ["00_a", "08_c"],
    }
    for given, expected in names.items():
        assert [p.stem for p in build.select_notebooks(list(given), tmp_path)] == expected
    for given in (["30"], ["all", "30"]):
        with pytest.raises(UserError, match="unknown notebook '30': did you mean"):
            build.select_notebooks(given, tmp_path)


def test_build_trains_first_and_fails_at_the_end(tmp_path, folder, monkeypatch, capsys):
    trained = []
    write(tmp_path / "notebooks/03_small.ipynb", "1 / 0")
    monkeypatch.setenv("OUT", str(folder))
    monkeypatch.setattr("lib.paths.PROJECT", tmp_path)
    monkeypatch.setattr(
        build.execute, "train_notebooks", lambda *given: trained.append(given) or ["run x: failed"]
    )
    with pytest.raises(UserError, match="run x: failed; .*ZeroDivisionError"):
        build.build("smoke", ["03"])
    assert trained == [("smoke", ["03"])] and "pages: " in capsys.readouterr().out


def test_what_cannot_be_written_is_said_before_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OUT", str(tmp_path / "file/out"))
    monkeypatch.setattr(build.execute, "train_notebooks", lambda *_: pytest.fail("was started"))
    with pytest.raises(UserError, match="cannot be written to"):
        build.build("smoke", ["00"])
