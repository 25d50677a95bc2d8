// Weights as the package ships them: a JSON header, then raw numbers. Matrices in int8 have one
// scale a row beside them (`name.scale`); they become 32-bit floats once, when they are read.

/** @typedef {{shape: number[], data: Float32Array}} Tensor */

/** @type {Record<string, number>} bytes of one number */
const SIZE = { F32: 4, I8: 1 };

/**
 * @param {ArrayBuffer} buffer
 * @returns {{tensors: Map<string, Tensor>, config: Record<string, any>, extra: Record<string, any>}}
 */
export function readSafetensors(buffer) {
  const header = readHeader(buffer);
  let about = null;
  try {
    about = JSON.parse(header.__metadata__?.llmcourse ?? "null");
  } catch {} // told below
  if (!about?.config) throw new Error("the file holds no model of this course");
  const start = 8 + Number(new DataView(buffer).getBigUint64(0, true));
  /** @type {Map<string, Tensor>} */
  const tensors = new Map();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__" || name.endsWith(".scale")) continue;
    const scale = header[`${name}.scale`];
    const raw = numbers(buffer, start, name, entry);
    tensors.set(name, {
      shape: entry.shape,
      data:
        raw instanceof Int8Array
          ? dequantise(raw, numbers(buffer, start, name, scale), entry.shape[1])
          : raw,
    });
  }
  return { tensors, config: about.config, extra: about.extra ?? {} };
}

/**
 * @param {ArrayBuffer} buffer
 * @returns {Record<string, any>}
 */
function readHeader(buffer) {
  const damaged = new Error("the weights are damaged: their header does not read");
  if (buffer.byteLength < 8) throw damaged;
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  if (length > buffer.byteLength - 8) throw damaged;
  try {
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
    if (header && typeof header === "object") return header;
    throw damaged;
  } catch {
    throw damaged;
  }
}

/**
 * @param {ArrayBuffer} buffer
 * @param {number} start
 * @param {string} name
 * @param {any} entry
 */
function numbers(buffer, start, name, entry) {
  const [from, to] = entry?.data_offsets ?? [0, -1];
  const count = entry?.shape?.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
  if (to - from !== count * SIZE[entry?.dtype] || start + to > buffer.byteLength)
    throw new Error(`the weights are damaged: ${name} is cut short`);
  // A copy, since a float may lie at an address that is no multiple of four.
  const bytes = buffer.slice(start + from, start + to);
  return entry.dtype === "I8" ? new Int8Array(bytes) : new Float32Array(bytes);
}

/**
 * @param {Int8Array} raw
 * @param {Float32Array | Int8Array} scale
 * @param {number} columns
 */
function dequantise(raw, scale, columns) {
  const out = new Float32Array(raw.length);
  for (let i = 0, row = 0; i < raw.length; row++) {
    const s = scale[row];
    for (const end = i + columns; i < end; i++) out[i] = raw[i] * s;
  }
  return out;
}
