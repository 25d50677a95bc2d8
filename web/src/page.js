// A classic script, so that it also runs from file://. It defines the element <lc-live>, which
// mounts a figure's module and plays the part that a notebook's kernel plays for anywidget.

/** @typedef {{source?: string, base64?: string, size?: number, crc?: number}} Piece */

const home = new URL(".", /** @type {HTMLScriptElement} */ (document.currentScript).src);
/** @type {Map<string, Piece>} what the loaded scripts put here */
const files = new Map();
/** @type {any} */ (globalThis).llmcourseLive = {
  put: (/** @type {string} */ name, /** @type {Piece} */ file) => files.set(name, file),
};

/** A file beside this script, as a script, since a folder opened from disk lets none be fetched.
 * @param {string} name @returns {Promise<Piece>} */
function load(name) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const missing = () => reject(new Error(`${name} did not load`));
    script.onerror = missing;
    script.onload = () => {
      script.remove();
      const file = files.get(name);
      files.delete(name);
      if (file) resolve(file);
      else missing();
    };
    script.src = new URL(`${name}.js`, home).href;
    document.head.append(script);
  });
}

/** anywidget's model, as far as figures use it. @param {Record<string, any>} options */
function host(options) {
  /** @type {Map<string, Set<Function>>} */
  const heard = new Map();
  const tell = (/** @type {any[]} */ ...args) => heard.get("msg:custom")?.forEach((f) => f(...args));
  return {
    get: (/** @type {string} */ key) => (key === "options" ? options : undefined),
    set() {},
    save_changes() {},
    on: (/** @type {string} */ event, /** @type {Function} */ f) =>
      void heard.set(event, (heard.get(event) ?? new Set()).add(f)),
    off: (/** @type {string} */ event, /** @type {Function} */ f) => void heard.get(event)?.delete(f),
    /** @param {{want: string}} asked */
    send({ want }) {
      load(want).then(
        (file) => tell({ asset: want, ...file }, []),
        (error) => tell({ asset: want, error: error.message }, []),
      );
    },
  };
}

customElements.define(
  "lc-live",
  class extends HTMLElement {
    async connectedCallback() {
      const figure = this.dataset.figure ?? "";
      const place = document.createElement("div");
      try {
        const { source = "" } = await load(figure);
        const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
        const { default: module } = await import(address);
        URL.revokeObjectURL(address);
        module.render({ model: host(JSON.parse(this.dataset.options ?? "{}")), el: place });
        this.append(place);
        this.setAttribute("data-state", "live");
      } catch (error) {
        console.error(`the live figure ${figure}:`, error);
        this.setAttribute("data-state", "still"); // the still figure shows again
      }
    }
  },
);
