// The model: ONNX Runtime Web out of this very file, and the detectors of lib/predict/detectors.py.

const BATCH = 8; // windows between two looks at the page

function base64Bytes(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

// A part of this page: base64 of gzip.
async function unpack(id) {
  const packed = new Blob([base64Bytes(document.getElementById(id).textContent.trim())]);
  return new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

async function loadModel() {
  const script = new Blob([await unpack("runtime")], { type: "text/javascript" });
  const ort = await import(URL.createObjectURL(script));
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: await unpack("wasm") });
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(await unpack("model"), { executionProviders: ["wasm"] });
  return { ort, session, arrays: FACTS.detectors && readArrays(await unpack("detectors")) };
}

// float32 numbers, one array after the other.
function readArrays(buffer) {
  let at = 0;
  return Object.fromEntries(FACTS.detectors.sizes.map(([name, size]) => {
    const array = new Float32Array(buffer, 4 * at, size);
    at += size;
    return [name, array];
  }));
}

// What the model says of clips: name of an output -> an array for each clip.
async function run({ ort, session }, clips, outputs) {
  const samples = clips[0].length;
  const input = new Float32Array(clips.length * samples);
  clips.forEach((each, i) => input.set(each, i * samples));
  const waveform = new ort.Tensor("float32", input, [clips.length, samples]);
  const found = await session.run({ waveform }, outputs);
  return Object.fromEntries(outputs.map((name) => {
    const { data, dims } = found[name];
    const size = data.length / dims[0];
    return [name, clips.map((_, i) => data.slice(i * size, (i + 1) * size))];
  }));
}

const dot = (a, b, at = 0) => a.reduce((sum, x, i) => sum + x * b[at + i], 0);

// The mean distance to the training recordings that are nearest.
function distance(descriptor, { mean, components, neighbours }) {
  const centred = Array.from(mean, (m, i) => descriptor[i] - m);
  const size = components.length / mean.length;
  const point = Array.from({ length: size }, (_, i) => dot(centred, components, i * mean.length));
  const distances = Array.from({ length: neighbours.length / size }, (_, n) => Math.sqrt(
    point.reduce((sum, x, i) => sum + (neighbours[n * size + i] - x) ** 2, 0)));
  const nearest = distances.sort((a, b) => a - b).slice(0, FACTS.detectors.neighbours);
  return nearest.reduce((sum, x) => sum + x, 0) / nearest.length;
}

// The probability that a recording is a lung sound rather than a made-up sound.
function lungSound(descriptor, { lung_weight: weight, lung_bias: bias }) {
  const score = dot(descriptor, weight) + bias[0];
  return 1 / (1 + Math.exp(-Math.max(-50, Math.min(50, score))));
}

// Python's format .2g.
function twoDigits(x) {
  if (x >= 1e-4 || x === 0) return String(Number(x.toPrecision(2)));
  return x.toExponential(1).replace(".0e", "e").replace(/-(\d)$/, "-0$1");
}

// Probabilities of each window of a recording, or why it is refused; synthetic: both. tell is awaited.
async function listen(model, wave, synthetic, tell) {
  const seconds = wave.length / FACTS.rateHz;
  const heard = FACTS.fade ? fade(wave, FACTS.fadeSamples, FACTS.fadeSamples) : wave;
  const parts = windows(seconds, FACTS.clipSeconds, FACTS.stepSeconds);
  const sideBySide = windows(seconds, FACTS.clipSeconds, FACTS.clipSeconds);
  const total = parts.length + sideBySide.length;
  const all = async (list, outputs, done) => {
    const found = Object.fromEntries(outputs.map((name) => [name, []]));
    for (let at = 0; at < list.length; at += BATCH) {
      await tell(done + at, total);
      const clips = list.slice(at, at + BATCH).map((part) => clip(heard, part));
      for (const [name, rows] of Object.entries(await run(model, clips, outputs))) found[name].push(...rows);
    }
    return found;
  };
  const described = FACTS.detectors ? ["log_mel", "descriptor"] : ["log_mel"];
  const first = await all(sideBySide, described, 0);
  const quiet = silentParts(wave, sideBySide);
  const descriptors = first.descriptor?.filter((_, i) => !quiet[i]);
  const answer = { seconds, parts, sideBySide, logMel: first.log_mel, ...detect(descriptors, model.arrays) };
  if (answer.refusal && !synthetic) return answer;
  const { probabilities } = await all(parts, ["probabilities"], sideBySide.length);
  const silent = silentParts(wave, parts);
  const loud = probabilities.filter((_, i) => !silent[i]);
  const summary = FACTS.classes.map((_, c) => loud.reduce((sum, row) => sum + row[c], 0) / loud.length);
  const count = parts.length - loud.length;
  const note = count ? `${count} of ${parts.length} windows are silence: they have no probabilities and do not count in the mean` : "";
  return { ...answer, note: [answer.note, note].filter(Boolean).join("; "), silent, probabilities, summary };
}

function detect(descriptors, arrays) {
  if (!arrays) return { refusal: "", warning: "", note: FACTS.unpackaged };
  const descriptor = Array.from(descriptors[0], (_, i) => descriptors.reduce((sum, row) => sum + row[i], 0)
    / descriptors.length);
  const lung = lungSound(descriptor, arrays);
  const far = distance(descriptor, arrays);
  const { lungThreshold, distanceThreshold } = FACTS.detectors;
  const refusal = lung < lungThreshold ? `no lung sound: it is more like tones, noise, speech or music `
    + `(${twoDigits(lung)}, and ${twoDigits(lungThreshold)} are needed); record the chest with a stethoscope` : "";
  return { lung, distance: far, refusal, warning: far > distanceThreshold ? FACTS.warning : "", note: "" };
}
