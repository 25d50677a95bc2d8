// Token lens: what a reader types, cut by GPT-2's pre-split, by the course's BPE, and into bytes.

import { BPE, show, split, toBytes } from "../runtime/bpe.js";
import { whole } from "../runtime/bytes.js";
import { asset } from "../runtime/client.js";
import { frame, h } from "../ui/dom.js";
import css from "./tokens.css";

/** @typedef {import("../runtime/client.js").Host} Host */
/** @typedef {{bytes: string, id: number | null}} Cut */

const TEXT = "Unbelievable! It's a naïve cat, 词元 👩‍🚀.";
const EXAMPLES = [
  ["English", TEXT],
  ["spaces", "def f(x):\n        return x  "],
  ["digits", "1234567 + 89 = 1234656"],
  ["中文", "语言模型读的是编号。"],
  ["emoji", "👩‍🚀 é e\u0301 🇨🇳"],
];
const MOST = 2000; // characters that are read
const SHOWN = 240; // pieces of a row that are drawn

/** @param {{model: Host, el: HTMLElement}} given */
function render({ model: host, el }) {
  const options = host.get("options") ?? {};
  const body = frame(el, "Token lens: how a text is cut into tokens");
  /** @type {BPE | null} */
  let bpe = null;
  let loading = false;
  const field = h("textarea", { rows: 2, spellcheck: "false", maxlength: MOST, oninput: draw, onfocus: load });
  field.value = options.text ?? TEXT;
  const about = h("p", { class: "said small muted", role: "status" });
  const retry = h("button", { type: "button", hidden: true, onclick: load }, "Try again");
  const rows = [
    row("GPT-2's pre-split", "no token crosses these borders"),
    row("The course's BPE", "1,024 tokens, learned from Python's documentation"),
    row("Bytes", "256 tokens: every text, at length"),
  ];
  body.append(
    h("style", {}, css),
    h("div", { class: "stack" },
      h("label", { class: "small" }, "Any text", field),
      h("div", { class: "row" },
        h("span", { class: "small muted" }, "or one of these:"),
        ...EXAMPLES.map(([name, text]) =>
          h("button", {
            type: "button", class: "small", lang: name === "中文" ? "zh" : null,
            onclick: () => {
              field.value = text;
              load();
              draw();
            },
          }, name),
        ),
      ),
      ...rows.map((r) => r.element),
      h("div", { class: "row" }, about, retry),
    ),
  );
  draw();
  const seen = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      seen.disconnect();
      load(); // fourteen kilobytes: no need to wait for the first key
    }
  });
  seen.observe(el);

  /** @param {string} name @param {string} note */
  function row(name, note) {
    const count = h("span", { class: "number count" });
    const pieces = h("div", { class: "pieces", role: "toolbar", "aria-label": `${name}: arrow keys move`, onkeydown: walk });
    const element = h("section", { class: "cut", "aria-label": name },
      h("div", { class: "row spread" }, h("p", { class: "title" }, name), count),
      h("p", { class: "small muted" }, note),
      pieces,
    );
    return { element, count, pieces };
  }

  async function load() {
    if (bpe || loading) return;
    loading = true;
    retry.hidden = true;
    try {
      bpe = new BPE(JSON.parse(new TextDecoder().decode(whole(await asset(host, "bpe.json")))));
      say("");
    } catch (error) {
      retry.hidden = false;
      const why = error instanceof Error ? error.message : String(error);
      say(`The vocabulary could not be loaded: ${why}. The other two rows need none.`, true);
    }
    loading = false;
    draw();
  }

  /** @param {string} words @param {boolean} [wrong] */
  function say(words, wrong = false) {
    about.textContent = words || "Choose a piece for its bytes and its id.";
    about.classList.toggle("warn", wrong);
  }

  function draw() {
    // Half of a character cannot be written in UTF-8: it is shown as what an encoder makes of it.
    const text = field.value.slice(0, MOST).replace(/\p{Surrogate}/gu, "\uFFFD");
    const size = new TextEncoder().encode(text).length;
    fill(rows[0], split(text).map((word) => ({ bytes: toBytes(word), id: null })), size, "pieces");
    const vocabulary = bpe;
    fill(rows[1], vocabulary ? vocabulary.encode(text).map((id) => ({ bytes: vocabulary.tokens[id], id })) : null, size, "tokens");
    fill(rows[2], [...toBytes(text)].map((b) => ({ bytes: b, id: b.charCodeAt(0) })), size, "bytes");
    if (!about.classList.contains("warn")) say("");
  }

  /** @param {ReturnType<typeof row>} into @param {Cut[] | null} cuts @param {number} size
   * @param {string} unit */
  function fill({ count, pieces }, cuts, size, unit) {
    if (!cuts) {
      count.textContent = "";
      pieces.replaceChildren(h("span", { class: "muted small" }, "The vocabulary, 19 kB, is being loaded."));
      return;
    }
    const rate = cuts.length ? (size / cuts.length).toFixed(1) : "–";
    count.textContent = `${cuts.length.toLocaleString("en")} ${cuts.length === 1 ? unit.slice(0, -1) : unit}, ${rate} bytes each`;
    const more = cuts.length - SHOWN;
    pieces.replaceChildren(
      ...cuts.slice(0, SHOWN).map(({ bytes, id }, i) => {
        const { text, hex } = show(bytes);
        const tell = () => {
          const raw = [...bytes].map((c) => c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0"));
          const what = hex ? (bytes.length > 1 || bytes > "\x7f" ? "a part of a character, or a mark without a shape" : "a control character") : `“${text}”`;
          say(`${what}: ${bytes.length === 1 ? "byte" : `${bytes.length} bytes`} ${raw.slice(0, 24).join(" ")}${raw.length > 24 ? " …" : ""}${id === null ? "" : `, id ${id}`}.`);
        };
        return h("button", {
          type: "button", class: `piece tone${i % 4}${hex ? " hex" : ""}`, tabindex: i ? -1 : 0,
          title: id === null ? null : `id ${id}`, onclick: tell, onfocus: tell,
        }, text);
      }),
      ...(more > 0 ? [h("span", { class: "muted small" }, ` and ${more.toLocaleString("en")} more`)] : []),
    );
  }

  /** @param {KeyboardEvent} event */
  function walk(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const line = /** @type {HTMLElement} */ (event.currentTarget);
    const all = [...line.querySelectorAll("button")];
    const now = all.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    const to = all[Math.min(Math.max(now + step, 0), all.length - 1)];
    for (const one of all) one.tabIndex = one === to ? 0 : -1;
    to?.focus();
  }
}

export default { render };
