// A sound file as samples. WAV is read here, so that its numbers are those of `predict`.

class Refused extends Error {}

function chunks(view) {
  const found = {};
  for (let at = 12; at + 8 <= view.byteLength;) {
    const name = String.fromCharCode(...new Uint8Array(view.buffer, at, 4));
    const size = view.getUint32(at + 4, true);
    found[name] ??= { at: at + 8, size };
    at += 8 + size + (size % 2);
  }
  return found;
}

const SAMPLES = { // format and bits -> how a sample is read
  "1/8": (view, at) => (view.getUint8(at) - 128) / 128,
  "1/16": (view, at) => view.getInt16(at, true) / 32768,
  "1/24": (view, at) => (view.getUint16(at, true) + 65536 * view.getInt8(at + 2)) / 8388608,
  "1/32": (view, at) => view.getInt32(at, true) / 2147483648,
  "3/32": (view, at) => view.getFloat32(at, true),
  "3/64": (view, at) => view.getFloat64(at, true),
};

// Rate and channels of a WAV file; null if it is none, or of a kind that is left to the browser.
function readWav(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < 44 || view.getUint32(0) !== 0x52494646) return null; // RIFF
  const { "fmt ": format, data } = chunks(view);
  if (!format || !data) throw new Refused("not a readable sound file; fetch it again");
  let kind = view.getUint16(format.at, true);
  if (kind === 0xfffe && format.size >= 26) kind = view.getUint16(format.at + 24, true);
  const bits = view.getUint16(format.at + 14, true);
  const sample = SAMPLES[`${kind}/${bits}`];
  if (!sample) return null;
  const count = view.getUint16(format.at + 2, true);
  const here = Math.min(data.size, buffer.byteLength - data.at);
  if (here < data.size && data.size < FACTS.openLength) throw new Refused("truncated; fetch it again");
  const frames = Math.floor(here / (count * bits / 8));
  requireLength(frames * count);
  const channels = Array.from({ length: count }, () => new Float32Array(frames));
  for (let i = 0, at = data.at; i < frames; i++) {
    for (let c = 0; c < count; c++, at += bits / 8) channels[c][i] = sample(view, at);
  }
  return { rate: view.getUint32(format.at + 4, true), channels, note: "" };
}

function requireLength(samples) {
  if (samples === 0) throw new Refused("holds no sound; fetch it again");
  if (samples > FACTS.maxSamples) {
    throw new Refused(`longer than ${FACTS.maxSamples.toLocaleString("en")} samples; cut it into pieces`);
  }
}

// Rate and bits in the header of a FLAC file; null for other files.
function flacFormat(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < 42 || view.getUint32(0) !== 0x664c6143) return null; // fLaC
  return { rate: view.getUint32(18) >>> 12, bits: ((view.getUint32(18) >>> 4) & 31) + 1 };
}

// Chromium divides positive samples by one step less than negative ones; Python divides all alike.
function evenSteps(channel, bits) {
  const full = 2 ** (bits - 1);
  const uneven = channel.some((x) => x > 0 && Math.abs(x * full - Math.round(x * full)) > 0.1);
  return channel.map((x) => Math.round(x * (uneven && x > 0 ? full - 1 : full)) / full);
}

// What the browser makes of a file: at the rate of a FLAC file; of others it does not tell the rate.
async function decodeByBrowser(buffer) {
  const flac = flacFormat(buffer);
  for (const rate of flac ? [flac.rate, 48000] : [48000]) {
    let context;
    try {
      context = new OfflineAudioContext(1, 1, rate);
    } catch { continue; } // a rate that this browser cannot have
    try {
      const sound = await context.decodeAudioData(buffer.slice(0));
      let channels = Array.from({ length: sound.numberOfChannels }, (_, c) => sound.getChannelData(c));
      requireLength(sound.length * channels.length);
      const exact = rate === flac?.rate;
      if (exact && flac.bits <= 16) channels = channels.map((each) => evenSteps(each, flac.bits));
      const note = exact ? "" : "decoded and resampled to 48,000 Hz by the browser: "
        + "probabilities may differ from those of `predict` in the third digit";
      return { rate, channels, note };
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
  }
  throw new Refused("not a sound file that this browser can read; convert it to WAV");
}

async function decode(buffer) {
  const sound = readWav(buffer) ?? await decodeByBrowser(buffer);
  if (sound.rate < FACTS.lowestRateHz) {
    throw new Refused(`its rate of ${sound.rate} Hz is too odd for a sound; fetch it again`);
  }
  let peak = 0;
  for (const channel of sound.channels) {
    for (const value of channel) {
      if (!Number.isFinite(value)) throw new Refused("holds NaN or infinite samples; fetch it again");
      peak = Math.max(peak, Math.abs(value));
    }
  }
  if (peak > FACTS.loudest) {
    throw new Refused(`holds samples up to ${Number(peak.toPrecision(3))}, but sound lies in [-1, 1]; `
      + "fetch it again or divide its samples");
  }
  return sound;
}

function meanChannel(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, i) => {
    let sum = 0;
    for (const channel of channels) sum = Math.fround(sum + channel[i]);
    return sum / channels.length;
  });
}

const divisor = (a, b) => (b ? divisor(b, a % b) : a);

// The windowed sinc of torchaudio's Resample: a filter for each of the `fresh` phases.
function sincFilters(old, fresh, width) {
  const base = Math.min(old, fresh) * FACTS.rolloff;
  return Array.from({ length: fresh }, (_, phase) => {
    const taps = [];
    for (let j = 0; j < 2 * width + old; j++) {
      const t = ((j - width) / old - phase / fresh) * base;
      if (Math.abs(t) >= FACTS.sincWidth) continue;
      const window = Math.cos((t * Math.PI) / FACTS.sincWidth / 2) ** 2;
      const sinc = t === 0 ? 1 : Math.sin(t * Math.PI) / (t * Math.PI);
      taps.push([j - width, Math.fround((sinc * window * base) / old)]);
    }
    return { first: taps[0][0], values: Float32Array.from(taps, (tap) => tap[1]) };
  });
}

function resample(wave, rate, target) {
  if (rate === target) return wave;
  const common = divisor(rate, target);
  const [old, fresh] = [rate / common, target / common];
  const width = Math.ceil((FACTS.sincWidth * old) / (Math.min(old, fresh) * FACTS.rolloff));
  if (fresh * (old + 2 * width) > FACTS.maxKernel || wave.length * target > FACTS.maxSamples * rate) {
    throw new Refused(`its rate of ${rate} Hz is too odd to be resampled to ${target} Hz; check the `
      + "header or convert the file");
  }
  const filters = sincFilters(old, fresh, width);
  const result = new Float32Array(Math.ceil((wave.length * fresh) / old));
  for (let i = 0; i < result.length; i++) {
    const { first, values } = filters[i % fresh];
    const at = Math.floor(i / fresh) * old + first;
    let sum = 0;
    const end = Math.min(values.length, wave.length - at);
    for (let j = Math.max(0, -at); j < end; j++) sum += values[j] * wave[at + j];
    result[i] = sum;
  }
  return result;
}
