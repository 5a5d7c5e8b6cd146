"""The box that opens a page, from a made-up table of claims."""

import pytest

from lib import files
from lib.reports.site import write_answers
from lib.tables.answers import OUR_OWN, OWN_ANSWERS, joint_state

HEADER = "Claim,State,Page,Paper difference,Difference,On a model that has learnt\n"
PAGES = {"04_table2": {"question": "Does it help?"}, "99_other": {"question": "Which value?"}}


def write(folder, line):
    files.write_text(folder / "tables/claims.csv", HEADER + line)
    for name in PAGES:
        files.write_text(folder / f"{name}.html", "<p>a</p><!--answer-->old<!--/answer--><p>b</p>")
    write_answers(folder, PAGES)
    return [(folder / f"{name}.html").read_text() for name in PAGES]


def test_a_page_opens_with_the_state_and_the_number_of_its_claims(tmp_path):
    line = "SAM helps,undecided (stand-in models),04,+2.82,-20.00 (-30 to -10),"
    with_claim, without = write(tmp_path, line + '"-1.30 (-3.00 to +0.40), 3 seeds"\n')
    assert "Does it help?" in with_claim and "Undecided (stand-in models): SAM helps." in with_claim
    number = "With EfficientAT mn04 on SPRSound, 3 seeds: -1.30 points of Score "
    number += "(95% interval -3.00 to +0.40, so it may be chance). The paper: +2.82."
    assert number in with_claim and "./run_all.sh paper 04" in with_claim
    assert "./run_all.sh rehearse paper 04 says how many hours" in with_claim
    assert "old" not in with_claim and without == "<p>a</p><!--answer--><!--/answer--><p>b</p>"


def test_a_table_of_an_older_version_answers_nothing(tmp_path):
    files.write_text(tmp_path / "tables/claims.csv", "Claim,Verdict\nSAM helps,not run\n")
    files.write_text(tmp_path / "04_table2.html", "<!--answer-->old<!--/answer-->")
    write_answers(tmp_path, {"04_table2": PAGES["04_table2"]})
    assert (tmp_path / "04_table2.html").read_text() == "<!--answer--><!--/answer-->"


def test_what_was_not_run_has_no_number(tmp_path):
    page, _ = write(tmp_path, "SAM helps,not run,04,not published,not run,–\n")
    assert "Not run: SAM helps." in page and "points of Score" not in page


def test_claims_of_one_state_share_a_sentence_and_small_models_are_named(tmp_path):
    lines = "A,not run,04,+1.00,not run,–\nB,undecided (x),04,+1.00,+2.00 (+1.00 to +3.00),–\n"
    page, _ = write(tmp_path, lines + "C,not run,04,+1.00,not run,–\n")
    assert "Not run: A; C. Undecided (x): B." in page
    page, _ = write(tmp_path, lines.splitlines()[1] + "\n")
    assert "With the small models here: +2.00 points of Score (95% interval +1.00 to +3.00)" in page


def test_a_claim_of_our_own_needs_no_published_model(tmp_path):
    page, _ = write(tmp_path, f'"{OUR_OWN[0]}",not run,04,not published,not run,–\n')
    assert "mn04_as/*" in page and "run_all.sh paper" not in page
    both = f'"{OUR_OWN[0]}",not run,04,not published,not run,–\n'
    both += 'A,x,05,+1.00,+9.00 (+8.00 to +9.50),"-1.00 (-2.00 to -0.10), 3 seeds"\n'
    page, _ = write(
        tmp_path, both.replace(",x,", ",not run,") + "B,not run,05,+1.00,+7.00 (+6.00 to +8.00),–\n"
    )
    assert "A? With EfficientAT mn04 on SPRSound, 3 seeds: -1.00 points" in page
    assert "+9.00" not in page and "+7.00" not in page


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["confirmed", "confirmed"], "confirmed"),
        (["confirmed", "refuted"], "undecided (some confirmed, some not)"),
        (["not run", "undecided (stand-in models)"], "undecided (stand-in models)"),
    ],
)
def test_the_state_of_several_claims(states, expected):
    assert joint_state(states) == expected


SETS = """Method,Trained on,Tested on,Coverage,95% interval
Fine-tuning,SPRSound,SPRSound inter,88.00 ± 0.50 (3),80 to 90
Fine-tuning,SPRSound,SPRSound intra,81.00 ± 0.50 (3),80 to 90
Fine-tuning,SPRSound,ICBHI,19.00 ± 1.20 ({seeds}),{interval}
Other,SPRSound,SPRSound inter,10.00 (1),5 to 15
"""
FEW = """Method,Trained on,Tested on,"Coverage, k = 10","Classes in a set, k = 10"
Fine-tuning,SPRSound,ICBHI,88.25 ± 6.42 (600),3.22 ± 0.30 (600)
"""


@pytest.mark.parametrize(
    ("interval", "seeds", "state"),
    [
        ("13.00 to 25.00", 3, "refuted"),
        ("13.00 to 90.00", 3, "undecided (within chance)"),
        ("90.00 to 95.00", 3, "confirmed"),
        ("13.00 to 25.00", 2, "undecided (fewer than 3 seeds)"),
    ],
)
def test_page_13_answers_from_its_own_tables(tmp_path, interval, seeds, state):
    files.write_text(tmp_path / "tables/reliability_few_patients.csv", FEW)
    sets = SETS.format(interval=interval, seeds=seeds)
    files.write_text(tmp_path / "tables/reliability_sets.csv", sets)
    page = write_box(tmp_path)
    assert "of 81.0 to 88.0% of other clips of SPRSound, and of 19.0% of those of ICBHI" in page
    assert "Calibrated on 10 patients of ICBHI they hold it for 88.2%" in page
    assert f">{state}<" in page and f"95% interval over patients {interval}" in page
    assert ("What would decide it" in page) == state.startswith("undecided")


def test_page_13_without_runs(tmp_path):
    assert "No run is finished." in write_box(tmp_path)
    table = "Method,Trained on,Tested on\nFine-tuning,SPRSound,not run\n"
    for name in ("sets", "few_patients"):
        files.write_text(tmp_path / f"tables/reliability_{name}.csv", table)
    assert "not run" in write_box(tmp_path)


def write_box(folder):
    files.write_text(folder / "13_reliability.html", "<!--answer--><!--/answer-->")
    write_answers(folder, {"13_reliability": {"question": "Do they hold?"}})
    return (folder / "13_reliability.html").read_text()


CLAIMS = """Claim,State,Page,Paper difference,Difference,On a model that has learnt
Patch-Mix CL beats fine-tuning,undecided (stand-in models),04,+2.82,+1.00 (-2.00 to +4.00),–
SAM helps,not run,10,not published,not run,–
"""
TABLES = {
    "claims": CLAIMS,
    "counts": "split,what,paper,annotated here,with audio here\n"
    "train,cycles,4142,4142,1748\ntest,cycles,2756,2755,1019\n",
    "preprocessing": "fact,paper,ours\nframes,798,798\nmel bins,128,64\n",
    "figure2": "Row,Validation,Mark\ntau · 0.02,50.00 (1),–\ntau · 0.1,53.50 (1),–\n"
    "alpha · 1,40.00 (1),never predicts both\nalpha · 2,not run,–\nalways “normal”,–,–\n",
    "table3_differences": "Epoch chosen by,4 classes,2 classes\n"
    "test,+9.00 (+8.00 to +10.00),+1\nvalidation,+2.39 (-1.89 to +6.74),+3 (+1 to +5)\n",
    "tsne": "method,grouping,kNN,chance\nCE,class,43.6,25.0\nCL,class,47.2,25.0\n"
    '"CE","class, from other patients",24.1,25.0\nCL,"class, from other patients",24.5,25.0\n',
    "predict_scores": "set,clips of,Score (95%)\nSPRSound,test,84.32 (80.00 to 88.03)\n"
    "SPRSound,inter,83.84 (75.74 to 90.58)\n",
    "benchmarks_step": "case,variant,times as fast\na,plain,\na,ours,1.50 (1.40 to 1.60)\n"
    "b,ours,1.10 (1.00 to 1.20)\n",
}


@pytest.mark.parametrize(
    ("page", "parts"),
    [
        ("00", ["Of 2 claims that are tested here: 1 undecided, 1 not run.", "+1.00 points",
                ">undecided (stand-in models)<"]),
        ("01", ["1 of the paper's 2 counts", "Cycles with audio: 2,767 of 6,898.",
                ">undecided (partial recordings)<", "./run_all.sh download icbhi"]),
        ("02", ["1 of 2 of its published sizes", "mel bins: 64.", ">refuted<"]),
        ("05", ["tau 50.00 to 53.50; alpha 40.00 to 40.00. 1 of 3 rows have not learnt",
                "Largest change: 3.50 points", ">undecided (stand-in models)<"]),
        ("06", ["four classes: +2.39 points of Score (95% interval over patients -1.89 to +6.74)",
                "two classes: +3 (+1 to +5). The paper: +2.82."]),
        ("07", ["CE / CL / by chance: class: 43.6 / 47.2 / 25.0",
                "Class, among clips of other patients: 24.1 / 24.5 / 25.0."]),
        ("12", ["test patients: SPRSound 84.32 (80.00 to 88.03). Always", ">undecided (trained"]),
        ("20", ["median 1.30 of 2 cases (1.10 to 1.50)", ">undecided (one machine)<"]),
    ],
)  # fmt: skip
def test_a_page_answers_from_its_own_tables(tmp_path, page, parts):
    for name, text in TABLES.items():
        files.write_text(tmp_path / f"tables/{name}.csv", text)
    box = write_own_box(tmp_path, page)
    assert [part for part in parts if part not in box.replace("&#39;", "'")] == [], box


@pytest.mark.parametrize("page", OWN_ANSWERS)
def test_a_page_without_tables_says_that_nothing_was_run(tmp_path, page):
    assert ">not run<" in write_own_box(tmp_path, page)


def test_complete_recordings_confirm_the_counts(tmp_path):
    table = TABLES["counts"].replace("1748", "4142").replace("2755,1019", "2756,2756")
    files.write_text(tmp_path / "tables/counts.csv", table)
    box = write_own_box(tmp_path, "01")
    assert ">confirmed<" in box and "What would decide it" not in box


def write_own_box(folder, number):
    files.write_text(folder / f"{number}_page.html", "<!--answer--><!--/answer-->")
    write_answers(folder, {f"{number}_page": {"question": "Which?"}})
    return (folder / f"{number}_page.html").read_text()
