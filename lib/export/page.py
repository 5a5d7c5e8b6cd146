"""A page that listens: one file with a model, its runtime and examples inside, for any browser."""

import base64
import gzip
import hashlib
from pathlib import Path

import numpy as np
from markupsafe import Markup

from lib import files
from lib.data import audio
from lib.errors import UserError
from lib.export import runtime
from lib.export.onnx_file import onnx_bytes
from lib.features.frontends import Fbank
from lib.paths import PROJECT
from lib.predict import recording
from lib.predict.answer import UNPACKAGED, WARNING
from lib.predict.detectors import NEIGHBOURS, Detectors
from lib.predict.model import RESEARCH_ONLY, Predictor
from lib.reports import listen
from lib.reports.template import TEMPLATES, about_site, render_template

FOLDER = TEMPLATES / "listen_page"
SCRIPTS = ("sound.js", "recording.js", "model.js", "view.js")
STEP_SECONDS = 1.0
TICKS_HZ = (100, 500, 1000, 2000, 4000)
LOWEST_HZ = 20.0  # of the filter bank
LICENCE = PROJECT / "LICENSE"  # MIT, as that of ONNX Runtime: the same terms


def write_page(model: Predictor, out: Path) -> Path:
    """Write a page that listens with a model; returns its path.

    It makes no request, and answers as `predict` does. Raises `UserError` if what it is made of is
    neither here nor can be fetched, or if the model's clips are cut in another way than the page's.
    """
    parts = runtime.runtime_files()
    files.write_text(out, render_page(model, onnx_bytes(model), parts))
    return out


def render_page(model: Predictor, onnx: bytes, parts: dict[str, bytes]) -> str:
    """Return the page of a model that was exported as `onnx`; parts: the files of the runtime."""
    front = model.network.front
    if front.pad != "repeat" or front.fade == "cycle":
        raise UserError(
            f"{model.name}: the page repeats short clips and fades recordings, but this model has "
            f"pad = {front.pad}, fade = {front.fade}; export it as .onnx"
        )
    script, _, _ = parts[runtime.SCRIPT].partition(b"\n//# sourceMappingURL")
    contents = {"runtime": script, "wasm": parts[runtime.WASM], "model": onnx}
    if model.detectors:
        contents["detectors"] = _arrays(model.detectors)
    text = render_template(
        "listen_page/page", site=about_site(), facts=facts(model), ticks=_ticks(front),
        css=_read(TEMPLATES / "page.css", FOLDER / "page.css"),
        page_script=_read(TEMPLATES / "page.js"),
        script=_read(*(FOLDER / name for name in SCRIPTS)),
        examples=list(zip(listen.EXAMPLES, map(_base64_of, listen.sources()), strict=True)),
        packed={name: pack(content) for name, content in contents.items()},
        runtime=runtime.VERSION, licence=_paragraphs(LICENCE)[2:],
        sha256=hashlib.sha256(onnx).hexdigest(),
    )  # fmt: skip
    return text + "\n"


def facts(model: Predictor) -> dict:
    """Return all that the page's script must know of a model and of `predict`, for JSON."""
    front, detectors = model.network.front, model.detectors
    known = {
        "name": model.name, "about": model.about, "classes": model.classes,
        "calibration": model.calibration, "use": RESEARCH_ONLY, "warning": WARNING,
        "unpackaged": UNPACKAGED, "rateHz": front.rate_hz, "clipSeconds": front.clip_seconds,
        "stepSeconds": STEP_SECONDS, "mels": front.mels,
        "framesPerSecond": front.rate_hz / front.hop, "fade": front.fade == "recording",
        "fadeSamples": audio.FADE_SAMPLES, "openLength": audio.OPEN_LENGTH,
        "maxSamples": audio.MAX_SAMPLES, "maxKernel": audio.MAX_KERNEL,
        "sincWidth": audio.SINC_WIDTH, "rolloff": audio.ROLLOFF, "loudest": audio.LOUDEST,
        "lowestRateHz": audio.LOWEST_RATE_HZ, "minSeconds": recording.MIN_SECONDS,
        "quietestDb": recording.QUIETEST_DB, "clipped": recording.CLIPPED,
        "flatSamples": recording.FLAT_SAMPLES, "nearPeak": recording.NEAR_PEAK,
        "blocksPerSecond": recording.BLOCKS_PER_SECOND, "detectors": None,
    }  # fmt: skip
    if detectors:
        known["detectors"] = {
            "neighbours": NEIGHBOURS,
            "lungThreshold": detectors.settings["lung_sound"]["threshold"],
            "distanceThreshold": detectors.settings["distance"]["threshold"],
            "sizes": [(name, array.size) for name, array in detectors.arrays.items()],
        }
    return known


def pack(content: bytes) -> str:
    """Return bytes as base64 of gzip; the same bytes give the same text."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode("ascii")


def _arrays(detectors: Detectors) -> bytes:
    """Return the arrays, one after the other, as float32 (no fewer digits matter in any)."""
    return b"".join(array.astype("<f4").tobytes() for array in detectors.arrays.values())


def _ticks(front: Fbank) -> list[tuple[str, float]]:
    """Return labels of frequencies and their places from the top of the spectrogram, in percent."""
    low, high, *ticks = _mel(np.array([LOWEST_HZ, front.rate_hz / 2, *TICKS_HZ]))
    places = [100 * (high - tick) / (high - low) for tick in ticks]
    names = [f"{hz / 1000:g} kHz" if hz >= 1000 else f"{hz} Hz" for hz in TICKS_HZ]
    return [(name, round(place, 1)) for name, place in zip(names, places, strict=True)]


def _mel(hz: np.ndarray) -> np.ndarray:
    """Kaldi's mel scale."""
    return 1127 * np.log1p(hz / 700)


def _base64_of(address: str) -> str:
    return address.partition(",")[2]


def _paragraphs(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n\n")


def _read(*paths: Path) -> Markup:
    return Markup("\n".join(path.read_text(encoding="utf-8") for path in paths))
