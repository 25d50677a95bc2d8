// What turns logits into the distribution that is drawn from, as `llmcourse.filters` does, and the
// draw. Among equal logits the lower id comes first, everywhere.

/** @typedef {{temperature: number, topK: number, topP: number}} Choice `topK` 0: all */

/**
 * softmax in double precision; minus infinity is a token that is forbidden.
 * @param {ArrayLike<number>} logits
 * @returns {Float64Array}
 */
export function softmax(logits) {
  let most = -Infinity;
  for (let i = 0; i < logits.length; i++) if (logits[i] > most) most = logits[i];
  const out = new Float64Array(logits.length);
  let total = 0;
  for (let i = 0; i < out.length; i++) total += out[i] = Math.exp(logits[i] - most);
  for (let i = 0; i < out.length; i++) out[i] /= total;
  return out;
}

/**
 * Ids from the most probable to the least.
 * @param {ArrayLike<number>} logits
 * @returns {Uint32Array}
 */
export function ranked(logits) {
  const ids = Uint32Array.from({ length: logits.length }, (_, i) => i);
  return ids.sort((a, b) => logits[b] - logits[a] || a - b);
}

/**
 * The distribution after each filter. Temperature 0 leaves the most probable token alone.
 * @param {ArrayLike<number>} logits
 * @param {Choice} choice
 */
export function stages(logits, { temperature, topK, topP }) {
  if (!(Number.isFinite(temperature) && temperature >= 0))
    throw new Error(`temperature must be finite and at least 0, got ${temperature}`);
  if (!(Number.isInteger(topK) && topK >= 0))
    throw new Error(`top-k must be a whole number of at least 1, or 0 for all, got ${topK}`);
  if (!(topP > 0 && topP <= 1))
    throw new Error(`top-p must be above 0 and at most 1, got ${topP}`);
  const order = ranked(logits);
  const most = logits[order[0]];
  const z = Float64Array.from(logits);
  for (let i = 0; i < z.length; i++) {
    if (temperature === 0) z[i] = i === order[0] ? 0 : -Infinity;
    else if (temperature !== 1) z[i] = (z[i] - most) / temperature;
  }
  const heated = softmax(z);
  if (topK) for (const id of order.subarray(topK)) z[id] = -Infinity;
  const k = softmax(z);
  if (topP < 1) {
    let before = 0; // the sum of those more probable
    order.forEach((id, rank) => {
      const own = k[id];
      if (rank && before >= topP) z[id] = -Infinity;
      before += own;
    });
  }
  return { order, plain: softmax(logits), heated, k, p: softmax(z) };
}

/** The finaliser of MurmurHash3: each bit of x changes half of the bits. @param {number} x */
function mix(x) {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/**
 * A number from 0 to 1 for each place of a text: SplitMix32, entered anywhere. Another token at one
 * place leaves the luck of every other place as it was.
 * @param {number} seed
 * @param {number} place
 */
export function uniform(seed, place) {
  return mix((mix(seed) + Math.imul(place + 1, 0x9e3779b9)) | 0) / 2 ** 32;
}

/**
 * The token at height u when all are stacked, the most probable one lowest.
 * @param {ArrayLike<number>} probabilities
 * @param {Uint32Array} order ids, the most probable first
 * @param {number} u from 0 to 1
 */
export function draw(probabilities, order, u) {
  let sum = 0;
  let last = order[0];
  for (const id of order) {
    if (probabilities[id] === 0) continue;
    last = id;
    sum += probabilities[id];
    if (u < sum) return id;
  }
  return last;
}
