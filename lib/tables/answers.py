"""The answer to a page's question, from the table of claims."""

import pandas as pd

from lib.tables.format import MISSING

LEARNT = "On a model that has learnt"
DECIDES = "./run_all.sh paper {}: the published models need all recordings, their weights and a GPU"


def page_answer(claims: pd.DataFrame, number: str) -> dict[str, str] | None:
    """The answer of a page (number of its notebook): answer, number, state, decides, all text.

    claims: the table of `lib.tables.claims.claims_table`. A state for each claim of the page, and
    the difference that says most of the first one. None if no claim belongs to
    the page, or the table is one of an older version.
    """
    columns = {"Claim", "State", "Page", "Paper difference", "Difference", LEARNT}
    lines = claims[claims.Page == number].to_dict("records") if columns <= set(claims) else []
    if not lines:
        return None
    state = joint_state([line["State"] for line in lines])
    decided = state.startswith(("confirmed", "refuted"))
    return {
        "answer": "; ".join(f"{line['Claim']}: {line['State']}" for line in lines) + ".",
        "number": _number(lines[0]),
        "state": state,
        "decides": "" if decided else DECIDES.format(number),
    }


def _number(line: dict[str, str]) -> str:
    """The difference that says most of a claim, in points of Score, and the published one."""
    learnt = line[LEARNT]
    found = learnt if learnt not in (MISSING, "not run") else line["Difference"]
    if found in (MISSING, "not run"):
        return ""
    what = "EfficientAT mn04 on SPRSound" if found == learnt else "small models here"
    text = f"{line['Claim']}? Difference in Score with {what}: {found} points"
    paper = line["Paper difference"]
    return f"{text}." if paper == "not published" else f"{text}; the paper has {paper}."


def joint_state(states: list[str]) -> str:
    """The state of several claims: their own if they agree, else undecided or not run."""
    if len(set(states)) == 1:
        return states[0]
    undecided = [state for state in states if state.startswith("undecided")]
    return (undecided or ["undecided (some confirmed, some not)"])[0]
