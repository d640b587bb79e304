import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Problem } from "./problem";
import { Query } from "./query.svelte";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe("Query", () => {
	it("makes one request of many refreshes, and one more for those that came while it ran", async () => {
		let finish: (n: number) => void = () => {};
		const run = vi.fn(() => new Promise<number>((done) => (finish = done)));
		const query = new Query(run);
		query.restart();
		for (let i = 0; i < 20; i++) query.refresh();
		expect(run).toHaveBeenCalledTimes(1);
		finish(1);
		await vi.advanceTimersByTimeAsync(1000);
		expect(query.data).toBe(1);
		expect(run).toHaveBeenCalledTimes(2);
		finish(2);
		await vi.advanceTimersByTimeAsync(1000);
		expect(query.data).toBe(2);
		expect(run).toHaveBeenCalledTimes(2);
	});

	it("lets no late answer take the place of the question asked since", async () => {
		const finish: ((s: string) => void)[] = [];
		const query = new Query(() => new Promise<string>((done) => finish.push(done)));
		query.restart();
		query.restart();
		finish[1]?.("new");
		await vi.advanceTimersByTimeAsync(0);
		finish[0]?.("old");
		await vi.advanceTimersByTimeAsync(0);
		expect(query.data).toBe("new");
	});

	it("keeps what it has when the node is away, says so, and mends itself", async () => {
		const answers: (() => Promise<string>)[] = [
			async () => "first",
			async () => Promise.reject(new Problem("unavailable", "away")),
			async () => "back",
		];
		const query = new Query(() => (answers.shift() ?? (async () => "more"))());
		query.restart();
		await vi.advanceTimersByTimeAsync(0);
		query.restart();
		await vi.advanceTimersByTimeAsync(0);
		expect(query.data).toBe("first");
		expect(query.error?.code).toBe("unavailable");
		await vi.advanceTimersByTimeAsync(3500);
		expect(query.data).toBe("back");
		expect(query.error).toBeUndefined();
	});
});
