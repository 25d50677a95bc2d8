// Time machine: one small model at a dozen moments of its training. What each kind of choice costs,
// what the heads look at in one text, the next word there, and what the model writes.

import { whole } from "../runtime/bytes.js";
import { asset } from "../runtime/client.js";
import { frame, h, percent, s, slider } from "../ui/dom.js";
import heads from "../ui/heads.css";
import css from "./time.css";

/** @typedef {import("../runtime/client.js").Host} Host */
/** @typedef {{step: number, bits: number, interval: number[], excess: Record<string, number>,
 *   next: Record<string, number>, samples: string[], attention: string[]}} Moment */
/** @typedef {{settings: Record<string, number>, entropy: number, kinds: Record<string, number>,
 *   text: string, pieces: string[], truth: Record<string, number>, moments: Moment[]}} Film */

const ROWS = 9; // kinds of choice
const NEXT = 6;
const MOMENTS = 12;
const HEADS = 8;
/** @type {Record<string, string>} */
const MEANING = {
  form: "what the grammar leaves no choice", name: "a new name", free: "free variation", thing: "a thing",
  cause: "what follows from what", mood: "good or bad", recall: "a name from before", track: "who is meant",
  agreement: "he or she, a or an",
};

/** @param {{model: Host, el: HTMLElement}} given */
function render({ model: host, el }) {
  const body = frame(el, "Time machine: one model at twelve moments of its training");
  /** @type {Film | null} */
  let film = null;
  let [at, head, busy] = [0, 0, false];

  const open = h("button", { type: "button", class: "main", onclick: load }, "Open");
  const time = slider({ label: "Training steps done", min: 0, max: MOMENTS - 1, step: 1, value: 0, show: (i) => (film ? film.moments[i].step.toLocaleString("en") : "–"), change: (i) => { at = i; show(); } });
  time.input.disabled = true;
  const said = h("p", { class: "said small muted", role: "status" });
  const chart = h("div", { class: "chart" });
  const rows = Array.from({ length: ROWS }, () => {
    const name = h("th", { scope: "row" }, "–");
    const cells = [h("td", { class: "right number" }), h("td", { class: "right number" })];
    return { element: h("tr", {}, name, ...cells), name, cells };
  });
  const all = [h("td", { class: "right number" }, "–"), h("td", { class: "right number" }, "–")];
  const grid = h("div", { class: "grid", role: "toolbar", "aria-label": "The heads, a row for each layer. Arrow keys move.", onkeydown: walk });
  const text = h("p", { class: "text", tabindex: 0, role: "group", "aria-label": "The text, shaded by what the head looks at" });
  const which = h("p", { class: "title" }, "What a head looks at");
  const next = Array.from({ length: NEXT }, () => {
    const name = h("th", { scope: "row" }, "–");
    const cells = [h("td", { class: "right number" }), h("td", { class: "right number" })];
    return { element: h("tr", {}, name, ...cells), name, cells };
  });
  const samples = h("div", { class: "samples", tabindex: 0, role: "group", "aria-label": "What it writes at this moment, by the same luck each time" });
  body.append(
    h("style", {}, heads, css),
    h("div", { class: "stack" },
      h("div", { class: "row" }, open, time.element),
      said,
      h("div", {}, h("p", { class: "title" }, "Bits a story above the truth"), chart),
      h("table", { class: "kinds" },
        h("caption", { class: "hidden" }, "Bits a story by kind of choice"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "kind of choice"), h("th", { scope: "col", class: "right" }, "true bits"), h("th", { scope: "col", class: "right" }, "above them"))),
        h("tbody", {}, ...rows.map((r) => r.element), h("tr", { class: "all" }, h("th", { scope: "row" }, "all"), ...all))),
      h("div", { class: "two" },
        h("div", {}, h("p", { class: "title head" }, "The heads"), grid),
        h("div", { class: "stack tight" }, which, text,
          h("table", { class: "next" },
            h("caption", { class: "hidden" }, "The next word after the text"),
            h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "the next word"), h("th", { scope: "col", class: "right" }, "model"), h("th", { scope: "col", class: "right" }, "true"))),
            h("tbody", {}, ...next.map((r) => r.element))))),
      h("div", {}, h("p", { class: "title" }, "What it writes"), samples),
    ),
  );
  say("A tenth of a megabyte is loaded when you open it.");
  show();
  new ResizeObserver(draw).observe(chart);

  /** @param {string} words @param {boolean} [wrong] */
  function say(words, wrong = false) {
    said.textContent = words;
    said.classList.toggle("warn", wrong);
  }

  async function load() {
    if (busy || film) return;
    busy = true;
    say("It is being loaded …");
    try {
      film = /** @type {Film} */ (JSON.parse(new TextDecoder().decode(whole(await asset(host, "timemachine.json")))));
      head = teller(film);
      time.input.max = String(film.moments.length - 1);
      time.input.disabled = false;
      time.set(0);
      open.disabled = true;
      time.input.focus();
      const { parameters, stories, batch, tests } = film.settings;
      say(`${parameters.toLocaleString("en")} parameters learn ${stories.toLocaleString("en")} tales, ${batch} a step; judged on ${tests} others.`);
    } catch (error) {
      say(`It could not be loaded: ${error instanceof Error ? error.message : error}. Open it again to try again.`, true);
    }
    busy = false;
    show();
  }

  function show() {
    draw();
    if (!film) {
      grid.replaceChildren(...Array.from({ length: HEADS }, () => h("span", { class: "cell empty" })));
      text.textContent = "The text appears here, shaded by what one head looks at.";
      return;
    }
    const now = film.moments[at];
    const names = Object.keys(film.kinds);
    const most = Math.max(...film.moments.flatMap((m) => names.map((k) => m.excess[k])));
    rows.forEach(({ element, name, cells }, i) => {
      const kind = names[i];
      if (!film || !kind) return void (element.hidden = true);
      const excess = now.excess[kind];
      name.replaceChildren(kind, h("span", { class: "muted" }, ` ${MEANING[kind] ?? ""}`));
      cells[0].textContent = film.kinds[kind].toFixed(1);
      cells[1].textContent = bits(excess);
      element.style.setProperty("--share", String(Math.log1p(Math.max(0, excess)) / Math.log1p(most)));
    });
    all[0].textContent = film.entropy.toFixed(1);
    all[1].textContent = bits(now.bits);
    const size = film.pieces.length;
    const maps = now.attention.map((packed) => triangle(packed, size));
    const focused = grid.contains(/** @type {any} */ (el.shadowRoot?.activeElement));
    grid.style.setProperty("--heads", String(film.settings.heads));
    const label = (/** @type {number} */ i) => `${Math.floor(i / (film?.settings.heads ?? 1))}.${i % (film?.settings.heads ?? 1)}`;
    grid.replaceChildren(...maps.map((rows, i) =>
      h("button", {
        type: "button", class: `cell${i === head ? " here" : ""}`, tabindex: i === head ? 0 : -1, "aria-pressed": i === head ? "true" : "false", "aria-label": `head ${label(i)}`,
        onclick: () => { head = i; show(); /** @type {HTMLElement} */ (grid.children[i]).focus(); },
      }, picture(rows), h("span", {}, label(i)))));
    if (focused) /** @type {HTMLElement} */ (grid.children[head]).focus();
    which.textContent = `What head ${label(head)} looks at, from the last word`;
    const last = maps[head][size - 1];
    const peak = Math.max(...last);
    text.replaceChildren(...film.pieces.flatMap((word, i) => {
      const token = h("span", { class: `piece${i ? "" : " begin"}`, style: `--share: ${Math.round(45 * (peak ? last[i] / peak : 0))}%`, title: percent(last[i]) }, i ? word : "start");
      return /^[.,!?”]/.test(word) ? [token] : [" ", token];
    }));
    const shown = Object.entries(now.next).sort((a, b) => b[1] - a[1]);
    for (const [word] of Object.entries(film.truth)) {
      const place = shown.findIndex(([w]) => w === word);
      if (place >= NEXT) shown.splice(NEXT - 1, 0, ...shown.splice(place, 1));
    }
    next.forEach(({ element, name, cells }, i) => {
      const [word, p] = shown[i] ?? ["–", 0];
      name.textContent = word;
      cells[0].textContent = percent(p);
      cells[1].textContent = percent(film?.truth[word] ?? 0);
      element.style.setProperty("--share", String(p));
    });
    samples.replaceChildren(...now.samples.map((sample) => h("p", {}, sample || "(the story ends at once)")));
  }

  /** The head that in the end looks most at the word to come. @param {Film} film */
  function teller({ pieces, truth, moments }) {
    const place = pieces.indexOf(Object.keys(truth)[0]);
    const on = moments[moments.length - 1].attention.map((packed) => triangle(packed, pieces.length)[pieces.length - 1][place] ?? 0);
    return on.indexOf(Math.max(...on));
  }

  /** @param {number} x */
  function bits(x) {
    return Math.abs(x) < 0.05 ? "0.0" : x >= 99.95 ? x.toFixed(0) : x.toFixed(1).replace("-", "−");
  }

  /** @param {string} packed @param {number} size @returns {number[][]} rows of weights */
  function triangle(packed, size) {
    const raw = atob(packed);
    let from = 0;
    return Array.from({ length: size }, (_, t) => Array.from({ length: t + 1 }, () => raw.charCodeAt(from++) / 255));
  }

  /** @param {number[][]} rows */
  function picture(rows) {
    const canvas = h("canvas", { width: rows.length, height: rows.length, "aria-hidden": "true" });
    const pen = canvas.getContext("2d");
    if (pen) {
      pen.fillStyle = getComputedStyle(which).color;
      rows.forEach((row, t) => row.forEach((w, k) => {
        pen.globalAlpha = Math.min(1, w ** 0.6);
        if (w > 0.01) pen.fillRect(k, t, 1, 1);
      }));
    }
    return canvas;
  }

  /** Both axes logarithmic: a step and a bit are far at the beginning and at the end. */
  function draw() {
    const [wide, high] = [chart.clientWidth || 660, 150];
    const svg = s("svg", { width: wide, height: high, role: "img", "aria-label": film ? `${film.moments[at].bits} bits above the truth after ${film.moments[at].step} steps` : "nothing is open yet" });
    const last = film?.moments[film.moments.length - 1].step ?? 2400;
    const x = (/** @type {number} */ step) => 46 + ((wide - 60) * Math.log(1 + step / 8)) / Math.log(1 + last / 8);
    const y = (/** @type {number} */ v) => 8 + ((high - 34) * (3 - Math.log10(Math.max(1, v)))) / 3;
    for (const v of [1, 10, 100, 1000]) svg.append(s("line", { x1: 46, x2: wide - 8, y1: y(v), y2: y(v), class: "rule" }), s("text", { x: 40, y: y(v) + 4, class: "tick" }, v.toLocaleString("en")));
    for (const step of [0, 10, 100, 1000]) svg.append(s("text", { x: x(step), y: high - 6, class: "step" }, step.toLocaleString("en")));
    if (film) {
      svg.append(s("polyline", { points: film.moments.map((m) => `${x(m.step).toFixed(1)},${y(m.bits).toFixed(1)}`).join(" "), class: "curve" }));
      film.moments.forEach((m, i) => svg.append(s("circle", { cx: x(m.step), cy: y(m.bits), r: i === at ? 6 : 3, class: i === at ? "now" : "then" })));
    }
    chart.replaceChildren(svg);
  }

  /** @param {KeyboardEvent} event */
  function walk(event) {
    const wide = film?.settings.heads ?? 1;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const cells = [...grid.querySelectorAll("button")];
    const from = cells.indexOf(/** @type {HTMLButtonElement} */ (el.shadowRoot?.activeElement));
    cells[Math.min(Math.max(from + step, 0), cells.length - 1)]?.click();
  }
}

export default { render };
