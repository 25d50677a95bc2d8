// Backpropagation: an expression of the reader's becomes a graph; values go forward through it and
// derivatives back, a node at a time, and each may be predicted.

import { backward, parse, short } from "../runtime/graph.js";
import { frame, h, s } from "../ui/dom.js";
import { layered } from "../ui/layers.js";
import css from "./backprop.css";

/** @typedef {import("../runtime/client.js").Host} Host */
/** @typedef {import("../runtime/graph.js").Node} Node */
/** @typedef {import("../runtime/graph.js").Graph} Graph */
/** @typedef {import("../runtime/graph.js").Handing} Handing */

/** @type {[string, string, Record<string, number>][]} */
const EXAMPLES = [
  ["a neuron", "L = (tanh(w*x + b) - y)^2", { w: 0.8, x: 1.5, b: -0.4, y: 1 }],
  ["used twice", "s = x*x; L = s * tanh(s)", { x: 0.9 }],
  ["a softmax", "L = log(exp(a) + exp(b)) - a", { a: 0.5, b: 1.2 }],
  ["four tanh", "L = tanh(tanh(tanh(tanh(3*x))))", { x: 0.7 }],
];
const START = [0.8, 1.5, -0.4, 1, 0.5, -1.2, 2, 0.3];
const SIGN = { "+": "+", "-": "−", "*": "×", "/": "÷", neg: "−( )" };

/** What an operation is called, its constant included. @param {Node} node */
function label(node) {
  if (node.power !== undefined) return node.power === 2 ? "( )²" : node.power === 3 ? "( )³" : `( ) ^ ${short(node.power)}`;
  const sign = SIGN[/** @type {"+"} */ (node.op)] ?? node.op;
  return `${node.left === undefined ? "" : `${short(node.left)} `}${sign}${node.right === undefined ? "" : ` ${short(node.right)}`}`;
}

/** @param {{model: Host, el: HTMLElement}} given */
function render({ model: host, el }) {
  const options = host.get("options") ?? {};
  const body = frame(el, "Backpropagation: a graph of your expression, step by step");
  /** @type {Map<string, number>} */
  const values = new Map(Object.entries(EXAMPLES[0][2]));
  /** @type {Graph | null} */
  let graph = null;
  /** @type {Handing[]} */
  let handings = [];
  /** @type {Node[]} */
  let forward = [];
  let at = 0;
  let verdict = "";
  let tall = false; // where it is narrow, the graph goes from top to bottom

  const field = h("input", { class: "field mono", type: "text", spellcheck: "false", autocomplete: "off", autocapitalize: "off", maxlength: 200, oninput: () => start() });
  field.value = options.text ?? EXAMPLES[0][1];
  const back = h("button", { type: "button", onclick: () => go(at - 1) }, "Back");
  const next = h("button", { type: "button", class: "main", onclick: answer }, "Next step");
  const range = h("input", { type: "range", min: 0, max: 1, value: 0, step: 1, "aria-label": "Steps made", oninput: () => go(range.valueAsNumber) });
  const made = h("span", { class: "number small muted made" });
  const guess = h("input", { type: "checkbox", onchange: () => draw() });
  const question = h("span", {});
  const mine = h("input", { class: "field number-field", type: "text", inputmode: "decimal", autocomplete: "off", onkeydown: (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && answer() });
  const asked = h("label", { class: "row small asked" }, question, mine);
  const said = h("p", { class: "said", role: "status" });
  const picture = h("div", { class: "picture", tabindex: 0, role: "group", "aria-label": "The graph; a table of it follows" });
  const rows = h("tbody", {});
  const nodes = h("tbody", {});
  body.append(
    h("style", {}, css),
    h("div", { class: "stack" },
      h("label", { class: "small" }, "An expression, yours to change (+ − * / ^, exp, log, tanh, relu; a semicolon between statements)", field),
      h("div", { class: "row" },
        h("span", { class: "small muted" }, "or one of these:"),
        ...EXAMPLES.map(([name, text, given]) =>
          h("button", { type: "button", class: "small", onclick: () => {
            for (const [key, value] of Object.entries(given)) values.set(key, value);
            field.value = text;
            start();
          } }, name)),
      ),
      h("div", { class: "row controls" }, back, next, h("div", { class: "scrub" }, range), made),
      picture,
      said,
      h("div", { class: "row spread predict" }, asked, h("label", { class: "small row tick" }, guess, "let me predict")),
      h("table", {},
        h("caption", { class: "hidden" }, "The variables: value, derivative of the result, and the derivative by a small nudge"),
        h("thead", {}, h("tr", {},
          h("th", { scope: "col" }, "variable"), h("th", { scope: "col" }, "value"),
          h("th", { scope: "col", class: "right" }, "derivative"), h("th", { scope: "col", class: "right" }, "by a nudge"))),
        rows),
      h("table", { class: "hidden" },
        h("caption", {}, "The nodes of the graph"),
        h("thead", {}, h("tr", {}, ...["node", "made of", "value", "derivative"].map((t) => h("th", { scope: "col" }, t)))),
        nodes),
    ),
  );
  start();
  new ResizeObserver(() => {
    const narrow = picture.clientWidth < 480;
    if (narrow !== tall) {
      tall = narrow;
      draw();
    }
  }).observe(picture);

  /** Read the expression anew. @param {boolean} [keep] stay at the step where we are */
  function start(keep = false) {
    const [was, old] = [at, graph];
    try {
      graph = parse(field.value, (name) => {
        if (!values.has(name)) values.set(name, START[values.size % START.length]);
        return /** @type {number} */ (values.get(name));
      });
    } catch (error) {
      said.textContent = `No graph yet: ${/** @type {Error} */ (error).message}.`;
      said.classList.add("warn");
      [back.disabled, next.disabled, range.disabled] = [true, true, true];
      return;
    }
    said.classList.remove("warn");
    forward = graph.order.filter((node) => node.op);
    handings = backward(graph);
    at = keep && old?.order.length === graph.order.length ? was : 0;
    verdict = "";
    if (!keep)
      rows.replaceChildren(...graph.leaves.map((leaf) => {
        const input = h("input", {
          class: "field number-field", type: "number", step: 0.1, "aria-label": `value of ${leaf.name}`,
          oninput: () => {
            if (!Number.isFinite(input.valueAsNumber)) return;
            values.set(leaf.name, input.valueAsNumber);
            start(true);
          },
        });
        input.value = String(leaf.data);
        return h("tr", {}, h("th", { scope: "row", class: "mono" }, leaf.name), h("td", {}, input), h("td", { class: "right number grad" }), h("td", { class: "right number nudge" }));
      }));
    draw();
  }

  /** @param {number} to */
  function go(to) {
    at = Math.min(Math.max(to, 0), total());
    verdict = "";
    draw();
  }

  function total() {
    return forward.length + 1 + handings.length;
  }

  /** The step that is asked about: what the next node will have handed over, and to whom. */
  function pending() {
    const i = at - forward.length - 1;
    if (!guess.checked || i < 0 || i >= handings.length) return null;
    const { node, given, after } = handings[i];
    const pick = given.find((g) => g.before !== 0) ?? given.find((g) => Math.abs(g.partial) !== 1) ?? given[0];
    const same = given.filter((g) => g.parent === pick.parent);
    return {
      node,
      parent: pick.parent,
      partial: same.reduce((sum, g) => sum + g.partial, 0),
      amount: same.reduce((sum, g) => sum + g.amount, 0),
      before: same[0].before,
      after: after.get(pick.parent) ?? 0,
    };
  }

  function answer() {
    const now = pending();
    const text = mine.value.trim().replace(/[−–]/g, "-").replace(",", ".");
    if (!now || !text) return go(at + 1);
    const x = Number(text);
    if (!Number.isFinite(x)) {
      verdict = "A number is wanted, such as −0.35.";
      return draw();
    }
    const near = (/** @type {number} */ y) => Math.abs(x - y) <= 0.006 + 0.01 * Math.abs(y);
    const what = short(now.after);
    const told = near(now.after) ? `Right: ${what}.`
      : near(now.partial) ? `It is ${what}. ${short(now.partial)} is the local derivative alone; times what has arrived at this node, it is what is handed over.`
      : now.before && near(now.amount) ? `It is ${what}. ${short(now.amount)} is what this step hands over, and ${short(now.before)} was there already: they add.`
      : near(-now.after) ? `It is ${what}: the sign is the other.`
      : `It is ${what}.`;
    mine.value = "";
    go(at + 1);
    verdict = told;
    draw();
  }

  /** @param {Node} node */
  function name(node) {
    return node.name || label(node);
  }

  function draw() {
    if (!graph) return;
    const end = total();
    const done = new Set([...graph.leaves, ...forward.slice(0, at)]);
    const back_ = at - forward.length; // 0: none; 1: the result's own; then a node each
    const handing = back_ > 1 ? handings[back_ - 2] : null;
    /** @type {Map<Node, number>} */
    const grads = back_ < 1 ? new Map() : (handing?.after ?? new Map([[graph.root, 1]]));
    const hidden = pending();
    range.max = String(end);
    range.disabled = false;
    range.valueAsNumber = at;
    back.disabled = at === 0;
    next.disabled = at === end;
    next.textContent = hidden ? "Check" : "Next step";
    made.textContent = at <= forward.length ? `forward ${at} of ${forward.length}` : `back ${back_} of ${handings.length + 1}`;
    range.setAttribute("aria-valuetext", made.textContent);
    const result = name(graph.root);
    asked.classList.toggle("off", !hidden);
    mine.disabled = !hidden;
    question.textContent = hidden
      ? `What is the derivative of ${result} by “${name(hidden.parent)}” after “${name(hidden.node)}” has handed on?`
      : "The derivative that comes next";
    const active = at === 0 ? null : back_ <= 0 ? forward[at - 1] : back_ === 1 ? graph.root : handings[back_ - 2].node;
    if (!said.classList.contains("warn") || verdict)
      said.replaceChildren(...(verdict ? [h("b", {}, verdict), " "] : []), told(active, handing, grads));
    picture.replaceChildren(paint(done, grads, active, handing));
    [...rows.children].forEach((row, i) => {
      const leaf = graph?.leaves[i];
      const [, , grad, nudge] = row.children;
      const own = leaf && at === end ? grads.get(leaf) ?? 0 : leaf && grads.get(leaf);
      grad.textContent = own === undefined ? "" : short(own);
      nudge.textContent = at === end && leaf ? nudged(leaf.name) : "";
    });
    nodes.replaceChildren(...graph.order.map((node) => h("tr", {},
      h("th", { scope: "row" }, node.name && node.op ? `${node.name}: ${label(node)}` : name(node)),
      h("td", {}, node.parents.map(name).join(", ") || "given"),
      h("td", {}, done.has(node) ? short(node.data) : "not yet"),
      h("td", {}, grads.has(node) ? short(grads.get(node) ?? 0) : "not yet"))));
  }

  /** @param {Node | null} node @param {Handing | null} handing @param {Map<Node, number>} grads */
  function told(node, handing, grads) {
    if (!graph || !node) return "The variables have their values. Go forward: each step computes one node.";
    if (handing) {
      const own = grads.get(handing.node) ?? 0;
      return `“${name(node)}” has ${short(own)} and hands on: ` + handing.given.map((g) =>
        `to “${name(g.parent)}” ${short(own)} × ${short(g.partial)} = ${short(g.amount)}${g.before ? `, which makes ${short(g.before)} + ${short(g.amount)} = ${short(g.after)}` : ""}`).join("; ") + (at === total() ? ". That is all." : ".");
    }
    if (at > forward.length) return `Now back. The derivative of ${name(node)} by itself is 1.`;
    const [a, b] = node.parents.map((p) => short(p.data));
    const left = node.left === undefined ? a : short(node.left);
    const right = node.right === undefined ? (node.left === undefined ? b : a) : short(node.right);
    const sign = SIGN[/** @type {"+"} */ (node.op)];
    const sum = node.power !== undefined ? `(${a})^${short(node.power)}` : node.op === "neg" ? `−(${a})` : sign ? `${left} ${sign} ${right.startsWith("−") ? `(${right})` : right}` : `${node.op}(${a})`;
    return `${node.name ? `${node.name} = ` : ""}${sum} = ${short(node.data)}`;
  }

  /** The derivative from two runs with a slightly different value. @param {string} which */
  function nudged(which) {
    const step = 1e-5 * Math.max(1, Math.abs(values.get(which) ?? 1));
    const run = (/** @type {number} */ by) => parse(field.value, (n) => (values.get(n) ?? 0) + (n === which ? by : 0)).root.data;
    try {
      return short((run(step) - run(-step)) / (2 * step));
    } catch {
      return "–";
    }
  }

  /** @param {Set<Node>} done @param {Map<Node, number>} grads @param {Node | null} active
   * @param {Handing | null} handing */
  function paint(done, grads, active, handing) {
    const { order } = /** @type {Graph} */ (graph);
    const { spots, paths, layers, breadth } = layered(order, (node) => node.parents);
    const [wide, high] = [82, 56]; // of a box
    const room = picture.clientWidth ? picture.clientWidth - 24 : 660;
    const along = tall ? 82 : Math.min(150, Math.max(wide + 26, (room - wide) / Math.max(1, layers - 1)));
    const across = tall ? wide + 8 : high + 16;
    const place = (/** @type {{layer: number, at: number}} */ spot) =>
      tall ? [spot.at * across + wide / 2 + 2, spot.layer * along + high / 2 + 2] : [spot.layer * along + wide / 2 + 2, spot.at * across + high / 2 + 2];
    const [width, height] = tall
      ? [(breadth - 1) * across + wide + 4, (layers - 1) * along + high + 4]
      : [(layers - 1) * along + wide + 4, (breadth - 1) * across + high + 4];
    const svg = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    const texts = [];
    for (const { from, to, nth, via } of paths) {
      const lit = handing?.node === to || (!handing && active === to && done.has(to) && grads.size === 0);
      const points = via.map(place);
      // The two edges of x × x part a little at their end.
      const twice = to.parents.filter((p) => p === from).length > 1 ? (nth ? 9 : -9) : 0;
      let d = "";
      points.forEach(([x, y], i) => {
        if (!i) return void (d = tall ? `M${x + twice} ${y + high / 2}` : `M${x + wide / 2} ${y + twice}`);
        const [px, py] = points[i - 1];
        const last = i === points.length - 1;
        if (tall) {
          const [y0, y1] = [i === 1 ? py + high / 2 : py, last ? y - high / 2 : y];
          const [x0, x1] = [px + (i === 1 ? twice : 0), x + (last ? twice : 0)];
          d += `C${x0} ${(y0 + y1) / 2} ${x1} ${(y0 + y1) / 2} ${x1} ${y1}`;
        } else {
          const [x0, x1] = [i === 1 ? px + wide / 2 : px, last ? x - wide / 2 : x];
          const [y0, y1] = [py + (i === 1 ? twice : 0), y + (last ? twice : 0)];
          d += `C${(x0 + x1) / 2} ${y0} ${(x0 + x1) / 2} ${y1} ${x1} ${y1}`;
        }
      });
      svg.append(s("path", { d, class: `edge${lit ? (handing ? " backwards" : " forwards") : ""}` }));
      if (handing?.node === to) {
        const [[x0, y0], [x1, y1]] = points.slice(-2);
        texts.push(s("text", { x: (x0 + x1) / 2, y: y0 + (y1 - y0) * (tall ? 0.5 : 0.28) + 4 + (tall ? 0 : twice * 1.2), class: "partial" }, `× ${short(to.partials[nth])}`));
      }
    }
    for (const node of order) {
      const [x, y] = place(/** @type {any} */ (spots.get(node)));
      const grad = grads.get(node);
      const kind = `box${node.op ? "" : " leaf"}${done.has(node) ? "" : " later"}${node === active ? (at > forward.length ? " back" : " now") : ""}`;
      const top = node.op && node.name ? `${node.name} = ${label(node)}` : name(node);
      svg.append(s("g", { transform: `translate(${x - wide / 2} ${y - high / 2})` },
        s("rect", { width: wide, height: high, rx: 5, class: kind }),
        s("text", { x: wide / 2, y: 16, class: "what" }, top.length > 12 ? `${top.slice(0, 11)}…` : top),
        s("text", { x: wide / 2, y: 32, class: "value" }, done.has(node) ? short(node.data) : ""),
        s("text", { x: wide / 2, y: 48, class: "grad" }, grad === undefined ? "" : short(grad))));
    }
    svg.append(...texts);
    const focus = active && spots.get(active);
    if (focus) {
      // What happens is in view, where the graph is larger than its place.
      const [x, y] = place(focus);
      queueMicrotask(() => picture.scrollTo(x - picture.clientWidth / 2, y - picture.clientHeight / 2));
    }
    return svg;
  }
}

export default { render };
