// A small character-level GPT that trains where it stands: the package's `GPT` with RMSNorm, learned
// positions and ReLU² (Vaswani et al. 2017 and after), its gradients by hand, AdamW and clipping.

import { draw, ranked, softmax, uniform } from "./sampling.js";
import { shapes } from "./trained.js";

/** @typedef {{width: number, heads: number, layers: number, context: number, batch: number}} Shape */
/** @typedef {{lr: number, clip: number, warmup: number}} Settings `clip` 0: none */

export const SHAPE = { width: 32, heads: 4, layers: 2, context: 32, batch: 8 };
const MOST = 256; // characters of the vocabulary; rarer ones become one
const EPS = 1e-5;

/** Y = X W^T: X (n, i), W (o, i). @param {Float32Array} X @param {Float32Array} W
 * @param {Float32Array} Y @param {number} n @param {number} o @param {number} i */
function multiply(X, W, Y, n, o, i) {
  for (let r = 0; r < n; r++)
    for (let c = 0, w = 0; c < o; c++, w += i) {
      const x = r * i; // i is a multiple of four
      let a = 0;
      let b = 0;
      let d = 0;
      let e = 0;
      for (let k = 0; k < i; k += 4) {
        a += X[x + k] * W[w + k];
        b += X[x + k + 1] * W[w + k + 1];
        d += X[x + k + 2] * W[w + k + 2];
        e += X[x + k + 3] * W[w + k + 3];
      }
      Y[r * o + c] = a + b + (d + e);
    }
}

/** dX += dY W and dW += dY^T X. @param {Float32Array} dY @param {Float32Array} X
 * @param {Float32Array} W @param {Float32Array} dX @param {Float32Array} dW
 * @param {number} n @param {number} o @param {number} i */
function multiplyBack(dY, X, W, dX, dW, n, o, i) {
  // Four rows at a time: what is added to is read and written once for all four.
  for (let r = 0; r < n; r++)
    for (let c = 0; c < o; c += 4) {
      const [at, x, many] = [r * o + c, r * i, Math.min(4, o - c)];
      const g0 = dY[at];
      const g1 = many > 1 ? dY[at + 1] : 0;
      const g2 = many > 2 ? dY[at + 2] : 0;
      const g3 = many > 3 ? dY[at + 3] : 0;
      const w0 = c * i;
      const w1 = many > 1 ? w0 + i : w0;
      const w2 = many > 2 ? w1 + i : w0;
      const w3 = many > 3 ? w2 + i : w0;
      for (let k = 0; k < i; k++) dX[x + k] += g0 * W[w0 + k] + g1 * W[w1 + k] + (g2 * W[w2 + k] + g3 * W[w3 + k]);
    }
  for (let c = 0; c < o; c++)
    for (let r = 0; r < n; r += 4) {
      const [at, x, w] = [r * o + c, r * i, c * i]; // n is a multiple of four
      const g0 = dY[at];
      const g1 = dY[at + o];
      const g2 = dY[at + 2 * o];
      const g3 = dY[at + 3 * o];
      for (let k = 0; k < i; k++)
        dW[w + k] += g0 * X[x + k] + g1 * X[x + i + k] + (g2 * X[x + 2 * i + k] + g3 * X[x + 3 * i + k]);
    }
}

/** @param {Float32Array} x @param {Float32Array} gain @param {Float32Array} out @param {number} n */
function norm(x, gain, out, n) {
  const D = gain.length;
  for (let r = 0; r < n; r++) {
    let sum = 0;
    for (let k = r * D; k < (r + 1) * D; k++) sum += x[k] * x[k];
    const scale = 1 / Math.sqrt(sum / D + EPS);
    for (let k = 0; k < D; k++) out[r * D + k] = x[r * D + k] * scale * gain[k];
  }
}

/** @param {Float32Array} dOut @param {Float32Array} x @param {Float32Array} gain
 * @param {Float32Array} dx @param {Float32Array} dGain @param {number} n */
function normBack(dOut, x, gain, dx, dGain, n) {
  const D = gain.length;
  for (let r = 0; r < n; r++) {
    let [sum, dot] = [0, 0];
    for (let k = 0, a = r * D; k < D; k++, a++) {
      sum += x[a] * x[a];
      dot += dOut[a] * gain[k] * x[a];
    }
    const scale = 1 / Math.sqrt(sum / D + EPS);
    const pull = (dot * scale ** 3) / D;
    for (let k = 0, a = r * D; k < D; k++, a++) {
      dGain[k] += dOut[a] * x[a] * scale;
      dx[a] += dOut[a] * gain[k] * scale - x[a] * pull;
    }
  }
}

export class Trainer {
  /** With `from`, training goes on from its weights; characters that it does not know are left out.
   * @param {string} text
   * @param {{seed: number, shape?: Shape, from?: import("./trained.js").Trained}} given */
  constructor(text, { seed, shape = SHAPE, from }) {
    const known = from && new Set(from.characters);
    const signs = known ? [...text].filter((c) => known.has(c)) : [...text];
    this.leftOut = [...text].length - signs.length;
    if (from) shape = { ...from.shape, batch: shape.batch };
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const c of signs) counts.set(c, (counts.get(c) ?? 0) + 1);
    const often = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([c]) => c);
    this.vocabulary = from ? from.characters : often.length > MOST ? [...often.slice(0, MOST - 1), "\uFFFD"] : often;
    const idOf = new Map(this.vocabulary.map((c, i) => [c, i]));
    this.ids = signs.map((c) => idOf.get(c) ?? this.vocabulary.length - 1);
    const { context: T, batch: B, width: D, layers: L } = shape;
    if (this.ids.length < 20 * T)
      throw new Error(`a text of ${20 * T} characters at least is wanted, this has ${this.ids.length}${from ? " that the model knows" : ""}`);
    this.cut = Math.floor(this.ids.length * 0.9); // what comes after is held out
    this.shape = shape;
    this.seed = seed;
    this.step = 0;
    const V = this.vocabulary.length;
    let drawn = 0;
    const normal = () => {
      const [u, v] = [uniform(seed + 1e6, drawn++), uniform(seed + 1e6, drawn++)];
      return Math.sqrt(-2 * Math.log(u + 1e-12)) * Math.cos(2 * Math.PI * v);
    };
    /** The weights, by the package's names. @type {Map<string, Float32Array>} */
    this.weights = new Map();
    const out = 0.1 / Math.sqrt(2 * L);
    for (const [name, like] of shapes(shape, V)) {
      const std = /norm/.test(name) ? 0 : /qkv|up/.test(name) ? 0.15 : /\.(o|down)\./.test(name) ? out : 0.1;
      const size = like.reduce((a, b) => a * b, 1);
      const w = from?.weights.get(name)?.slice() ?? Float32Array.from({ length: size }, () => (std ? std * normal() : 1));
      this.weights.set(name, w);
    }
    const like = () => new Map([...this.weights].map(([k, w]) => [k, new Float32Array(w.length)]));
    this.grads = like();
    this.first = like(); // Adam's means of gradients and of their squares
    this.second = like();
    this.size = [...this.weights.values()].reduce((n, w) => n + w.length, 0);
    const n = B * T;
    const f = (/** @type {number} */ m) => new Float32Array(n * m);
    const layer = () => ({ x: f(D), h1: f(D), qkv: f(3 * D), att: new Float32Array(B * shape.heads * T * T), mixed: f(D), mid: f(D), h2: f(D), up: f(4 * D), act: f(4 * D) });
    this.layers = Array.from({ length: L }, layer);
    this.last = f(D);
    this.final = f(D);
    this.logits = f(V);
    this.dLogits = f(V);
    this.dx = f(D);
    this.dh = f(D);
    this.dMid = f(D);
    this.dUp = f(4 * D);
    this.dQkv = f(3 * D);
  }

  /** Entropy of the characters' frequencies in the training part, nats: what counting alone gives. */
  get unigram() {
    const counts = new Float64Array(this.vocabulary.length);
    for (let i = 0; i < this.cut; i++) counts[this.ids[i]]++;
    return counts.reduce((sum, c) => (c ? sum - (c / this.cut) * Math.log(c / this.cut) : sum), 0);
  }

  /** The starts of a batch's windows. @param {number} step @param {boolean} [held] */
  starts(step, held = false) {
    const { batch: B, context: T } = this.shape;
    const [from, to] = held ? [this.cut, this.ids.length] : [0, this.cut];
    return Array.from({ length: B }, (_, b) => from + Math.floor(uniform(this.seed + (held ? 7 : 0), step * B + b) * (to - from - T - 1)));
  }

  /** @param {string} name */
  w(name) {
    return /** @type {Float32Array} */ (this.weights.get(name));
  }

  /** Logits for n = B T places. @param {number[]} ids @param {number} B @param {number} T */
  forward(ids, B, T) {
    const { width: D, heads: H, layers: L } = this.shape;
    const [K, n, V] = [D / H, B * T, this.vocabulary.length];
    const [embed, places] = [this.w("embed.weight"), this.w("positions.weight")];
    const x = this.layers[0].x;
    for (let r = 0; r < n; r++)
      for (let k = 0; k < D; k++) x[r * D + k] = embed[ids[r] * D + k] + places[(r % T) * D + k];
    for (let l = 0; l < L; l++) {
      const at = `blocks.${l}`;
      const s = this.layers[l];
      norm(s.x, this.w(`${at}.norm1.weight`), s.h1, n);
      multiply(s.h1, this.w(`${at}.attention.qkv.weight`), s.qkv, n, 3 * D, D);
      this.attend(s, B, T, H, K);
      multiply(s.mixed, this.w(`${at}.attention.o.weight`), s.mid, n, D, D);
      for (let k = 0; k < n * D; k++) s.mid[k] += s.x[k];
      norm(s.mid, this.w(`${at}.norm2.weight`), s.h2, n);
      multiply(s.h2, this.w(`${at}.mlp.up.weight`), s.up, n, 4 * D, D);
      for (let k = 0; k < n * 4 * D; k++) s.act[k] = s.up[k] > 0 ? s.up[k] * s.up[k] : 0;
      const next = l + 1 < L ? this.layers[l + 1].x : this.last;
      multiply(s.act, this.w(`${at}.mlp.down.weight`), next, n, D, 4 * D);
      for (let k = 0; k < n * D; k++) next[k] += s.mid[k];
    }
    norm(this.last, this.w("norm.weight"), this.final, n);
    multiply(this.final, embed, this.logits, n, V, D);
  }

  /** @param {Trainer["layers"][0]} s @param {number} B @param {number} T @param {number} H
   * @param {number} K */
  attend(s, B, T, H, K) {
    const D = H * K;
    const scale = 1 / Math.sqrt(K);
    s.mixed.fill(0, 0, B * T * D);
    for (let b = 0; b < B; b++)
      for (let h = 0; h < H; h++)
        for (let t = 0; t < T; t++) {
          const q = (b * T + t) * 3 * D + h * K;
          const row = ((b * H + h) * T + t) * T;
          let most = -Infinity;
          for (let j = 0; j <= t; j++) {
            let dot = 0;
            for (let i = 0, k = (b * T + j) * 3 * D + D + h * K; i < K; i++) dot += s.qkv[q + i] * s.qkv[k + i];
            s.att[row + j] = dot * scale;
            most = Math.max(most, s.att[row + j]);
          }
          let sum = 0;
          for (let j = 0; j <= t; j++) sum += s.att[row + j] = Math.exp(s.att[row + j] - most);
          for (let j = 0; j <= t; j++) {
            const a = (s.att[row + j] /= sum);
            for (let i = 0, v = (b * T + j) * 3 * D + 2 * D + h * K, o = (b * T + t) * D + h * K; i < K; i++) s.mixed[o + i] += a * s.qkv[v + i];
          }
        }
  }

  /** Mean loss in nats over a batch; its gradient by the logits is left in `dLogits`.
   * @param {number[]} targets */
  loss(targets) {
    const [V, n] = [this.vocabulary.length, targets.length];
    let total = 0;
    for (let r = 0; r < n; r++) {
      const at = r * V;
      let [most, sum] = [-Infinity, 0];
      for (let c = 0; c < V; c++) most = Math.max(most, this.logits[at + c]);
      for (let c = 0; c < V; c++) sum += this.dLogits[at + c] = Math.exp(this.logits[at + c] - most);
      total += Math.log(sum) + most - this.logits[at + targets[r]];
      for (let c = 0; c < V; c++) this.dLogits[at + c] /= sum * n;
      this.dLogits[at + targets[r]] -= 1 / n;
    }
    return total / n;
  }

  /** @param {number[]} ids */
  backward(ids) {
    const { width: D, heads: H, layers: L, context: T, batch: B } = this.shape;
    const [K, n, V] = [D / H, B * T, this.vocabulary.length];
    for (const g of this.grads.values()) g.fill(0);
    const g = (/** @type {string} */ name) => /** @type {Float32Array} */ (this.grads.get(name));
    const { dx, dh, dMid, dUp, dQkv } = this;
    dh.fill(0);
    multiplyBack(this.dLogits, this.final, this.w("embed.weight"), dh, g("embed.weight"), n, V, D);
    dx.fill(0);
    normBack(dh, this.last, this.w("norm.weight"), dx, g("norm.weight"), n);
    for (let l = L - 1; l >= 0; l--) {
      const at = `blocks.${l}`;
      const s = this.layers[l];
      dUp.fill(0);
      multiplyBack(dx, s.act, this.w(`${at}.mlp.down.weight`), dUp, g(`${at}.mlp.down.weight`), n, D, 4 * D);
      for (let k = 0; k < n * 4 * D; k++) dUp[k] *= s.up[k] > 0 ? 2 * s.up[k] : 0;
      dh.fill(0);
      multiplyBack(dUp, s.h2, this.w(`${at}.mlp.up.weight`), dh, g(`${at}.mlp.up.weight`), n, 4 * D, D);
      dMid.set(dx); // the residual stream goes past
      normBack(dh, s.mid, this.w(`${at}.norm2.weight`), dMid, g(`${at}.norm2.weight`), n);
      dh.fill(0); // now by the heads' outputs
      multiplyBack(dMid, s.mixed, this.w(`${at}.attention.o.weight`), dh, g(`${at}.attention.o.weight`), n, D, D);
      this.attendBack(s, dh, dQkv, B, T, H, K);
      dh.fill(0);
      multiplyBack(dQkv, s.h1, this.w(`${at}.attention.qkv.weight`), dh, g(`${at}.attention.qkv.weight`), n, 3 * D, D);
      dx.set(dMid);
      normBack(dh, s.x, this.w(`${at}.norm1.weight`), dx, g(`${at}.norm1.weight`), n);
    }
    const [embed, places] = [g("embed.weight"), g("positions.weight")];
    for (let r = 0; r < n; r++)
      for (let k = 0; k < D; k++) {
        embed[ids[r] * D + k] += dx[r * D + k];
        places[(r % T) * D + k] += dx[r * D + k];
      }
  }

  /** @param {Trainer["layers"][0]} s @param {Float32Array} dOut @param {Float32Array} dQkv
   * @param {number} B @param {number} T @param {number} H @param {number} K */
  attendBack(s, dOut, dQkv, B, T, H, K) {
    const D = H * K;
    const scale = 1 / Math.sqrt(K);
    const da = new Float32Array(T);
    dQkv.fill(0);
    for (let b = 0; b < B; b++)
      for (let h = 0; h < H; h++)
        for (let t = 0; t < T; t++) {
          const row = ((b * H + h) * T + t) * T;
          const [o, q] = [(b * T + t) * D + h * K, (b * T + t) * 3 * D + h * K];
          let mean = 0;
          for (let j = 0; j <= t; j++) {
            const v = (b * T + j) * 3 * D + 2 * D + h * K;
            let dot = 0;
            for (let i = 0; i < K; i++) {
              dot += dOut[o + i] * s.qkv[v + i];
              dQkv[v + i] += s.att[row + j] * dOut[o + i];
            }
            da[j] = dot;
            mean += dot * s.att[row + j];
          }
          for (let j = 0; j <= t; j++) {
            const ds = s.att[row + j] * (da[j] - mean) * scale;
            const k = (b * T + j) * 3 * D + D + h * K;
            for (let i = 0; i < K; i++) {
              dQkv[q + i] += ds * s.qkv[k + i];
              dQkv[k + i] += ds * s.qkv[q + i];
            }
          }
        }
  }

  /** @param {number[]} starts */
  batch(starts) {
    const { context: T } = this.shape;
    const ids = starts.flatMap((a) => this.ids.slice(a, a + T));
    const targets = starts.flatMap((a) => this.ids.slice(a + 1, a + T + 1));
    return { ids, targets };
  }

  /** One step of AdamW (no decay). @param {Settings} settings
   * @returns {{loss: number, norm: number}} before the step; the norm before clipping */
  train({ lr, clip, warmup }) {
    const { ids, targets } = this.batch(this.starts(this.step));
    this.forward(ids, this.shape.batch, this.shape.context);
    const loss = this.loss(targets);
    this.backward(ids);
    let sum = 0;
    for (const g of this.grads.values()) for (let i = 0; i < g.length; i++) sum += g[i] * g[i];
    const length = Math.sqrt(sum);
    const shrink = clip && length > clip ? clip / (length + 1e-6) : 1;
    this.step++;
    const rate = lr * Math.min(1, this.step / Math.max(1, warmup));
    const [b1, b2] = [0.9, 0.95];
    const [c1, c2] = [1 - b1 ** this.step, 1 - b2 ** this.step];
    for (const [name, w] of this.weights) {
      const [g, m, v] = [this.grads, this.first, this.second].map((all) => /** @type {Float32Array} */ (all.get(name)));
      for (let i = 0; i < w.length; i++) {
        const gi = g[i] * shrink;
        m[i] = b1 * m[i] + (1 - b1) * gi;
        v[i] = b2 * v[i] + (1 - b2) * gi * gi;
        w[i] -= (rate * (m[i] / c1)) / (Math.sqrt(v[i] / c2) + 1e-8);
      }
    }
    return { loss, norm: length };
  }

  /** Mean loss on held-out windows. @param {number} [batches] */
  heldOut(batches = 2) {
    let sum = 0;
    for (let i = 0; i < batches; i++) {
      const { ids, targets } = this.batch(this.starts(i, true));
      this.forward(ids, this.shape.batch, this.shape.context);
      sum += this.loss(targets);
    }
    return sum / batches;
  }

  /** Text by the model as it is now. @param {number} count @param {number} temperature */
  sample(count, temperature) {
    const { context: T } = this.shape;
    const V = this.vocabulary.length;
    const ids = this.ids.slice(this.cut, this.cut + 1);
    while (ids.length <= count) {
      const seen = ids.slice(-T);
      this.forward(seen, 1, seen.length);
      const z = this.logits.slice((seen.length - 1) * V, seen.length * V).map((x) => x / temperature);
      if (!z.every(Number.isFinite)) break;
      ids.push(draw(softmax(z), ranked(z), uniform(this.seed + 3, ids.length)));
    }
    return ids.slice(1).map((id) => this.vocabulary[id]).join("");
  }
}
