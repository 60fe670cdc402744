// Bundles the page into ../static: index.html, app.js, app.css, the font, licences, and a .gz beside each text file.
import { build } from "esbuild";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const OUT = new URL("../static/", import.meta.url);
const FONT = "node_modules/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2";
const SHIPPED = ["preact", "@preact/signals", "@preact/signals-core", "uplot", "@fontsource-variable/inter"];
const JS_LIMIT = 60 * 1024;

await rm(OUT, { recursive: true, force: true });
await mkdir(OUT, { recursive: true });

await build({
  entryPoints: { app: "src/main.tsx" },
  outdir: OUT.pathname,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2020", "chrome100", "firefox100", "safari15"],
  jsx: "automatic",
  jsxImportSource: "preact",
  external: ["*.woff2"],
  legalComments: "none",
  logLevel: "warning",
});

await copyFile(FONT, new URL("inter.woff2", OUT));
await copyFile("src/icon.svg", new URL("icon.svg", OUT));
await copyFile("src/index.html", new URL("index.html", OUT));

const licences = [];
for (const name of SHIPPED) {
  const about = JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8"));
  const text = await readFile(`node_modules/${name}/LICENSE`, "utf8");
  licences.push(`${name} ${about.version} (${about.license})\n\n${text.trim()}\n`);
}
await writeFile(new URL("THIRD_PARTY.txt", OUT), licences.join(`\n${"-".repeat(80)}\n\n`));

const sizes = {};
for (const name of ["index.html", "app.js", "app.css", "icon.svg"]) {
  const body = await readFile(new URL(name, OUT));
  const zipped = gzipSync(body, { level: 9 });
  await writeFile(new URL(`${name}.gz`, OUT), zipped);
  sizes[name] = zipped.length;
}
console.log(Object.entries(sizes).map(([name, size]) => `${name} ${(size / 1024).toFixed(1)} kB gz`).join(", "));
if (sizes["app.js"] > JS_LIMIT) {
  console.error(`app.js is ${sizes["app.js"]} bytes gzipped, at most ${JS_LIMIT} are allowed: what has crept in?`);
  process.exit(1);
}
