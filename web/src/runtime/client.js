// The page's side of the Worker: one a page, whoever asks first starts it.

// @ts-ignore: the build puts the bundled worker here, as text
import source from "worker:./worker.js";

/** The host of a figure: anywidget's model in a notebook, a stand-in of the same face on a page.
 * @typedef {{get(key: string): any, on(event: string, heard: Function): void,
 *   off(event: string, heard: Function): void, send(content: any): void}} Host */
/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {{[M in "step" | "forget" | "mark" | "tokenize" | "read" | "generate" | "allLogits" | "greedy" |
 *   "experiment" | "trueNext"]: (asked: Parameters<Engine[M]>[0]) => Promise<ReturnType<Engine[M]>>}} Runtime */

const KEY = Symbol.for("llmcourse.runtime");
/** @type {any} */
const shared = globalThis;

/**
 * A file of the package, from the page's folder or from the notebook's kernel.
 * @param {Host} host
 * @param {string} name
 * @returns {Promise<import("./bytes.js").Asset>}
 */
export function asset(host, name) {
  return new Promise((resolve, reject) => {
    const heard = (/** @type {any} */ message, /** @type {any[]} */ buffers) => {
      if (message?.asset !== name) return;
      host.off("msg:custom", heard);
      if (message.error) return reject(new Error(message.error));
      const view = buffers?.[0];
      const bytes = view?.buffer
        ? view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)
        : view;
      resolve({ data: message.base64 ?? bytes, size: message.size, crc: message.crc });
    };
    host.on("msg:custom", heard);
    host.send({ want: name });
  });
}

/**
 * The model in its Worker. A failure is forgotten, so that asking again tries again.
 * @param {Host} host
 * @returns {Promise<Runtime>}
 */
export function runtime(host) {
  shared[KEY] ??= start(host).catch((error) => {
    delete shared[KEY];
    throw error;
  });
  return shared[KEY];
}

/** @param {Host} host */
async function start(host) {
  const [weights, tales] = await Promise.all([
    asset(host, "model.safetensors"),
    asset(host, "tales.json"),
  ]);
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(address);
  URL.revokeObjectURL(address);
  /** @type {Map<number, {resolve: Function, reject: Function}>} */
  const waiting = new Map();
  let last = 0;
  worker.addEventListener("message", ({ data: { id, result, error } }) => {
    const asker = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) asker?.resolve(result);
    else asker?.reject(new Error(error));
  });
  const call = (/** @type {string} */ method, /** @type {any} */ asked) =>
    new Promise((resolve, reject) => {
      waiting.set(++last, { resolve, reject });
      worker.postMessage({ id: last, method, asked });
    });
  try {
    await call("load", { weights, tales });
  } catch (error) {
    worker.terminate();
    throw error;
  }
  return /** @type {Runtime} */ (
    new Proxy({}, {
      // A promise resolves to this: it must not look like a promise itself.
      get: (_, method) => (method === "then" ? undefined : (/** @type {any} */ asked) => call(String(method), asked)),
    })
  );
}
