// The tokenizer of the tales, and their grammar's true next-token distribution: the package's own
// `TalesTokenizer` and `Cursor`, told from the same data (`llmcourse.widgets.assets`).

/** @typedef {string | {f: string, k?: string, o?: string, d?: string, a?: 1, b?: string}} Element */
/** @typedef {{w: number, factors: Record<string, Record<string, number>>,
 *   when: Record<string, string[]>, sets: Record<string, string>, next: string,
 *   t: Record<string, Element[]>, draws: [string, string][]}} Frame */
/** @typedef {{weights: number[], uniform: boolean, rows: Record<string, any>[]}} WordClass */
/** @typedef {{start: string, end: string, stages: Record<string, Frame[]>,
 *   classes: Record<string, WordClass>, holdout: [string, string][],
 *   values: Record<string, string[]>, vowels: string[]}} Grammar */
/** @typedef {{special: string[], words: Record<string, string[]>, closing: string,
 *   stops: string, pronouns: Record<string, [string, string]>, grammar: Grammar}} Tales */

const [BEGINNING, INSIDE, STOP, BESIDE] = [0, 1, 2, 3];
const LETTER = /^\p{L}$/u;
/** Whether a place lies between two letters of Latin script. @param {string[]} text
 * @param {number} at */
const joined = (text, at) =>
  at > 0 && at < text.length && LETTER.test(text[at - 1]) && LETTER.test(text[at]) &&
  text[at] < "\u0250";

export class TalesTokenizer {
  /** @param {Tales} tales */
  constructor(tales) {
    this.special = tales.special;
    this.firstByte = tales.special.length;
    this.firstWord = this.firstByte + 256;
    this.surfaces = [...new Set(Object.values(tales.words).flat())];
    this.size = this.firstWord + this.surfaces.length;
    const spaced = new Set(tales.words.en);
    /** @type {string[][]} */
    this.written = [[], [], [], []];
    for (const word of this.surfaces) {
      const capital = spaced.has(word) ? word[0].toUpperCase() + word.slice(1) : word;
      const space = spaced.has(word) && !tales.closing.includes(word) ? " " : "";
      [capital, space + word, space + capital, word].forEach((text, i) => this.written[i].push(text));
    }
    this.after = this.surfaces.map((word) =>
      tales.stops.includes(word) ? STOP : word === "“" ? BEGINNING : spaced.has(word) ? INSIDE : BESIDE,
    );
    /** @type {Map<string, number>} */
    this.idOf = new Map(this.surfaces.map((word, n) => [word, this.firstWord + n]));
    // Of words written alike the first one stays.
    this.readBack = this.written.map((texts) => {
      /** @type {Map<string, number>} */
      const map = new Map();
      texts.forEach((text, n) => map.has(text) || map.set(text, n));
      return map;
    });
    // Which lengths are worth a try, longest first, by the first character.
    this.sizes = this.written.map((texts) => {
      /** @type {Map<string, number[]>} */
      const sizes = new Map();
      for (const text of texts) {
        const letters = [...text];
        const group = sizes.get(letters[0]) ?? [];
        if (!group.includes(letters.length)) group.push(letters.length);
        sizes.set(letters[0], group);
      }
      for (const group of sizes.values()) group.sort((a, b) => b - a);
      return sizes;
    });
  }

  /**
   * @param {string} text
   * @returns {number[]}
   */
  encode(text) {
    if (!text.isWellFormed?.() && /\p{Surrogate}/u.test(text))
      throw new Error("the text holds half of a character (a lone surrogate)");
    const letters = [...text];
    const bytes = new TextEncoder();
    /** @type {number[]} */
    const ids = [];
    for (let at = 0, state = BEGINNING; at < letters.length; ) {
      const [size, n] = this.longest(letters, at, state);
      if (size) {
        ids.push(this.firstWord + n);
        state = this.after[n];
        at += size;
      } else {
        for (const byte of bytes.encode(letters[at])) ids.push(this.firstByte + byte);
        state = letters[at] === "\n" ? BEGINNING : BESIDE;
        at++;
      }
    }
    return ids;
  }

  /**
   * @param {string[]} text
   * @param {number} at
   * @param {number} state
   */
  longest(text, at, state) {
    const sizes = this.sizes[state].get(text[at]);
    if (!sizes || joined(text, at)) return [0, -1];
    for (const size of sizes) {
      if (at + size > text.length) continue;
      const n = this.readBack[state].get(text.slice(at, at + size).join(""));
      // A word that is part of a longer one is left to the bytes.
      if (n !== undefined && !joined(text, at + size)) return [size, n];
    }
    return [0, -1];
  }

  /**
   * How each id is written after those before it: text, or the bytes of a byte token.
   * @param {number[]} ids
   * @returns {(string | number)[]}
   */
  pieces(ids) {
    let state = BEGINNING;
    return ids.map((id) => {
      if (id < this.firstByte) {
        state = BEGINNING;
        return this.special[id];
      }
      if (id < this.firstWord) {
        state = id === this.firstByte + 10 ? BEGINNING : BESIDE;
        return id - this.firstByte;
      }
      const text = this.written[state][id - this.firstWord];
      state = this.after[id - this.firstWord];
      return text;
    });
  }

  /** The token as the grammar names it, or "". @param {number} id */
  word(id) {
    return this.surfaces[id - this.firstWord] ?? "";
  }
}

/** @typedef {Map<string, [number, Trie | null, number]>} Trie weight, below, item */
/** @typedef {Record<string, [string, number]>} Items slot or variable: class, item */
/** @typedef {{stage: string, decided: Record<string, string>, bound: Items}} State */
/** @typedef {{weight: number, frame: Frame, classes: Record<string, string>,
 *   slots: Record<string, number[]>, at: number, within: string[] | Trie, fills: Items}} Reading */

const sum = (/** @type {Iterable<number>} */ numbers) => {
  let total = 0;
  for (const x of numbers) total += x;
  return total;
};
const upper = (/** @type {string} */ slot) => slot === slot.toUpperCase() && slot !== slot.toLowerCase();

/** Reads a story token by token; `next` gives the true distribution of what may follow. */
export class Cursor {
  /**
   * @param {Tales} tales
   * @param {string} language
   */
  constructor(tales, language) {
    this.tales = tales;
    this.grammar = tales.grammar;
    this.language = language;
    /** @type {Reading[]} */
    this.readings = [];
    /** @type {State} */
    this.state = { stage: this.grammar.start, decided: {}, bound: {} };
    this.begin(this.state);
  }

  get done() {
    return this.state.stage === "END";
  }

  /** @param {State} state */
  begin(state) {
    this.state = state;
    this.readings = [];
    if (this.done) return;
    for (const [p, frame] of this.frames(state)) {
      const known = { ...state.decided, ...frame.sets };
      /** @type {Record<string, string>} */
      const classes = {};
      for (const [slot, of] of frame.draws) {
        const [name, variable] = of.split("@");
        classes[slot] = variable ? `${name}-${known[variable]}` : name;
      }
      for (const [share, slots] of this.variants(frame, state, classes)) {
        /** @type {Reading} */
        const reading = { weight: p * share, frame, classes, slots, at: 0, within: [], fills: {} };
        this.open(reading);
        this.readings.push(reading);
      }
    }
  }

  /**
   * The sentences that may come here, with their probabilities.
   * @param {State} state
   * @returns {[number, Frame][]}
   */
  frames({ stage, decided }) {
    const { holdout, values } = this.grammar;
    /** @type {[number, Frame][]} */
    const fits = [];
    for (const frame of this.grammar.stages[stage]) {
      if (Object.entries(frame.when).some(([v, wanted]) => !wanted.includes(decided[v]))) continue;
      let weight = frame.w;
      for (const [variable, factors] of Object.entries(frame.factors))
        weight *= factors[decided[variable]] ?? 1;
      for (const [first, second] of holdout) {
        if (!(second in frame.sets)) continue;
        const options = values[second];
        const out = options[values[first].indexOf(decided[first]) % options.length];
        if (frame.sets[second] === out) weight = 0;
      }
      if (weight) fits.push([weight, frame]);
    }
    const total = sum(fits.map(([w]) => w));
    return fits.map(([w, frame]) => [w / total, frame]);
  }

  /**
   * The items of a class that may fill a slot here.
   * @param {string} slot
   * @param {string} of
   * @param {State} state
   */
  allowed(slot, of, { bound }) {
    const all = this.grammar.classes[of].rows.map((_, i) => i);
    for (const [first, second] of this.grammar.holdout)
      if (slot === second && bound[first]) return all.filter((i) => i !== bound[first][1] % all.length);
    if (!upper(slot)) return all;
    const taken = Object.values(bound).filter(([kind]) => kind === of).map(([, i]) => i);
    return all.filter((i) => !taken.includes(i));
  }

  /**
   * A frame split so that, within a part, its slots are independent: where a pronoun or a measure
   * word agrees with something drawn in the same sentence, each part holds the items of one form.
   * @param {Frame} frame
   * @param {State} state
   * @param {Record<string, string>} classes
   * @returns {[number, Record<string, number[]>][]}
   */
  variants(frame, state, classes) {
    /** @type {Record<string, number[]>} */
    const slots = {};
    for (const [slot, of] of Object.entries(classes)) slots[slot] = this.allowed(slot, of, state);
    /** @type {[number, Record<string, number[]>][]} */
    let parts = [[1, slots]];
    for (const e of frame.t[this.language]) {
      if (typeof e === "string" || !e.o || !(e.o in slots)) continue;
      const of = e.o;
      const form = e.f === "m" ? "m" : e.f === "ta" || e.f in this.tales.pronouns ? "g" : "";
      if (!form) continue;
      const words = this.grammar.classes[classes[of]];
      parts = parts.flatMap(([weight, part]) => {
        /** @type {Map<string, number[]>} */
        const groups = new Map();
        for (const item of part[of]) {
          const key = words.rows[item][form];
          groups.set(key, [...(groups.get(key) ?? []), item]);
        }
        const total = sum(part[of].map((i) => words.weights[i]));
        return [...groups.values()].map((group) => {
          const share = sum(group.map((i) => words.weights[i])) / total;
          return /** @type {[number, Record<string, number[]>]} */ ([weight * share, { ...part, [of]: group }]);
        });
      });
    }
    return parts;
  }

  /**
   * The words of one element of a sentence, given what it names.
   * @param {Element} e
   * @param {Items} items
   * @returns {string[]}
   */
  spoken(e, items) {
    if (typeof e === "string") return [e];
    const { classes } = this.grammar;
    const row = (/** @type {string} */ key) => classes[items[key][0]].rows[items[key][1]];
    if (e.f === "draw" || e.f === "recall") {
      const name = e.d ? `${e.d}_${this.language}` : this.language;
      /** @type {string[]} */
      const tokens = row(/** @type {string} */ (e.f === "draw" ? e.k : e.o))[name].flatMap(
        (/** @type {Element} */ piece) => this.spoken(piece, items),
      );
      if (e.a && this.language === "en") tokens.unshift(this.article(tokens[0]));
      return tokens;
    }
    const of = row(/** @type {string} */ (e.o));
    if (e.f === "m") return [of.m];
    const woman = of.g === "f";
    if (e.f === "they")
      return [woman && row(/** @type {string} */ (e.b)).g === "f" ? "她们" : "他们"];
    if (e.f === "ta") return [woman ? "她" : "他"];
    return [this.tales.pronouns[e.f][woman ? 0 : 1]];
  }

  /** @param {string} word */
  article(word) {
    return "aeiou".includes(word[0]) || this.grammar.vowels.includes(word) ? "an" : "a";
  }

  /**
   * The words that may fill a slot, as a tree of tokens; each leaf is one item.
   * @param {{k?: string}} e
   * @param {string} of
   * @param {number[]} allowed
   */
  trie(e, of, allowed) {
    const { weights } = this.grammar.classes[of];
    const total = sum(allowed.map((i) => weights[i]));
    /** @type {Trie} */
    const root = new Map();
    for (const item of allowed) {
      const tokens = this.spoken(/** @type {Element} */ (e), { [e.k ?? ""]: [of, item] });
      let level = root;
      tokens.forEach((token, depth) => {
        const last = depth === tokens.length - 1;
        const node = level.get(token) ?? [0, last ? null : new Map(), last ? item : -1];
        node[0] += weights[item] / total;
        level.set(token, node);
        level = node[1] ?? level;
      });
    }
    return root;
  }

  /** Prepare the element at which a reading stands. @param {Reading} r */
  open(r) {
    const e = r.frame.t[this.language][r.at];
    if (typeof e !== "string" && e.f === "draw") {
      const key = /** @type {string} */ (e.k);
      r.within = this.trie(e, r.classes[key], r.slots[key]);
      return;
    }
    const known = { ...this.state.bound, ...r.fills };
    // Agrees with what comes later: all its items share the form.
    if (typeof e !== "string" && e.o && !known[e.o] && r.slots[e.o])
      known[e.o] = [r.classes[e.o], r.slots[e.o][0]];
    r.within = this.spoken(e, known);
  }

  /**
   * The true probability of each token that may come next; nothing once the story has ended.
   * @returns {Map<string, number>}
   */
  next() {
    /** @type {Map<string, number>} */
    const out = new Map();
    const total = sum(this.readings.map((r) => r.weight));
    const add = (/** @type {string} */ token, /** @type {number} */ weight) =>
      out.set(token, (out.get(token) ?? 0) + weight / total);
    for (const r of this.readings) {
      if (Array.isArray(r.within)) add(r.within[0], r.weight);
      else {
        const below = sum([...r.within.values()].map((node) => node[0]));
        for (const [token, node] of r.within) add(token, (r.weight * node[0]) / below);
      }
    }
    return out;
  }

  /**
   * Read one token.
   * @param {string} token
   * @returns {boolean} whether it fits; where it does not, nothing has changed
   */
  read(token) {
    if (!this.next().has(token)) return false;
    /** @type {Reading[]} */
    const fits = [];
    for (const r of this.readings) {
      let spoken;
      if (Array.isArray(r.within)) {
        if (r.within[0] !== token) continue;
        r.within = r.within.slice(1);
        spoken = !r.within.length;
      } else {
        const node = r.within.get(token);
        if (!node) continue;
        r.weight *= node[0] / sum([...r.within.values()].map((n) => n[0]));
        spoken = node[1] === null;
        if (node[1]) r.within = node[1];
        else {
          const e = r.frame.t[this.language][r.at];
          const key = typeof e === "string" ? "" : /** @type {string} */ (e.k);
          r.fills[key] = [r.classes[key], node[2]];
        }
      }
      if (spoken && ++r.at === r.frame.t[this.language].length) {
        /** @type {Items} */
        const bound = { ...this.state.bound };
        for (const [slot, item] of Object.entries(r.fills)) if (upper(slot)) bound[slot] = item;
        const decided = { ...this.state.decided, ...r.frame.sets };
        this.begin({ stage: r.frame.next, decided, bound });
        return true;
      }
      if (spoken) this.open(r);
      fits.push(r);
    }
    this.readings = fits;
    return true;
  }
}
