import type { NodeClock } from "../api/types";

/**
 * The node's time, ticking. Readings are as old as the clock they were taken by says: where the node simulates time, that is
 * the simulated clock; the ledger's own times are always real.
 */
class Clock {
	/** The machine's clock in ms, by the node. */
	real = $state(Date.now());
	/** The clock of readings in ms: simulated where the node says so. */
	readings = $state(Date.now());
	simulated = $state(false);
	speed = $state(1);

	#node: NodeClock | undefined;
	#at = 0;

	set(node: NodeClock) {
		this.#node = node;
		this.#at = Date.now();
		this.simulated = node.simulated;
		this.speed = node.speed ?? 1;
		this.tick();
	}

	tick() {
		const since = this.#node ? Date.now() - this.#at : 0;
		this.real = this.#node ? Date.parse(this.#node.now) + since : Date.now();
		const simulated = this.#node?.simulated && this.#node.simulatedTime;
		this.readings = simulated ? Math.min(Date.parse(simulated) + since * this.speed, this.real) : this.real;
	}

	start(): () => void {
		const timer = setInterval(() => this.tick(), 1000);
		return () => clearInterval(timer);
	}
}

export const clock = new Clock();
