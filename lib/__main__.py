"""The front door: `python -m lib <command>`, which `./run_all.sh` calls in its environment."""

import argparse
import os
import re
import sys
from pathlib import Path

PROFILES = ("quick", "cpu", "paper", "smoke")
COMMANDS = (*PROFILES, "train", "test", "verify", "publish", "lab", "download", "python")
OPTIONS = ("--data", "--store", "--weights", "--executor", "--address", "--help")
USAGE = """./run_all.sh [COMMAND] [NOTEBOOK ...] [--data DIR] [--store DIR] [--weights DIR]
                    [--executor {local,ray}] [--address HOST:PORT]"""
COMMAND_HELP = """\
commands:
  quick            small models, about half an hour on two cores (the default)
  cpu              hours on a CPU: as quick with two seeds, SPRSound on all its clips
  paper            everything as published; needs all recordings and a GPU
  smoke            synthetic sounds, tiny models, minutes
  train [PROFILE]  make the runs alone, no pages
  test [ARG ...]   run the tests; arguments go to pytest
  verify           recompute every published number from its predictions
  publish [NAME]   copy local reports (reports/local/NAME, such as quick-icbhi-partial) to reports/
  lab              open the notebooks in JupyterLab
  download icbhi   fetch the official recordings (2 GB) into data/, or --data; or sprsound
  python [ARG ...] Python in the project's environment: -m lib.runs.tune, -m benchmarks

notebooks: numbers such as 03 04, or all; none means 00 to 07

examples:
  ./run_all.sh
  ./run_all.sh quick 03 04 --data /data/icbhi
  ./run_all.sh paper all
  ./run_all.sh paper --executor ray --address 192.168.1.10:6379   (docs/cluster.md)
"""


def parse(argv: list[str]) -> tuple[str, list[str], argparse.Namespace]:
    """Command, its words, and the options; an unknown one is a `UserError` with near names."""
    from lib.errors import UserError, unknown

    parser = argparse.ArgumentParser(
        prog="./run_all.sh",
        usage=USAGE,
        description="From recordings to reports that show a paper's numbers beside ours.",
        epilog=COMMAND_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument(
        "--data", metavar="DIR", help="recordings: holds ICBHI_final_database, BioCAS2022 or both"
    )
    parser.add_argument(
        "--store", metavar="DIR", action="append", help="a feature store made elsewhere; repeatable"
    )
    parser.add_argument("--weights", metavar="DIR", help="pretrained weights, if not in weights/")
    parser.add_argument(
        "--executor", metavar="NAME", help="what makes the runs: local (the default) or ray"
    )
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="a running Ray cluster, or auto; without it Ray is started here",
    )
    try:
        options, rest = parser.parse_known_intermixed_args(argv)
    except argparse.ArgumentError as error:
        raise UserError(f"{error}; see ./run_all.sh --help") from error
    if rest:
        raise unknown("option", rest[0], OPTIONS)
    words = options.words
    if words and not re.fullmatch(r"\d+|all", words[0]):
        command, *words = words
    else:
        command = "quick"
    if command not in COMMANDS:
        raise unknown("command or profile", command, COMMANDS)
    return command, words, options


def set_places(options: argparse.Namespace) -> None:
    """Hand folders on by environment, as absolute paths; one that is not there is a `UserError`."""
    given = {"DATA_ROOT": options.data, "WEIGHTS_ROOT": options.weights}
    for name, folder in given.items():
        if folder is not None:
            os.environ[name] = _folder(folder)
    if options.store:
        os.environ["STORE"] = os.pathsep.join(map(_folder, options.store))


def set_executor(options: argparse.Namespace) -> None:
    """Hand the executor on by environment; an address without Ray is a `UserError`."""
    from lib.errors import UserError
    from lib.runs import local

    if options.executor is not None:
        os.environ["EXECUTOR"] = options.executor
    name = local.executor()
    if options.address is not None:
        if name != "ray":
            raise UserError(f"--address {options.address}: add --executor ray, which it belongs to")
        os.environ["RAY_ADDRESS"] = options.address


def _folder(given: str) -> str:
    from lib.errors import UserError

    path = Path(given).expanduser().resolve()
    if not path.is_dir():
        raise UserError(f"{given}: no such folder; give one that exists")
    return str(path)


def run(argv: list[str]) -> int:
    """Do what the command line asks for; returns the exit code."""
    if argv[:1] == ["test"]:  # all that follows is for pytest
        return _replace("-m", "pytest", *argv[1:])
    if argv[:1] == ["python"]:
        return _replace(*argv[1:])
    command, words, options = parse(argv)
    if command == "download":
        return _download(words, options)
    set_places(options)
    set_executor(options)
    if command in PROFILES:
        from lib.reports import build

        build.build(command, words)
        return 0
    return {"train": _train, "verify": _verify, "publish": _publish, "lab": _lab}[command](words)


def _replace(*arguments: str) -> int:
    """Become another Python program, started in the project's folder."""
    from lib.paths import PROJECT

    os.chdir(PROJECT)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *arguments])


def _lab(words: list[str]) -> int:
    from lib.paths import PROJECT

    return _replace("-m", "jupyterlab", "--notebook-dir", str(PROJECT / "notebooks"), *words)


def _train(words: list[str]) -> int:
    from lib import rows
    from lib.errors import UserError, unknown
    from lib.runs import execute

    profile, names = "quick", words
    if words and not re.fullmatch(r"\d+|all", words[0]):
        profile, *names = words
    for name in names:
        if name not in (*rows.NOTEBOOKS, "all"):
            raise unknown("notebook with runs", name, [*rows.NOTEBOOKS, "all"])
    default = [number for number in rows.NOTEBOOKS if number <= rows.LAST_DEFAULT]
    chosen = list(rows.NOTEBOOKS) if "all" in names else names or default
    if faults := execute.run(profile, chosen):
        raise UserError("; ".join(faults))
    return 0


def _verify(words: list[str]) -> int:
    from lib.runs import folder as runs_folder
    from lib.tables import verify

    differences = verify.verify()
    if not any(runs_folder.published_root().glob("*/result.json")):
        differences = [f"{runs_folder.published_root()}: nothing is published there"]
    print(
        "\n".join(differences)
        or f"{runs_folder.published_root()}: every number is what its run gives"
    )
    return 1 if differences else 0


def _publish(words: list[str]) -> int:
    from lib.reports.publish import publish

    print(f"published: {publish(*words[:1])}")
    return 0


def _download(words: list[str], options: argparse.Namespace) -> int:
    from lib.data.download import DATASETS, download
    from lib.errors import UserError
    from lib.paths import PROJECT

    if len(words) != 1:
        raise UserError(f"download: name one data set ({', '.join(DATASETS)})")
    download(words[0], Path(options.data or PROJECT / "data").expanduser().resolve())
    return 0


def main() -> int:
    """Run the command line; a fault that the user can mend is one line and exit code 2."""
    from lib.errors import UserError

    try:
        return run(sys.argv[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
