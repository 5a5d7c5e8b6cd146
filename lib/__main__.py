"""The command line: `python -m lib COMMAND`, which `./run_all.sh` starts in its environment."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lib import files, paths
from lib.config import SELECTIONS
from lib.errors import UserError, unknown
from lib.paths import PROJECT

if TYPE_CHECKING:
    import pandas as pd

PROFILES = ("smoke", "laptop", "paper")
FOLDERS = ("DATA_ROOT", "RUNS_ROOT", "FEATURES_ROOT", "WEIGHTS_ROOT", "REPORTS_ROOT", "OUT")
PROFILE_HELP = """
profiles:
  smoke   tiny models on synthetic sounds: minutes
  laptop  small models on your recordings: about an hour on two cores (the default if found)
  paper   everything as published: all recordings and a GPU
notebooks: numbers such as 03 04, or all (default: 00 to 07, the main paper)
"""
OPTIONS = {
    "--data": {"metavar": "DIR", "help": "recordings: a folder with icbhi/, sprsound/ or both"},
    "--features": {"metavar": "DIR", "help": "a feature cache made elsewhere; repeatable"},
    "--weights": {"metavar": "DIR", "help": "pretrained weights (default: weights/)"},
    "--out": {"metavar": "DIR", "help": "where output goes (pages: reports/local/PROFILE-DATA)"},
    "--seeds": {"metavar": "N", "help": "train seeds 1 to N (default: the profile's)"},
    "--only": {
        "metavar": "PATTERN",
        "help": "train only these experiments, long ones too: mn04_as/*",
    },
    "--executor": {"metavar": "NAME", "help": "where runs are trained: local (default) or ray"},
    "--address": {"metavar": "HOST:PORT", "help": "a running Ray cluster, or auto"},
    "--trials": {"metavar": "N", "help": "trials in all, finished ones included (default: 8)"},
    "--json": {"action": "store_true", "help": "print JSON instead of a table"},
    "--dataset": {"metavar": "NAME", "help": "icbhi (the default) or sprsound"},
    "--task": {"metavar": "NAME", "help": "of SPRSound: 1-1, 1-2, 2-1, 2-2 or icbhi4"},
    "--selected-on": {"metavar": "RULE", "help": "what chose the epoch: test, validation or last"},
    "--html": {"metavar": "FILE", "help": "write a page, too"},
    "--from-run": {"action": "store_true", "help": "print the predictions of a stored run"},
    "--cycles": {
        "metavar": "TXT",
        "help": "start and end of each cycle, in lines; or their folder",
    },
    "--window": {"metavar": "S", "type": float, "help": "seconds (default: what the model hears)"},
    "--step": {"metavar": "S", "type": float, "default": 1.0, "help": "between windows (1)"},
    "--model": {"metavar": "NAME", "help": "in models/, or the folder of a run"},
    "--csv": {"metavar": "FILE", "help": "write a table, too; of --cycles, score reads it"},
    "--plot": {"metavar": "PNG", "help": "write a picture, too"},
}
OPTIONS["--features"]["action"] = "append"
OPTIONS["--seeds"]["type"] = OPTIONS["--trials"]["type"] = int
INPUTS = ("--data", "--features", "--weights")
TRAINING = (*INPUTS, "--seeds", "--only", "--executor", "--address")
COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], str, str, tuple[str, ...]]] = {}


def command(words: str, *options: str, example: str = "") -> Callable:
    """Register a function as the command of its name; its docstring is the help."""

    def register(function: Callable) -> Callable:
        COMMANDS[function.__name__] = (function, words, example, options)
        return function

    return register


@command("[PROFILE] [NOTEBOOK ...]", *TRAINING, "--out", example="laptop 03 04 --data /data")
def run(options: argparse.Namespace) -> int:
    """Train what is missing, execute the notebooks, write the pages."""
    from lib.reports import build

    build.build(*_profile_and_notebooks(options))
    return 0


@command("[PROFILE] [NOTEBOOK ...]", *TRAINING, example="paper 04 --executor ray --address auto")
def train(options: argparse.Namespace) -> int:
    """Train what the notebooks need, without pages."""
    from lib.runs import execute

    if problems := execute.train_notebooks(*_profile_and_notebooks(options)):
        raise UserError("; ".join(problems))
    return 0


@command("[PROFILE] [NOTEBOOK ...]", *TRAINING, "--json", example="laptop --json")
def status(options: argparse.Namespace) -> int:
    """List the runs that the notebooks need: cached, to train, or why not."""
    from lib.runs import plan

    rows = plan.status(*_profile_and_notebooks(options))
    if options.json:
        print(rows.to_json(orient="records", indent=2))
    else:
        print(_table(rows))
    return 0


@command("[NOTEBOOK ...]", example="03 11")
def rehearse(options: argparse.Namespace) -> int:
    """Try every experiment of `paper` at its real size for two steps; print what each costs."""
    from lib.rehearsal import rehearse
    from lib.reports.build import select_notebooks

    words = options.words[1:] if options.words[:1] == ["paper"] else options.words
    numbers = [path.name[:2] for path in select_notebooks(words or ["all"])]
    print(rehearse(numbers).to_string(index=False))
    return 0


@command("")
def verify(_: argparse.Namespace) -> int:
    """Recompute every published number from its predictions."""
    from lib.score.leaderboard import verify_leaderboard
    from lib.tables.verify import verify

    differences = verify() + verify_leaderboard()
    print("\n".join(differences) or f"{paths.reports_root()}: every number is what its run gives")
    return 1 if differences else 0


@command("[PROFILE] TASK MODEL", *INPUTS, "--address", "--trials", example="laptop 1-1 cnn2/ce")
def tune(options: argparse.Namespace) -> int:
    """Search settings with Ray Tune and Optuna; resumable."""
    from lib.runs.tune import run

    profile, words = _split_profile(options.words)
    if len(words) != 2:
        raise UserError("tune: give a task and a model, such as 1-1 cnn2/ce")
    print(run(*words, options.trials or 8, profile).to_string(index=False))
    return 0


@command(
    "PREDICTIONS.csv | RUN", "--dataset", "--task", "--selected-on", "--json", "--html",
    "--from-run", example="mine.csv --dataset icbhi --selected-on validation",
)  # fmt: skip
def score(options: argparse.Namespace) -> int:
    """Score anybody's predictions; needs no recordings (docs/score.md has the columns)."""
    from lib.score import referee, stored, submission, text

    if len(options.words) != 1:
        raise UserError("score: name one file; docs/score.md says which columns it has")
    rule = options.selected_on or ""
    if rule and rule not in SELECTIONS:
        raise unknown("rule of --selected-on", rule, SELECTIONS)
    if options.from_run:
        print(stored.export_run(options.words[0], rule or "validation"), end="")
        return 0
    path, dataset = Path(options.words[0]), options.dataset or "icbhi"
    if options.html:
        files.require_outputs({"--html": Path(options.html)}, [path])
    report = referee.score(submission.read_submission(path, dataset, options.task or ""), rule)
    print(text.as_json(report) if options.json else text.as_text(report))
    if options.html:
        from lib.reports.score import write_page

        write_page(report, Path(options.html))
    return 0


@command("", "--out", example="--out reports")
def leaderboard(_: argparse.Namespace) -> int:
    """Write the page of published and recomputed Scores from leaderboard/ and the stored runs."""
    from lib.reports.score import write_leaderboard

    print(write_leaderboard(Path(os.environ.get("OUT") or paths.reports_root() / "local")))
    return 0


@command(
    "FILE | FOLDER", "--cycles", "--window", "--step", "--model", "--json", "--csv", "--plot",
    example="mine.wav --plot mine.png",
)  # fmt: skip
def predict(options: argparse.Namespace) -> int:
    """Say how probable crackles and wheezes are in recordings; research only (docs/predict.md)."""
    _require_words(options, "predict: name one sound file or a folder of them")
    from lib.predict import commands

    return commands.predict(options)


@command("RUN_FOLDER", "--data", "--out", example="runs/RUN --data /data --out models/mine")
def package(options: argparse.Namespace) -> int:
    """Make a small model that `predict` uses of a finished run: weights, calibration, card."""
    _require_words(options, "package: name the folder of one finished run")
    from lib.predict.package import package_run

    print(package_run(Path(options.words[0]), Path(os.environ["OUT"]) if options.out else None))
    return 0


@command("MODEL | RUN", "--out", "--weights", example="mn04-sprsound --out listen.html")
def export(options: argparse.Namespace) -> int:
    """Write a model as ONNX, as a page that listens, or an AST for transformers."""
    _require_words(options, "export: name one model or run")
    from lib.export.commands import export_model

    print(export_model(options.words[0], Path(os.environ.get("OUT") or "model.onnx")))
    return 0


@command("icbhi | sprsound", "--data", example="icbhi --data /data")
def download(options: argparse.Namespace) -> int:
    """Fetch official recordings into data/ (or --data); resumable."""
    from lib.data.download import DATASETS, download

    if len(options.words) != 1:
        raise UserError(f"download: name one dataset ({', '.join(DATASETS)})")
    download(options.words[0], Path(os.environ.get("DATA_ROOT") or PROJECT / "data"))
    return 0


@command("", "--data", "--weights", example="--data /data")
def embed(_: argparse.Namespace) -> int:
    """Make the frozen features of SPRSound that come with the code, from its recordings."""
    from lib.analysis import frozen

    print(frozen.make_file())
    return 0


@command("[ARG ...]", *TRAINING, "--out", example="--data /data --no-browser")
def lab(options: argparse.Namespace) -> int:
    """Open the notebooks in JupyterLab; further arguments go to it."""
    folder = str(PROJECT / "notebooks")
    return _become("-m", "jupyterlab", "--notebook-dir", folder, *options.words)


@command("[ARG ...]", example="tests/unit -k scores")
def test(options: argparse.Namespace) -> int:
    """Run the tests; arguments go to pytest, paths are those of the project."""
    os.chdir(PROJECT)
    return _become("-m", "pytest", *options.words)


@command("[ARG ...]", example="-m benchmarks features")
def python(options: argparse.Namespace) -> int:
    """Start Python in the project's environment."""
    return _become(*options.words)


def parse(argv: list[str]) -> tuple[str, argparse.Namespace]:
    """Return the command and its words and options; unknown ones are a `UserError`.

    Without a command ("", "laptop 03", "03 --data DIR") it is `run`.
    """
    parser, commands = make_parser()
    first = argv[0] if argv else ""
    if first in ("-h", "--help"):
        parser.parse_args(argv)
    if not first or first in PROFILES or re.match(r"-|\d+$|all$", first):
        argv = ["run", *argv]
    name, *arguments = argv
    if name not in commands:
        raise unknown("command or profile", name, [*commands, *PROFILES])
    if name in ("test", "python"):  # every argument belongs to pytest or Python
        return name, argparse.Namespace(words=arguments)
    options, rest = commands[name].parse_known_intermixed_args(arguments)
    if name == "lab":
        options.words += rest
    elif rest:
        raise unknown("option", rest[0], [*COMMANDS[name][3], "--help"])
    if options.words and not COMMANDS[name][1]:
        raise UserError(f"{name} {options.words[0]}: {name} takes no arguments")
    return name, options


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are `UserError`."""

    def error(self, message: str) -> None:
        """Raise what argparse would print before it exits."""
        raise UserError(f"{message}; see {self.prog} --help")


def make_parser() -> tuple[Parser, dict[str, Parser]]:
    """Return the parser of the whole command line and that of each command."""
    style = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    examples = [f"  ./run_all.sh {name} {entry[2]}".rstrip() for name, entry in COMMANDS.items()]
    parser = Parser(
        prog="./run_all.sh",
        description="From recordings to pages that show the papers' numbers beside ours.",
        epilog="\n".join([PROFILE_HELP, "examples (the command run may be left out):", *examples]),
        **style,
    )
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", prog="./run_all.sh")
    for (name, (function, words, _, options)), example in zip(
        COMMANDS.items(), examples, strict=True
    ):
        about = function.__doc__
        profiles = PROFILE_HELP if words.startswith("[PROFILE]") else ""
        epilog = f"{profiles}\nexample:\n{example}"
        usage = f"./run_all.sh {name} {words} {'[OPTION ...]' if options else ''}".strip()
        subparser = commands.add_parser(
            name, help=about, description=about, usage=usage, epilog=epilog, **style
        )
        subparser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
        for option in options:
            subparser.add_argument(option, **OPTIONS[option])
    return parser, commands.choices


def set_environment(options: argparse.Namespace) -> None:
    """Hand the options on by environment; all folders in it become absolute.

    What else is in it holds for every process of this project, whatever the user's settings are.
    """
    for name, value in vars(options).items():
        if value == "" or (name == "features" and value and "" in value):
            raise UserError(f"--{name}: nothing is given; name it, or leave the option out")
    for name in FOLDERS:
        if os.environ.get(name):
            os.environ[name] = _absolute(os.environ[name])
    if os.environ.get("FEATURES"):
        folders = os.environ["FEATURES"].split(os.pathsep)
        os.environ["FEATURES"] = os.pathsep.join(map(_absolute, filter(None, folders)))
    for option, (name, convert) in ENVIRONMENT.items():
        if (value := getattr(options, option, None)) is not None:
            os.environ[name] = convert(value)
    os.environ.update(paths.python_environment())
    if not os.access(os.path.expanduser("~"), os.W_OK):  # libraries keep caches there
        os.environ["HOME"] = str(paths.features_root() / ".home")


def _require_words(options: argparse.Namespace, problem: str) -> None:
    if len(options.words) != 1:
        raise UserError(problem)


def _absolute(folder: str) -> str:
    try:
        return os.path.abspath(Path(folder).expanduser())  # a link keeps its own name
    except RuntimeError as error:  # ~ without a home
        raise UserError(f"{folder}: no such folder ({error}); give its whole path") from error


def _existing(folder: str) -> str:
    if not Path(_absolute(folder)).is_dir():
        raise UserError(f"{folder}: no such folder; give one that exists")
    return _absolute(folder)


def _count(number: int) -> str:
    if number < 1:
        raise UserError(f"--seeds {number}: give a number of seeds, at least 1")
    return str(number)


ENVIRONMENT = {  # option -> variable, conversion of its value
    "data": ("DATA_ROOT", _absolute),  # download makes it; lib.data raises if it holds nothing
    "features": ("FEATURES", lambda folders: os.pathsep.join(map(_existing, folders))),
    "weights": ("WEIGHTS_ROOT", _existing),
    "out": ("OUT", _absolute),
    "seeds": ("SEEDS", _count),
    "only": ("ONLY", str),
    "executor": ("EXECUTOR", str),
    "address": ("RAY_ADDRESS", str),
}


def _split_profile(words: list[str]) -> tuple[str, list[str]]:
    """Return the profile and the other words; without a profile, the one that fits the data."""
    if words and words[0] in PROFILES:
        return words[0], words[1:]
    from lib import data

    if os.environ.get("FEATURES") or data.recordings_found():
        return "laptop", words
    say("no recordings found (--data, DATA_ROOT, data/): profile smoke, synthetic sounds")
    return "smoke", words


def _profile_and_notebooks(options: argparse.Namespace) -> tuple[str, list[str]]:
    """Return the profile and the numbers of the notebooks that the words of a command name.

    One line for each of their datasets says which recordings are used.
    """
    from lib.reports import build
    from lib.runs import local

    if local.executor_name() != "ray" and options.address:
        raise UserError("--address: add --executor ray, which it belongs to")
    profile, names = _split_profile(options.words)
    numbers = [path.name[:2] for path in build.select_notebooks(names)]
    for line in build.describe_recordings(profile, numbers):
        say(line)
    return profile, numbers


def say(line: str) -> None:
    """Print a line for people: what a program reads is on standard output."""
    print(line, file=sys.stderr, flush=True)


def _table(rows: pd.DataFrame) -> str:
    """Return a table as text: left-aligned, without its empty columns, the reasons last."""
    texts = rows.astype(object).where(rows.notna(), "").astype(str)
    texts = texts.loc[:, (texts != "").any()]
    texts = texts[sorted(texts, key="reason".__eq__)]
    cells = [list(texts.columns), *texts.to_numpy().tolist()]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(map(str.ljust, line, widths)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


def _become(*arguments: str) -> int:
    """Replace this process by another Python program that imports this checkout's `lib`."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", *arguments])


def main(argv: list[str]) -> int:
    """Run the command line; a problem that the user can fix is one line and exit code 2."""
    try:
        name, options = parse(argv)
        set_environment(options)
        code = COMMANDS[name][0](options)
        sys.stdout.flush()
        return code
    except UserError as error:
        say(f"error: {error}")
        return 2
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:  # a full disk, a file without permission, a network that is gone
        what = f"{error.filename}: {error.strerror}" if error.filename else error
        say(f"error: {what}; mend that and start the same command again: it continues")
        return 2
    except KeyboardInterrupt:
        say("stopped; the same command continues from here")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
