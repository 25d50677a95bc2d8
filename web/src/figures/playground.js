// Playground: the course's model writes a tale, and at each step shows what it draws from, through
// every filter, beside the true distribution of the language.

import { runtime } from "../runtime/client.js";
import { choose, frame, h, percent, slider } from "../ui/dom.js";
import css from "./playground.css";

/** @typedef {import("../runtime/client.js").Host} Host */
/** @typedef {import("../runtime/client.js").Runtime} Runtime */
/** @typedef {import("../runtime/engine.js").Step} Step */
/** @typedef {import("../runtime/engine.js").Candidate} Candidate */
/** @typedef {{id: number, by: "you" | "model"}} Token */

const TOP = 10;
const KS = [0, 1, 2, 3, 5, 10, 20, 40, 100];
/** @type {Record<string, string>} */
const BEGIN = { en: "Once a baker named", zh: "从前，" };
const LAYERS = /** @type {const} */ ([
  ["plain", "model"],
  ["heated", "÷ temperature"],
  ["k", "top-k"],
  ["p", "top-p"],
  ["truth", "the language"],
]);
let figures = 0;

/** @param {{model: Host, el: HTMLElement}} given */
function render({ model: host, el }) {
  const options = host.get("options") ?? {};
  let language = options.language === "zh" ? "zh" : "en";
  let seed = options.seed ?? 1;
  const choice = { temperature: 1, topK: 0, topP: 1 };
  /** @type {Token[]} */
  let tokens = [];
  /** @type {(string | number)[]} */
  let pieces = [];
  let at = 0; // the place whose distribution is shown
  /** @type {Step | null} */
  let step = null;
  /** @type {number | null} where the text leaves the language */
  let offAt = null;
  /** @type {Runtime | null} */
  let run = null;
  let writing = false;
  let busy = false;
  let edited = true; // the beginning has to be read anew

  const body = frame(el, "Playground: the course's model writes a tale, token by token");
  const prompt = h("textarea", { rows: 1, spellcheck: "false", maxlength: 400, oninput: begin });
  prompt.value = options.prompt ?? BEGIN[language];
  prompt.lang = language;
  const seedField = h("input", {
    class: "field seed", type: "number", min: 0, max: 999999, step: 1, value: seed, inputmode: "numeric",
    onchange: () => {
      seed = Math.max(0, Math.floor(seedField.valueAsNumber || 0));
      seedField.value = String(seed);
      begin();
    },
  });
  const next = h("button", { type: "button", class: "main", onclick: () => act(one) }, "Next token");
  const whole = h("button", { type: "button", onclick: () => (writing ? stop() : act(story)) }, "Whole story");
  const again = h("button", { type: "button", onclick: () => { begin(); next.focus(); } }, "Start again");
  const said = h("p", { class: "said small muted", role: "status" });
  const retry = h("button", { type: "button", hidden: true, onclick: () => act(one) }, "Try again");
  const text = h("div", {
    class: "pieces story", role: "toolbar", "aria-label": "The tokens so far. Arrow keys move, Enter looks at one.",
    onkeydown: walk,
  });
  const strips = LAYERS.map(([key, name]) => strip(key, name));
  const luck = h("div", { class: "luck", hidden: true });
  strips[3].bar.append(luck);
  const rows = Array.from({ length: TOP }, (_, i) => row(i));
  const rest = [h("th", { scope: "row" }), ...Array.from({ length: 4 }, () => h("td", { class: "right number" }))];
  const heading = h("p", { class: "title" }, "What comes next");
  const facts = h("p", { class: "small muted facts" });
  const change = () => {
    if (run) look();
  };
  const sliders = [
    slider({
      label: "Temperature", min: 0, max: 2, step: 0.05, value: 1,
      show: (v) => (v === 0 ? "0, greedy" : v.toFixed(2)),
      change: (v) => { choice.temperature = v; change(); },
    }),
    slider({
      label: "Top-k", min: 0, max: KS.length - 1, step: 1, value: KS.length - 1,
      show: (v) => (v === KS.length - 1 ? "all" : String(KS[v + 1])),
      change: (v) => { choice.topK = v === KS.length - 1 ? 0 : KS[v + 1]; change(); },
    }),
    slider({
      label: "Top-p", min: 0.05, max: 1, step: 0.05, value: 1,
      show: (v) => (v > 0.999 ? "all" : v.toFixed(2)),
      change: (v) => { choice.topP = Math.min(1, Math.round(v * 100) / 100); change(); },
    }),
  ];

  body.append(
    h("style", {}, css),
    h("div", { class: "stack" },
      h("div", { class: "row spread" },
        choose({
          label: "Language", name: `language-${++figures}`, choices: [["en", "English"], ["zh", "中文"]], value: language,
          change: (to) => {
            const untouched = prompt.value === BEGIN[language];
            language = to === "zh" ? "zh" : "en";
            if (untouched) prompt.value = BEGIN[language];
            prompt.lang = language;
            begin();
          },
        }),
        h("label", { class: "row small" }, "Seed", seedField),
      ),
      h("label", { class: "small" }, "The beginning, yours to change", prompt),
      h("div", { class: "row sliders" }, ...sliders.map((s) => s.element)),
      h("div", { class: "row" }, next, whole, again, retry),
      h("div", {}, text, said),
      h("div", { class: "stack tight" }, heading,
        h("div", { class: "strips", "aria-hidden": "true" }, ...strips.map((s) => s.element)),
        h("table", {},
          h("caption", { class: "hidden" }, "The most probable next tokens, with the model's, the filtered and the true probability"),
          h("thead", {}, h("tr", {},
            h("th", { scope: "col" }, "token"),
            h("th", { scope: "col", class: "right wide" }, "logit"),
            h("th", { scope: "col", class: "right wide" }, "model"),
            h("th", { scope: "col", class: "right" }, "drawn from"),
            h("th", { scope: "col", class: "right" }, "true"),
          )),
          h("tbody", {}, ...rows.map((r) => r.element), h("tr", {}, ...rest)),
        ),
        facts,
      ),
    ),
  );
  rest[1].classList.add("wide");
  rest[2].classList.add("wide");
  say("The model, 2.1 MB, is loaded when you first ask for a token.");
  show();

  /** @param {string} key @param {string} name */
  function strip(key, name) {
    const parts = Array.from({ length: TOP + 1 }, (_, i) => h("span", { class: i === TOP ? "part others" : "part" }));
    const bar = h("div", { class: `bar ${key}` }, ...parts);
    return { element: h("div", { class: "strip" }, h("span", { class: "small muted" }, name), bar), parts, bar };
  }

  /** @param {number} i */
  function row(i) {
    const take = h("button", { type: "button", class: "take", onclick: () => act(() => branch(i)) });
    const cells = Array.from({ length: 4 }, (_, k) => h("td", { class: `right number${k < 2 ? " wide" : ""}` }));
    const element = h("tr", { class: "candidate" }, h("th", { scope: "row" }, take), ...cells);
    return { element, take, cells };
  }

  /** Back to the beginning, which the next act reads. */
  function begin() {
    stop();
    edited = true;
    tokens = [];
    pieces = [];
    offAt = null;
    step = null;
    at = 0;
    if (run) act(async () => {}); // what may follow is shown at once
    else show();
  }

  function stop() {
    writing = false;
    whole.textContent = "Whole story";
  }

  /** @param {string} words @param {boolean} [wrong] */
  function say(words, wrong = false) {
    said.textContent = words;
    said.classList.toggle("warn", wrong);
  }

  /**
   * One act at a time: the model is loaded before the first, the beginning is read when it is new.
   * @param {() => Promise<void>} what
   */
  async function act(what) {
    if (busy) return;
    busy = true;
    retry.hidden = true;
    try {
      if (!run) {
        say("The model is being loaded …");
        run = await runtime(host);
        say("");
      }
      while (edited) {
        edited = false;
        const { ids } = await run.tokenize({ text: prompt.value });
        tokens = ids.map((id) => ({ id, by: "you" }));
        at = tokens.length;
        say("");
        await look();
      }
      await what();
    } catch (error) {
      stop();
      const why = error instanceof Error ? error.message : String(error);
      if (!run) {
        retry.hidden = false;
        say(`The model could not be loaded: ${why}. Nothing else on this page depends on it.`, true);
      } else say(`This cannot go on: ${why}.`, true);
    } finally {
      busy = false;
    }
    if (edited && run) act(async () => {});
  }

  /** The distribution at the place that is looked at. */
  async function look() {
    const place = at;
    const here = tokens[place];
    const got = await /** @type {Runtime} */ (run).step({
      language, choice, seed, top: TOP, ids: tokens.slice(0, place).map((t) => t.id), also: here ? [here.id] : [],
    });
    const ids = tokens.map((t) => t.id);
    const read = await /** @type {Runtime} */ (run).read({ language, ids });
    if (place !== at || ids.length !== tokens.length) return;
    [step, pieces, offAt] = [got, read.pieces, read.offAt];
    show();
  }

  async function one() {
    if (ended()) return;
    if (at !== tokens.length) {
      at = tokens.length;
      await look();
    }
    if (!step) return;
    tokens.push({ id: step.drawn, by: "model" });
    at = ended() ? tokens.length - 1 : tokens.length;
    await look();
  }

  async function story() {
    writing = true;
    whole.textContent = "Stop";
    while (writing && !ended() && !edited) {
      await one();
      await new Promise((done) => requestAnimationFrame(done));
    }
    stop();
  }

  /** Take another token at the place that is looked at; what followed goes. @param {number} i */
  async function branch(i) {
    const id = shown()[i]?.id;
    if (id === undefined) return;
    tokens = [...tokens.slice(0, at), { id, by: "you" }];
    at = ended() ? at : tokens.length;
    await look();
    text.scrollTop = text.scrollHeight;
    rows[0].take.focus();
  }

  function ended() {
    return tokens.length > 0 && tokens[tokens.length - 1].id === 1;
  }

  /** @param {KeyboardEvent} event */
  function walk(event) {
    const to = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const all = [...text.querySelectorAll("button")];
    const now = all.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    all[Math.min(Math.max(now + to, 0), all.length - 1)]?.focus();
  }

  /** The rows of the table: the most probable; the last row is the token in the text, or the one
   * drawn, if it is rarer than all these. */
  function shown() {
    if (!step) return [];
    const here = tokens[at]?.id ?? step.drawn;
    const rare = step.also.find((c) => c.id === here);
    return rare ? [...step.candidates.slice(0, TOP - 1), rare] : step.candidates;
  }

  function show() {
    const here = tokens[at]?.id;
    next.disabled = ended();
    whole.disabled = ended();
    text.replaceChildren(
      ...(pieces.length ? pieces.flatMap(piece) : [h("span", { class: "muted small" }, "The text appears here. Choose a token to look back at its place, and another token to branch.")]),
    );
    if (at >= tokens.length) text.scrollTop = text.scrollHeight;
    for (const [n, [key]] of LAYERS.entries()) paint(strips[n], key);
    luck.hidden = !step;
    if (step) luck.style.left = `${100 * step.u}%`;
    const list = shown();
    const most = Math.max(...list.map((c) => Math.max(c.p, c.truth ?? 0)), 1e-9); // the longest line
    rows.forEach(({ element, take, cells }, i) => {
      const c = list[i];
      element.classList.toggle("here", !!c && c.id === (here ?? step?.drawn));
      element.classList.toggle("cut", !!c && c.p === 0);
      take.disabled = !c;
      take.textContent = c?.text ?? "–";
      take.lang = language;
      if (c) {
        const mark = c.id === here ? ", in the text" : c.id === step?.drawn ? ", drawn next" : "";
        take.setAttribute("aria-label", `${c.text}${mark}: continue with it`);
        take.title = `id ${c.id}`;
      } else take.removeAttribute("aria-label");
      cells[0].textContent = c ? c.logit.toFixed(2).replace("-", "−") : "";
      cells[1].textContent = c ? percent(c.plain) : "";
      cells[2].textContent = c ? percent(c.p) : "";
      cells[3].textContent = c ? percent(c.truth) : "";
      element.style.setProperty("--p", String((c?.p ?? 0) / most));
      element.style.setProperty("--truth", String((c?.truth ?? 0) / most));
      element.classList.toggle("true", !!c?.truth);
      element.dataset.p = String(c?.p ?? 0);
    });
    const left = (/** @type {"plain" | "p" | "truth"} */ key) =>
      step?.rest[key] == null ? null : Math.max(0, 1 - list.reduce((sum, c) => sum + (c[key] ?? 0), 0));
    rest[0].textContent = step ? `${step.restCount.toLocaleString("en")} others` : "others";
    rest[2].textContent = step ? percent(left("plain")) : "";
    rest[3].textContent = step ? percent(left("p")) : "";
    rest[4].textContent = step ? percent(left("truth")) : "";
    rest[3].dataset.p = String(left("p") ?? 0);
    heading.textContent = !step ? "What comes next"
      : here === undefined ? `What comes next, at place ${at + 1}` : `What could have come at place ${at + 1}`;
    facts.textContent = step ? told(step) : "";
    if (ended() && run) say("The story ends here. Choose any token to look back, and another to branch.");
    else if (step && at < tokens.length) say("You look back. Choose another token below to branch here; Next token goes on at the end.");
    else if (step && !busy) say("");
  }

  /** @param {Step} s */
  function told(s) {
    const kept = s.kept === 1 ? "one token" : `${s.kept.toLocaleString("en")} of ${(s.restCount + TOP).toLocaleString("en")} tokens`;
    if (s.offAt !== null)
      return `The filters keep ${kept}. From its token ${s.offAt + 1} on this is no tale: the language never says it, so there is no true distribution to compare with.`;
    if (s.possible === null) return `The filters keep ${kept}.`;
    const allows = s.possible === 1 ? "one token" : `${s.possible} tokens`;
    return `The language allows ${allows} here; the filters keep ${kept}. Distance between the two (total variation): ${(s.distance ?? 0).toFixed(3)}.`;
  }

  /** @param {ReturnType<typeof strip>} s @param {"plain" | "heated" | "k" | "p" | "truth"} key */
  function paint({ parts, bar }, key) {
    const list = step?.candidates ?? [];
    const here = tokens[at]?.id ?? step?.drawn;
    bar.classList.toggle("none", !step || (key === "truth" && step.rest.truth === null));
    parts.forEach((part, i) => {
      const share = (i === TOP ? step?.rest[key] : list[i]?.[key]) ?? 0;
      part.style.width = `${100 * share}%`;
      part.classList.toggle("here", i < TOP && !!step && list[i]?.id === here);
      part.textContent = share > 0.09 ? (i === TOP ? "others" : (list[i]?.text ?? "")) : "";
      part.lang = language;
    });
  }

  /** @param {string | number} shape @param {number} i */
  function piece(shape, i) {
    const byte = typeof shape === "number";
    const word = byte ? shape.toString(16).toUpperCase().padStart(2, "0") : shape;
    const { id, by } = tokens[i] ?? { id: 0, by: "model" };
    const off = offAt === i;
    const token = h("button", {
      type: "button", lang: language,
      class: `piece ${by}${byte ? " hex" : ""}${i === at ? " here" : ""}${off ? " off" : ""}`,
      tabindex: i === Math.min(at, tokens.length - 1) ? 0 : -1,
      "aria-pressed": i === at ? "true" : "false",
      title: `id ${id}${off ? ": from here on this is no tale" : ""}`,
      onclick: () => act(async () => {
        stop();
        at = i;
        await look();
        text.querySelectorAll("button")[i]?.focus();
      }),
    }, id === 1 ? "■" : word.trimStart() || word);
    if (id === 1) token.setAttribute("aria-label", "end of the story");
    // The space stands between the buttons, so that lines break there.
    return word.startsWith(" ") || id === 1 ? [" ", token] : [token];
  }
}

export default { render };
