"""The model that comes with the code: its size, and what it makes of other and of real sounds."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import soundfile

from lib.errors import UserError
from lib.paths import PROJECT
from lib.predict import card, commands, model, package, text
from lib.predict.answer import WARNING, predict_file
from lib.predict.sounds import KINDS, RATE_HZ, made_up_sound
from lib.reports import listen


@pytest.fixture(scope="module")
def shipped():
    return model.load_model()


def test_it_is_small_and_git_does_not_ignore_it():
    folder = model.FOLDER / model.DEFAULT
    assert sum(path.stat().st_size for path in folder.iterdir()) < package.MAX_BYTES
    words = ["git", "check-ignore", "-q", str(folder / "weights.safetensors")]
    assert subprocess.run(words, cwd=PROJECT).returncode == 1
    card = (folder / "card.md").read_text()
    for words in ("Research only", "Litt3200", "test2023", "CC BY", "AUROC"):
        assert words in card


@pytest.mark.parametrize("kind", [*KINDS])
def test_sounds_of_kinds_that_it_knows_are_refused(shipped, tmp_path, kind):
    path, refused = tmp_path / "sound.wav", 0
    for seed in range(1000, 1004):
        soundfile.write(path, made_up_sound(kind, seed), RATE_HZ)
        try:
            predict_file(path, shipped)
        except UserError:
            refused += 1
    assert refused >= 3  # the card: at least 95% of each kind


def test_real_recordings_of_its_own_stethoscope_are_answered(shipped, sprsound_root):
    paths = sorted(sprsound_root.rglob("*test2022_wav/*.*"))[::37][:20]
    answers = [predict_file(path, shipped) for path in paths]
    assert sum(not answer.warning for answer in answers) >= 15
    assert all(answer.lung_sound > 0.5 for answer in answers)


def test_real_recordings_of_another_stethoscope_are_warned_of(shipped, real_root):
    paths = sorted(real_root.rglob("*Litt3200.flac"))[:5]
    assert len(paths) == 5
    assert all(predict_file(path, shipped).warning for path in paths)


def test_a_fresh_process_answers_without_what_only_training_needs(breath):
    """20 s of sound take under 10 s in all, most of which is Python starting."""
    slow = ("sklearn", "matplotlib", "ray", "nbformat", "tensorboard", "optuna")
    code = f"import sys; from lib.__main__ import main; main(['predict', {str(breath)!r}]);"
    code += f"print([name for name in {slow} if name in sys.modules])"
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_the_built_in_recording_is_answered_with_a_warning_and_a_tone_is_refused(shipped):
    answer = predict_file(listen.built_in_recording(), shipped)
    assert answer.warning == WARNING and len(answer.parts) == 14
    facts = text.facts_table(answer, shipped).set_index("Fact").Value
    assert facts["Warning"] == WARNING and "calibrated" in facts["Probabilities"]
    assert facts["Recording"] == "synthetic_breaths.wav: 15.6 s at 8,000 Hz, 14 windows"
    parts = text.parts_table(answer)
    best = parts[list(answer.classes)].astype(float).idxmax(axis=1)
    assert (best == parts["most probable"]).mean() > 0.9  # two decimals can be equal
    answers, refused = commands.answer_files(listen.no_lung_sounds(), shipped)
    why = text.refused_table(refused).set_index("Recording").squeeze()
    assert not answers and why["silence.wav"].startswith("silence: ")
    assert why["tone.wav"].startswith("no lung sound: ")


def test_the_scores_of_the_card_are_read(shipped):
    table = card.read_scores(shipped)
    assert table["clips of"].tolist()[0] == "test" and set(table.set) == {"SPRSound", "ICBHI"}
    assert set(table.columns) == set(card.SCORES.values())
    assert (
        f"| {table['Score (95%)'].iloc[-1]} |" in (model.FOLDER.parent / shipped.card).read_text()
    )
    assert card.read_scores(replace(shipped, card="")).empty
