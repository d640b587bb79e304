// Fails where the page's first scripts and styles weigh more than they may, compressed; charts load when they are needed.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const most = 300_000;
const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const page = await readFile(`${dist}index.html`, "utf8");
const names = [...page.matchAll(/(?:src|href)="\/([^"]+\.(?:js|css))"/g)].map((m) => m[1] ?? "");
let total = gzipSync(page).length;
for (const name of names) total += gzipSync(await readFile(dist + name)).length;
process.stdout.write(`${(total / 1000).toFixed(1)} kB compressed at first (${names.length} files), at most ${most / 1000} kB\n`);
if (total > most || names.length === 0) process.exit(1);
