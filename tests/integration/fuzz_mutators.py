"""Ways to damage a file: each takes its bytes and a random generator and returns other bytes.

`damage` applies one to three of them.
"""

import codecs
import json
import re
from collections.abc import Callable, Sequence
from random import Random

Mutator = Callable[[bytes, Random], bytes]

NUMBERS = ("nan", "inf", "1e30", "1e400", "-1", "-0", "0", "1", "2", "1_0", "1,5", "0x10", "", "+3")
NUMBERS += ("99999999999999999999", "0.1", "1.0.0", "true", "１", "=1", '"')
VALUES = (None, True, False, 0, -1, 3, 1e30, float("nan"), 10**30, "", "x", "nan", "1_0", [], {})
VALUES += ([1], {"a": 1}, ["Normal"], "é")
SEPARATORS = ((b"\t", b","), (b"\t", b" "), (b",", b";"), (b",", b"\t"), (b".", b","))
SEPARATORS += ((b"\n", b"\r\n"), (b"\n", b"\r"), (b"\n", b" "))
SIZES = (1, 2, 3, 16, 1000)


# Any bytes


def flip_bits(content: bytes, rng: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8)) if content else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite(content: bytes, rng: Random) -> bytes:
    first, last = _slice(content, rng)
    return content[:first] + _bytes(last - first, rng) + content[last:]


def truncate(content: bytes, rng: Random) -> bytes:
    near_end = max(0, len(content) - rng.choice(SIZES))
    return content[: rng.choice((0, 1, near_end, rng.randrange(len(content) + 1)))]


def insert(content: bytes, rng: Random) -> bytes:
    place = rng.choice((0, len(content), rng.randrange(len(content) + 1)))
    return content[:place] + _bytes(rng.choice(SIZES), rng) + content[place:]


def remove(content: bytes, rng: Random) -> bytes:
    first, last = _slice(content, rng)
    return content[:first] + content[last:]


def repeat(content: bytes, rng: Random) -> bytes:
    first, last = _slice(content, rng)
    return content[:last] + content[first:]


def _slice(content: bytes, rng: Random) -> tuple[int, int]:
    first = rng.randrange(len(content) + 1)
    return first, min(len(content), first + rng.choice(SIZES))


def _bytes(size: int, rng: Random) -> bytes:
    return rng.choice((bytes(size), b"\xff" * size, b" " * size, rng.randbytes(size)))


BYTES = (flip_bits, flip_bits, overwrite, truncate, insert, remove, repeat)


# Text


def change_lines(content: bytes, rng: Random) -> bytes:
    """Remove, repeat, swap or empty a line."""
    lines = content.splitlines(keepends=True) or [b""]
    here, there = rng.randrange(len(lines)), rng.randrange(len(lines))
    what = rng.randrange(4)
    if what == 0:
        del lines[here]
    elif what == 1:
        lines.insert(there, lines[here])
    elif what == 2:
        lines[here], lines[there] = lines[there], lines[here]
    else:
        lines[here] = b"\n"
    return b"".join(lines)


def replace_number(content: bytes, rng: Random) -> bytes:
    numbers = list(re.finditer(rb"-?\d+(\.\d+)?(e[+-]?\d+)?", content))
    if not numbers:
        return content
    number, new = rng.choice(numbers), rng.choice(NUMBERS).encode()
    if rng.random() < 0.3:  # one digit alone
        new = number[0][:-1] + str(rng.randrange(10)).encode()
    return content[: number.start()] + new + content[number.end() :]


def replace_word(content: bytes, rng: Random) -> bytes:
    words = list(re.finditer(rb"[A-Za-z]+", content))
    if not words:
        return content
    word = rng.choice(words)
    others = (rng.choice(words)[0], word[0].swapcase(), word[0][1:], word[0] * 2, b"", b"x")
    return content[: word.start()] + rng.choice(others) + content[word.end() :]


def separate_otherwise(content: bytes, rng: Random) -> bytes:
    old, new = rng.choice(SEPARATORS)
    return content.replace(old, new)


def encode_otherwise(content: bytes, rng: Random) -> bytes:
    """UTF-8 with a byte order mark, UTF-16 with or without, or a Latin-1 letter."""
    text = content.decode("utf-8", errors="replace")
    place = rng.randrange(len(text) + 1)
    return rng.choice((
        codecs.BOM_UTF8 + content,
        text.encode("utf-16"),
        codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
        text.encode("utf-16-le"),
        (text[:place] + "é" + text[place:]).encode("latin-1", errors="replace"),
        (text[:place] + "\u200b" + text[place:]).encode(),
        codecs.BOM_UTF8 * 2 + content,
    ))  # fmt: skip


LINES = (change_lines, change_lines, replace_number, replace_number, replace_word)
TEXT = (*LINES, separate_otherwise, encode_otherwise, flip_bits, truncate, insert, remove, repeat)


# JSON


def change_json(content: bytes, rng: Random) -> bytes:
    """Remove, rename or double a key, or put another value or type in its place."""
    try:
        value = json.loads(content)
    except ValueError:  # damaged before
        return flip_bits(content, rng)
    places = list(_places(value))
    if not places or rng.random() < 0.05:
        return json.dumps(rng.choice(VALUES)).encode()
    parent, key = rng.choice(places)
    what = rng.randrange(4)
    if what == 0:
        del parent[key]
    elif what == 1 and isinstance(parent, dict):
        return _double_key(value, parent, key, rng)
    elif what == 2 and isinstance(parent, dict):
        parent[rng.choice((key.upper(), key + " ", key[1:]))] = parent.pop(key)
    else:
        parent[key] = rng.choice((*VALUES, [parent[key]], str(parent[key])))
    return json.dumps(value).encode()


def _places(value: object):
    """Each (container, key) of a JSON value."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _double_key(value: object, parent: dict, key: str, rng: Random) -> bytes:
    double = "a key that no file has"
    parent[double] = rng.choice(VALUES)
    return json.dumps(value).replace(json.dumps(double), json.dumps(key)).encode()


JSON = (change_json, change_json, change_json, *TEXT)


# Headers of binary files


def fields(*places: tuple[int, int], order: str = "little") -> Mutator:
    """A mutator that sets one of the header's integers, each (offset, size), to an odd value."""

    def set_field(content: bytes, rng: Random) -> bytes:
        offset, size = rng.choice(places)
        return _set_field(content, offset, size, order, rng)

    return set_field


def _set_field(content: bytes, offset: int, size: int, order: str, rng: Random) -> bytes:
    old, top = int.from_bytes(content[offset : offset + size], order), 256**size
    values = (0, 1, 2, top - 1, top // 2, top // 2 - 1, old + 1, old - 1, 2 * old, old // 2)
    new = rng.choice((*values, rng.randrange(top), old ^ 1 << rng.randrange(8 * size)))
    return content[:offset] + (new % top).to_bytes(size, order) + content[offset + size :]


# Sizes of file and format, format, channels, rate, bytes a second and a frame, bits, size of data
WAV = fields((4, 4), (16, 4), (20, 2), (22, 2), (24, 4), (28, 4), (32, 2), (34, 2), (40, 4))
# Kind and length of the first block, sizes of blocks and frames, rate to samples, MD5, frame
FLAC = fields((4, 1), (5, 3), (8, 2), (10, 2), (12, 3), (15, 3), (18, 3), (20, 2), (22, 4),
              (26, 16), (42, 4), order="big")  # fmt: skip
ZIP_FIELDS = {  # signature -> its integers: offset and size
    b"PK\x03\x04": ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\x01\x02": ((6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2),
                    (38, 4), (42, 4)),
    b"PK\x05\x06": ((4, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
}  # fmt: skip


def change_zip(content: bytes, rng: Random) -> bytes:
    """Set an integer of a zip archive's directory to an odd value."""
    signature = rng.choice(list(ZIP_FIELDS))
    starts = [match.start() for match in re.finditer(re.escape(signature), content)]
    if not starts:
        return flip_bits(content, rng)
    offset, size = rng.choice(ZIP_FIELDS[signature])
    return _set_field(content, rng.choice(starts) + offset, size, "little", rng)


def change_npy(content: bytes, rng: Random) -> bytes:
    """Change shape or type in the header of an .npy file, which keeps its length."""
    header = content[:128]
    types = (b"<f2", b"<i2", b"<f4", b"<f8", b"|b1", b"|O1", b"<c8", b"|S2", b">f2")
    if rng.random() < 0.5:
        changed = header.replace(b"<f2", rng.choice(types))
    else:
        changed = header[:10] + replace_number(header[10:], rng)
    return changed.rstrip(b" \n").ljust(127)[:127] + b"\n" + content[128:]


def damage(content: bytes, mutators: Sequence[Mutator], rng: Random) -> bytes:
    """Return other bytes: one to three mutators, one after another."""
    changed = content
    while changed == content:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            changed = rng.choice(mutators)(changed, rng)
    return changed
