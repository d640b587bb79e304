// The verifier that the page loads, as it was built: it says what evidence.Verify says, and has an answer for whatever it is given.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { contradictions } from "../src/verifier/compare";
import { flipped, golden, goldenAlert } from "./golden.mjs";

type Answer = { report?: Parameters<typeof contradictions>[0]; fingerprints?: string[]; part?: string; detail?: string };
let verify: (receipt: unknown, trust: unknown) => Answer;
let trust: (text: unknown) => Answer;

beforeAll(async () => {
	const built = new URL("../verifier/built/", import.meta.url);
	// The loader is a plain script that leaves Go behind.
	new Function(readFileSync(new URL("wasm_exec.js", built), "utf8"))();
	// biome-ignore lint/suspicious/noExplicitAny: what the loader and the program leave behind
	const left = globalThis as any;
	const go = new left.Go();
	const { instance } = await WebAssembly.instantiate(readFileSync(new URL("verifier.wasm", built)), go.importObject);
	void go.run(instance);
	verify = (...args) => JSON.parse(left.trailmarkVerifier.verify(...args));
	trust = (...args) => JSON.parse(left.trailmarkVerifier.trust(...args));
});

it.each(["alert", "reading"])("proves the golden receipt of a %s", (kind) => {
	const answer = verify(golden(`receipt-${kind}`), golden(`trust-${kind}`));
	expect(answer.part).toBeUndefined();
	expect(answer.report?.kind).toBe(kind);
	expect(answer.report?.checks.length).toBeGreaterThan(3);
});

it("proves what the page shows of the golden alert", () => {
	const { report } = verify(golden("receipt-alert"), golden("trust-alert"));
	expect(report && contradictions(report, { alert: goldenAlert })).toEqual([]);
});

it.each(["alert", "reading"])(
	"names a part, whichever byte of a receipt of a %s is another one",
	(kind) => {
		const [receipt, keys] = [golden(`receipt-${kind}`), golden(`trust-${kind}`)];
		for (let at = 0; at < receipt.length; at += 5) {
			const answer = verify(flipped(receipt, at), keys);
			expect(answer.report, `byte ${at}`).toBeUndefined();
			expect(answer.part, `byte ${at}`).toBeTruthy();
		}
	},
	60_000,
);

it("fingerprints keys as sha256sum does", () => {
	// jq -j '.organisations[0].logKey' trust.json | sha256sum
	expect(trust(golden("trust-alert")).fingerprints?.[0]).toBe("421cba08662af6aff086bb2a2f7fa5572e28dd04f2ca16bd142a209cca6325ac");
});

describe("bad input", () => {
	const keys = golden("trust-alert");
	it.each([
		["nothing", new Uint8Array(), keys, "encoding"],
		["no bytes at all", "text", keys, "encoding"],
		["too much", new Uint8Array((1 << 20) + 1), keys, "encoding"],
		["no trust file", golden("receipt-alert"), new Uint8Array([0x7b]), "trust file"],
	])("%s is answered", (_, receipt, text, part) => {
		expect(verify(receipt, text).part).toBe(part);
	});
	it("does not end it", () => expect(verify(golden("receipt-alert"), keys).report).toBeDefined());
});
