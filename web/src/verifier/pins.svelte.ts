// The keys that the person at this browser pinned: kept here alone, never taken from a node without being asked, and never
// replaced without being forgotten first.
import type { Trust } from "./types";

const place = "trailmark.pinned-keys";

interface Pinned {
	trust: Trust;
	fingerprints: string[];
	/** When, and from where: in words. */
	at: string;
	from: string;
}

class Pins {
	current = $state.raw<Pinned>();
	/** Something stands in the storage that is no pin: it was altered or is damaged, so it is not simply replaced. */
	unreadable = $state(false);
	/** Whether the browser keeps them beyond this page. */
	kept = $state(true);

	constructor() {
		if (typeof localStorage === "undefined") return;
		this.#read();
		addEventListener("storage", (event) => {
			if (event.key === place || event.key === null) this.#read();
		});
	}

	#read() {
		this.current = undefined;
		this.unreadable = false;
		try {
			const text = localStorage.getItem(place);
			if (text === null) return;
			const found = JSON.parse(text) as Pinned;
			if (!Array.isArray(found?.trust?.organisations) || !Array.isArray(found.fingerprints)) throw new Error("no pin");
			this.current = found;
		} catch (error) {
			// A browser that lets nothing be stored throws a DOMException, and then there is nothing to read.
			this.unreadable = !(error instanceof DOMException);
		}
	}

	pin(trust: Trust, fingerprints: string[], from: string) {
		this.current = { trust, fingerprints, at: new Date().toISOString(), from };
		this.unreadable = false;
		try {
			localStorage.setItem(place, JSON.stringify(this.current));
			this.kept = true;
		} catch {
			this.kept = false;
		}
	}

	forget() {
		this.current = undefined;
		this.unreadable = false;
		try {
			localStorage.removeItem(place);
		} catch {
			// Nothing was kept, so nothing is left.
		}
	}
}

export const pins = new Pins();
