"""The answer to a page's question, from the table of claims."""

import re

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
