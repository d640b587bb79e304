/** One server-sent event. */
export interface ServerSentEvent {
	event: string;
	data: string;
	id: string;
}

/**
 * Splits a stream of text into server-sent events, as the HTML standard lays down (EventSource cannot send a token in a
 * header, hence our own). push takes chunks cut anywhere and returns the events that they complete.
 */
export class EventParser {
	#rest = "";
	#event = "";
	#data: string[] = [];
	#id = "";

	push(chunk: string): ServerSentEvent[] {
		const complete: ServerSentEvent[] = [];
		this.#rest += chunk;
		for (;;) {
			const end = this.#rest.search(/\r|\n/);
			// A carriage return at the very end may be half of a pair that the next chunk completes.
			if (end < 0 || (this.#rest[end] === "\r" && end === this.#rest.length - 1)) return complete;
			const line = this.#rest.slice(0, end);
			this.#rest = this.#rest.slice(end + (this.#rest.startsWith("\r\n", end) ? 2 : 1));
			const event = this.#line(line);
			if (event) complete.push(event);
		}
	}

	#line(line: string): ServerSentEvent | undefined {
		if (line === "") {
			const event = { event: this.#event || "message", data: this.#data.join("\n"), id: this.#id };
			const empty = this.#data.length === 0;
			this.#event = "";
			this.#data = [];
			return empty ? undefined : event;
		}
		const colon = line.indexOf(":");
		if (colon === 0) return undefined;
		const field = colon < 0 ? line : line.slice(0, colon);
		const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
		if (field === "event") this.#event = value;
		else if (field === "data") this.#data.push(value);
		else if (field === "id" && !value.includes("\0")) this.#id = value;
		return undefined;
	}
}
