"""The answer to a page's question, from the table of claims or from the page's own tables."""

import re
from collections import Counter
from collections.abc import Callable

import pandas as pd

from lib.papers import CLAIMS
from lib.tables.claims import STAND_INS
from lib.tables.format import MISSING

LEARNT = "On a model that has learnt"
DECIDES = (
    "./run_all.sh paper {0}: the published models need all recordings, their weights and a GPU; "
    "./run_all.sh rehearse paper {0} says how many hours"
)
OUR_OWN = [claim.text for claim in CLAIMS if claim.a.key in STAND_INS]
DECIDES_OURS = (
    "./run_all.sh train laptop {} --only 'mn04_as/*': the recordings, AudioSet weights of "
    "EfficientAT, hours on two cores"
)
MAIN_CLAIM = "Patch-Mix CL beats fine-tuning"
INTERVAL = re.compile(r"(.+) \((.+) to (.+)\)")


def page_answer(claims: pd.DataFrame, number: str) -> dict[str, str] | None:
    """The answer of a page (number of its notebook): answer, number, state, decides, all text.

    claims: the table of `lib.tables.claims.claims_table`. A state for each claim of the page, and
    the first difference that there is; on the page of our own claims, those of all
    claims on a model that has learnt, which it is about. None if no claim belongs to the page, or
    the table is one of an older version.
    """
    columns = {"Claim", "State", "Page", "Paper difference", "Difference", LEARNT}
    if not columns <= set(claims):
        return None
    lines = claims[claims.Page == number].to_dict("records")
    if not lines:
        return None
    state = joint_state([line["State"] for line in lines])
    decided = state.startswith(("confirmed", "refuted"))
    ours = all(line["Claim"] in OUR_OWN for line in lines)
    others = claims[claims.Page != number].to_dict("records") if ours else []
    numbers = [text for line in (*lines, *others) if (text := _number(line, ours))]
    return {
        "answer": _answer(lines),
        "number": " ".join(numbers if ours else numbers[:1]),
        "state": state,
        "decides": "" if decided else (DECIDES_OURS if ours else DECIDES).format(number),
    }


def _answer(lines: list[dict[str, str]]) -> str:
    """A sentence for each state: "Undecided (stand-in models): SAM helps; MixUp helps." """
    claims: dict[str, list[str]] = {}
    for line in lines:
        claims.setdefault(line["State"], []).append(line["Claim"])
    sentences = (f"{state}: {'; '.join(texts)}." for state, texts in claims.items())
    return " ".join(text[0].upper() + text[1:] for text in sentences)


def _number(line: dict[str, str], ours: bool) -> str:
    """The difference that says most of a claim, in points of Score, and the published one.

    ours: whether only models that have learnt count, as on the page of our own claims.
    """
    learnt, own = line[LEARNT], line["Difference"]
    if line["Claim"] in OUR_OWN:
        learnt = own  # such a claim is about the model that has learnt
    found = own if learnt in (MISSING, "not run") and not ours else learnt
    if found in (MISSING, "not run"):
        return ""
    what = "EfficientAT mn04 on SPRSound" if found == learnt else "the small models here"
    found, _, seeds = found.partition(", ")
    difference, low, high = INTERVAL.fullmatch(found).groups()
    chance = ", so it may be chance" if float(low) <= 0 <= float(high) else ""
    text = f"{line['Claim']}? With {what}{seeds and f', {seeds}'}: {difference} points of Score "
    text += f"(95% interval {low} to {high}{chance})."
    paper = line["Paper difference"]
    return text if paper == "not published" else f"{text} The paper: {paper}."


def joint_state(states: list[str]) -> str:
    """The state of several claims: their own if they agree, else undecided or not run."""
    if len(set(states)) == 1:
        return states[0]
    undecided = [state for state in states if state.startswith("undecided")]
    return (undecided or ["undecided (some confirmed, some not)"])[0]


Read = Callable[[str], pd.DataFrame]  # name of a table -> its cells, all text
NOT_RUN = {"answer": "No run is finished.", "number": "", "state": "not run", "decides": ""}


def overview_answer(read: Read) -> dict[str, str]:
    """How many claims of the papers are in which state."""
    claims = read("claims")
    if "State" not in claims or claims.empty:
        return NOT_RUN
    counts = Counter(state.partition(" (")[0] for state in claims.State)
    counted = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    return {
        "answer": f"Of {len(claims)} claims that are tested here: {counted}.",
        "number": _first_number(claims),
        "state": joint_state(claims.State.tolist()),
        "decides": "./run_all.sh paper all: all recordings, the papers' weights and a GPU; "
        "./run_all.sh rehearse says how many hours",
    }


def _first_number(claims: pd.DataFrame) -> str:
    numbers = (_number(line, ours=False) for line in claims.to_dict("records"))
    return next(filter(None, numbers), "") if LEARNT in claims else ""


def counts_answer(read: Read) -> dict[str, str]:
    """Whether ICBHI's annotations agree with the paper's counts, and how many have audio."""
    counts = read("counts")
    if "paper" not in counts:
        return NOT_RUN
    same = counts["annotated here"] == counts.paper
    cycles = counts[counts.what == "cycles"]
    paper, here = (cycles[name].astype(int).sum() for name in ("paper", "with audio here"))
    complete = same.all() and paper == here
    return {
        "answer": f"{same.sum()} of the paper's {len(same)} counts of recordings, patients and "
        "cycles agree with the annotations here.",
        "number": f"Cycles with audio: {here:,} of {paper:,}.",
        "state": "confirmed" if complete else "undecided (partial recordings)",
        "decides": "" if complete else "all 920 recordings: ./run_all.sh download icbhi",
    }


def preprocessing_answer(read: Read) -> dict[str, str]:
    """Whether a clip has the shape that the paper gives it."""
    facts = read("preprocessing")
    if "ours" not in facts:
        return NOT_RUN
    same = facts.paper == facts.ours
    return {
        "answer": "It is cut out, faded, padded by repetition, and turned into a log-mel "
        f"spectrogram; {same.sum()} of {len(same)} of its published sizes are the same here.",
        "number": "; ".join(f"{line.fact}: {line.ours}" for line in facts.itertuples()) + ".",
        "state": "confirmed" if same.all() else "refuted",
        "decides": "",
    }


def sweeps_answer(read: Read) -> dict[str, str]:
    """By how much the Score changes with each hyper-parameter."""
    rows = read("figure2")
    rows = rows[rows["Validation"].str.match(r"[\d.]+ ")] if "Validation" in rows else rows[:0]
    if rows.empty:
        return NOT_RUN
    scores = rows["Validation"].str.split().str[0].astype(float)
    ranges = scores.groupby(rows.Row.str.partition(" · ")[0], sort=False).agg(["min", "max"])
    texts = [f"{name} {low:.2f} to {high:.2f}" for name, low, high in ranges.itertuples()]
    unlearnt = (rows.Mark != MISSING).sum()
    return {
        "answer": f"Scores over the values of each: {'; '.join(texts)}."
        + (f" {unlearnt} of {len(rows)} rows have not learnt their task." if unlearnt else ""),
        "number": f"Largest change: {(ranges['max'] - ranges['min']).max():.2f} points of Score, "
        "validation-selected. Always “normal” has 50.00.",
        "state": _state_without_claim(read),
        "decides": DECIDES.format("05"),
    }


def comparison_answer(read: Read) -> dict[str, str]:
    """Patch-Mix CL minus fine-tuning on the same test patients, in four and in two classes."""
    rows, claims = read("table3_differences"), read("claims")
    match = INTERVAL.fullmatch(_cell(rows, "Epoch chosen by", "validation", "4 classes"))
    if not match:
        return NOT_RUN
    difference, low, high = match.groups()
    two = _cell(rows, "Epoch chosen by", "validation", "2 classes")
    state = _cell(claims, "Claim", MAIN_CLAIM, "State")
    paper = _cell(claims, "Claim", MAIN_CLAIM, "Paper difference")
    return {
        "answer": f"{state.capitalize()}: {MAIN_CLAIM}. Earlier work is quoted, not run again.",
        "number": f"Patch-Mix CL minus fine-tuning, four classes: {difference} points of Score "
        f"(95% interval over patients {low} to {high}); two classes: {two}. The paper: {paper}.",
        "state": state,
        "decides": "" if state.startswith(("confirmed", "refuted")) else DECIDES.format("06"),
    }


def embeddings_answer(read: Read) -> dict[str, str]:
    """What the nearest neighbours in the embeddings share, for each method."""
    rows = read("tsne")
    rows = rows[rows.kNN.str.match(r"[\d.]+$")] if "kNN" in rows else rows[:0]
    if rows.empty:
        return NOT_RUN
    methods = " / ".join(rows.method.unique())
    shares = {
        grouping: f"{' / '.join(lines.kNN)} / {lines.chance.iloc[0]}"
        for grouping, lines in rows.groupby("grouping", sort=False)
    }
    texts = "; ".join(f"{grouping}: {share}" for grouping, share in shares.items())
    first = shares.get("class, from other patients", "not run")
    return {
        "answer": "Share (%) of a clip's nearest neighbours in the embeddings that are of its own "
        f"kind. {methods} / by chance: {texts}.",
        "number": f"Class, among clips of other patients: {first}.",
        "state": _state_without_claim(read),
        "decides": DECIDES.format("07"),
    }


def predict_answer(read: Read) -> dict[str, str]:
    """What the shipped model is worth on its own dataset and on another."""
    rows = read("predict_scores")
    score = "Score (95%)"
    if score not in rows or rows.empty:
        return NOT_RUN
    whole = rows[rows["clips of"] == "test"]
    texts = [f"{line['set']} {line[score]}" for line in whole.to_dict("records")]
    return {
        "answer": "Probabilities of normal, crackle, wheeze and both for each window. It refuses "
        "what is no lung sound, and warns of a recording unlike those that it was trained on: "
        "there its probabilities are worth little.",
        "number": f"Score with its 95% interval over test patients: {'; '.join(texts)}. Always "
        "“normal” has 50.00.",
        "state": "undecided (trained in one hospital)",
        "decides": "labelled recordings of other hospitals and stethoscopes",
    }


def benchmarks_answer(read: Read) -> dict[str, str]:
    """How many times as fast a training step is as the plain implementation."""
    rows = read("benchmarks_step")
    ratios = rows["times as fast"].dropna() if "times as fast" in rows else pd.Series(dtype=str)
    if ratios.empty:
        return NOT_RUN
    ratios = ratios.str.split().str[0].astype(float)
    return {
        "answer": "Milliseconds to seconds a step, by model and method: the tables have each, and "
        "how much each choice of this project saves.",
        "number": f"Times as fast as the plain implementation: median {ratios.median():.2f} of "
        f"{len(ratios)} cases ({ratios.min():.2f} to {ratios.max():.2f}).",
        "state": "undecided (one machine)",
        "decides": "./run_all.sh python -m benchmarks, on your machine: minutes",
    }


def _state_without_claim(read: Read) -> str:
    """The state of a page on Patch-Mix whose question the paper answers with no number."""
    state = _cell(read("claims"), "Claim", MAIN_CLAIM, "State")
    return state if state.startswith("undecided") else "undecided (no published number)"


def _cell(table: pd.DataFrame, key: str, value: str, column: str) -> str:
    """The cell of a table in the row whose `key` is `value`, or "not run"."""
    found = table[column][table[key] == value] if {key, column} <= set(table) else ()
    return next(iter(found), "not run")


OWN_ANSWERS = {  # of the pages whose own tables answer their question
    "00": overview_answer, "01": counts_answer, "02": preprocessing_answer, "05": sweeps_answer,
    "06": comparison_answer, "07": embeddings_answer, "12": predict_answer,
    "20": benchmarks_answer,
}  # fmt: skip
