import { render } from "svelte/server";
import { describe, expect, it } from "vitest";
import { Problem } from "../api/problem";
import type { ShipmentState } from "../api/types";
import Budget from "./Budget.svelte";
import Failure from "./Failure.svelte";
import Seal from "./Seal.svelte";
import StateMark from "./StateMark.svelte";

const text = (html: string) =>
	html
		.replaceAll(/<!--.*?-->|<[^>]+>/g, " ")
		.replaceAll(/\s+/g, " ")
		.trim();

describe("a state", () => {
	it("has a word and a shape of its own", () => {
		const states: ShipmentState[] = ["act", "watch", "in-band", "no-data", "decided"];
		const marks = states.map((state) => render(StateMark, { props: { state } }).body);
		expect(new Set(marks.map(text)).size).toBe(states.length);
		expect(new Set(marks.map((m) => m.match(/<svg.*<\/svg>/s)?.[0])).size).toBe(states.length);
	});
});

describe("a seal", () => {
	const provenance = { block: 12, transaction: "ab".repeat(32), leaf: 3, proven: [{ id: "C", name: "Carrier" }] };
	const receipt = {
		path: "/alerts/S/a/receipt",
		file: "a.receipt",
		shown: { reading: { device: "d", epoch: 1, sequence: 1, time: "", value: 0 } },
	};

	it("claims no more than was checked", () => {
		const said = text(render(Seal, { props: { provenance, what: "alert", receipt } }).body);
		expect(said).toContain("Proof claimed");
		expect(said).toContain("not checked in this browser");
		expect(said).toContain("bin/trailmark verify --trust trust.json a.receipt");
	});

	it("says when proof is missing and offers no receipt then", () => {
		const html = render(Seal, { props: { provenance: { ...provenance, proven: [] }, what: "alert", receipt } }).body;
		expect(text(html)).toContain("Proof missing so far");
		expect(html).toMatch(/<button[^>]*disabled[^>]*>Download the receipt/);
	});
});

it("an error says what happened, what is safe and what to do next", () => {
	const said = text(render(Failure, { props: { problem: new Problem("unavailable", "The peer does not answer.") } }).body);
	expect(said).toContain("The peer does not answer.");
	expect(said).toContain("stays there");
	expect(said).toContain("bin/trailmark net status");
});

it("minutes outside the band are set against those allowed", () => {
	const limits = { min: 2, max: 8, allowedMinutes: 60 };
	expect(text(render(Budget, { props: { minutes: 0, limits } }).body)).toBe("None");
	expect(text(render(Budget, { props: { minutes: 47, limits } }).body)).toBe("47 min of 60 min allowed");
	expect(text(render(Budget, { props: { minutes: 61, limits } }).body)).toBe("1 h 1 min over the 60 min allowed");
});
