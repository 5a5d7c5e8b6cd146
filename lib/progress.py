"""Progress: a bar on a terminal; elsewhere, such as in a log file, now and then a line."""

import sys

from tqdm import tqdm

TERMINAL_SECONDS = 0.5  # between two states of a bar
LOG_SECONDS = 30.0  # between two lines


class _Lines:
    """A stream that writes each state of a bar as a line, without the carriage returns."""

    def write(self, text: str) -> None:
        if line := text.strip():
            sys.stderr.write(f"{line}\n")

    def flush(self) -> None:
        sys.stderr.flush()


def progress_bar(*iterable: object, **options: object) -> tqdm:
    """Return a `tqdm` bar that suits where it is seen: on standard error.

    What takes less than `LOG_SECONDS` writes nothing into a file.
    """
    if sys.stderr.isatty():
        return tqdm(*iterable, mininterval=TERMINAL_SECONDS, **options)
    seldom = {"mininterval": LOG_SECONDS, "maxinterval": LOG_SECONDS, "delay": LOG_SECONDS}
    return tqdm(*iterable, file=_Lines(), miniters=0, leave=False, **seldom, **options)
