// Train here: a GPT of some 27 thousand parameters learns the characters of a text in a Worker,
// while the page shows its loss, its gradients and what it writes.

import { whole } from "../runtime/bytes.js";
import { asset } from "../runtime/client.js";
// @ts-ignore: the build puts the bundled worker here, as text
import source from "worker:../runtime/trainer-worker.js";
import { frame, h, s, slider } from "../ui/dom.js";
import css from "./train.css";

/** @typedef {import("../runtime/client.js").Host} Host */

const MOST = 1000; // steps
const RATES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1];
const LEAST = 640; // characters
const [HIGH, LOW] = [190, 80];

/** @param {{model: Host, el: HTMLElement}} given */
function render({ model: host, el }) {
  const options = host.get("options") ?? {};
  const body = frame(el, "Train here: a small GPT learns the characters of a text in your browser");
  /** @type {Worker | null} */
  let worker = null;
  let seed = options.seed ?? 1;
  let [running, fresh] = [false, true];
  /** @type {number[]} */
  let losses = [];
  /** @type {number[]} */
  let norms = [];
  /** @type {[number, number][]} */
  let held = [];
  /** @type {{size: number, vocabulary: number, unigram: number, characters: number, leftOut: number} | null} */
  let about = null;
  /** @type {{name: string, text?: string, file?: ArrayBuffer} | null} what was dropped in */
  let dropped = null;
  let [spent, asked] = [0, 0];
  const settings = { lr: 0.003, clip: 1, warmup: 20 };

  const go = h("button", { type: "button", class: "main", onclick: toggle }, "Train");
  const again = h("button", { type: "button", disabled: true, onclick: restart }, "Start again");
  const keep = h("button", { type: "button", disabled: true, onclick: () => tell({ wanted: true }) }, "Save the model");
  const rate = slider({
    label: "Learning rate", min: 0, max: RATES.length - 1, step: 1, value: 3, show: (v) => String(RATES[v]),
    change: (v) => tell({ settings: { lr: (settings.lr = RATES[v]) } }),
  });
  const clip = h("input", { type: "checkbox", checked: true, onchange: () => tell({ settings: { clip: (settings.clip = clip.checked ? 1 : 0) } }) });
  const own = h("textarea", { rows: 2, spellcheck: "false", placeholder: "Paste a text here; without one the course's tales are learned.", oninput: restart });
  const file = h("input", { type: "file", accept: ".txt,.safetensors,text/plain", "aria-label": "or a file: a text, or a model that was saved", onchange: () => take(file.files?.[0]) });
  const facts = h("p", { class: "small muted facts" });
  const said = h("p", { class: "said small", role: "status" });
  const loss = h("div", { class: "chart" });
  const size = h("div", { class: "chart" });
  const samples = h("ol", { class: "samples", tabindex: 0, "aria-label": "What the model writes, the newest first" });
  body.append(
    h("style", {}, css),
    h("div", { class: "stack" },
      h("div", { class: "row" }, go, again, rate.element, h("label", { class: "row small tick" }, clip, "clip gradients at 1"), keep),
      h("label", { class: "small" }, `Your own text, ${LEAST} characters or more`, own),
      file,
      facts,
      h("div", {}, h("p", { class: "title" }, "Loss, nats a character"), loss),
      h("div", {}, h("p", { class: "title" }, "Length of the gradient, before clipping"), size),
      said,
      h("div", {}, h("p", { class: "title" }, "What it writes"), samples),
    ),
  );
  body.addEventListener("dragover", (event) => event.preventDefault());
  body.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer?.files[0]);
  });
  draw();
  new ResizeObserver(() => draw()).observe(body);

  /** A file: a model to go on from, or a text. @param {File | undefined} chosen */
  async function take(chosen) {
    if (!chosen) return;
    const { name } = chosen;
    if (name.endsWith(".safetensors")) {
      if (chosen.size > 4e6) return say(`This cannot be learned: ${name} has ${(chosen.size / 1e6).toFixed(1)} MB, and pages take 4 MB at most.`, true);
      dropped = { ...dropped, name, file: await chosen.arrayBuffer() };
    } else dropped = { ...dropped, name, text: (await chosen.slice(0, 2e6).text()).slice(0, 1e6) };
    restart();
  }

  /** @param {any} message */
  function tell(message) {
    worker?.postMessage(message);
  }

  function restart() {
    worker?.terminate();
    worker = null;
    asked++;
    [running, fresh, spent, about] = [false, true, 0, null];
    [losses, norms, held] = [[], [], []];
    samples.replaceChildren();
    say("");
    draw();
  }

  /** @param {string} words @param {boolean} [wrong] */
  function say(words, wrong = false) {
    said.textContent = words;
    said.classList.toggle("warn", wrong);
  }

  async function toggle() {
    if (!fresh) {
      running = !running;
      tell({ running, most: MOST, settings });
      return draw();
    }
    const mine = ++asked;
    [fresh, running] = [false, true];
    draw();
    try {
      const text = own.value || dropped?.text || new TextDecoder().decode(whole(await asset(host, "stories.txt")));
      if (mine !== asked) return;
      const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      worker = new Worker(address);
      URL.revokeObjectURL(address);
      worker.onmessage = ({ data }) => mine === asked && heard(data);
      tell({ text, seed, file: dropped?.file, running: true, most: MOST, settings });
    } catch (error) {
      [fresh, running] = [true, false];
      say(`The text could not be loaded: ${/** @type {Error} */ (error).message}. Train again to try again, or paste one.`, true);
      draw();
    }
  }

  /** @param {any} data */
  function heard(data) {
    if (data.error) {
      dropped = null;
      file.value = "";
      restart();
      return say(`This cannot be learned: ${data.error}.`, true);
    }
    if (data.file) {
      const address = URL.createObjectURL(new Blob([data.file]));
      h("a", { href: address, download: `trained-here-${data.step}.safetensors` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 1000);
      return;
    }
    if (data.size) {
      about = data;
      return draw();
    }
    if (data.held !== undefined) held.push([data.at, data.held]);
    losses.push(...data.losses);
    norms.push(...data.norms);
    spent += data.milliseconds;
    if (data.sample !== undefined) {
      const at = held[held.length - 1][0];
      samples.prepend(h("li", {}, h("span", { class: "muted" }, `step ${at}, ${data.held.toFixed(2)} nats  `), data.sample));
      while (samples.children.length > 40) samples.lastChild?.remove();
    }
    const last = losses[losses.length - 1];
    if (!data.running && running) {
      running = false;
      if (!Number.isFinite(last)) say(`At step ${losses.length} the loss is no number any more: the weights have run away. Start again with a lower rate.`, true);
      else if (losses.length >= MOST) say(`${MOST} steps done.`);
    } else if (about && losses.length > 30 && last > Math.log(about.vocabulary) + 0.3)
      say("The loss is above that of a model which knows nothing: this rate is too high.", true);
    else if (said.classList.contains("warn") && running) say("");
    draw();
  }

  function draw() {
    go.textContent = running ? "Pause" : losses.length ? "Go on" : "Train";
    go.disabled = losses.length >= MOST || (!running && !Number.isFinite(losses[losses.length - 1] ?? 0));
    again.disabled = fresh;
    keep.disabled = !about || !losses.length;
    if (!about) facts.textContent = `${dropped ? `${dropped.file ? "A saved model" : "A text"} from ${dropped.name} is taken.` : "Nothing is loaded."} What you give stays on this page.`;
    else {
      const n = losses.length;
      const mean = n ? losses.slice(-20).reduce((a, b) => a + b, 0) / Math.min(20, n) : null;
      facts.textContent = `${about.size.toLocaleString("en")} parameters, ${about.vocabulary} characters, a text of ${about.characters.toLocaleString("en")}, a tenth of it held out${about.leftOut ? `, ${about.leftOut.toLocaleString("en")} left out that the model does not know` : ""}. Step ${n} of ${MOST}${spent ? `, ${((1000 * n) / spent).toFixed(0)} a second` : ""}${mean === null || !Number.isFinite(mean) ? "" : `: ${mean.toFixed(2)} nats = ${(mean / Math.LN2).toFixed(2)} bits a character`}.`;
    }
    const top = about ? Math.max(Math.log(about.vocabulary) + 0.6, 1) : 4.2;
    loss.replaceChildren(plot(HIGH, losses, [0, top], (y) => y, [0, 1, 2, 3, 4, 5].filter((y) => y < top), about
      ? [[Math.log(about.vocabulary), "knows nothing"], [about.unigram, "counts letters"]] : [], held));
    size.replaceChildren(plot(LOW, norms, [-2, 2], (y) => Math.log10(Math.max(y, 0.011)), [0.1, 1, 10], [], []));
  }

  /**
   * A curve over the steps. Where there are more points than pixels, each pixel is a mean.
   * @param {number} high @param {number[]} values @param {[number, number]} range
   * @param {(y: number) => number} scale @param {number[]} ticks @param {[number, string][]} lines
   * @param {[number, number][]} dots
   */
  function plot(high, values, [low, top], scale, ticks, lines, dots) {
    const wide = loss.clientWidth || 660;
    const x = (/** @type {number} */ step) => 34 + ((wide - 40) * step) / MOST;
    const y = (/** @type {number} */ v) => {
      const share = (scale(v) - low) / (top - low);
      return (high - 16) * (1 - Math.min(1.02, Math.max(-0.02, share))) + 4;
    };
    const last = values[values.length - 1];
    const svg = s("svg", { width: wide, height: high, role: "img", "aria-label": values.length ? `${values.length} steps; now ${Number.isFinite(last) ? last.toFixed(2) : "no number"}` : "no steps yet" });
    for (const tick of ticks) svg.append(s("line", { x1: 34, x2: wide - 6, y1: y(tick), y2: y(tick), class: "rule" }), s("text", { x: 28, y: y(tick) + 4, class: "tick" }, String(tick)));
    for (const [v, name] of lines) svg.append(s("line", { x1: 34, x2: wide - 6, y1: y(v), y2: y(v), class: "known" }), s("text", { x: wide - 8, y: y(v) - 5, class: "name" }, name));
    const every = Math.max(1, Math.ceil(values.length / 300));
    /** @type {string[]} */
    const points = [];
    for (let i = 0; i < values.length; i += every) {
      const some = values.slice(i, i + every);
      const mean = some.reduce((a, b) => a + b, 0) / some.length;
      if (Number.isFinite(mean)) points.push(`${x(i + some.length / 2).toFixed(1)},${y(mean).toFixed(1)}`);
    }
    svg.append(s("polyline", { points: points.join(" "), class: "curve" }));
    for (const [step, v] of dots) if (Number.isFinite(v)) svg.append(s("circle", { cx: x(step), cy: y(v), r: 3.2, class: "held" }));
    if (dots.length) {
      const [step, v] = dots[dots.length - 1];
      if (Number.isFinite(v)) svg.append(s("text", { x: Math.min(x(step) + 7, wide - 60), y: y(v) - 8, class: "held-name" }, "held out"));
    }
    return svg;
  }
}

export default { render };
