// BPE stepper: byte-pair encoding learns from the reader's own text, merge by merge, forth and back.

import { begin, join, learn, show, split, toBytes } from "../runtime/bpe.js";
import { frame, h } from "../ui/dom.js";
import css from "./bpe.css";

/** @typedef {import("../runtime/client.js").Host} Host */
/** @typedef {import("../runtime/bpe.js").Stage} Stage */
/** @typedef {import("../runtime/bpe.js").Pair} Pair */

const TEXT = "low lower lowest, new newer newest, wide wider widest. The lowest widest newest.";
const MOST = 600; // characters
const MERGES = 60;
const PAIRS = 6;

/** @param {{model: Host, el: HTMLElement}} given */
function render({ model: host, el }) {
  const options = host.get("options") ?? {};
  const body = frame(el, "BPE stepper: byte-pair encoding learns from a text, merge by merge");
  /** @type {Stage[]} the states so far: going back costs nothing */
  let stages = [];
  /** @type {string[][]} */
  let words = [];
  let at = 0;
  let [right, guessed] = [0, 0];
  /** @type {string} */
  let verdict = "";

  const field = h("textarea", { rows: 2, spellcheck: "false", maxlength: MOST, oninput: start });
  field.value = options.text ?? TEXT;
  const back = h("button", { type: "button", onclick: () => go(at - 1) }, "Back");
  const next = h("button", { type: "button", class: "main", onclick: () => go(at + 1) }, "Next merge");
  const range = h("input", { type: "range", min: 0, max: 1, value: 0, step: 1, "aria-label": "Merges made", oninput: () => go(range.valueAsNumber) });
  const made = h("span", { class: "number small made" });
  const guess = h("input", { type: "checkbox", onchange: draw });
  const said = h("p", { class: "said small muted", role: "status" });
  const text = h("div", { class: "pieces text", tabindex: 0, role: "group", "aria-label": "The text, cut into tokens" });
  const rows = Array.from({ length: PAIRS }, (_, i) => row(i));
  const list = h("ol", { class: "merges", tabindex: 0, "aria-label": "The merges so far" });
  body.append(
    h("style", {}, css),
    h("div", { class: "stack" },
      h("label", { class: "small" }, "The text that is learned from, yours to change", field),
      h("div", { class: "row controls" }, back, next, h("div", { class: "scrub" }, range), made),
      text,
      h("div", { class: "two" },
        h("div", {},
          h("div", { class: "row spread head" }, h("p", { class: "title" }, "Pairs side by side"),
            h("label", { class: "small row guess" }, guess, "let me predict")),
          h("table", {},
            h("caption", { class: "hidden" }, "The most frequent pairs of neighbouring tokens and their counts"),
            h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "pair"), h("th", { scope: "col", class: "right" }, "count"))),
            h("tbody", {}, ...rows.map((r) => r.element))),
          said),
        h("div", {}, h("p", { class: "title head" }, "Merges, in the order of learning"), list)),
    ),
  );
  start();

  /** @param {number} i */
  function row(i) {
    const name = h("span", { class: "pair" });
    const pick = h("button", { type: "button", class: "pick", onclick: () => answer(i) });
    const count = h("td", { class: "right number" });
    const element = h("tr", {}, h("th", { scope: "row" }, name, pick), count);
    return { element, name, pick, count };
  }

  function start() {
    const written = field.value.slice(0, MOST).replace(/\p{Surrogate}/gu, "\uFFFD");
    stages = [begin(written)];
    words = split(written).map((word) => [...toBytes(word)]);
    [at, right, guessed, verdict] = [0, 0, 0, ""];
    draw();
  }

  /** @param {number} to */
  function go(to) {
    to = Math.min(Math.max(to, 0), MERGES);
    while (stages.length <= to && stages[stages.length - 1].pairs.length)
      stages.push(learn(stages[stages.length - 1]));
    at = Math.min(to, stages.length - 1);
    verdict = "";
    draw();
  }

  /** The pairs that are offered: as they are ranked, or by their spelling when one is to predict. */
  function offered() {
    const top = stages[at].pairs.slice(0, PAIRS);
    if (!guess.checked) return top;
    const key = (/** @type {Pair} */ { a, b }) => a + "\u0000" + b;
    return top.sort((p, q) => (key(p) < key(q) ? -1 : 1));
  }

  /** @param {number} i */
  function answer(i) {
    const [best, mine] = [stages[at].pairs[0], offered()[i]];
    if (!mine) return;
    guessed++;
    if (mine === best) right++;
    const tie = mine.count === best.count && mine !== best;
    go(at + 1);
    verdict =
      mine === best
        ? `Right: ${name(best)} stands there ${times(best.count)}.`
        : `It was ${name(best)}, ${times(best.count)}; ${name(mine)} stands there ${times(mine.count)}${tie ? " too, and of equals the greater pair of byte strings goes first" : ""}.`;
    verdict += ` ${right} of ${guessed} predicted.`;
    draw();
    rows[0].pick.focus();
  }

  function draw() {
    const stage = stages[at];
    const last = at ? stages[at - 1].pairs[0] : null;
    const over = !stage.pairs.length || at === MERGES;
    range.max = String(Math.min(MERGES, stages.length - 1 + (stages[stages.length - 1].pairs.length ? 10 : 0)));
    range.valueAsNumber = at;
    range.setAttribute("aria-valuetext", `${at} merges`);
    range.style.setProperty("--share", String(at / Math.max(1, Number(range.max))));
    made.textContent = `${at} ${at === 1 ? "merge" : "merges"}`;
    back.disabled = at === 0;
    next.disabled = over;
    let tokens = 0;
    const cut = words.map((word) => {
      for (let m = 0; m < at; m++) word = join(word, stages[m].pairs[0].a, stages[m].pairs[0].b);
      tokens += word.length;
      return word;
    });
    const joined = last ? last.a + last.b : "";
    text.replaceChildren(
      ...cut.map((word) =>
        h("span", { class: "word" }, ...word.map((token) => {
          const { text: shown, hex } = show(token);
          return h("span", { class: `piece${hex ? " hex" : ""}${token === joined ? " new" : token.length > 1 ? " long" : ""}` }, shown);
        })),
      ),
    );
    const pairs = offered();
    rows.forEach(({ element, name: label, pick, count }, i) => {
      const pair = pairs[i];
      label.hidden = guess.checked;
      pick.hidden = !guess.checked || !pair;
      label.textContent = pair ? name(pair) : "–";
      pick.textContent = pair ? name(pair) : "–";
      pick.disabled = over;
      count.textContent = !pair ? "" : guess.checked ? "?" : pair.count.toLocaleString("en");
      element.classList.toggle("best", !guess.checked && i === 0 && !!pair);
    });
    list.replaceChildren(
      ...stages.slice(0, at).map(({ pairs: [p] }) => h("li", {}, `${name(p)} → `, h("b", {}, show(p.a + p.b).text), h("span", { class: "muted" }, `  ${p.count}`))),
    );
    list.scrollTop = list.scrollHeight;
    const bytes = words.reduce((n, word) => n + word.length, 0);
    said.textContent =
      verdict ||
      (over
        ? at === MERGES ? `The figure stops at ${MERGES} merges; a tokenizer goes on to tens of thousands.` : bytes ? "No pair is left: each word is one token." : "There is no text to learn from."
        : guess.checked ? "Which pair is merged next? Count, then choose."
        : `${bytes.toLocaleString("en")} bytes are ${tokens.toLocaleString("en")} tokens now.`);
  }

  /** @param {Pair} pair */
  function name({ a, b }) {
    return `${show(a).text} + ${show(b).text}`;
  }

  /** @param {number} n */
  function times(n) {
    return n === 1 ? "once" : n === 2 ? "twice" : `${n} times`;
  }
}

export default { render };
