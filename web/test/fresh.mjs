// Fails where the committed API types are not what the committed specification generates.

import { execFileSync } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const web = fileURLToPath(new URL("..", import.meta.url));
const made = join(tmpdir(), `trailmark-schema-${process.pid}.ts`);
execFileSync(join(web, "node_modules/.bin/openapi-typescript"), [join(web, "../gateway/api/openapi.yaml"), "-o", made], {
	stdio: ["ignore", "ignore", "inherit"],
});
const [fresh, committed] = await Promise.all([readFile(made, "utf8"), readFile(join(web, "src/api/schema.ts"), "utf8")]);
await rm(made);
if (fresh !== committed) {
	process.stderr.write(
		"web/src/api/schema.ts is not what gateway/api/openapi.yaml generates: run npm run generate in web/ and commit the difference\n",
	);
	process.exit(1);
}
process.stdout.write("API types are fresh\n");
