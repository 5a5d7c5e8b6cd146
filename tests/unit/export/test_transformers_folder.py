"""The folder of an AST against the `transformers` that is installed."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import ASTFeatureExtractor, ASTForAudioClassification

from lib import __main__ as front
from lib.config import Experiment, override
from lib.errors import UserError
from lib.evaluation import tasks
from lib.export.transformers_folder import export_transformers, require_transformers
from lib.features.frontends import clip_frames
from lib.models import ast, build
from lib.predict.model import from_run
from lib.predict.recording import read_recording, windows
from lib.runs import folder as runs_folder

NANO = Experiment("ast/nano", size="nano", clip_seconds=2.0)


@pytest.fixture
def run():
    """Make a finished run of an AST with random weights: run(settings) -> its folder."""

    def make(**settings):
        e = override(NANO, **settings)
        torch.manual_seed(0)
        network = build.build_model(e, clip_frames(e), 128, len(tasks.get_task(e.task).classes))
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        folder = runs_folder.start_run(runs_folder.RunSpec(e, 1, "none", ""), {}, "none")
        save_file(network.state_dict(), folder / runs_folder.WEIGHTS)
        np.savez(folder / "predictions.npz", **{"test/label": np.zeros(1, int)})
        return folder

    return make


@pytest.mark.parametrize("settings", [{}, {"dropout": 0.1}, {"task": "1-1", "dataset": "sprsound"}])
def test_transformers_reads_it_and_gives_the_same_logits(run, settings, breath, tmp_path, capsys):
    folder, out = run(**settings), tmp_path / "hub"
    assert front.main(["export", str(folder), "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    assert {path.name for path in out.iterdir()} == {
        "config.json", "model.safetensors", "preprocessor_config.json"
    }  # fmt: skip
    model = from_run(folder)
    recording = read_recording(breath, model.network.front)
    (clips,) = recording.batches(windows(recording.seconds, 2.0, 1.0))
    theirs, report = ASTForAudioClassification.from_pretrained(out, output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    extractor = ASTFeatureExtractor.from_pretrained(out)
    inputs = extractor(list(clips), sampling_rate=16000, return_tensors="pt")
    assert inputs.input_values.shape[1:] == (model.network.front.frames, 128)
    with torch.no_grad():
        expected = model.network.logits(torch.from_numpy(clips))
        found = theirs.eval()(inputs.input_values).logits
    assert expected.std() > 0.1  # zeros would be equal too
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert theirs.config.id2label == dict(enumerate(model.classes))
    calibrated = torch.softmax(found / theirs.config.calibration_temperature, dim=1)
    with torch.no_grad():
        torch.testing.assert_close(
            calibrated, model.network(torch.from_numpy(clips)), atol=1e-4, rtol=0
        )


def test_names_are_those_that_pretrained_weights_are_read_by():
    """`rename` undoes `to_transformers`."""
    state = build.build_model(NANO, 198, 128).state_dict()
    state = {key: value for key, value in state.items() if not key.startswith("classifier.")}
    again = ast.rename(ast.to_transformers(state))
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], state[key]) for key in state)


@pytest.mark.parametrize(
    "settings, problem",
    [
        ({"pool": "all"}, "class and distillation token"),
        ({"head": "linear"}, "class and distillation token"),
        ({"freeze": True}, "class and distillation token"),
        ({"normalise": "clip"}, "normalises by two numbers"),
    ],
)
def test_an_ast_of_another_kind_is_named(settings, problem):
    with pytest.raises(UserError, match=f"ast/nano: .*{problem}.*--out"):
        require_transformers(override(NANO, **settings))


def test_another_model_is_named_and_nothing_is_written(small, tmp_path):
    with pytest.raises(UserError, match="mn04 is no AST"):
        export_transformers(small, tmp_path / "hub")
    assert not (tmp_path / "hub").exists()
