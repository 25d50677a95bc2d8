// An expression, read by a parser of its own (nothing is ever executed as code), as a graph of
// scalars with local derivatives: what `llmcourse.autograd` builds of the same expression.

/** @typedef {{op: string, name: string, data: number, parents: Node[], partials: number[],
 *   power?: number, left?: number, right?: number}} Node
 *   `left` or `right`: a number that the operation holds in place of a parent */
/** @typedef {Node | number} Term */
/** @typedef {{root: Node, order: Node[], leaves: Node[]}} Graph `order`: parents first, root last */

const FUNCTIONS = ["exp", "log", "relu", "tanh"];
const NODES = 40;
const LEAVES = 8;

/** @param {number} at @param {string} why */
const wrong = (at, why) => new Error(`at character ${at + 1}: ${why}`);

/**
 * Numbers, names, marks; `;` and a new line end a statement.
 * @param {string} text
 * @returns {{kind: string, text: string, at: number}[]}
 */
function read(text) {
  const out = [];
  const shape = /\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)|([a-z_]\w*)|(\*\*|[-+*/^()=;]))/iy;
  const lines = text.replace(/[ \t]*\n/g, ";").replace(/[−–]/g, "-").replace(/[×·]/g, "*");
  for (let at = 0; lines.slice(at).trim(); at = shape.lastIndex) {
    shape.lastIndex = at;
    const found = shape.exec(lines);
    if (!found) {
      const bad = at + lines.slice(at).search(/\S/);
      throw wrong(bad, `“${String.fromCodePoint(lines.codePointAt(bad) ?? 0)}” has no meaning here`);
    }
    const kind = found[1] ? "number" : found[2] ? "name" : "mark";
    const word = found[1] ?? found[2] ?? (found[3] === "**" ? "^" : found[3]);
    out.push({ kind, text: word, at: shape.lastIndex - (found[1] ?? found[2] ?? found[3]).length });
  }
  out.push({ kind: "end", text: "", at: lines.length });
  return out;
}

/**
 * The graph of `a = w * x; (tanh(a + b) - y)^2`: its last statement is the result.
 * @param {string} text
 * @param {(name: string) => number} value of a variable
 * @returns {Graph}
 */
export function parse(text, value) {
  const tokens = read(text);
  /** @type {Map<string, Term>} */
  const named = new Map();
  /** @type {Node[]} */
  const leaves = [];
  let [i, made, depth] = [0, 0, 0];
  /** @param {string} mark */
  const take = (mark) => tokens[i].kind === "mark" && tokens[i].text === mark && !!++i;
  /** @param {() => Term} what what can go wrong where `at` stands @param {number} at */
  const placed = (what, at) => {
    try {
      const node = what();
      if (typeof node !== "number" && ++made > NODES) throw new Error(`more than ${NODES} operations`);
      return node;
    } catch (error) {
      throw wrong(at, /** @type {Error} */ (error).message);
    }
  };

  /** @returns {Term} */
  function sum() {
    let left = product();
    for (;;) {
      const { at, text: op } = tokens[i];
      if (!take("+") && !take("-")) return left;
      const [a, b] = [left, product()];
      left = placed(() => binary(op, a, b), at);
    }
  }

  /** @returns {Term} */
  function product() {
    let left = sign();
    for (;;) {
      const { at, text: op } = tokens[i];
      if (!take("*") && !take("/")) return left;
      const [a, b] = [left, sign()];
      left = placed(() => binary(op, a, b), at);
    }
  }

  /** @returns {Term} */
  function sign() {
    const { at } = tokens[i];
    if (++depth > 60) throw wrong(at, "this is nested too deep");
    let out;
    if (take("-")) {
      const a = sign();
      out = typeof a === "number" ? -a : placed(() => unary("neg", a), at);
    } else out = power();
    depth--;
    return out;
  }

  /** @returns {Term} */
  function power() {
    const base = atom();
    const { at } = tokens[i];
    if (!take("^")) return base;
    const exponent = sign();
    if (typeof exponent !== "number")
      throw wrong(at, "an exponent is a number here; for a variable one write exp(n * log(x))");
    return placed(() => raise(base, exponent), at);
  }

  /** @returns {Term} */
  function atom() {
    const token = tokens[i];
    if (token.kind === "number") {
      i++;
      return Number(token.text);
    }
    if (take("(")) {
      const inside = sum();
      if (!take(")")) throw wrong(tokens[i].at, `“)” is missing, for the “(” at character ${token.at + 1}`);
      return inside;
    }
    if (token.kind !== "name")
      throw wrong(token.at, token.kind === "end" ? "the expression ends too early" : `“${token.text}” stands where a number or a name should`);
    i++;
    if (take("(")) {
      if (!FUNCTIONS.includes(token.text))
        throw wrong(token.at, `“${token.text}” is no function here; there are ${FUNCTIONS.join(", ")}`);
      const inside = sum();
      if (!take(")")) throw wrong(tokens[i].at, `“)” is missing after ${token.text}(`);
      return placed(() => unary(token.text, inside), token.at);
    }
    if (FUNCTIONS.includes(token.text)) throw wrong(token.at, `${token.text} wants its number in parentheses`);
    const known = named.get(token.text);
    if (known !== undefined) return known;
    if (leaves.length === LEAVES) throw wrong(token.at, `more than ${LEAVES} variables`);
    const leaf = { op: "", name: token.text, data: value(token.text), parents: [], partials: [] };
    named.set(token.text, leaf);
    leaves.push(leaf);
    return leaf;
  }

  /** @type {Term | null} */
  let last = null;
  while (tokens[i].kind !== "end") {
    if (take(";")) continue;
    const [name, next] = [tokens[i], tokens[i + 1]];
    const given = name.kind === "name" && next.kind === "mark" && next.text === "=";
    if (given) {
      if (named.has(name.text)) throw wrong(name.at, `${name.text} has a value already`);
      i += 2;
    }
    last = sum();
    if (given) {
      if (FUNCTIONS.includes(name.text)) throw wrong(name.at, `${name.text} is the name of a function`);
      named.set(name.text, last);
      if (typeof last !== "number" && last.op && !last.name) last.name = name.text;
    }
    if (tokens[i].kind !== "end" && !take(";"))
      throw wrong(tokens[i].at, `“${tokens[i].text}” comes where an operation should`);
  }
  if (last === null) throw new Error("there is no expression yet");
  if (typeof last === "number" || !last.op) throw new Error("nothing is computed of a variable here");
  const order = topological(last);
  return { root: last, order, leaves: order.filter((node) => !node.op) };
}

/** As `autograd.topological`: parents first, from left to right. @param {Node} root */
export function topological(root) {
  /** @type {Set<Node>} in the order of completion */
  const done = new Set();
  const visit = (/** @type {Node} */ node) => {
    if (done.has(node)) return;
    node.parents.forEach(visit);
    done.add(node);
  };
  visit(root);
  return [...done];
}

/** @param {Term} term */
const number = (term) => (typeof term === "number" ? term : term.data);

/**
 * @param {string} op @param {number} data
 * @param {[Term, number][]} by what it is made of, each with the derivative
 * @param {Partial<Node>} [more]
 * @returns {Node}
 */
function node(op, data, by, more = {}) {
  if (!Number.isFinite(data)) throw new Error(`the result of ${op} is not finite`);
  const parents = /** @type {[Node, number][]} */ (by.filter(([term]) => typeof term !== "number"));
  return { op, name: "", data, parents: parents.map(([p]) => p), partials: parents.map(([, d]) => d), ...more };
}

/** @param {string} op @param {Term} a @param {Term} b @returns {Term} */
function binary(op, a, b) {
  const [x, y] = [number(a), number(b)];
  if (op === "/" && y === 0) throw new Error("division by zero");
  const data = op === "+" ? x + y : op === "-" ? x - y : op === "*" ? x * y : x / y;
  if (typeof a === "number" && typeof b === "number") return data;
  const by = op === "+" ? [1, 1] : op === "-" ? [1, -1] : op === "*" ? [y, x] : [1 / y, -data / y];
  const held = { ...(typeof a === "number" && { left: a }), ...(typeof b === "number" && { right: b }) };
  return node(op, data, [[a, by[0]], [b, by[1]]], held);
}

/** @param {string} op @param {Term} a @returns {Term} */
function unary(op, a) {
  const x = number(a);
  if (op === "log" && !(x > 0)) throw new Error(`log needs a number above 0, got ${short(x)}`);
  if (op === "exp" && x > 709.78) throw new Error(`exp overflows above 709.78, got ${short(x)}`);
  const y = op === "neg" ? -x : op === "relu" ? Math.max(x, 0) : Math[/** @type {"exp"} */ (op)](x);
  if (typeof a === "number") return y;
  const d = op === "neg" ? -1 : op === "exp" ? y : op === "log" ? 1 / x : op === "tanh" ? 1 - y * y : x > 0 ? 1 : 0;
  return node(op, y, [[a, d]]);
}

/** @param {Term} a @param {number} n @returns {Term} */
function raise(a, n) {
  const x = number(a);
  if ((x < 0 && !Number.isInteger(n)) || (x === 0 && (n < 0 || (n > 0 && n < 1))))
    throw new Error(`${short(x)} to the power ${short(n)} has no finite real value and derivative`);
  if (typeof a === "number") return x ** n;
  return node("^", x ** n, [[a, n ? n * x ** (n - 1) : 0]], { power: n });
}

/** One step of the backward pass: what a node hands to its parents, and what they have then.
 * @typedef {{node: Node, given: {parent: Node, partial: number, amount: number, before: number,
 *   after: number}[], after: Map<Node, number>}} Handing */

/**
 * The backward pass, a node at a time, from the result on: each is visited when all that was made
 * of it has been, and *adds* to its parents.
 * @param {Graph} graph
 * @returns {Handing[]}
 */
export function backward({ root, order }) {
  const grad = new Map([[root, 1]]);
  return order
    .filter((node) => node.op)
    .reverse()
    .map((node) => {
      const own = grad.get(node) ?? 0;
      const given = node.parents.map((parent, i) => {
        const [partial, before] = [node.partials[i], grad.get(parent) ?? 0];
        const amount = own * partial;
        grad.set(parent, before + amount);
        return { parent, partial, amount, before, after: before + amount };
      });
      return { node, given, after: new Map(grad) };
    });
}

/** A number in four figures, with a minus sign. @param {number} x */
export function short(x) {
  const size = Math.abs(x);
  const text = size !== 0 && (size < 0.001 || size >= 100000) ? x.toExponential(2) : String(Number(x.toPrecision(4)));
  return text.replace("-", "−");
}
