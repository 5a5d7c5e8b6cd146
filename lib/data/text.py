"""Annotations as text: lines, fields and numbers, read strictly."""

import math
import re
from pathlib import Path

from lib.files import read_text

NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines of a text file that are not blank, with their numbers from 1."""
    return [(at, line) for at, line in enumerate(read_text(path).splitlines(), 1) if line.strip()]


def split_fields(line: str, count: int) -> list[str]:
    """Return the fields of a line: separated by blanks, tabs or semicolons, else by commas.

    A comma within a field that other separators end is a decimal one: it becomes a point. Raises
    ValueError if there are not `count` fields.
    """
    for separator in (r"[;\s]+", r"[,;\s]+"):
        fields = re.split(separator, line.strip())
        if len(fields) == count and not any(field.endswith(",") for field in fields):
            return [field.replace(",", ".") for field in fields]
    raise ValueError(f"not {count} fields")


def parse_number(value: object) -> float:
    """Return a finite number, from a number or its text; raises ValueError for anything else."""
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False
