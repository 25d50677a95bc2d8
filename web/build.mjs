// Sources to what ships: one module a figure in the anywidget form, the runtime alone, and the
// page's classic script. `node build.mjs FOLDER` writes elsewhere, for comparison.
import { build } from "esbuild";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import path from "node:path";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.resolve(process.argv[2] ?? path.join(here, "../llmcourse/widgets/static"));
const common = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  charset: "utf8",
  target: "es2022",
  legalComments: "none",
  loader: { ".css": "text" },
  logLevel: "warning",
};

// `import text from "worker:./x.js"` gives a bundled worker as text: a Blob of it starts anywhere,
// a page opened from a folder included.
const workers = {
  name: "workers",
  setup(made) {
    made.onResolve({ filter: /^worker:/ }, (asked) => ({
      path: path.join(asked.resolveDir, asked.path.slice(7)),
      namespace: "worker",
    }));
    made.onLoad({ filter: /.*/, namespace: "worker" }, async ({ path: file }) => {
      const built = await build({ ...common, entryPoints: [file], format: "iife", write: false });
      return { contents: built.outputFiles[0].text, loader: "text" };
    });
  },
};

const figures = readdirSync(path.join(here, "src/figures")).filter((name) => name.endsWith(".js"));
await build({
  ...common,
  entryPoints: Object.fromEntries([
    ...figures.map((name) => [name.replace(/\.js$/, ""), `src/figures/${name}`]),
    ["runtime", "src/runtime/index.js"],
  ]),
  format: "esm",
  outExtension: { ".js": ".mjs" },
  outdir: out,
  plugins: [workers],
});
await build({
  ...common,
  entryPoints: { live: "src/page.js" },
  format: "iife",
  outdir: out,
});
// Every page of the book loads this one; it lies beside the book's style.
await build({
  ...common,
  entryPoints: { "llmcourse-quiz": "src/quiz.js" },
  format: "iife",
  outdir: process.argv[2] ? out : path.join(out, "../../static"),
});
