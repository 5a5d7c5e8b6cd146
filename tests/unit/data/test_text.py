"""Annotations as text: encodings of other programs, separators, and strict numbers."""

import math

import pytest

from lib.data.text import parse_number, read_lines, split_fields
from lib.errors import UserError


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_lines_in_the_encodings_that_programs_save(tmp_path, encoding):
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    (tmp_path / "a.txt").write_bytes(mark + "é 1\r\n\r\nb 2\r\n".encode(encoding))
    assert read_lines(tmp_path / "a.txt") == [(1, "é 1"), (3, "b 2")]


@pytest.mark.parametrize("content", ["é".encode("latin-1"), "a".encode("utf-16-le"), b"\xff\xfea"])
def test_other_bytes_are_one_sentence(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(UserError, match="a.txt: not UTF-8; save it as UTF-8"):
        read_lines(tmp_path / "a.txt")


@pytest.mark.parametrize("value", ["1", " 1.50", "-.5", "2.", "1e3", 7, 1.25, "0012"])
def test_numbers(value):
    assert parse_number(value) == float(value)


@pytest.mark.parametrize(
    "value",
    ["1_0", "nan", "inf", "-Infinity", "1e999", "0x1", "", " ", "1,5", "1 2", "١", "1d3",
     True, False, None, [1], {}, math.nan, math.inf, 10**400],
)  # fmt: skip
def test_what_is_no_number(value):
    with pytest.raises(ValueError, match="is not a number"):
        parse_number(value)


@pytest.mark.parametrize(
    "line", ["0.5\t1.5\t0\t1", "0.5 1.5  0 1 ", "0.5;1.5;0;1", "0,5;1,5;0;1", "0,5\t1,5\t0\t1",
             "0.5,1.5,0,1", "0.5, 1.5, 0, 1"],
)  # fmt: skip
def test_separators(line):
    assert list(map(float, split_fields(line, 4))) == [0.5, 1.5, 0, 1]


@pytest.mark.parametrize("line", ["", "1 2 3", "1 2 3 4 5", "1,5,2,5,0,1"])
def test_another_number_of_fields(line):
    with pytest.raises(ValueError, match="not 4 fields"):
        split_fields(line, 4)
