"""A short fuzz run over all kinds of files, and that the harness itself notices every failure."""

import mmap
import time
from collections import Counter

import pytest
import torch

from lib.errors import UserError
from tests.integration import fuzz, fuzz_mutators
from tests.integration.fuzz_kinds import KINDS, Kind

CASES = 300


def test_damaged_files_are_read_right_or_named():
    results = fuzz.fuzz(fuzz.available(), CASES)
    failed = [result for result in results if result.outcome in fuzz.FAILURES]
    assert not failed, fuzz.table(failed)
    assert len(results) == CASES and {result.kind for result in results} == set(fuzz.available())
    assert Counter(result.outcome for result in results)["clear error"] > CASES / 4


def test_a_case_is_the_same_again(tmp_path):
    fuzz.make(["zip"], tmp_path)
    for seed in range(5):
        assert fuzz.run_case("zip", seed, tmp_path) == fuzz.run_case("zip", seed, tmp_path)
    content = (tmp_path / "zip/data.zip").read_bytes()
    damaged = {
        fuzz_mutators.damage(content, KINDS["zip"].mutators, fuzz.Random(seed)) for seed in range(9)
    }
    assert len(damaged) == 9 and content not in damaged


def a_file(folder):
    (folder / "a.txt").write_text("undamaged")


def accept_all(folder):
    return {"text": (folder / "a.txt").read_bytes()}


def with_name(folder):
    if accept_all(folder)["text"] != b"undamaged":
        raise UserError(f"{folder}/a.txt: damaged")
    return "undamaged"


def without_name(folder):
    if accept_all(folder)["text"] != b"undamaged":
        raise UserError("something is damaged")


def with_traceback(folder):
    return "undamaged" if accept_all(folder)["text"] == b"undamaged" else {}["damaged"]


def for_ever(folder):
    while accept_all(folder)["text"] != b"undamaged":
        time.sleep(0.01)


def loops(folder):
    while accept_all(folder)["text"] != b"undamaged":
        pass


def too_large(folder):
    if accept_all(folder)["text"] != b"undamaged":
        torch.zeros(fuzz.MEMORY_BYTES + 2**28, dtype=torch.uint8)


def dies(folder):
    if accept_all(folder)["text"] != b"undamaged":
        raise SystemExit(3)


def test_reserved_addresses_are_not_memory():
    """As on a machine of many cores, where threads and Ray reserve gigabytes."""
    with mmap.mmap(-1, fuzz.MEMORY_BYTES, mmap.MAP_PRIVATE, mmap.PROT_READ):
        results = fuzz.fuzz(["flac", "weights"], 8)
    assert not [result for result in results if result.outcome in fuzz.FAILURES]


@pytest.mark.parametrize(
    ("read", "outcome"),
    [
        (accept_all, "silent"),
        (with_name, "clear error"),
        (without_name, "unclear"),
        (with_traceback, "traceback"),
        (too_large, "traceback"),
        (dies, "traceback"),
        (for_ever, "hang"),
        (loops, "hang"),
    ],
)
def test_every_outcome_is_noticed(monkeypatch, read, outcome):
    """The case after one that ended its worker is run too."""
    monkeypatch.setattr(fuzz, "SECONDS", 0.5)
    monkeypatch.setattr(fuzz, "IDLE_SECONDS", 2)
    monkeypatch.setitem(KINDS, "made-up", Kind(a_file, ("a.txt",), read))
    results = fuzz.fuzz(["made-up"], 3)
    assert [result.outcome for result in results] == 3 * [outcome]
    assert ("--case made-up:0" in fuzz.table(results)) == (outcome in fuzz.FAILURES)
