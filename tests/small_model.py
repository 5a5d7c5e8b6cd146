"""A run of seconds on synthetic recordings, and the model that is packaged from it."""

from types import SimpleNamespace

import pytest

from lib.config import Experiment
from lib.data import DATASETS, synthetic
from lib.features.cache import cache_for
from lib.features.frontends import clip_frames, frontend_for
from lib.predict import measure, model, package
from lib.runs import folder as runs_folder
from lib.training import trainer

SMALL = Experiment(
    "small/ce", dataset="sprsound", test_sets=("icbhi",), clip_seconds=1.0, normalise="clip",
    model="mn04", validation_split=0.25, epochs=1, batch_size=8, lr=1e-3, moving_average=0.0,
    class_weights=False, frequency_mask=8, time_mask=20, save_weights=True,
)  # fmt: skip
FEW = {"train": range(3), "validation": range(3, 5)}


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished run with weights; `data` holds its recordings, `folder` is its folder."""
    root = tmp_path_factory.mktemp("predict")
    synthetic.write_sprsound(root / "data/sprsound", patients=10)
    synthetic.write_icbhi(root / "data/icbhi", patients=5, cycles=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNS_ROOT", str(root / "runs"))
        patch.setenv("FEATURES_ROOT", str(root / "features"))
        datasets = [DATASETS[name].open(root / "data" / name) for name in ("sprsound", "icbhi")]
        caches = [cache_for(each, frontend_for(SMALL), progress=False) for each in datasets]
        fingerprint = "+".join(cache.meta["fingerprint"] for cache in caches)
        spec = runs_folder.RunSpec(SMALL, 1, fingerprint, "")
        folder = runs_folder.start_run(spec, {"name": "synthetic SPRSound", "note": ""}, "none")
        frames = clip_frames(SMALL)
        trainer.fit(SMALL, 1, caches[0], frames, folder, {"icbhi": caches[1]})
    return SimpleNamespace(folder=folder, data=root / "data", features=root / "features")


@pytest.fixture(scope="session")
def packaged(trained, tmp_path_factory):
    """The folder of the model that is packaged from the run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_ROOT", str(trained.data))
        patch.setenv("FEATURES_ROOT", str(trained.features))
        patch.setattr(measure, "MADE_UP", FEW)
        return package.package_run(trained.folder, tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def small(packaged):
    """The packaged model."""
    return model.load_model(str(packaged))


@pytest.fixture
def breath(trained):
    """A made-up breath sound of the test set that the small model may answer about."""
    return sorted((trained.data / "icbhi").rglob("*Meditron.wav"))[0]
