// What is seen: a file, an example or the microphone in; waveform, spectrogram and probabilities out.

const byId = (id) => document.getElementById(id);
const [WIDTH, HEIGHT] = [900, 260]; // of the drawing of probabilities
const SVG = "http://www.w3.org/2000/svg";
const MICROPHONE_SECONDS = 300;
let turn = 0; // counts recordings: a newer one ends the work on an older one
let shown; // the answer that can be saved

function draw(tag, attributes, text = "") {
  const element = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  element.textContent = text;
  return element;
}

function say(text, problem = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("banner", problem);
}

// Highest and lowest sample in each of many columns, as one filled shape.
function drawWave(wave) {
  const columns = Math.min(WIDTH, wave.length);
  const scale = wave.reduce((peak, x) => Math.max(peak, Math.abs(x)), 1e-9);
  const [tops, bottoms] = [[], []];
  for (let column = 0; column < columns; column++) {
    const part = wave.subarray((column * wave.length) / columns, ((column + 1) * wave.length) / columns);
    const x = (column * WIDTH) / columns;
    const y = (value) => (40 - (38 * value) / scale).toFixed(1);
    tops.push(`${x},${y(part.reduce((a, b) => Math.max(a, b), -Infinity))}`);
    bottoms.unshift(`${x},${y(part.reduce((a, b) => Math.min(a, b), Infinity))}`);
  }
  byId("wave").replaceChildren(draw("polygon", { points: [...tops, ...bottoms].join(" ") }));
}

// Light on dark, as on the other pages: black, purple, orange, pale yellow.
const STOPS = [[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]];

function colour(share) {
  const place = Math.max(0, Math.min(0.9999, share)) * (STOPS.length - 1);
  const low = Math.floor(place);
  return STOPS[low].map((value, i) => value + (place - low) * (STOPS[low + 1][i] - value));
}

// What the network hears: log-mels of windows side by side, a column for each frame.
function drawSpectrogram({ logMel, sideBySide, seconds }) {
  const frames = Math.max(1, Math.round(seconds * FACTS.framesPerSecond));
  const columns = Math.min(2000, frames);
  const { mels } = FACTS;
  const values = new Float32Array(columns * mels);
  for (let x = 0; x < columns; x++) {
    const time = ((x + 0.5) * seconds) / columns;
    const window = Math.min(Math.floor(time / FACTS.clipSeconds), sideBySide.length - 1);
    const last = logMel[window].length / mels - 1;
    const frame = Math.min(last, Math.floor((time - sideBySide[window].start) * FACTS.framesPerSecond));
    for (let y = 0; y < mels; y++) values[(mels - 1 - y) * columns + x] = logMel[window][frame * mels + y];
  }
  const [low, high] = [quantile(values, 0.05), quantile(values, 0.998)];
  const canvas = byId("spectrogram");
  [canvas.width, canvas.height] = [columns, mels];
  const picture = canvas.getContext("2d").createImageData(columns, mels);
  values.forEach((value, i) => picture.data.set([...colour((value - low) / (high - low || 1)), 255], 4 * i));
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

function drawTracks({ parts: all, probabilities: values, silent, seconds }) {
  const [parts, probabilities] = [all, values].map((list) => list.filter((_, i) => !silent[i]));
  const [x, y] = [(time) => (time / seconds) * WIDTH, (p) => 6 + (1 - p) * (HEIGHT - 12)];
  const lines = [0, 0.25, 0.5, 0.75, 1].map((p) => draw("line", {
    x1: 0, x2: WIDTH, y1: y(p), y2: y(p), class: "tick-line" }));
  FACTS.classes.forEach((name, c) => {
    const points = parts.map(({ start, end }, i) => `${x((start + end) / 2)},${y(probabilities[i][c])}`);
    lines.push(draw("polyline", { points: points.join(" "), class: `track track-${c}` }));
    parts.forEach(({ start, end }, i) => lines.push(draw("line", {
      x1: x(start), x2: x(end), y1: y(probabilities[i][c]), y2: y(probabilities[i][c]), class: `extent track-${c}` })));
  });
  byId("tracks").replaceChildren(...lines);
}

function describe(name, { seconds, parts, summary }) {
  const means = FACTS.classes.map((each, c) => `${each} ${summary[c].toFixed(3)}`).join(", ");
  return `${name}: ${seconds.toFixed(1)} s, ${parts.length} window${parts.length > 1 ? "s" : ""}; mean probabilities: ${means}`;
}

function fillTables({ parts, probabilities, silent, summary }) {
  const best = (row) => FACTS.classes[row.indexOf(Math.max(...row))];
  const cells = (row) => [...row].map((p) => make("td", { className: "number", textContent: p.toFixed(3) }));
  const line = (label, row) => make("tr", {}, make("th", { scope: "row", textContent: label }), ...cells(row),
    make("td", { textContent: best([...row]) }));
  byId("summary").replaceChildren(line("whole recording (mean)", summary));
  byId("parts").replaceChildren(...parts.map(({ start, end }, i) => {
    const label = `${start.toFixed(2)} to ${end.toFixed(2)} s`;
    if (!silent[i]) return line(label, probabilities[i]);
    return make("tr", {}, make("th", { scope: "row", textContent: label }),
      ...FACTS.classes.map(() => make("td", { textContent: "–" })), make("td", { textContent: "silence" }));
  }));
}

// A WAV file of 16 bits, so that what is heard is what was judged.
function wavOf(wave) {
  const view = new DataView(new ArrayBuffer(44 + 2 * wave.length));
  const words = [[0, "RIFF"], [8, "WAVEfmt "], [36, "data"]];
  words.forEach(([place, text]) => [...text].forEach((letter, i) => view.setUint8(place + i, letter.charCodeAt(0))));
  const longs = [[4, 36 + 2 * wave.length], [16, 16], [24, FACTS.rateHz], [28, 2 * FACTS.rateHz], [40, 2 * wave.length]];
  longs.forEach(([place, value]) => view.setUint32(place, value, true));
  [[20, 1], [22, 1], [32, 2], [34, 16]].forEach(([place, value]) => view.setUint16(place, value, true));
  wave.forEach((x, i) => view.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(32768 * x))), true));
  return new Blob([view], { type: "audio/wav" });
}

function showSound(wave) {
  URL.revokeObjectURL(byId("player").src);
  byId("player").src = URL.createObjectURL(wavOf(wave));
  drawWave(wave);
}

function showAnswer(name, answer) {
  const { warning, note, seconds } = answer;
  const text = describe(name, answer);
  byId("warning").hidden = !warning;
  byId("warning").textContent = warning && `Warning: ${warning}.`;
  byId("note").textContent = note ? `Note: ${note}.` : "";
  byId("heading").textContent = name;
  byId("plot").setAttribute("aria-label", `Waveform, spectrogram and the probability of each class over time. ${text}. ${warning}`);
  byId("times").replaceChildren(...[0, 1, 2, 3, 4].map((i) => make("span", { textContent: `${((i * seconds) / 4).toFixed(1)} s` })));
  document.body.classList.toggle("untrusted", Boolean(warning));
  drawSpectrogram(answer);
  drawTracks(answer);
  fillTables(answer);
  byId("result").hidden = false;
  say(`${text}.${warning ? " Read the warning below." : ""}`);
  shown = { name, ...answer };
}

// Judge a sound ({ channels, rate, note }) that `read` gives. What is refused leaves no probabilities,
// but for synthetic sounds, so that the page shows how an answer looks.
async function judge(name, read, synthetic = false) {
  const mine = ++turn;
  byId("result").hidden = true;
  shown = undefined;
  say(`${name}: reading`);
  try {
    const sound = await read();
    requireSound(sound);
    const wave = resample(meanChannel(sound.channels), sound.rate, FACTS.rateHz);
    const model = await MODEL;
    const answer = await listen(model, wave, synthetic, async (done, all) => {
      say(`${name}: ${done} of ${all} windows heard`);
      await new Promise((resolve) => setTimeout(resolve));
      if (mine !== turn) throw new Error("another recording was chosen");
    });
    if (answer.refusal && !synthetic) throw new Refused(answer.refusal);
    if (answer.refusal) {
      answer.warning = `synthetic, and therefore refused if it came as a file (${answer.refusal}); its `
        + "probabilities only show how an answer looks";
    }
    if (mine !== turn) return;
    showSound(wave);
    showAnswer(name, { ...answer, note: [sound.note, answer.note].filter(Boolean).join("; ") });
  } catch (error) {
    if (mine !== turn) return;
    if (!(error instanceof Refused)) console.error(error);
    say(error instanceof Refused ? `Refused. ${name}: ${error.message}.` : `${name}: this browser cannot run the model (${error.message}); try a current Firefox, Chromium or Safari.`, true);
  }
}

const judgeFile = (file) => judge(file.name, async () => decode(await file.arrayBuffer()));

async function judgeExamples(examples) {
  const sounds = examples.map(([, wav]) => readWav(base64Bytes(wav).buffer));
  const lengths = sounds.map(({ channels }) => channels[0].length);
  const joined = new Float32Array(lengths.reduce((sum, n) => sum + n, 0));
  sounds.reduce((place, { channels }) => (joined.set(channels[0], place), place + channels[0].length), 0);
  const title = examples.length > 1 ? "All synthetic examples, one after the other" : `Synthetic example: ${examples[0][0]}`;
  await judge(title, async () => ({ ...sounds[0], channels: [joined] }), true);
}

function save() {
  const columns = ["recording", "window", "start", "end", ...FACTS.classes.map((name) => `p_${name}`), "warning"];
  const quote = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const rows = shown.parts.map(({ start, end }, i) => [quote(shown.name), i, start, end,
    ...[...shown.probabilities[i]].map((p) => (shown.silent[i] ? "" : p)), quote(shown.warning)]);
  const text = [columns, ...rows].map((row) => `${row.join(",")}\n`).join("");
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: "answers.csv" });
  link.click();
  URL.revokeObjectURL(link.href);
}

// The microphone: samples as they come, without the clean-up that is made for speech. The recorder is
// a data address, because Chromium loads no worklet from a blob of a page that was opened from a file.
const RECORDER = `registerProcessor("recorder", class extends AudioWorkletProcessor {
  process([[channel]]) {
    if (channel) this.port.postMessage(channel.slice());
    return true;
  }
});`;

async function startMicrophone() {
  if (!navigator.mediaDevices) throw new Error("this browser gives a page from a file no microphone");
  const context = new AudioContext();
  await context.audioWorklet.addModule(`data:text/javascript,${encodeURIComponent(RECORDER)}`);
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  const recorder = new AudioWorkletNode(context, "recorder");
  const blocks = [];
  recorder.port.onmessage = ({ data }) => {
    blocks.push(data);
    const seconds = (blocks.length * data.length) / context.sampleRate;
    say(`Microphone: ${seconds.toFixed(0)} s`);
    if (seconds >= MICROPHONE_SECONDS) stop();
  };
  context.createMediaStreamSource(stream).connect(recorder);
  const stop = () => {
    microphone = undefined;
    byId("microphone").textContent = "Record with the microphone";
    stream.getTracks().forEach((track) => track.stop());
    recorder.port.onmessage = null;
    const { sampleRate: rate } = context;
    context.close();
    const wave = new Float32Array(blocks.reduce((sum, block) => sum + block.length, 0));
    blocks.reduce((place, block) => (wave.set(block, place), place + block.length), 0);
    judge("Microphone", async () => (requireLength(wave.length), { channels: [wave], rate, note: "" }));
  };
  byId("microphone").textContent = "Stop and listen";
  return stop;
}

let microphone; // ends the recording that is being made

async function switchMicrophone() {
  if (microphone) return microphone();
  turn++;
  try {
    microphone = await startMicrophone();
  } catch (error) {
    say(`No microphone: ${error.message}. Many browsers refuse it to a page that was opened from a file; record with another program and choose the file here.`, true);
  }
}

function addCursorTo(player) {
  const move = () => {
    byId("cursor").style.left = `${(100 * player.currentTime) / (player.duration || 1)}%`;
    if (!player.paused) requestAnimationFrame(move);
  };
  ["play", "timeupdate", "loadedmetadata"].forEach((event) => player.addEventListener(event, move));
  byId("plot").addEventListener("click", (event) => {
    const { left, width } = byId("plot").getBoundingClientRect();
    player.currentTime = (player.duration || 0) * ((event.clientX - left) / width);
    player.play();
  });
}

function addControls() {
  byId("file").addEventListener("change", () => byId("file").files.length && judgeFile(byId("file").files[0]));
  byId("microphone").addEventListener("click", switchMicrophone);
  byId("save").addEventListener("click", save);
  document.querySelectorAll("[data-examples]").forEach((button) => button.addEventListener("click",
    () => judgeExamples(EXAMPLES.filter(([name]) => !button.dataset.examples || name === button.dataset.examples))));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) judgeFile(event.dataTransfer.files[0]);
  });
  addCursorTo(byId("player"));
}

const MODEL = loadModel();
addControls();
judgeExamples(EXAMPLES);
