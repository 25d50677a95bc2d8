// Attention and ablation: what each head of the course's model looks at in a text, and what the
// next word is without it, or with what it says in another text.

import { runtime } from "../runtime/client.js";
import { choose, frame, h, percent } from "../ui/dom.js";
import heads from "../ui/heads.css";
import css from "./attention.css";

/** @typedef {import("../runtime/client.js").Host} Host */
/** @typedef {import("../runtime/client.js").Runtime} Runtime */
/** @typedef {ReturnType<import("../runtime/engine.js").Engine["experiment"]>} Result */
/** @typedef {"whole" | "off" | "from"} State of a head */

const TEXT = "Across the river lived Greta, a young baker. She had a lodger named Nina. Her treasure was a green lamp by the window. One hot night Greta wanted to give";
const OTHER = "Across the river lived Nina, a young baker. She had a lodger named Greta. Her treasure was a green lamp by the window. One hot night Nina wanted to give";
const ROWS = 8;
const MOST = 120; // tokens
/** @type {[State, string][]} */
const STATES = [["whole", "as it is"], ["off", "silent"], ["from", "from the other text"]];
let figures = 0;

/** @param {{model: Host, el: HTMLElement}} given */
function render({ model: host, el }) {
  const options = host.get("options") ?? {};
  const language = options.language === "zh" ? "zh" : "en";
  const body = frame(el, "Attention and ablation: what each head looks at, and what it is needed for");
  /** @type {Runtime | null} */
  let run = null;
  let busy = false;
  /** @type {Result | null} */
  let result = null;
  /** @type {(string | number)[]} */
  let pieces = [];
  /** @type {State[]} of each head, the first layer's first */
  let states = [];
  let [head, at] = [0, 0]; // which head is looked through, from which place
  let dirty = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;

  const field = h("textarea", { rows: 3, spellcheck: "false", maxlength: 500, lang: language, oninput: edit });
  field.value = options.prompt ?? options.text ?? TEXT;
  const other = h("textarea", { rows: 3, spellcheck: "false", maxlength: 500, lang: language, oninput: edit });
  other.value = OTHER;
  const go = h("button", { type: "button", class: "main", onclick: () => act(true) }, "Read the text");
  const reset = h("button", { type: "button", disabled: true, onclick: () => { states.fill("whole"); act(false); } }, "All heads as they are");
  const said = h("p", { class: "said small muted", role: "status" });
  const grid = h("div", { class: "grid", role: "toolbar", "aria-label": "The heads, a row for each layer. Arrow keys move.", onkeydown: (/** @type {KeyboardEvent} */ e) => walk(e, grid) });
  const text = h("div", { class: "pieces text", role: "toolbar", "aria-label": "The text, shaded by what the head looks at. Arrow keys move.", onkeydown: (/** @type {KeyboardEvent} */ e) => walk(e, text) });
  const which = h("p", { class: "title" }, "Choose a head");
  const state = h("div", { class: "state" });
  const rows = Array.from({ length: ROWS }, () => {
    const name = h("th", { scope: "row", lang: language });
    const cells = [h("td", { class: "right number" }), h("td", { class: "right number" }), h("td", { class: "right number" })];
    return { element: h("tr", {}, name, ...cells), name, cells };
  });
  const facts = h("p", { class: "small muted facts" });
  body.append(
    h("style", {}, heads, css),
    h("div", { class: "stack" },
      h("label", { class: "small" }, "A text that stops before a word", field),
      h("label", { class: "small" }, "Another text of as many tokens, to borrow from", other),
      h("div", { class: "row" }, go, reset),
      said,
      h("div", { class: "two" },
        h("div", {}, h("p", { class: "title head" }, "The heads"), grid),
        h("div", { class: "stack tight" }, which, state, text)),
      h("table", {},
        h("caption", { class: "hidden" }, "The next token: as the model is, after the change, and in truth"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "next token"), h("th", { scope: "col", class: "right" }, "as it is"), h("th", { scope: "col", class: "right" }, "changed"), h("th", { scope: "col", class: "right" }, "true"))),
        h("tbody", {}, ...rows.map((r) => r.element))),
      facts,
    ),
  );
  say("The model, 2.1 MB, is loaded when you first ask.");
  show();

  /** @param {string} words @param {boolean} [wrong] */
  function say(words, wrong = false) {
    said.textContent = words;
    said.classList.toggle("warn", wrong);
  }

  function edit() {
    if (!run) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => act(true), 350);
  }

  /** Ask the model, with the heads as they are set. @param {boolean} anew the text is another */
  async function act(anew) {
    if (busy) {
      dirty = true;
      return;
    }
    busy = true;
    try {
      if (!run) {
        say("The model is being loaded …");
        run = await runtime(host);
      }
      const [mine, theirs] = await Promise.all([run.tokenize({ text: field.value }), run.tokenize({ text: other.value })]);
      if (mine.ids.length > MOST) throw new Error(`a text of ${MOST} tokens at most is shown, this has ${mine.ids.length}`);
      const heads = (/** @type {State} */ wanted) =>
        states.flatMap((now, i) => (now === wanted && result ? [/** @type {[number, number]} */ ([Math.floor(i / result.heads), i % result.heads])] : []));
      result = await run.experiment({ language, ids: mine.ids, other: theirs.ids, off: heads("off"), from: heads("from"), top: ROWS });
      pieces = mine.pieces;
      if (states.length !== result.layers * result.heads) {
        states = new Array(result.layers * result.heads).fill("whole");
        head = states.length - result.heads; // the last layer decides the next word
      }
      if (anew || at > mine.ids.length) at = mine.ids.length;
      say(result.offAt === null ? "" : `From its token ${result.offAt + 1} on this is no tale: the language has no next word for it.`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      say(run ? `This cannot be shown: ${why}.` : `The model could not be loaded: ${why}. Ask again to try again.`, true);
      if (run && why.startsWith("the other text")) states = states.map((s) => (s === "from" ? "whole" : s));
    }
    busy = false;
    show();
    if (dirty) {
      dirty = false;
      act(true);
    }
  }

  function name(/** @type {number} */ i) {
    return result ? `${Math.floor(i / result.heads)}.${i % result.heads}` : "";
  }

  function show() {
    go.textContent = result ? "Read again" : "Read the text";
    if (!result) {
      text.replaceChildren(h("span", { class: "muted small" }, "The text appears here, shaded by what one head looks at."));
      grid.replaceChildren(...Array.from({ length: 12 }, () => h("span", { class: "cell empty" })));
      for (const row of rows) row.name.textContent = "–";
      return;
    }
    const now = result;
    reset.disabled = states.every((s) => s === "whole");
    grid.style.setProperty("--heads", String(now.heads));
    const focused = grid.contains(/** @type {any} */ (el.shadowRoot?.activeElement));
    grid.replaceChildren(...states.map((is, i) =>
      h("button", {
        type: "button", class: `cell ${is}${i === head ? " here" : ""}`, tabindex: i === head ? 0 : -1, "aria-pressed": i === head ? "true" : "false",
        "aria-label": `head ${name(i)}, ${STATES.find(([s]) => s === is)?.[1]}`,
        onclick: () => { head = i; show(); /** @type {HTMLElement} */ (grid.children[i]).focus(); },
      }, map(now.attention[i]), h("span", {}, name(i)))));
    if (focused) /** @type {HTMLElement} */ (grid.children[head]).focus();
    which.textContent = `What head ${name(head)} looks at, from ${at === now.attention[0].length - 1 ? "the last word" : "the framed word"}`;
    state.replaceChildren(choose({
      label: `Head ${name(head)} is`, name: `state-${++figures}`, choices: STATES, value: states[head],
      change: async (to) => {
        states[head] = /** @type {State} */ (to);
        await act(false);
        /** @type {HTMLElement | null} */ (state.querySelector("input:checked"))?.focus();
      },
    }));
    const row = now.attention[head][at] ?? [];
    const most = Math.max(...row);
    /** @type {HTMLElement[]} words, so that no line begins with a comma; Chinese may break anywhere */
    const words = [];
    ["start", ...pieces].forEach((shape, i) => {
      const word = typeof shape === "number" ? shape.toString(16).toUpperCase().padStart(2, "0") : shape;
      const share = row[i] ?? 0;
      const token = h("button", {
        type: "button", lang: i ? language : null, tabindex: i === at ? 0 : -1, "aria-pressed": i === at ? "true" : "false",
        class: `piece${i === at ? " here" : ""}${i > at ? " later" : ""}${i ? "" : " begin"}`,
        style: `--share: ${Math.round(45 * (most ? share / most : 0))}%`,
        title: i > at ? "after it: never seen" : percent(share),
        onclick: () => { at = i; show(); text.querySelectorAll("button")[i]?.focus(); },
      }, word.trimStart() || word);
      if (i <= at) token.setAttribute("aria-label", `${word.trim() || word}: ${percent(share)}`);
      if (words.length && language === "en" && !word.startsWith(" ") && i > 1) words[words.length - 1].append(token);
      else words.push(h("span", { class: "word" }, token));
    });
    text.replaceChildren(...words.flatMap((word) => (language === "en" ? [word, " "] : [word])));
    const changed = states.some((s) => s !== "whole");
    const longest = Math.max(...now.next.map((c) => Math.max(c.plain, c.changed)), 1e-9);
    rows.forEach(({ element, name: label, cells }, i) => {
      const c = now.next[i];
      label.textContent = c?.text ?? "–";
      cells[0].textContent = c ? percent(c.plain) : "";
      cells[1].textContent = c && changed ? percent(c.changed) : "";
      cells[2].textContent = c ? percent(c.truth) : "";
      element.style.setProperty("--plain", String((c?.plain ?? 0) / longest));
      element.style.setProperty("--changed", String(c && changed ? c.changed / longest : 0));
    });
    facts.textContent = changed
      ? `The change costs ${now.distance < 0.0005 ? "less than 0.001" : now.distance.toFixed(3)} nats here: the KL divergence of the changed distribution from that of the whole model.`
      : "Make a head silent, or let it say what it says in the other text, and see whether the next word depends on it.";
  }

  /** All of a head's weights as a picture: a row a place, white where it may not look.
   * @param {Float32Array[]} weights */
  function map(weights) {
    const size = weights.length;
    const canvas = h("canvas", { width: size, height: size, "aria-hidden": "true" });
    const pen = canvas.getContext("2d");
    if (pen) {
      pen.fillStyle = getComputedStyle(which).color;
      weights.forEach((row, t) => row.forEach((w, k) => {
        pen.globalAlpha = Math.min(1, w ** 0.6);
        if (w > 0.01) pen.fillRect(k, t, 1, 1);
      }));
    }
    return canvas;
  }

  /** @param {KeyboardEvent} event @param {HTMLElement} line */
  function walk(event, line) {
    const wide = line === grid ? (result?.heads ?? 1) : 1;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const all = [...line.querySelectorAll("button")];
    const from = all.indexOf(/** @type {HTMLButtonElement} */ (el.shadowRoot?.activeElement));
    all[Math.min(Math.max(from + step, 0), all.length - 1)]?.click();
  }
}

export default { render };
