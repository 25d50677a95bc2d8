// A model that was trained in the page, as a file of the package's (`checkpoint.load` opens it), and
// back again: also one that the package trained, of the same form and over characters.

import { crc32 } from "./bytes.js";
import { readSafetensors } from "./safetensors.js";

/** @typedef {import("./trainer.js").Shape} Shape */
/** @typedef {{shape: Omit<Shape, "batch">, characters: string[], weights: Map<string, Float32Array>}} Trained */

const FORM = {
  norm: "rms", norm_place: "pre", mlp: "relu2", positions: "learned", qk_norm: false, bias: false, tied: true, window: null,
};
const MOST = 500_000; // parameters: what a page trains in minutes

/** Every weight's shape by its name. @param {Omit<Shape, "batch">} shape @param {number} V */
export function shapes({ width: D, layers: L, context: T }, V) {
  /** @type {[string, number[]][]} */
  const all = [["embed.weight", [V, D]], ["positions.weight", [T, D]]];
  for (let l = 0; l < L; l++)
    all.push(
      [`blocks.${l}.norm1.weight`, [D]],
      [`blocks.${l}.attention.qkv.weight`, [3 * D, D]],
      [`blocks.${l}.attention.o.weight`, [D, D]],
      [`blocks.${l}.norm2.weight`, [D]],
      [`blocks.${l}.mlp.up.weight`, [4 * D, D]],
      [`blocks.${l}.mlp.down.weight`, [D, 4 * D]],
    );
  all.push(["norm.weight", [D]]);
  return new Map(all);
}

/** A safetensors file. @param {Trained} trained @returns {ArrayBuffer} */
export function toFile({ shape, characters, weights }) {
  const { width, heads, layers, context } = shape;
  const size = [...weights.values()].reduce((n, w) => n + w.length, 0);
  const data = new Float32Array(size);
  /** @type {Record<string, any>} */
  const header = {};
  let at = 0;
  for (const [name, like] of shapes(shape, characters.length)) {
    const w = /** @type {Float32Array} */ (weights.get(name));
    data.set(w, at);
    header[name] = { dtype: "F32", shape: like, data_offsets: [4 * at, 4 * (at + w.length)] };
    at += w.length;
  }
  const config = { ...FORM, vocab_size: characters.length, context, width, heads, kv_heads: heads, layers, hidden: 4 * width, eps: 1e-5 };
  const extra = { characters, crc: crc32(new Uint8Array(data.buffer)) };
  header.__metadata__ = { llmcourse: JSON.stringify({ kind: "GPT", config, dtype: "float32", extra }) };
  let text = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(32);
  padded.set(text);
  const file = new Uint8Array(8 + padded.length + data.byteLength);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded.length), true);
  file.set(padded, 8);
  file.set(new Uint8Array(data.buffer), 8 + padded.length);
  return file.buffer;
}

/** Throws a sentence where the file is damaged, or is another model's. @param {ArrayBuffer} buffer
 * @returns {Trained} */
export function fromFile(buffer) {
  const { tensors, config, extra } = readSafetensors(buffer);
  for (const [key, value] of Object.entries(FORM))
    if ((config[key] ?? value) !== value) throw new Error(`pages train models with ${key} = ${value}, this has ${config[key]}`);
  const shape = { width: config.width, heads: config.heads, layers: config.layers, context: config.context };
  for (const [key, value] of Object.entries(shape))
    if (!(Number.isInteger(value) && value > 0 && value <= 1024)) throw new Error(`the weights are damaged: ${key} is ${value}`);
  if (shape.width % 4 || shape.width % shape.heads) throw new Error(`pages train widths that divide by 4 and by the heads, got ${shape.width} and ${shape.heads}`);
  if ((config.kv_heads ?? shape.heads) !== shape.heads || (config.hidden ?? 4 * shape.width) !== 4 * shape.width)
    throw new Error("pages train models with a key for every head and an MLP four times the width");
  const characters = typeof extra.characters === "string" ? [...extra.characters] : extra.characters;
  if (!Array.isArray(characters) || characters.some((c) => typeof c !== "string"))
    throw new Error("the file does not say its characters (extra: characters)");
  if (characters.length !== config.vocab_size) throw new Error(`the weights are damaged: ${characters.length} characters, ${config.vocab_size} tokens`);
  const weights = new Map();
  let size = 0;
  for (const [name, like] of shapes(shape, characters.length)) {
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`the weights are damaged: ${name} is missing`);
    if (String(tensor.shape) !== String(like)) throw new Error(`the weights are damaged: ${name} is ${tensor.shape.join(" × ")}, not ${like.join(" × ")}`);
    if (!tensor.data.every(Number.isFinite)) throw new Error(`the weights are damaged: ${name} holds what is no number`);
    size += tensor.data.length;
    weights.set(name, tensor.data);
  }
  if (size > MOST) throw new Error(`pages train ${MOST.toLocaleString("en")} parameters at most, this has ${size.toLocaleString("en")}`);
  if (extra.crc !== undefined) {
    const data = new Float32Array(size);
    let at = 0;
    for (const w of weights.values()) {
      data.set(w, at);
      at += w.length;
    }
    if (crc32(new Uint8Array(data.buffer)) !== extra.crc) throw new Error("the weights are damaged: their checksum differs");
  }
  return { shape, characters, weights };
}
