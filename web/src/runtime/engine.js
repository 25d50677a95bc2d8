// All that figures ask of the model, the tokenizer and the language. It runs in a Worker, so that
// the page never waits; tests call it as it is.

import { GPT } from "./model.js";
import { readSafetensors } from "./safetensors.js";
import { draw, softmax, stages, uniform } from "./sampling.js";
import { Cursor, TalesTokenizer } from "./tales.js";

/** @typedef {import("./sampling.js").Choice} Choice */
/** @typedef {{id: number, text: string, logit: number, plain: number, heated: number, k: number,
 *   p: number, truth: number | null}} Candidate */
/** `rest` sums up all that are not in `candidates`; `also` are of those, asked for or drawn.
 * @typedef {{candidates: Candidate[], also: Candidate[], rest: Omit<Candidate, "id" | "text" | "logit">,
 *   restCount: number, u: number, drawn: number, kept: number, possible: number | null,
 *   offAt: number | null, distance: number | null, ended: boolean}} Step */

export class Engine {
  /**
   * @param {ArrayBuffer} weights a safetensors file
   * @param {import("./tales.js").Tales} tales
   */
  constructor(weights, tales) {
    const { tensors, config } = readSafetensors(weights);
    this.tales = tales;
    this.tokenizer = new TalesTokenizer(tales);
    if (this.tokenizer.size !== config.vocab_size)
      throw new Error(`model and tokenizer differ: ${config.vocab_size}, ${this.tokenizer.size} tokens`);
    this.model = new GPT(tensors, config);
    /** @type {number[]} what the cache holds */
    this.held = [];
    /** @type {{language: string, ids: number[], cursor: Cursor} | null} */
    this.place = null;
  }

  get end() {
    return this.tokenizer.special.indexOf("<|end|>");
  }

  /** @param {string} language */
  mark(language) {
    return this.tokenizer.special.indexOf(`<|${language}|>`);
  }

  /**
   * Logits after a sequence; only what the cache does not hold is read.
   * @param {number[]} ids
   */
  logits(ids) {
    let same = 0;
    // The last one is always read: its logits are wanted.
    while (same < ids.length - 1 && same < this.held.length && ids[same] === this.held[same]) same++;
    this.model.truncate(same);
    this.held = ids.slice();
    /** @type {Float32Array} */
    let out = this.model.logits;
    for (let i = same; i < ids.length; i++) out = this.model.push(ids[i], i === ids.length - 1);
    return out;
  }

  /**
   * The language's own reader after these tokens, or the place of the first that does not fit.
   * @param {string} language
   * @param {number[]} ids without the mark of the language
   * @returns {{cursor: Cursor | null, offAt: number | null}}
   */
  truth(language, ids) {
    let place = this.place;
    if (place?.language !== language || place.ids.some((id, i) => ids[i] !== id))
      place = { language, ids: [], cursor: new Cursor(this.tales, language) };
    for (let i = place.ids.length; i < ids.length; i++) {
      const word = ids[i] === this.end ? this.tales.grammar.end : this.tokenizer.word(ids[i]);
      if (!place.cursor.read(word)) {
        this.place = place;
        return { cursor: null, offAt: i };
      }
      place.ids.push(ids[i]);
    }
    this.place = place;
    return { cursor: place.cursor, offAt: null };
  }

  /**
   * What may come next, through every filter, beside the truth; and what the seed draws.
   * @param {{language: string, ids: number[], choice: Choice, seed: number, top?: number,
   *   also?: number[]}} asked `also`: ids to report on even if they are not among the `top`
   * @returns {Step}
   */
  step({ language, ids, choice, seed, top = 10, also = [] }) {
    const logits = this.logits([this.mark(language), ...ids]);
    const all = stages(logits, choice);
    const { cursor, offAt } = this.truth(language, ids);
    const u = uniform(seed, ids.length);
    const drawn = draw(all.p, all.order, u);
    /** @type {Map<number, number> | null} */
    let truth = null;
    if (cursor) {
      truth = new Map();
      for (const [word, p] of cursor.next()) {
        const id = word === this.tales.grammar.end ? this.end : this.tokenizer.idOf.get(word);
        truth.set(/** @type {number} */ (id), p);
      }
    }
    const shown = [...all.order.subarray(0, top)];
    const candidate = (/** @type {number} */ id) => ({
      id,
      text: this.label(id),
      logit: logits[id],
      plain: all.plain[id],
      heated: all.heated[id],
      k: all.k[id],
      p: all.p[id],
      truth: truth ? (truth.get(id) ?? 0) : null,
    });
    const candidates = shown.map(candidate);
    const asked = also.filter((id) => !shown.includes(id));
    const rest = (/** @type {"plain" | "heated" | "k" | "p"} */ key) =>
      Math.max(0, 1 - candidates.reduce((s, c) => s + c[key], 0));
    const told = candidates.reduce((s, c) => s + (c.truth ?? 0), 0);
    let distance = null;
    if (truth?.size) {
      distance = 0;
      for (let id = 0; id < all.p.length; id++)
        distance += Math.abs(all.p[id] - (truth.get(id) ?? 0)) / 2;
    }
    return {
      candidates,
      also: [...new Set([...asked, ...(shown.includes(drawn) ? [] : [drawn])])].map(candidate),
      rest: {
        plain: rest("plain"),
        heated: rest("heated"),
        k: rest("k"),
        p: rest("p"),
        truth: truth?.size ? Math.max(0, 1 - told) : null,
      },
      restCount: all.order.length - shown.length,
      u,
      drawn,
      kept: all.p.reduce((n, p) => n + (p > 0 ? 1 : 0), 0),
      possible: truth?.size ? truth.size : null,
      offAt,
      distance,
      ended: ids[ids.length - 1] === this.end,
    };
  }

  /** A token alone, as a label. @param {number} id */
  label(id) {
    const { firstByte, firstWord, special } = this.tokenizer;
    if (id < firstByte) return special[id] === "<|end|>" ? "end of story" : special[id];
    if (id < firstWord) return `byte ${(id - firstByte).toString(16).toUpperCase().padStart(2, "0")}`;
    return this.tokenizer.word(id);
  }

  /**
   * The ids of a text and how each is written there.
   * @param {{text: string}} asked
   */
  tokenize({ text }) {
    const ids = this.tokenizer.encode(text);
    return { ids, pieces: this.tokenizer.pieces(ids) };
  }

  /**
   * How each token is written, and the first that the language would not say there.
   * @param {{language: string, ids: number[]}} asked
   */
  read({ language, ids }) {
    const { offAt } = this.truth(language, ids);
    return { pieces: this.tokenizer.pieces(ids), offAt };
  }

  /**
   * A text drawn to its end, or to `most` tokens.
   * @param {{language: string, ids: number[], choice: Choice, seed: number, most: number}} asked
   */
  generate({ language, ids, choice, seed, most }) {
    const out = ids.slice();
    const started = performance.now();
    let first = 0;
    while (out.length < ids.length + most && out[out.length - 1] !== this.end) {
      const all = stages(this.logits([this.mark(language), ...out]), choice);
      out.push(draw(all.p, all.order, uniform(seed, out.length)));
      first ||= performance.now() - started;
    }
    return { ids: out.slice(ids.length), first, milliseconds: performance.now() - started };
  }

  /** Logits after every token of a sequence. @param {{ids: number[]}} asked */
  allLogits({ ids }) {
    this.held = [];
    this.model.truncate(0);
    return ids.map((id) => Array.from(this.model.push(id)));
  }

  /** Empty the cache. @param {{}} _asked */
  forget(_asked) {
    this.held = [];
  }

  /**
   * One greedy token with the cache, or reading everything anew; and what it took.
   * @param {{ids: number[], cached: boolean}} asked ids with the language's mark
   */
  greedy({ ids, cached }) {
    if (!cached) this.held = [];
    const { work, read } = this.model;
    const started = performance.now();
    const logits = this.logits(ids);
    let id = 0;
    for (let i = 1; i < logits.length; i++) if (logits[i] > logits[id]) id = i;
    return {
      id,
      work: this.model.work - work,
      read: this.model.read - read,
      milliseconds: performance.now() - started,
    };
  }

  /**
   * A whole text through the model: every head's weights, and the next token, as it is and after an
   * experiment. A head in `off` says nothing; one in `from` says what it says in the text `other`.
   * @param {{language: string, ids: number[], other?: number[], off?: [number, number][],
   *   from?: [number, number][], top?: number}} asked
   */
  experiment({ language, ids, other = [], off = [], from = [], top = 8 }) {
    if (from.length && other.length !== ids.length)
      throw new Error(`the other text must have as many tokens: ${ids.length}, not ${other.length}`);
    const { layers, heads } = this.model.config;
    const plain = this.probed([this.mark(language), ...ids], () => undefined, true);
    const key = (/** @type {number} */ l, /** @type {number} */ h) => l * heads + h;
    const said = from.length ? this.probed([this.mark(language), ...other], () => undefined) : null;
    const [quiet, lent] = [off, from].map((list) => new Set(list.map(([l, h]) => key(l, h))));
    const changed =
      off.length || from.length
        ? this.probed([this.mark(language), ...ids], (l, h, t) =>
            quiet.has(key(l, h)) ? 0 : lent.has(key(l, h)) ? said?.outputs[t][key(l, h)] : undefined)
        : plain;
    const [p, q] = [softmax(plain.logits), softmax(changed.logits)];
    const { cursor, offAt } = this.truth(language, ids);
    /** @type {Map<number, number>} */
    const truth = new Map();
    for (const [word, share] of cursor?.next() ?? [])
      truth.set(word === this.tales.grammar.end ? this.end : (this.tokenizer.idOf.get(word) ?? -1), share);
    const order = [...p.keys()].sort((a, b) => Math.max(p[b], q[b]) - Math.max(p[a], q[a]) || a - b);
    let distance = 0; // KL in nats
    for (let i = 0; i < p.length; i++) if (p[i] > 0) distance += p[i] * (Math.log(p[i]) - Math.log(Math.max(q[i], 1e-300)));
    return {
      layers,
      heads,
      attention: plain.attention, // [layer * heads + head][t]: weights on 0..t
      next: order.slice(0, top).map((id) => ({
        id, text: this.label(id), plain: p[id], changed: q[id], truth: truth.size ? (truth.get(id) ?? 0) : null,
      })),
      distance: Math.max(0, distance),
      offAt,
    };
  }

  /** @param {number[]} ids @param {NonNullable<GPT["probe"]["replace"]>} replace
   * @param {boolean} [attention] whether the weights are wanted */
  probed(ids, replace, attention = false) {
    const { model } = this;
    const { layers, heads } = model.config;
    /** @type {Float32Array[][]} */
    const weights = Array.from({ length: attention ? layers * heads : 0 }, () => []);
    /** @type {Float32Array[][]} by position, then by layer and head */
    const outputs = ids.map(() => []);
    this.held = [];
    model.truncate(0);
    try {
      ids.forEach((id, t) => {
        model.probe = {
          replace,
          see(layer, head, row, out) {
            if (attention) weights[layer * heads + head].push(row.slice());
            outputs[t][layer * heads + head] = out.slice();
          },
        };
        model.push(id, t === ids.length - 1);
      });
    } finally {
      model.probe = {};
      model.truncate(0);
    }
    return { logits: model.logits.slice(), attention: weights, outputs };
  }

  /**
   * The language's true next-token distribution, by token.
   * @param {{language: string, ids: number[]}} asked
   */
  trueNext({ language, ids }) {
    const { cursor, offAt } = this.truth(language, ids);
    return { next: cursor ? [...cursor.next()] : null, offAt };
  }
}
