// The modern form of the package's GPT: RMSNorm, QK-norm, RoPE, grouped keys, SwiGLU. One position
// at a time, with a KV cache; weights and cache are 32-bit floats.

/** @typedef {import("./safetensors.js").Tensor} Tensor */

/**
 * y = W x, W of shape (rows, columns) from `at` on.
 * @param {Float32Array} W
 * @param {Float32Array} x
 * @param {Float32Array} y
 * @param {number} rows
 * @param {number} columns
 */
function multiply(W, x, y, rows, columns) {
  const even = columns & ~3;
  for (let r = 0, at = 0; r < rows; r++, at += columns) {
    // Four sums side by side: one alone would wait for itself at every step.
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let i = 0; i < even; i += 4) {
      a += W[at + i] * x[i];
      b += W[at + i + 1] * x[i + 1];
      c += W[at + i + 2] * x[i + 2];
      d += W[at + i + 3] * x[i + 3];
    }
    for (let i = even; i < columns; i++) a += W[at + i] * x[i];
    y[r] = a + b + (c + d);
  }
}

/**
 * @param {Float32Array} x read from `at`, `size` numbers
 * @param {number} at
 * @param {number} size
 * @param {Float32Array} gain read from `g`
 * @param {number} g
 * @param {number} eps
 * @param {Float32Array} out written from `o`
 * @param {number} o
 */
function rmsNorm(x, at, size, gain, g, eps, out, o) {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += x[at + i] * x[at + i];
  const scale = 1 / Math.sqrt(sum / size + eps);
  for (let i = 0; i < size; i++) out[o + i] = x[at + i] * scale * gain[g + i];
}

export class GPT {
  /**
   * @param {Map<string, Tensor>} tensors
   * @param {Record<string, any>} config the package's `GPTConfig`
   */
  constructor(tensors, config) {
    const wanted = {
      norm: "rms", norm_place: "pre", mlp: "swiglu", positions: "rope", rope_layout: "half",
      rope_scale: 1, tied: true, qk_norm: true, bias: false, window: null,
    };
    for (const [key, value] of Object.entries(wanted))
      if (config[key] !== value)
        throw new Error(`pages run models with ${key} = ${value}, got ${config[key]}`);
    this.config = config;
    this.width = config.width;
    this.heads = config.heads;
    this.groups = config.kv_heads;
    this.key = config.width / config.heads;
    const get = (/** @type {string} */ name) => {
      const found = tensors.get(name);
      if (!found) throw new Error(`the weights are damaged: ${name} is missing`);
      return found.data;
    };
    this.embed = get("embed.weight");
    this.norm = get("norm.weight");
    this.blocks = Array.from({ length: config.layers }, (_, i) => ({
      norm1: get(`blocks.${i}.norm1.weight`),
      qkv: get(`blocks.${i}.attention.qkv.weight`),
      gain: get(`blocks.${i}.attention.gain`),
      o: get(`blocks.${i}.attention.o.weight`),
      norm2: get(`blocks.${i}.norm2.weight`),
      gate: get(`blocks.${i}.mlp.gate.weight`),
      up: get(`blocks.${i}.mlp.up.weight`),
      down: get(`blocks.${i}.mlp.down.weight`),
    }));
    const half = this.key / 2;
    this.cos = new Float32Array(config.context * half);
    this.sin = new Float32Array(config.context * half);
    for (let t = 0; t < config.context; t++)
      for (let i = 0; i < half; i++) {
        const angle = Math.fround(t * Math.fround(config.rope_theta ** ((-2 * i) / this.key)));
        this.cos[t * half + i] = Math.cos(angle);
        this.sin[t * half + i] = Math.sin(angle);
      }
    const floats = (/** @type {number} */ n) => new Float32Array(n);
    const row = this.groups * this.key; // of the cache: one position, one layer
    this.keys = this.blocks.map(() => floats(config.context * row));
    this.values = this.blocks.map(() => floats(config.context * row));
    this.used = 0; // positions in the cache
    /** What an experiment sees and changes, by layer and head: attention weights and outputs of the
     * newest position go to `see`; what `replace` gives stands in for a head's output.
     * @type {{see?: (layer: number, head: number, weights: Float32Array, out: Float32Array) => void,
     *   replace?: (layer: number, head: number, position: number) => Float32Array | number | undefined}} */
    this.probe = {};
    /** Multiply-adds since the model was made, and positions read. */
    this.work = 0;
    this.read = 0;
    this.x = floats(this.width);
    this.h = floats(this.width);
    this.qkv = floats((this.heads + 2 * this.groups) * this.key);
    this.mixed = floats(this.width);
    this.gateOut = floats(config.hidden);
    this.upOut = floats(config.hidden);
    this.scores = floats(config.context);
    this.logits = floats(config.vocab_size);
  }

  /** Forget every position from `used` on. @param {number} used */
  truncate(used) {
    this.used = Math.min(this.used, used);
  }

  /**
   * Read one token after what the cache holds.
   * @param {number} id
   * @param {boolean} [wanted] whether the logits of the next token are wanted
   * @returns {Float32Array} the logits: the model's own array, written anew at the next token
   */
  push(id, wanted = true) {
    const { width: D, heads: H, groups: G, key: K, config, x, h } = this;
    if (this.used >= config.context)
      throw new Error(`the model reads ${config.context} tokens at most`);
    if (!(id >= 0 && id < config.vocab_size)) throw new Error(`no token has the id ${id}`);
    x.set(this.embed.subarray(id * D, (id + 1) * D));
    this.blocks.forEach((block, layer) => {
      rmsNorm(x, 0, D, block.norm1, 0, config.eps, h, 0);
      this.attend(block, layer);
      multiply(block.o, this.mixed, h, D, H * K);
      for (let i = 0; i < D; i++) x[i] += h[i];
      rmsNorm(x, 0, D, block.norm2, 0, config.eps, h, 0);
      multiply(block.gate, h, this.gateOut, config.hidden, D);
      multiply(block.up, h, this.upOut, config.hidden, D);
      for (let i = 0; i < config.hidden; i++) {
        const g = this.gateOut[i];
        this.upOut[i] *= g / (1 + Math.exp(-g));
      }
      multiply(block.down, this.upOut, h, D, config.hidden);
      for (let i = 0; i < D; i++) x[i] += h[i];
    });
    this.used++;
    this.read++;
    const matrices = D * ((H + 2 * G) * K + H * K + 3 * config.hidden);
    this.work += this.blocks.length * (matrices + 2 * H * K * this.used);
    if (wanted) {
      rmsNorm(x, 0, D, this.norm, 0, config.eps, h, 0);
      multiply(this.embed, h, this.logits, config.vocab_size, D);
      this.work += config.vocab_size * D;
    }
    return this.logits;
  }

  /**
   * Queries, keys and values of the new position; its heads' mixtures go to `mixed`.
   * @param {{qkv: Float32Array, gain: Float32Array}} block
   * @param {number} layer
   */
  attend(block, layer) {
    const { heads: H, groups: G, key: K, qkv, mixed, scores } = this;
    const [t, half] = [this.used, K / 2];
    const [keys, values, row] = [this.keys[layer], this.values[layer], G * K];
    multiply(block.qkv, this.h, qkv, (H + 2 * G) * K, this.width);
    for (let g = 0; g < H + G; g++) {
      rmsNorm(qkv, g * K, K, block.gain, g * K, this.config.eps, qkv, g * K);
      for (let i = 0; i < half; i++) {
        const [c, s] = [this.cos[t * half + i], this.sin[t * half + i]];
        const [a, b] = [qkv[g * K + i], qkv[g * K + i + half]];
        qkv[g * K + i] = a * c - b * s;
        qkv[g * K + i + half] = b * c + a * s;
      }
    }
    keys.set(qkv.subarray(H * K, (H + G) * K), t * row);
    values.set(qkv.subarray((H + G) * K), t * row);
    const scale = 1 / Math.sqrt(K);
    for (let head = 0; head < H; head++) {
      const q = head * K;
      const group = Math.floor(head / (H / G)) * K;
      let most = -Infinity;
      for (let s = 0; s <= t; s++) {
        let dot = 0;
        for (let i = 0, at = s * row + group; i < K; i++) dot += qkv[q + i] * keys[at + i];
        scores[s] = dot * scale;
        if (scores[s] > most) most = scores[s];
      }
      let total = 0;
      for (let s = 0; s <= t; s++) total += scores[s] = Math.exp(scores[s] - most);
      mixed.fill(0, q, q + K);
      for (let s = 0; s <= t; s++) {
        const weight = scores[s] / total;
        scores[s] = weight;
        for (let i = 0, at = s * row + group; i < K; i++) mixed[q + i] += weight * values[at + i];
      }
      const out = mixed.subarray(q, q + K);
      this.probe.see?.(layer, head, scores.subarray(0, t + 1), out);
      const other = this.probe.replace?.(layer, head, t);
      if (typeof other === "number") out.fill(other);
      else if (other) out.set(other);
    }
  }
}
