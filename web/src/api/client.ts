import createClient, { type FetchResponse } from "openapi-fetch";
import { Problem } from "./problem";
import type { paths } from "./schema";
import { session } from "./session.svelte";

export const api = createClient<paths>({
	baseUrl: "/api/v1",
	fetch: async (request) => {
		request.headers.set("Authorization", `Bearer ${session.token}`);
		const response = await fetch(request);
		if (response.status === 401) session.refuse();
		return response;
	},
});

// biome-ignore lint/suspicious/noExplicitAny: openapi-fetch's own bound
type Answer<T extends Record<string | number, any>, O> = Promise<FetchResponse<T, O, `${string}/${string}`>>;

/** The data of an answer, or its problem thrown. */
// biome-ignore lint/suspicious/noExplicitAny: openapi-fetch's own bound
export async function unwrap<T extends Record<string | number, any>, O>(answer: Answer<T, O>) {
	let result: Awaited<typeof answer>;
	try {
		result = await answer;
	} catch (error) {
		if (error instanceof DOMException && error.name === "AbortError") throw error;
		throw Problem.of(error);
	}
	if (result.error !== undefined || result.data === undefined) throw Problem.from(result.error, result.response.status);
	return result.data;
}

/** Fetches a file from the API. */
export async function fetchFile(path: string): Promise<Blob> {
	let response: Response;
	try {
		response = await fetch(`/api/v1${path}`, { headers: { Authorization: `Bearer ${session.token}` } });
	} catch (error) {
		throw Problem.of(error);
	}
	if (!response.ok) throw Problem.from(await response.json().catch(() => undefined), response.status);
	return response.blob();
}

/** Fetches a file from the API and hands it to the browser's downloads. */
export async function download(path: string, name: string) {
	save(await fetchFile(path), name);
}

export function save(blob: Blob, name: string) {
	const link = document.createElement("a");
	link.href = URL.createObjectURL(blob);
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
