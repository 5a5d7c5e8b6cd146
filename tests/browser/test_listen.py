"""The page that listens, from a file, against Python and ONNX Runtime."""

import csv
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch
from axe_playwright_python.sync_playwright import Axe
from listening_page import PUBLISHED, unpack

from lib.data import synthetic
from lib.errors import UserError
from lib.paths import PROJECT
from lib.predict import model
from lib.predict.answer import predict_file
from lib.predict.recording import read_recording, windows
from lib.predict.sounds import RATE_HZ, made_up_sound
from lib.reports import listen

SAME = 1e-4  # three float32 programs of one network: 5.4e-5 is the largest difference seen
ANSWERED = """name => {
  const text = document.getElementById("status").textContent;
  return text.includes(name) && !text.endsWith("reading") && !text.endsWith("heard") && text;
}"""
STOPPED = """() => {
  const text = document.getElementById("status").textContent;
  return (text.startsWith("Refused") || text.includes("mean probabilities")) && text;
}"""
WIDTH = "document.documentElement.scrollWidth"


@pytest.fixture(scope="module")
def shipped():
    torch.set_num_threads(1)
    return model.load_model()


@pytest.fixture
def opened(open_page):
    """Open the published page from its file: opened(width, scheme) -> `Watched`."""

    def open_it(*look):
        watched = open_page(PUBLISHED.parent, PUBLISHED.name, *look)
        watched.page.wait_for_function(ANSWERED, arg="All synthetic examples")
        return watched

    return open_it


def answer_about(watched, path: Path) -> str:
    """Give the page a file; returns what its status line says in the end."""
    watched.page.set_input_files("#file", str(path))
    return watched.page.wait_for_function(ANSWERED, arg=path.name).json_value()


def saved_table(watched) -> list[dict[str, str]]:
    """The rows of the table that the page saves."""
    with watched.page.expect_download() as download:
        watched.page.get_by_role("button", name="Save the probabilities").click()
    with open(download.value.path(), newline="") as lines:
        return list(csv.DictReader(lines))


def probabilities(rows, classes) -> np.ndarray:
    return np.array([[float(row[f"p_{name}"]) for name in classes] for row in rows])


def write(path: Path, wave: np.ndarray, rate: int = 8000, **settings) -> Path:
    soundfile.write(path, wave, rate, **settings)
    return path


def test_the_built_in_example_shows_probabilities_at_once(opened, shipped):
    watched = opened()
    page = watched.page
    assert "mean probabilities: normal" in page.inner_text("#status")
    rows = saved_table(watched)
    assert len(rows) == 11 and "synthetic" in rows[0]["warning"]
    np.testing.assert_allclose(probabilities(rows, shipped.classes).sum(axis=1), 1, atol=1e-5)
    assert page.locator("#tracks polyline").count() == 4
    page.get_by_role("button", name="Coarse crackles").click()
    page.wait_for_function(ANSWERED, arg="Synthetic example: Coarse crackles")
    assert len(saved_table(watched)) == 1
    assert {url.split(":")[0] for url in watched.requests} == {"file", "blob"}  # none over a net
    assert [url for url in watched.requests if url.startswith("file")] == [page.url]
    assert watched.problems == []


def some_recordings(folder: Path) -> list[Path]:
    """Fifty recordings of both datasets, else synthetic ones."""
    found = []
    for name, pattern in (("sprsound", "*test2022_wav/*.*"), ("icbhi", "*_?c_*.*a*")):
        real = PROJECT.parent / "shared/data" / name
        paths = [p for p in sorted(real.rglob(pattern)) if p.suffix in (".wav", ".flac")]
        found += paths[:: max(1, len(paths) // 25)][:25]
    if len(found) == 50:
        return found
    synthetic.write_icbhi(folder / "icbhi", patients=5, cycles=4)
    return sorted((folder / "icbhi").rglob("*.wav"))


def test_python_onnx_and_browser_agree(opened, shipped, tmp_path):
    """Probabilities, windows, warnings and refusals, of any rate and format."""
    onnx = tmp_path / "model.onnx"
    onnx.write_bytes(unpack(PUBLISHED.read_text(encoding="utf-8"), "model"))
    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    watched, answered, worst = opened(), 0, 0.0
    for path in some_recordings(tmp_path):
        said = answer_about(watched, path)
        try:
            answer = predict_file(path, shipped)
        except UserError as error:
            assert said == f"Refused. {path.name}: {str(error).removeprefix(f'{path}: ')}."
            continue
        assert said.startswith(f"{path.name}: "), (said, answer.lung_sound)
        rows, parts = saved_table(watched), answer.parts
        found = probabilities(rows, shipped.classes)
        assert [float(row["start"]) for row in rows] == parts.start.tolist()
        assert {row["warning"] for row in rows} == {answer.warning}
        recording = read_recording(path, shipped.network.front)
        batches = recording.batches(windows(recording.seconds, 3.0, 1.0))
        direct = [session.run(["probabilities"], {"waveform": batch})[0] for batch in batches]
        for other in (answer.probabilities, np.concatenate(direct)):
            worst = max(worst, np.abs(found - other).max())
        answered += 1
    print(f"{answered} recordings answered, largest difference {worst:.2g}")
    assert answered > 2 and worst < SAME
    assert watched.problems == []


def test_silent_windows_have_no_probabilities(opened, shipped, tmp_path):
    """As in `predict`: neither the mean nor the detectors count them."""
    watched, with_gap = opened(), tmp_path / "gap.wav"
    for path in some_recordings(tmp_path):
        wave, rate = soundfile.read(path, dtype="float32")
        soundfile.write(with_gap, np.concatenate([wave, np.zeros_like(wave[: 4 * rate])]), rate)
        with suppress(UserError):
            answer = predict_file(with_gap, shipped)
            break
    said = answer_about(watched, with_gap)
    means = ", ".join(f"{name} {value:.3f}" for name, value in answer.summary.items())
    assert said.endswith(f"mean probabilities: {means}.") or f"{means}. Read" in said
    empty = [row[f"p_{shipped.classes[0]}"] == "" for row in saved_table(watched)]
    assert empty == np.isnan(answer.probabilities[:, 0]).tolist() and any(empty)
    assert answer.notes[-1] in watched.page.inner_text("#note")
    assert "silence" in watched.page.text_content("#parts")
    assert watched.problems == []


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_wav_of_every_kind_is_read_as_python_reads_it(opened, shipped, tmp_path, subtype):
    rng, path = np.random.default_rng(0), tmp_path / "stereo.wav"
    breath = synthetic.cycle_sound(
        rng, "crackle", 4.0, 11025, listen.BREATH | {"crackle_fine": 0.0}
    )
    wave = np.stack([0.3 * breath, 0.2 * breath], axis=1)
    write(path, wave / np.abs(wave).max(), 11025, subtype=subtype)
    watched = opened()
    said = answer_about(watched, path)
    try:
        expected = predict_file(path, shipped).probabilities
    except UserError as error:
        assert said == f"Refused. {path.name}: {str(error).removeprefix(f'{path}: ')}."
    else:
        found = probabilities(saved_table(watched), shipped.classes)
        np.testing.assert_allclose(found, expected, atol=SAME)


def refused_sounds(folder: Path) -> dict[str, Path]:
    """Words of a refusal -> a recording that is refused so."""
    rng, seconds = np.random.default_rng(0), np.arange(24000) / 8000
    tone, noise = np.sin(2 * np.pi * 440 * seconds), 0.05 * rng.standard_normal(24000)
    whole = write(folder / "whole.wav", noise).read_bytes()
    (folder / "cut.wav").write_bytes(whole[:-1000])
    (folder / "text.wav").write_bytes(b"no sound at all " * 100)
    return {
        "silence": write(folder / "silence.wav", np.zeros(16000)),
        "offset is silence": write(folder / "offset.wav", np.full(16000, 0.5)),
        "is too short": write(folder / "short.wav", noise[:3000]),
        "are clipped": write(folder / "loud.wav", np.clip(3 * tone + noise, -0.9, 0.9)),
        "no lung sound": write(folder / "tone.wav", 0.5 * tone),
        "no lung sound: speech": write(folder / "speech.wav", made_up_sound("speech", 1), RATE_HZ),
        "truncated": folder / "cut.wav",
        "not a sound file": folder / "text.wav",
    }


def test_what_predict_refuses_the_page_refuses_in_the_same_words(opened, shipped, tmp_path):
    watched = opened()
    for words, path in refused_sounds(tmp_path).items():
        said = answer_about(watched, path)
        with pytest.raises(UserError) as error:
            predict_file(path, shipped)
        if path.name != "text.wav":
            assert said == f"Refused. {path.name}: {str(error.value).removeprefix(f'{path}: ')}."
        assert words.split(" is ")[0].split(":")[0] in said or words.startswith("offset")
        assert watched.page.locator("#result").is_hidden()  # no probabilities of what is refused
    assert watched.problems == []


def test_another_stethoscope_is_answered_with_a_warning(opened, real_root):
    path = sorted(real_root.rglob("*Litt3200.*a*"))[0]
    watched = opened()
    assert "Read the warning below" in answer_about(watched, path)
    warning = watched.page.locator("#warning")
    assert warning.is_visible() and "recorded unlike anything" in warning.inner_text()
    assert watched.page.evaluate("document.body.classList.contains('untrusted')")


def test_a_file_can_be_dropped_and_a_newer_one_wins(opened, tmp_path):
    watched = opened()
    silent = write(tmp_path / "dropped.wav", np.zeros(16000)).read_bytes()
    watched.page.evaluate(
        """bytes => {
             const transfer = new DataTransfer();
             transfer.items.add(new File([new Uint8Array(bytes)], "dropped.wav"));
             document.querySelector("[data-examples]").click();
             const drop = { dataTransfer: transfer, cancelable: true };
             document.dispatchEvent(new DragEvent("drop", drop));
           }""",
        list(silent),
    )
    watched.page.wait_for_function(ANSWERED, arg="dropped.wav")
    watched.page.wait_for_timeout(1500)  # the older one would have been answered by now
    assert "dropped.wav: silence" in watched.page.inner_text("#status")
    assert watched.page.locator("#result").is_hidden()


def test_a_microphone_that_is_refused_is_explained(opened):
    watched = opened()
    watched.page.get_by_role("button", name="Record with the microphone").click()
    watched.page.wait_for_selector("text=No microphone")
    assert "choose the file here" in watched.page.inner_text("#status")


@pytest.mark.parametrize("width", [1366, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_axe_finds_nothing_serious(opened, width, scheme):
    watched = opened(width, scheme)
    watched.page.evaluate(
        "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
    )
    assert watched.page.evaluate(WIDTH) <= width
    found = [
        f"{violation['id']}: {violation['nodes'][0]['html'][:150]}"
        for violation in Axe().run(watched.page).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert found == []
    assert watched.problems == []


def test_everything_is_reached_by_keyboard(opened):
    watched, reached = opened(), set()
    for _ in range(24):
        watched.page.keyboard.press("Tab")
        reached.add(
            watched.page.evaluate("document.activeElement.id || document.activeElement.textContent")
        )
    assert {"file", "microphone", "player", "save", "all five", "Wheeze"} <= reached


def test_a_microphone_records_what_it_hears(opened):
    """Chromium's own beeping microphone; a beep is no lung sound."""
    watched = opened()
    watched.context.grant_permissions(["microphone"])
    page = watched.page
    page.get_by_role("button", name="Record with the microphone").click()
    page.wait_for_function(
        "() => document.getElementById('status').textContent === 'Microphone: 2 s'"
    )
    page.get_by_role("button", name="Stop and listen").click()
    said = page.wait_for_function(STOPPED).json_value()
    assert said.startswith(("Refused. Microphone: ", "Microphone: 2")), said
    assert watched.problems == []
