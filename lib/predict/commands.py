"""The command predict: files in, text, JSON, a table or a picture out."""

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from lib import files
from lib.errors import UserError
from lib.predict import recording, text
from lib.predict.answer import Answer, predict_file
from lib.predict.model import RESEARCH_ONLY, Predictor, load_model
from lib.progress import progress_bar


def predict(options: Namespace) -> int:
    """Print answers about one sound file, or about all in a folder; 1 if any of these is refused.

    Raises `UserError` if the only file is refused, or if all are.
    """
    path = Path(options.words[0])
    sounds = recording.sound_files(path)
    _require_outputs(options, path, sounds)
    model = load_model(options.model or "")
    answers, refused = answer_files(sounds, model, options.cycles, options.window, options.step)
    if len(sounds) == 1 and refused:
        raise UserError(next(iter(refused.values())))
    if not answers:
        raise UserError(f"{path}: all {len(sounds)} recordings are refused; the first one: "
                        f"{next(iter(refused.values()))}")  # fmt: skip
    if options.csv:
        root = path if path.is_dir() else path.parent
        table = text.as_table(answers, root).to_csv(index=False, lineterminator="\n")
        files.write_text(Path(options.csv), table)
    if options.plot:
        _plot(answers[0], model, Path(options.plot))
    if options.json:
        print(json.dumps(text.as_json(answers, refused, model), indent=2))
    else:
        print(text.as_text(answers, refused, model))
    return 1 if refused else 0


def _require_outputs(options: Namespace, path: Path, sounds: Sequence[Path]) -> None:
    """Raise `UserError` for a picture of several recordings, and if a file would be lost."""
    if options.plot and path.is_dir():
        raise UserError("--plot: a picture shows one recording; name one file")
    named = {"--csv": options.csv, "--plot": options.plot}
    outputs = {name: Path(value) for name, value in named.items() if value}
    cycles = [file for sound in sounds if (file := _cycles_of(sound, options.cycles))]
    files.require_outputs(outputs, [*sounds, *cycles])
    if options.plot and outputs["--plot"].suffix.lower() != ".png":
        raise UserError(f"--plot {options.plot}: a picture is a .png file; name one")


def answer_files(
    sounds: Sequence[Path], model: Predictor, cycles: str | None = None,
    window: float | None = None, step: float = 1.0,
) -> tuple[list[Answer], dict[str, str]]:  # fmt: skip
    """Return the answers about sound files, and why others are refused: file -> a sentence.

    cycles, window, step: of the command.
    """
    answers, refused = [], {}
    for each in progress_bar(sounds, unit="recording", disable=len(sounds) == 1):
        try:
            answers.append(predict_file(each, model, _cycles_of(each, cycles), window, step))
        except UserError as error:
            refused[str(each)] = str(error)
    return answers, refused


def _cycles_of(sound: Path, cycles: str | None) -> Path | None:
    """The annotation of a recording: the file that was named, or one in that folder."""
    if cycles is None:
        return None
    path = Path(cycles)
    return path / f"{sound.stem}.txt" if path.is_dir() else path


def _plot(answer: Answer, model: Predictor, out: Path) -> None:
    from lib.plots import style
    from lib.plots.prediction import plot_prediction

    record = answer.recording
    figure = plot_prediction(
        record.wave, record.front.rate_hz, answer.parts, answer.summary, answer.warning,
        f"{record.path.name}\n{model.name}. {RESEARCH_ONLY}",
    )  # fmt: skip
    with files.atomic_write(out) as path:
        path.write_bytes(style.to_png(figure))
