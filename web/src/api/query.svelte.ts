import { Problem } from "./problem";

/** Refreshes that follow one another closer than this become one. */
const calm = 400;

/**
 * What one request said last, kept on the page while a newer answer is on its way. `refresh` may be called as often as
 * events come in: requests neither pile up nor overtake one another.
 */
export class Query<T> {
	data = $state.raw<T>();
	error = $state.raw<Problem>();
	busy = $state(false);

	#run: (signal: AbortSignal) => Promise<T>;
	#abort: AbortController | undefined;
	#again = false;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#finished = 0;

	constructor(run: (signal: AbortSignal) => Promise<T>) {
		this.#run = run;
	}

	/** Asks again soon; a request on its way is let finish first. */
	refresh() {
		if (this.#abort) this.#again = true;
		else this.#timer ??= setTimeout(() => void this.#ask(), Math.max(0, this.#finished + calm - Date.now()));
	}

	/** Asks at once for something else: an answer on its way is of no use any more. */
	restart(clear = false) {
		this.stop();
		if (clear) this.data = undefined;
		void this.#ask();
	}

	stop() {
		this.#abort?.abort();
		this.#abort = undefined;
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#again = false;
	}

	async #ask() {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		const abort = new AbortController();
		this.#abort = abort;
		this.busy = true;
		try {
			const data = await this.#run(abort.signal);
			if (abort.signal.aborted) return;
			this.data = data;
			this.error = undefined;
		} catch (error) {
			if (abort.signal.aborted) return;
			this.error = Problem.of(error);
			// The page mends itself when the node comes back.
			if (this.error.code === "unavailable") this.#timer = setTimeout(() => void this.#ask(), 3000);
		} finally {
			if (this.#abort === abort) {
				this.#abort = undefined;
				this.busy = false;
				this.#finished = Date.now();
				if (this.#again) {
					this.#again = false;
					this.refresh();
				}
			}
		}
	}
}

/** Runs a query while the component stands, anew whenever what `depends` reads has changed. */
export function useQuery<T>(depends: () => unknown, run: (signal: AbortSignal) => Promise<T>, clear: () => unknown = () => ""): Query<T> {
	const query = new Query(run);
	let before: unknown;
	$effect(() => {
		depends();
		const now = clear();
		const other = now !== before;
		before = now;
		query.restart(other);
		return () => query.stop();
	});
	return query;
}
