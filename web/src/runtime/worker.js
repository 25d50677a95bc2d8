import { whole } from "./bytes.js";
import { Engine } from "./engine.js";

/** @type {Engine | null} */
let engine = null;

/** @param {{weights: import("./bytes.js").Asset, tales: import("./bytes.js").Asset}} asked */
function load({ weights, tales }) {
  const words = JSON.parse(new TextDecoder().decode(whole(tales)));
  engine = new Engine(whole(weights).buffer, words);
  const { config } = engine.model;
  return { config, parameters: engine.model.embed.length };
}

addEventListener("message", ({ data: { id, method, asked } }) => {
  try {
    // @ts-ignore: the client names a method of Engine
    const result = method === "load" ? load(asked) : engine[method](asked);
    postMessage({ id, result });
  } catch (error) {
    postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
});
