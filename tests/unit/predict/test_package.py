"""The packaged folder: what it holds, and that its card says what the run's record gives."""

import pytest

from lib import files
from lib.errors import UserError
from lib.evaluation.scores import score_predictions
from lib.evaluation.tasks import ICBHI4
from lib.predict import package
from lib.runs import folder as runs_folder


def test_it_holds_weights_detectors_card_and_config(packaged, trained):
    names = ["card.md", "config.json", "detectors.safetensors", "weights.safetensors"]
    assert sorted(path.name for path in packaged.iterdir()) == names
    assert sum(path.stat().st_size for path in packaged.iterdir()) < package.MAX_BYTES
    weights = trained.folder / "weights.safetensors"
    assert (packaged / "weights.safetensors").read_bytes() == weights.read_bytes()
    config = files.read_json(packaged / "config.json")
    assert config["run"] == trained.folder.name
    assert config["classes"] == ["normal", "crackle", "wheeze", "both"]
    assert config["detectors"]["lung_sound"]["refused"] <= 0.05


def test_the_card_has_the_scores_of_the_record(packaged, trained):
    text = (packaged / "card.md").read_text()
    arrays = runs_folder.read_predictions(trained.folder)
    for name, title in (("test", "SPRSound"), ("icbhi", "ICBHI")):
        predicted = arrays[f"validation/{name}/logits"].argmax(1)
        clips = arrays[f"{name}/label"], predicted, arrays[f"{name}/subset"]
        score = score_predictions(ICBHI4, *clips)["score"]
        (line,) = [each for each in text.splitlines() if each.startswith(f"| {title} | test | ")]
        assert f"| {score:.2f} (" in line
    for words in ("not for diagnosis", "0. `normal`", "CC BY", "Meditron", "| made-up | tone |"):
        assert words in text


def test_other_recordings_than_the_runs_are_refused(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(trained.data / "icbhi"))
    with pytest.raises(UserError, match="not the recordings of small.ce"):
        package.package_run(trained.folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
