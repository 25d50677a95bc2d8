// From what a page or a notebook hands over to bytes that are known to be whole.

/** @typedef {{data: string | ArrayBuffer, size: number, crc: number}} Asset base64 or bytes */

/**
 * @param {Asset} asset
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function whole({ data, size, crc }) {
  /** @type {Uint8Array<ArrayBuffer>} */
  let bytes;
  try {
    bytes = typeof data === "string" ? fromBase64(data) : new Uint8Array(data);
  } catch {
    throw new Error("the file is damaged: it is no base64");
  }
  if (bytes.length !== size)
    throw new Error(`the file is cut short: ${bytes.length} of ${size} bytes came`);
  if (crc32(bytes) !== crc) throw new Error("the file is damaged: its checksum differs");
  return bytes;
}

/** @param {string} text */
function fromBase64(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n >>> 0;
});

/** The CRC-32 of zip and PNG (`zlib.crc32`). @param {Uint8Array} bytes */
export function crc32(bytes) {
  let crc = ~0;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[i]) & 255];
  return ~crc >>> 0;
}
