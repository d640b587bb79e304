// The live stream: one connection for the whole page, which reconnects by itself and says at once when it is stale.
import { untrack } from "svelte";
import { clock } from "../lib/clock.svelte";
import { session } from "./session.svelte";
import { EventParser } from "./sse";
import type { StreamEvents } from "./types";

type Handler<K extends keyof StreamEvents> = (data: StreamEvents[K]) => void;

/** The node sends something every 5 s; silence for this long means that the connection is dead. */
export const silence = 12_000;
const retryDelays = [500, 1000, 2000, 4000, 8000];

class Live {
	state = $state<"connecting" | "live" | "stale">("connecting");
	/** When the node was last heard, by this machine's clock; 0 never. */
	heard = $state(0);
	block = $state<StreamEvents["block"]>();

	#handlers = new Map<string, Set<Handler<never>>>();
	#last = "";
	#attempt = 0;
	#stop: AbortController | undefined;

	/** Connects and stays connected until the returned function is called. */
	start(): () => void {
		const stop = new AbortController();
		this.#stop = stop;
		this.state = "connecting";
		void this.#run(stop.signal);
		const offline = () => this.#lost();
		addEventListener("offline", offline);
		stop.signal.addEventListener("abort", () => removeEventListener("offline", offline));
		return () => stop.abort();
	}

	on<K extends keyof StreamEvents>(event: K, handler: Handler<K>): () => void {
		const set = this.#handlers.get(event) ?? new Set();
		this.#handlers.set(event, set);
		set.add(handler as Handler<never>);
		return () => set.delete(handler as Handler<never>);
	}

	#lost() {
		if (!this.#stop?.signal.aborted && this.heard > 0) this.state = "stale";
	}

	async #run(signal: AbortSignal) {
		while (!signal.aborted) {
			try {
				await this.#connect(signal);
			} catch {
				// Whatever went wrong, the way out is the same: say so and connect again.
			}
			if (signal.aborted) return;
			this.#lost();
			const delay = retryDelays[Math.min(this.#attempt++, retryDelays.length - 1)] ?? 1000;
			await new Promise((done) => setTimeout(done, delay));
		}
	}

	async #connect(signal: AbortSignal) {
		const quiet = new AbortController();
		let timer = setTimeout(() => quiet.abort(), silence);
		const heard = () => {
			clearTimeout(timer);
			timer = setTimeout(() => quiet.abort(), silence);
			this.heard = Date.now();
			if (this.state !== "live") this.state = "live";
		};
		try {
			const response = await fetch("/api/v1/stream", {
				headers: {
					Authorization: `Bearer ${session.token}`,
					Accept: "text/event-stream",
					...(this.#last && { "Last-Event-ID": this.#last }),
				},
				signal: AbortSignal.any([signal, quiet.signal]),
				cache: "no-store",
			});
			if (response.status === 401) session.refuse();
			if (!response.ok || !response.body) throw new Error(`stream: status ${response.status}`);
			const missed = this.#attempt > 0 && !this.#last;
			this.#attempt = 0;
			heard();
			// A connection lost before it had a place to resume from may have missed anything.
			if (missed) this.#dispatch("resync", JSON.stringify({ reason: "reconnected" }));
			const parser = new EventParser();
			const decoder = new TextDecoder();
			const reader = response.body.getReader();
			for (;;) {
				const { done, value } = await reader.read();
				if (done) return;
				heard();
				for (const event of parser.push(decoder.decode(value, { stream: true }))) {
					if (event.id) this.#last = event.id;
					this.#dispatch(event.event, event.data);
				}
			}
		} finally {
			clearTimeout(timer);
		}
	}

	#dispatch(name: string, data: string) {
		const parsed = JSON.parse(data) as never;
		if (name === "block") {
			const block = parsed as StreamEvents["block"];
			this.block = block;
			clock.set(block.clock);
		}
		// A resync means that anything may have changed: whoever listens to anything hears it.
		for (const handler of this.#handlers.get(name) ?? []) handler(parsed);
	}
}

export const live = new Live();

/** Calls a handler for events as long as the component that says so stands. */
export function onLive<K extends keyof StreamEvents>(event: K, handler: Handler<K>) {
	$effect(() => live.on(event, (data) => untrack(() => handler(data))));
}
