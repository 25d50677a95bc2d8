// KV cache and cost: the course's model writes with its cache and without, and what each way reads
// and multiplies is counted; below, the same counts for a model of any form.

import { runtime } from "../runtime/client.js";
import { cost, gated } from "../runtime/cost.js";
import { choose, frame, h, s, slider } from "../ui/dom.js";
import css from "./cache.css";

/** @typedef {import("../runtime/client.js").Host} Host */
/** @typedef {import("../runtime/client.js").Runtime} Runtime */
/** @typedef {import("../runtime/cost.js").Form} Form */

const PROMPT = { en: "Once a baker named", zh: "从前" };
const MOST = 90; // tokens
const SIDE = 200; // of the picture
const powers = (/** @type {number} */ from, /** @type {number} */ to) => Array.from({ length: Math.log2(to / from) + 1 }, (_, i) => from * 2 ** i);
const WIDTHS = [64, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096, 8192, 16384];
const LAYERS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 80, 96, 128];
const CONTEXTS = [1, ...powers(16, 131072)];
/** @type {[string, Form & {context: number}][]} */
const MODELS = [
  ["the course's", { layers: 3, width: 192, heads: 4, groups: 4, hidden: 512, vocabulary: 1209, context: 128 }],
  ["7 billion", { layers: 32, width: 4096, heads: 32, groups: 32, hidden: 11008, vocabulary: 32000, context: 4096 }],
  ["70 billion, grouped", { layers: 80, width: 8192, heads: 64, groups: 8, hidden: 28672, vocabulary: 128256, context: 8192 }],
];
let figures = 0;

/** Three digits and a unit. @param {number} x @param {string[]} units @param {number} [step] */
function short(x, units, step = 1000) {
  let n = 0;
  while (x >= step * 0.9995 && n < units.length - 1) {
    x /= step;
    n++;
  }
  return `${n === 0 && Number.isInteger(x) ? x : x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2)} ${units[n]}`.trim();
}
const count = (/** @type {number} */ x) => (x < 1e4 ? x.toLocaleString("en") : short(x, ["", "thousand", "million", "billion", "× 10¹²", "× 10¹⁵", "× 10¹⁸", "× 10²¹"]));
const bytes = (/** @type {number} */ x) => short(x, ["B", "kB", "MB", "GB", "TB"]);

/** @param {{model: Host, el: HTMLElement}} given */
function render({ model: host, el }) {
  const options = host.get("options") ?? {};
  const language = options.language === "zh" ? "zh" : "en";
  const body = frame(el, "KV cache and cost: what a token costs with the cache and without it");
  /** @type {Runtime | null} */
  let run = null;
  let busy = false;
  /** @type {number[]} with the mark of the language */
  let ids = [];
  let text = options.prompt ?? PROMPT[language];
  /** @type {{read: number, work: number, milliseconds: number}[][]} by step: with, without */
  let steps = [];
  let lengths = /** @type {number[]} */ ([]); // of the text at each step
  let ended = false;

  const next = h("button", { type: "button", class: "main", onclick: () => write(1) }, "Next token");
  const ten = h("button", { type: "button", onclick: () => write(10) }, "Ten tokens");
  const again = h("button", { type: "button", disabled: true, onclick: reset }, "Start again");
  const said = h("p", { class: "said small muted", role: "status" });
  const story = h("p", { class: "story", lang: language, tabindex: 0, role: "group", "aria-label": "The text" });
  const picture = h("div", { class: "picture" });
  const live = table("What the model has read and multiplied so far", ["positions read", "multiply-adds", "time in your browser", "the last token: positions", "the last token: multiply-adds"]);
  let form = { ...MODELS[0][1] };
  let size = 2;
  const sliders = {
    layers: pick("Layers", LAYERS, form.layers, (v) => (form.layers = v)),
    width: pick("Width", WIDTHS, form.width, (v) => {
      form.width = v;
      form.hidden = gated(v);
    }),
    heads: pick("Heads", powers(1, 128), form.heads, (v) => (form.heads = v)),
    groups: pick("Heads with keys of their own", powers(1, 128), form.groups, (v) => (form.groups = v)),
    context: pick("Tokens in the context", CONTEXTS, form.context, (v) => (form.context = v)),
  };
  const any = table("The token at the end of the context, and the whole text", ["positions, last token", "positions, whole text", "multiply-adds, last token", "multiply-adds, whole text", "read from memory, last token"]);
  const facts = h("p", { class: "small facts", role: "status" });
  body.append(
    h("style", {}, css),
    h("div", { class: "stack" },
      h("div", { class: "row" }, next, ten, again),
      said,
      story,
      h("div", { class: "two" }, picture, live.element),
      h("hr"),
      h("p", { class: "title" }, "The same for a model of any form"),
      h("div", { class: "row" }, ...MODELS.map(([name, given]) => h("button", { type: "button", class: "set", onclick: () => take(given) }, name)),
        choose({ label: "Bytes a number", name: `bytes-${++figures}`, choices: [["4", "32 bits"], ["2", "16"], ["1", "8"]], value: "2", change: (v) => { size = Number(v); show(); } })),
      h("div", { class: "sliders" }, ...Object.values(sliders).map((s) => s.element)),
      any.element,
      facts,
    ),
  );
  reset();
  show();

  /** @param {string} label @param {string[]} names */
  function table(label, names) {
    const cells = names.map(() => [h("td", { class: "right number" }, "–"), h("td", { class: "right number" }, "–")]);
    const element = h("table", {},
      h("caption", { class: "hidden" }, label),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span", { class: "hidden" }, "counted")), h("th", { scope: "col", class: "right with" }, "with a cache"), h("th", { scope: "col", class: "right" }, "without"))),
      h("tbody", {}, ...names.map((name, i) => h("tr", {}, h("th", { scope: "row" }, name), ...cells[i]))));
    return { element, fill: (/** @type {string[][]} */ rows) => rows.forEach((row, i) => row.forEach((value, j) => (cells[i][j].textContent = value))) };
  }

  /** @param {string} label @param {number[]} list @param {number} value @param {(v: number) => void} change */
  function pick(label, list, value, change) {
    const made = slider({
      label, min: 0, max: list.length - 1, step: 1, value: list.indexOf(value), show: (i) => list[i].toLocaleString("en"),
      change: (i) => {
        change(list[i]);
        show();
      },
    });
    return { ...made, put: (/** @type {number} */ v) => made.set(list.indexOf(v)) };
  }

  /** @param {Form & {context: number}} given */
  function take(given) {
    form = { ...given };
    show();
  }

  function show() {
    // A head has two channels at least, and a group has one head at least.
    while (form.width % form.heads || form.width / form.heads < 2) form.heads /= 2;
    form.groups = Math.min(form.groups, form.heads);
    for (const key of /** @type {("layers" | "width" | "heads" | "groups" | "context")[]} */ (Object.keys(sliders))) sliders[key].put(form[key]);
    const { rows, work, held, weights } = cost(form, form.context);
    any.fill([
      [rows.next, rows.anew].map(count), [rows.all, rows.allAnew].map(count), [work.next, work.anew].map(count), [work.all, work.allAnew].map(count),
      [bytes(size * (weights + held * form.context)), bytes(size * weights)],
    ]);
    facts.textContent = `${count(weights)} weights, ${bytes(size * weights)}. The cache holds 2 × ${form.layers} × ${form.groups} × ${form.width / form.heads} numbers a position, ${bytes(size * held)}: for this context ${bytes(size * held * form.context)}, as much as ${((held * form.context) / weights).toPrecision(2).replace(/e[+]?(-?\d+)/, "·10^$1")} of the weights.`;
  }

  function reset() {
    ids = [];
    steps = [];
    lengths = [];
    ended = false;
    text = options.prompt ?? PROMPT[language];
    story.replaceChildren(text);
    say(run ? "" : "The model, 2.1 MB, is loaded when you first ask.");
    draw();
  }

  /** @param {string} words @param {boolean} [wrong] */
  function say(words, wrong = false) {
    said.textContent = words;
    said.classList.toggle("warn", wrong);
  }

  /** @param {number} tokens */
  async function write(tokens) {
    if (busy) return;
    busy = true;
    draw();
    try {
      if (!run) {
        say("The model is being loaded …");
        run = await runtime(host);
      }
      if (!ids.length) {
        const begun = await run.tokenize({ text });
        const mark = await run.mark(language);
        ids = [mark, ...begun.ids];
        await run.forget({});
      }
      const stop = await run.mark("end");
      for (let i = 0; i < tokens && !ended && ids.length < MOST; i++) {
        const cached = await run.greedy({ ids, cached: true });
        const anew = await run.greedy({ ids, cached: false });
        if (cached.id !== anew.id) throw new Error(`the two ways differ: ${cached.id} and ${anew.id}`);
        steps.push([cached, anew]);
        lengths.push(ids.length);
        ids.push(cached.id);
        ended = cached.id === stop;
        const { pieces } = await run.read({ language, ids: ids.slice(1).filter((id) => id !== stop) });
        story.textContent = pieces.map((p) => (typeof p === "number" ? "□" : p)).join("").trim();
        say(ended ? "The story ends here. Both ways wrote the same." : ids.length >= MOST ? `${MOST} tokens are shown at most. Both ways wrote the same.` : "Both ways wrote the same token.");
        draw();
      }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      say(run ? `This cannot be shown: ${why}.` : `The model could not be loaded: ${why}. Ask again to try again.`, true);
    }
    busy = false;
    draw();
  }

  function draw() {
    next.disabled = ten.disabled = busy || ended || ids.length >= MOST;
    again.disabled = busy || !steps.length;
    const sum = (/** @type {0 | 1} */ way, /** @type {"read" | "work" | "milliseconds"} */ key) => steps.reduce((n, s) => n + s[way][key], 0);
    const last = steps[steps.length - 1];
    const both = /** @type {(0 | 1)[]} */ ([0, 1]);
    if (!last) live.fill(Array.from({ length: 5 }, () => ["–", "–"]));
    else
      live.fill([
        both.map((w) => count(sum(w, "read"))), both.map((w) => count(sum(w, "work"))), both.map((w) => `${sum(w, "milliseconds").toFixed(0)} ms`),
        both.map((w) => count(last[w].read)), both.map((w) => count(last[w].work)),
      ]);
    // A line a step, a cell a position: blue is read with the cache, grey again without.
    const cell = SIDE / Math.max(24, lengths[lengths.length - 1] ?? 0);
    const path = (/** @type {0 | 1} */ way) =>
      steps.map((s, i) => {
        const from = way ? 0 : lengths[i] - s[0].read;
        const to = way ? lengths[i] - s[0].read : lengths[i];
        return to > from ? `M${(from * cell).toFixed(2)} ${(i * cell).toFixed(2)}h${((to - from) * cell).toFixed(2)}v${(cell * 0.9).toFixed(2)}h${((from - to) * cell).toFixed(2)}z` : "";
      }).join("");
    const svg = s("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, width: SIDE, height: SIDE, role: "img", "aria-label": `A line for each of ${steps.length} steps, a cell for each position read: with the cache ${sum(0, "read")}, without ${sum(1, "read")}` });
    for (const way of both) svg.append(s("path", { d: path(way), class: way ? "anew" : "once" }));
    picture.replaceChildren(svg, h("p", { class: "small muted" }, h("span", { class: "blue" }, "■"), " read with the cache, ", h("span", { class: "grey" }, "■"), " read again without. A line a step."));
  }
}

export default { render };
