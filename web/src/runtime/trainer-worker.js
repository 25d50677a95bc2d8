import { fromFile, toFile } from "./trained.js";
import { Trainer } from "./trainer.js";

/** @type {Trainer | null} */
let trainer = null;
let settings = { lr: 0.003, clip: 1, warmup: 20 };
let running = false;
let most = 0;

/** Steps for a tenth of a second, then a word to the page, and an ear for it. */
function work() {
  if (!running || !trainer) return;
  const began = performance.now();
  const [losses, norms] = [/** @type {number[]} */ ([]), /** @type {number[]} */ ([])];
  /** @type {{at?: number, held?: number, sample?: string}} */
  const seen = {};
  while (performance.now() - began < 100 && trainer.step < most) {
    if (trainer.step % 50 === 0) {
      seen.at = trainer.step;
      seen.held = trainer.heldOut();
      seen.sample = trainer.sample(70, 0.8);
    }
    const { loss, norm } = trainer.train(settings);
    losses.push(loss);
    norms.push(norm);
    if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
      running = false;
      break;
    }
    if (trainer.step % 50 === 0) break;
  }
  if (trainer.step >= most) {
    running = false;
    seen.at = trainer.step;
    seen.held = trainer.heldOut();
    seen.sample = trainer.sample(70, 0.8);
  }
  postMessage({ step: trainer.step, losses, norms, running, milliseconds: performance.now() - began, ...seen });
  setTimeout(work);
}

addEventListener("message", ({ data }) => {
  try {
    Object.assign(settings, data.settings);
    if (data.text !== undefined) {
      const from = data.file ? fromFile(data.file) : undefined;
      trainer = new Trainer(data.text, { seed: data.seed, from });
      postMessage({ size: trainer.size, vocabulary: trainer.vocabulary.length, unigram: trainer.unigram, characters: trainer.ids.length, leftOut: trainer.leftOut });
    }
    if (data.wanted && trainer) {
      const file = toFile({ shape: trainer.shape, characters: trainer.vocabulary, weights: trainer.weights });
      // @ts-ignore: a Worker's postMessage takes what is handed over
      postMessage({ file, step: trainer.step }, [file]);
    }
    if (data.running !== undefined) {
      const was = running;
      running = data.running;
      most = data.most ?? most;
      if (running && !was) work();
    }
  } catch (error) {
    running = false;
    postMessage({ error: error instanceof Error ? error.message : String(error) });
  }
});
