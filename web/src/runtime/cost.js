// What a token costs: multiply-adds as `GPTConfig.flops_per_token` counts them (there each is two
// operations), and the numbers that the KV cache holds.

/** @typedef {{layers: number, width: number, heads: number, groups: number, hidden: number,
 *   vocabulary: number}} Form */

/** The package's width of a gated MLP: 8/3 of the model's, in whole vector registers.
 * @param {number} width */
export const gated = (width) => 8 * Math.floor((Math.floor((8 * width) / 3) + 7) / 8);

/**
 * The token number T of a text, and all T together, each with a cache and reading all anew.
 * @param {Form} form @param {number} T
 */
export function cost({ layers: L, width: D, heads: H, groups: G, hidden: M, vocabulary: V }, T) {
  const K = D / H;
  const matrices = L * (D * (H + 2 * G) * K + D * D + 3 * D * M);
  const looks = (/** @type {number} */ pairs) => L * 2 * D * pairs; // queries with what they see
  const sum = (T * (T + 1)) / 2;
  return {
    rows: { next: 1, anew: T, all: T, allAnew: sum },
    work: {
      next: matrices + looks(T) + D * V,
      anew: T * matrices + looks(sum) + D * V,
      all: T * matrices + looks(sum) + T * D * V,
      allAnew: sum * matrices + looks((sum * (T + 2)) / 3) + T * D * V,
    },
    held: 2 * L * G * K, // numbers a position
    weights: V * D + matrices, // numbers in matrices
  };
}
