// A recording that is fit to be heard, and its windows: as lib/predict/recording.py has them.

function quantile(values, q) {
  const sorted = Float64Array.from(values).sort();
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

// The root mean square, in dB of full scale, that the loudest tenth of the blocks reach.
function loudnessDb(wave, rate) {
  const size = Math.max(1, Math.floor(rate / FACTS.blocksPerSecond));
  const levels = [];
  for (let at = 0; at + size <= wave.length; at += size) {
    const block = wave.subarray(at, at + size);
    const mean = block.reduce((sum, x) => sum + x, 0) / size;
    levels.push(Math.sqrt(block.reduce((sum, x) => sum + (x - mean) ** 2, 0) / size));
  }
  return 20 * Math.log10(Math.max(quantile(levels, 0.9), 1e-12));
}

// The share of samples in flat tops: equal samples in a row at the highest or the lowest.
function clippedShare(wave) {
  let [high, low] = [-Infinity, Infinity];
  for (const x of wave) [high, low] = [Math.max(high, x), Math.min(low, x)];
  const near = (peak) => Math.fround(Math.fround(FACTS.nearPeak) * peak); // float32, as in Python
  const atPeak = (x) => (high > 0 && x >= near(high)) || (low < 0 && x <= near(low));
  let clipped = 0;
  for (let start = 0, end; start < wave.length; start = end) {
    for (end = start + 1; end < wave.length && wave[end] === wave[start];) end++;
    if (end - start >= FACTS.flatSamples && atPeak(wave[start])) clipped += end - start;
  }
  return clipped / wave.length;
}

function requireSound({ channels, rate }) {
  const seconds = channels[0].length / rate;
  if (seconds < FACTS.minSeconds) {
    throw new Refused(`${seconds.toFixed(2)} s is too short; at least ${FACTS.minSeconds} s of sound are needed`);
  }
  const level = loudnessDb(meanChannel(channels), rate);
  if (level < FACTS.quietestDb) {
    throw new Refused(`silence: its loudest parts are at ${level.toFixed(0)} dB of full scale, and `
      + `${FACTS.quietestDb} dB are needed; check the cable and the gain`);
  }
  const share = Math.max(...channels.map(clippedShare));
  if (share > FACTS.clipped) {
    throw new Refused(`${(100 * share).toFixed(1)}% of its samples are clipped, and at most `
      + `${100 * FACTS.clipped}% may be; record it again with a lower gain`);
  }
}

// Which parts of a recording are silence; none if all are, since the recording is not.
function silentParts(wave, parts) {
  const rate = FACTS.rateHz;
  const silent = parts.map(({ start, end }) => {
    const piece = wave.subarray(Math.floor(start * rate), Math.floor(end * rate));
    return piece.length >= Math.floor(rate / FACTS.blocksPerSecond) && loudnessDb(piece, rate) < FACTS.quietestDb;
  });
  return silent.every(Boolean) ? silent.map(() => false) : silent;
}

// One window begins every `step` seconds, and the last one ends where the recording ends.
function windows(seconds, length, step) {
  if (seconds <= length) return [{ start: 0, end: seconds }];
  const starts = [];
  for (let i = 0; i * step < seconds - length; i++) starts.push(i * step);
  if (seconds - length - starts.at(-1) > 1e-6) starts.push(seconds - length);
  return starts.map((start) => ({ start, end: start + length }));
}

function fade(wave, rise, fall) {
  const result = wave.slice();
  const slope = (i, n) => Math.fround(n > 1 ? i / (n - 1) : 0);
  const [first, last] = [Math.min(rise, wave.length), Math.min(fall, wave.length)];
  for (let i = 0; i < first; i++) result[i] *= slope(i, first);
  for (let i = 0; i < last; i++) {
    result[wave.length - last + i] *= last > 1 ? slope(last - 1 - i, last) : 1;
  }
  return result;
}

// A window as the model was trained to hear it: a shorter one is repeated.
function clip(wave, { start, end }) {
  const samples = Math.trunc(FACTS.clipSeconds * FACTS.rateHz);
  const part = wave.slice(Math.trunc(start * FACTS.rateHz), Math.trunc(end * FACTS.rateHz));
  if (part.length > samples) return part.subarray(0, samples);
  const filled = new Float32Array(samples);
  for (let at = 0; at < samples; at += part.length) filled.set(part.subarray(0, samples - at), at);
  return fade(filled, 0, FACTS.fadeSamples);
}
