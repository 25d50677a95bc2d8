// The little that figures share: elements, a frame with the course's style, numbers.

import css from "./style.css";

/**
 * An element. Strings become text nodes, never HTML: what a reader types stays text.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [given] attributes; functions are listeners, `null` is left out
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** An element of a drawing. @param {string} tag @param {Record<string, any>} given @param {(Element | string)[]} children */
export function s(tag, given = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(given)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/**
 * The root of a figure, sealed off from the page's style, in the page's colours.
 * @param {HTMLElement} el
 * @param {string} label what the figure is, for those who do not see it
 */
export function frame(el, label) {
  const shadow = el.attachShadow({ mode: "open" });
  const body = h("div", { class: "figure", role: "group", "aria-label": label });
  // JupyterLab tells of its dark theme in an attribute; a book's page sets the colours itself.
  if (document.body?.dataset.jpThemeLight === "false") body.style.colorScheme = "dark";
  shadow.append(h("style", {}, css), body);
  return body;
}

/** A share as a per cent, in a fixed width's worth of digits. @param {number | null} p */
export function percent(p) {
  if (p === null) return "–";
  if (p === 0) return "0";
  if (p < 0.0005) return "< 0.1 %";
  return `${(100 * p).toFixed(1)} %`;
}

let sliders = 0;

/**
 * A slider with its name and its value.
 * @param {{label: string, min: number, max: number, step: number, value: number,
 *   show: (value: number) => string, change: (value: number) => void}} given
 */
export function slider({ label, min, max, step, value, show, change }) {
  // The slider itself says its value (aria-valuetext); this shows it.
  const out = h("span", { class: "number value", "aria-hidden": "true" }, show(value));
  const id = `slider-${++sliders}`;
  const input = h("input", { id, type: "range", min, max, step, value, "aria-valuetext": show(value) });
  const set = () => {
    out.textContent = show(input.valueAsNumber);
    input.setAttribute("aria-valuetext", show(input.valueAsNumber));
  };
  input.addEventListener("input", () => {
    set();
    change(input.valueAsNumber);
  });
  return {
    element: h("label", { class: "slider", for: id }, h("span", {}, label), out, input),
    input,
    /** @param {number} to */
    set(to) {
      input.valueAsNumber = to;
      set();
    },
  };
}

/**
 * A few choices of which one is taken.
 * @param {{label: string, name: string, choices: [string, string][], value: string,
 *   change: (value: string) => void}} given
 */
export function choose({ label, name, choices, value, change }) {
  return h(
    "fieldset",
    { class: "choose" },
    h("legend", { class: "hidden" }, label),
    ...choices.map(([key, text]) =>
      h(
        "label",
        {},
        h("input", { type: "radio", name, value: key, checked: key === value, onchange: () => change(key) }),
        h("span", { lang: key === "zh" ? "zh" : null }, text),
      ),
    ),
  );
}
