// The verifier itself: chaincode/evidence compiled to WebAssembly, and the Go toolchain's loader. Nobody imports this file but
// verifier.ts, and only when something is to be checked: it weighs more than the rest of the page together.

import program from "../../verifier/built/verifier.wasm?url";
import loader from "../../verifier/built/wasm_exec.js?url";

interface Exports {
	/** Both take the bytes of files and answer with JSON. */
	trust(text: Uint8Array): string;
	verify(receipt: Uint8Array, trust: Uint8Array): string;
}
interface GoRuntime {
	importObject: WebAssembly.Imports;
	run(instance: WebAssembly.Instance): Promise<void>;
}

export async function start(ended: () => void): Promise<Exports> {
	await import(/* @vite-ignore */ loader);
	const { Go } = globalThis as unknown as { Go: new () => GoRuntime };
	const go = new Go();
	const { instance } = await WebAssembly.instantiateStreaming(fetch(program), go.importObject);
	// It runs until the page is closed, unless it fails so badly that Go gives up: then the next check starts another one.
	go.run(instance).then(ended, ended);
	const { trailmarkVerifier } = globalThis as unknown as { trailmarkVerifier?: Exports };
	if (!trailmarkVerifier) throw new Error("the verifier did not start");
	return trailmarkVerifier;
}
