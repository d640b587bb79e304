// Checks receipts in this browser. What it says is what `trailmark verify` says: it is the same code.
import type { Trust, Verdict } from "./types";

const most = 1 << 20;
type Engine = Awaited<ReturnType<typeof import("./engine")["start"]>>;
let engine: Promise<Engine> | undefined;

/** Loads the verifier, once; after that nothing here uses the network. */
export function load(): Promise<Engine> {
	const forget = () => {
		engine = undefined;
	};
	engine ??= import("./engine")
		.then(({ start }) => start(forget))
		.catch((error) => {
			forget();
			throw new Error(`The verifier could not be loaded: ${error instanceof Error ? error.message : String(error)}`);
		});
	return engine;
}

const bytes = (text: string) => new TextEncoder().encode(text);

/** Reads a trust file; a reason when it is none. */
export async function readTrust(text: string): Promise<{ trust: Trust; fingerprints: string[] } | { refused: string }> {
	const answer = JSON.parse((await load()).trust(bytes(text)));
	return answer.trust ? { trust: answer.trust, fingerprints: answer.fingerprints } : { refused: answer.detail };
}

/** Checks a receipt against pinned keys. Nothing but a report is a proof: whatever else comes back is a part that does not hold. */
export async function verify(receipt: Uint8Array, trust: Trust): Promise<Verdict> {
	const answer = JSON.parse((await load()).verify(receipt, bytes(JSON.stringify(trust))));
	return answer.report ? { report: answer.report } : { part: answer.part ?? "verifier", detail: answer.detail ?? "it gave no answer" };
}

/** The bytes of a file that may be a receipt, or nothing where it is too long to be one. */
export async function contents(file: Blob): Promise<Uint8Array | undefined> {
	return file.size > most ? undefined : new Uint8Array(await file.arrayBuffer());
}
