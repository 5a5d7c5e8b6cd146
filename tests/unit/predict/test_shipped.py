"""The model that comes with the code: its size, and what it makes of other and of real sounds."""

import os
import subprocess
import sys

import pytest
import soundfile

from lib.errors import UserError
from lib.paths import PROJECT
from lib.predict import model, package
from lib.predict.answer import predict_file
from lib.predict.sounds import KINDS, RATE_HZ, made_up_sound


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
