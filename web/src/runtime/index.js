// The runtime alone, for tests, benches and whoever builds a figure of their own.
export { BPE, begin, join, learn, show, split } from "./bpe.js";
export { crc32, whole } from "./bytes.js";
export { asset, runtime } from "./client.js";
export { cost, gated } from "./cost.js";
export { Engine } from "./engine.js";
export { backward, parse, topological } from "./graph.js";
export { fromFile, toFile } from "./trained.js";
export { Trainer } from "./trainer.js";
export { draw, softmax, stages, uniform } from "./sampling.js";
export { Cursor, TalesTokenizer } from "./tales.js";
