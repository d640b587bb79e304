// Builds the browser's verifier: chaincode/evidence as WebAssembly and the Go toolchain's own loader for it, into verifier/built/,
// from where Vite takes them. Needs Go (GO names another binary); what has not changed comes from Go's cache in a moment.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const built = fileURLToPath(new URL("../verifier/built/", import.meta.url));
const repository = fileURLToPath(new URL("../..", import.meta.url));
const go = process.env.GO ?? "go";
mkdirSync(built, { recursive: true });
try {
	execFileSync(go, ["build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", join(built, "verifier.wasm"), "./deploy/wasm"], {
		cwd: repository,
		env: { ...process.env, GOOS: "js", GOARCH: "wasm", GOFLAGS: "" },
		stdio: ["ignore", "inherit", "inherit"],
	});
	const root = execFileSync(go, ["env", "GOROOT"], { cwd: repository, encoding: "utf8" }).trim();
	copyFileSync(join(root, "lib/wasm/wasm_exec.js"), join(built, "wasm_exec.js"));
} catch (error) {
	process.stderr.write(`The browser's verifier cannot be built: ${error instanceof Error ? error.message : String(error)}\nIt needs Go.\n`);
	process.exit(1);
}
process.stdout.write(
	`verifier.wasm: ${(statSync(join(built, "verifier.wasm")).size / 1e6).toFixed(1)} MB, loaded only when something is checked\n`,
);
