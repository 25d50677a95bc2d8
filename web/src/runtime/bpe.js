// Byte-level BPE as `llmcourse.tokenizers.BPE` has it: cutting a text, encoding, and learning.

// GPT-2's pattern. JavaScript's \s has one character more than Unicode's white space.
const GPT2 =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** The words that no token crosses. @param {string} text @returns {string[]} */
export const split = (text) => text.match(GPT2) ?? [];

/** One character a byte, U+0000 to U+00FF: byte strings that can be keys. @param {string} text */
export const toBytes = (text) => String.fromCharCode(...new TextEncoder().encode(text));

/** @typedef {{tokens: string[], merges: [number, number][]}} Vocabulary tokens as byte strings */

export class BPE {
  /** @param {Vocabulary} vocabulary */
  constructor({ tokens, merges }) {
    this.tokens = tokens;
    /** @type {Map<string, number>} */
    const idOf = new Map();
    tokens.forEach((token, id) => idOf.has(token) || idOf.set(token, id));
    this.byteId = Array.from({ length: 256 }, (_, b) => idOf.get(String.fromCharCode(b)) ?? -1);
    /** @type {Map<string, [number, number]>} pair: rank, id of the token it makes */
    this.rank = new Map();
    merges.forEach(([a, b], rank) => {
      const key = `${a},${b}`;
      const made = idOf.get(tokens[a] + tokens[b]) ?? -1;
      if (!this.rank.has(key)) this.rank.set(key, [rank, made]);
    });
  }

  /**
   * @param {string} text
   * @returns {number[]}
   */
  encode(text) {
    return split(text).flatMap((word) => this.merge(word));
  }

  /** Join the pair of lowest rank, the leftmost of equals, until none is left. @param {string} word */
  merge(word) {
    const ids = [...toBytes(word)].map((c) => this.byteId[c.charCodeAt(0)]);
    for (;;) {
      let [best, at, made] = [Infinity, -1, -1];
      for (let i = 0; i + 1 < ids.length; i++) {
        const found = this.rank.get(`${ids[i]},${ids[i + 1]}`);
        if (found && found[0] < best) [best, at, made] = [found[0], i, found[1]];
      }
      if (at < 0) return ids;
      ids.splice(at, 2, made);
    }
  }
}

/** @typedef {{a: string, b: string, count: number}} Pair two tokens side by side, as byte strings */
/** @typedef {{words: {tokens: string[], count: number}[], pairs: Pair[]}} Stage
 *   `pairs` in the order in which they would be merged */

/** The state before any merge. @param {string} text @returns {Stage} */
export function begin(text) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const word of split(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const words = [...counts].map(([word, count]) => ({ tokens: [...toBytes(word)], count }));
  return { words, pairs: pairsOf(words) };
}

/**
 * The state after one more merge, that of the first pair.
 * @param {Stage} stage
 * @returns {Stage}
 */
export function learn({ words, pairs }) {
  const { a, b } = pairs[0];
  const merged = words.map(({ tokens, count }) => ({ tokens: join(tokens, a, b), count }));
  return { words: merged, pairs: pairsOf(merged) };
}

/**
 * @param {string[]} tokens
 * @param {string} a
 * @param {string} b
 */
export function join(tokens, a, b) {
  /** @type {string[]} */
  const out = [];
  for (let i = 0; i < tokens.length; i++) {
    if (tokens[i] === a && tokens[i + 1] === b) {
      out.push(a + b);
      i++;
    } else out.push(tokens[i]);
  }
  return out;
}

/**
 * Counts of all pairs. Of equal counts the greatest pair of byte strings comes first.
 * @param {{tokens: string[], count: number}[]} words
 * @returns {Pair[]}
 */
function pairsOf(words) {
  /** @type {Map<string, Map<string, number>>} */
  const counts = new Map();
  for (const { tokens, count } of words)
    for (let i = 0; i + 1 < tokens.length; i++) {
      const row = counts.get(tokens[i]) ?? new Map();
      row.set(tokens[i + 1], (row.get(tokens[i + 1]) ?? 0) + count);
      counts.set(tokens[i], row);
    }
  const pairs = [...counts].flatMap(([a, row]) => [...row].map(([b, count]) => ({ a, b, count })));
  const order = (/** @type {string} */ x, /** @type {string} */ y) => (x < y ? 1 : x > y ? -1 : 0);
  return pairs.sort((p, q) => q.count - p.count || order(p.a, q.a) || order(p.b, q.b));
}

/**
 * A token as a reader sees it: text where its bytes are whole characters, else hexadecimal.
 * @param {string} bytes
 * @returns {{text: string, hex: boolean}}
 */
export function show(bytes) {
  const raw = Uint8Array.from(bytes, (c) => c.charCodeAt(0));
  const hex = () => [...raw].map((b) => b.toString(16).toUpperCase().padStart(2, "0")).join(" ");
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw);
    // What has no shape of its own is shown by its number: controls, and marks that join others.
    if (/^(?:[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{M}])+$/u.test(text) && !/^[\n\t]+$/.test(text))
      return { text: hex(), hex: true };
    return { text: text.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥"), hex: false };
  } catch {
    return { text: hex(), hex: true };
  }
}
