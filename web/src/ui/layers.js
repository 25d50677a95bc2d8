// A graph drawn in layers: every node after all its parents, few crossings, long edges around boxes.

/** @template N @typedef {{node: N | null, layer: number, at: number, up: Spot<N>[],
 *   down: Spot<N>[]}} Spot `node` is null where an edge only passes */

/**
 * @template N
 * @param {N[]} order parents first
 * @param {(node: N) => N[]} parentsOf
 * @returns {{spots: Map<N, Spot<N>>, layers: number, breadth: number,
 *   paths: {from: N, to: N, nth: number, via: Spot<N>[]}[]}}
 */
export function layered(order, parentsOf) {
  /** @type {Map<N, number>} */
  const depth = new Map();
  for (const node of order) depth.set(node, 1 + Math.max(-1, ...parentsOf(node).map((p) => depth.get(p) ?? 0)));
  // A leaf stands beside the first that uses it.
  for (const node of order)
    if (!parentsOf(node).length)
      depth.set(node, Math.min(...order.filter((c) => parentsOf(c).includes(node)).map((c) => (depth.get(c) ?? 1) - 1)));
  const count = 1 + Math.max(...depth.values());
  /** @type {Spot<N>[][]} */
  const rows = Array.from({ length: count }, () => []);
  /** @param {N | null} node @param {number} layer @returns {Spot<N>} */
  const spot = (node, layer) => {
    const made = { node, layer, at: 0, up: [], down: [] };
    rows[layer].push(made);
    return made;
  };
  /** @type {Map<N, Spot<N>>} */
  const spots = new Map();
  for (const node of order) spots.set(node, spot(node, depth.get(node) ?? 0));
  /** @type {{from: N, to: N, nth: number, via: Spot<N>[]}[]} */
  const paths = [];
  const get = (/** @type {N} */ node) => /** @type {Spot<N>} */ (spots.get(node));
  for (const to of order)
    parentsOf(to).forEach((from, nth) => {
      const via = [get(from)];
      for (let l = get(from).layer + 1; l < get(to).layer; l++) via.push(spot(null, l));
      via.push(get(to));
      for (let i = 1; i < via.length; i++) {
        via[i].up.push(via[i - 1]);
        via[i - 1].down.push(via[i]);
      }
      paths.push({ from, to, nth, via });
    });

  const mean = (/** @type {Spot<N>[]} */ near) => near.reduce((s, x) => s + x.at, 0) / near.length;
  const number = () => rows.forEach((row) => row.forEach((s, i) => (s.at = i)));
  number();
  let best = rows.map((row) => row.slice());
  let least = crossings(rows);
  for (let sweep = 0; sweep < 8 && least; sweep++) {
    const down = sweep % 2 === 0;
    for (const row of down ? rows : rows.slice().reverse()) {
      const want = new Map(row.map((s) => [s, (down ? s.up : s.down).length ? mean(down ? s.up : s.down) : s.at]));
      row.sort((a, b) => (want.get(a) ?? 0) - (want.get(b) ?? 0));
      row.forEach((s, i) => (s.at = i));
    }
    const found = crossings(rows);
    if (found < least) [least, best] = [found, rows.map((row) => row.slice())];
  }
  best.forEach((row, i) => (rows[i] = row));
  number();
  // Each is drawn to the middle of its neighbours, as far as the others of its layer let it.
  const gap = (/** @type {Spot<N>} */ a, /** @type {Spot<N>} */ b) => (a.node && b.node ? 1 : 0.7);
  for (let round = 0; round < 24; round++)
    for (const row of round % 2 ? rows.slice().reverse() : rows) {
      const want = row.map((s) => (s.up.length + s.down.length ? mean([...s.up, ...s.down]) : s.at));
      const put = want.slice();
      for (let i = 1; i < row.length; i++) put[i] = Math.max(put[i], put[i - 1] + gap(row[i - 1], row[i]));
      const off = put.reduce((sum, x, i) => sum + x - want[i], 0) / (row.length || 1);
      row.forEach((s, i) => (s.at = put[i] - off));
    }
  const all = rows.flat();
  const first = Math.min(...all.map((s) => s.at));
  for (const s of all) s.at -= first;
  return { spots, paths, layers: count, breadth: 1 + Math.max(...all.map((s) => s.at)) };
}

/** @template N @param {Spot<N>[][]} rows */
function crossings(rows) {
  let sum = 0;
  for (const row of rows) {
    const lines = row.flatMap((s) => s.down.map((d) => [s.at, d.at]));
    for (const [a, b] of lines) for (const [c, d] of lines) if (a < c && b > d) sum++;
  }
  return sum;
}
