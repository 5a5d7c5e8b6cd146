"""Notebooks are executed when their inputs changed and not otherwise; a failure is no silence."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from small_notebooks import FIGURE, write

from lib import data, files, paths, profiles
from lib.errors import UserError
from lib.reports import build, metadata
from lib.reports.build import Facts, Job
from lib.runs import plan, results


@pytest.fixture
def job(tmp_path) -> Job:
    facts = Facts("complete", "1", ("a-s1-00000000",), "digest")
    folder = tmp_path / "reports_root/local/quick-x"
    return Job("quick", folder, "synthetic sounds", "", True, lambda number: facts)


def test_a_page_is_made_once_and_again_when_an_input_changes(tmp_path, job, capsys):
    book = write(tmp_path / "books/03_small.ipynb", FIGURE)
    assert build.make_pages(job, [book]) == []
    page = (job.folder / "03_small.html").read_bytes()
    assert build.make_pages(job, [book]) == []
    assert (job.folder / "03_small.html").read_bytes() == page
    changed = replace(job, facts=lambda number: Facts("complete", "1", (), "other"))
    assert build.make_pages(changed, [book]) == []
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == [
        "done",
        "unchanged",
        "done",
    ]
    assert (job.folder / "03_small.html").read_bytes() == page  # executed anew: the same bytes


@pytest.mark.parametrize("change", ["notebook", "profile", "banner", "facts"])
def test_the_fingerprint_covers_each_input(tmp_path, job, change):
    book = write(tmp_path / "03_small.ipynb", "1")
    before = build.fingerprint(job, book, job.facts("03"))
    assert build.fingerprint(job, book, job.facts("03")) == before
    facts = job.facts("03")
    if change == "notebook":
        write(book, "2")
    elif change == "facts":
        facts = replace(facts, digest="other")
    else:
        job = replace(job, **{change: "other"})
    assert build.fingerprint(job, book, facts) != before


def test_new_measurements_make_their_own_page_anew(tmp_path, job):
    books = [write(tmp_path / f"{number}_small.ipynb", "1") for number in ("03", "20")]
    marks = [build.fingerprint(job, book, job.facts("03")) for book in books]
    files.write_text(paths.reports_root() / "benchmarks.csv", "group,case\n")
    again = [build.fingerprint(job, book, job.facts("03")) for book in books]
    assert again[0] == marks[0] and again[1] != marks[1]


def test_a_failed_notebook_is_told_and_the_others_are_made(tmp_path, job):
    bad = write(tmp_path / "03_bad.ipynb", "1 / 0")
    good = write(tmp_path / "04_good.ipynb", "print(1)")
    faults = build.make_pages(job, [bad, good])
    assert len(faults) == 1 and "03_bad.ipynb: cell 3: ZeroDivisionError" in faults[0]
    assert (job.folder / "04_good.html").exists() and not (job.folder / "03_bad.html").exists()
    assert [card.status.split(";")[0] for card in metadata.cards(job.folder)] == [
        "failed",
        "complete",
    ]
    write(bad, "print(2)")
    assert build.make_pages(job, [bad]) == []
    assert "03_bad.html" in (job.folder / "04_good.html").read_text()  # turned to as the neighbour


def test_a_page_without_alt_text_is_a_fault(tmp_path, job):
    book = write(tmp_path / "03_small.ipynb", FIGURE.replace("# Alt:", "# "))
    (fault,) = build.make_pages(job, [book])
    assert "picture without a description" in fault


def test_both_indexes_are_written(tmp_path, job):
    build.make_pages(job, [write(tmp_path / "03_small.ipynb", "1")])
    index = build.write_indexes(job.folder)
    assert index == tmp_path / "reports_root/local/index.html"
    assert 'href="quick-x/03_small.html"' in index.read_text()
    assert 'href="03_small.html"' in (job.folder / "index.html").read_text()


def test_select(tmp_path):
    for name in ("00_a", "03_b", "03_b.failed", "08_c"):
        write(tmp_path / f"{name}.ipynb")
    names = {
        (): ["00_a", "03_b"],
        ("all",): ["00_a", "03_b", "08_c"],
        ("08", "00"): ["00_a", "08_c"],
    }
    for given, expected in names.items():
        assert [p.stem for p in build.select(list(given), tmp_path)] == expected
    with pytest.raises(UserError, match="unknown notebook '30': did you mean"):
        build.select(["30"], tmp_path)


def test_build_makes_the_runs_first_and_fails_at_the_end(tmp_path, job, monkeypatch):
    asked = []
    write(tmp_path / "notebooks/03_small.ipynb", "1 / 0")
    monkeypatch.setattr("lib.paths.PROJECT", tmp_path)
    monkeypatch.setattr("lib.runs.execute.run", lambda *given: asked.append(given) or [])
    monkeypatch.setattr(build, "open_job", lambda profile: job)
    (tmp_path / "requirements.txt").write_text("")
    with pytest.raises(UserError, match="ZeroDivisionError"):
        build.build("quick", [])
    assert asked == [("quick", ["03"])]


def test_facts_count_what_was_not_run(tmp_path, monkeypatch):
    """With a table of results made by hand."""
    record = tmp_path / "a-s1-00000000"
    record.mkdir()
    (record / "result.json").write_text(json.dumps({"score": 1}))
    columns = ["experiment", "seed", "selection", "status", "run", "path", "score"]
    made = [
        ("a", 1, "test", "done", record.name, str(record), 50.0),
        ("b", 1, "test", "not run", None, None, None),
    ]
    table = pd.DataFrame(made, columns=columns)
    monkeypatch.setattr(results, "of", lambda profile, *tables: table)
    facts = build._facts("quick", "03", "data")
    assert (facts.status, facts.seeds) == ("1 of 2 experiments not run", "1")
    assert facts.runs == (record.name,)
    (record / "result.json").write_text(json.dumps({"score": 2}))
    assert build._facts("quick", "03", "data").digest != facts.digest
    assert build._facts("quick", "03", "other").digest != facts.digest


def test_the_page_of_the_searches_depends_on_their_trials(monkeypatch):
    """A new trial makes page 08 anew; the best trial's record is published with it."""
    lines = [("s", "0", "60.0", ""), ("s", "1", "62.5", "b-s1-00000001")]
    found = pd.DataFrame(lines, columns=["search", "trial", "score", "run"])
    monkeypatch.setattr(results, "of", lambda *_: pd.DataFrame(columns=results.COLUMNS))
    monkeypatch.setattr("lib.runs.tune_results.found", lambda profile: found)
    monkeypatch.setattr(build, "_about", lambda *_: None)
    first = build._facts("quick", "08", "recordings")
    assert first.runs == ("b-s1-00000001",)
    found.loc[2] = ("s", "2", "70.0", "a-s1-00000002")
    again = build._facts("quick", "08", "recordings")
    assert again.runs == ("a-s1-00000002",) and again.digest != first.digest
    assert build._facts("quick", "09", "recordings").runs == ()


def test_a_page_on_sprsound_names_sprsound_and_how_much_of_it_is_here(tmp_path, job, monkeypatch):
    here = data.Source("icbhi", tmp_path, "official", "")
    there = data.Source("sprsound", tmp_path, "partial", "partial SPRSound: 5 of 1949.")
    monkeypatch.setattr(plan, "open_study", lambda name: plan.Study(profiles.QUICK, here))
    monkeypatch.setattr(plan, "sprsound_source", lambda profile: there)
    assert build._about("quick", "07") is None
    assert build._about("quick", "08") == ("SPRSound, partial", there.banner, False)
    assert build._about("quick", "09") == ("ICBHI, SPRSound, partial", there.banner, False)
    facts = replace(job.facts("08"), data=build._about("quick", "08"))
    card = build._card(job, write(tmp_path / "08_small.ipynb", "1"), facts)
    assert (card.data, card.banner, card.synthetic) == ("SPRSound, partial", there.banner, False)
    assert build.fingerprint(job, tmp_path / "08_small.ipynb", facts) != build.fingerprint(
        job, tmp_path / "08_small.ipynb", job.facts("08")
    )
