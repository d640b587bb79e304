import { describe, expect, it } from "vitest";
import type { Alert } from "../api/types";
import { claims, contradictions, grouped, keyChanges } from "./compare";
import type { Report, Trust } from "./types";

const shown = {
	id: "a",
	shipment: "S",
	kind: "anomaly",
	score: 0.1,
	organisation: { id: "Carrier", name: "The carrier" },
	modelName: "m",
	modelVersion: "1",
	modelHash: "aa",
	inputRoot: "bb",
	message: "Odd.",
	raised: "2026-05-28T20:26:40Z",
} as unknown as Alert;
const proved = {
	id: "a",
	shipment: "S",
	kind: "anomaly",
	score: 100_000,
	organisation: "Carrier",
	modelName: "m",
	modelVersion: "1",
	modelHash: "aa",
	inputRoot: "bb",
	message: "Odd.",
	raised: Date.parse("2026-05-28T20:26:40Z"),
};
const report = (alert: Partial<typeof proved>): Report => ({
	kind: "alert",
	sentence: "",
	organisations: [],
	checks: [],
	alert: { ...proved, ...alert },
});

describe("what is shown against what is proved", () => {
	it("agrees where every part does", () => expect(contradictions(report({}), { alert: shown })).toEqual([]));

	it.each(["id", "shipment", "kind", "score", "organisation", "modelHash", "inputRoot", "message", "raised"] as const)(
		"finds another %s",
		(name) => {
			const value = typeof proved[name] === "number" ? proved[name] + 1000 : "other";
			expect(contradictions(report({ [name]: value }), { alert: shown })).toHaveLength(1);
		},
	);

	it("takes no receipt of something else", () => {
		const other: Report = { kind: "record", sentence: "", organisations: [], checks: [] };
		expect(contradictions(other, { alert: shown })).not.toEqual([]);
		expect(contradictions(other, { reading: { device: "d", epoch: 1, sequence: 2, time: "2026-01-01T00:00:00Z", value: 4 } })).not.toEqual(
			[],
		);
	});

	it("finds another reading of the same frame", () => {
		const reading: Report = {
			kind: "reading",
			sentence: "",
			organisations: [],
			checks: [],
			reading: { time: 1000, value: 4_400_000 },
			frame: { device: "d", epoch: 1, sequence: 2 },
		};
		const same = { device: "d", epoch: 1, sequence: 2, time: new Date(1000).toISOString(), value: 4.4 };
		expect(contradictions(reading, { reading: same })).toEqual([]);
		expect(contradictions(reading, { reading: { ...same, value: 4.5 } })).toEqual([
			"value: the receipt proves “4.4”, the page shows “4.5”",
		]);
		expect(contradictions(reading, { reading: { ...same, sequence: 3 } })).toHaveLength(1);
	});
});

describe("keys", () => {
	const trust = (...keys: [string, string][]): Trust => ({
		version: 1,
		channel: "c",
		quorum: 2,
		organisations: keys.map(([mspId, logKey]) => ({ mspId, name: mspId, logKey })),
	});
	const pinned = trust(["A", "1"], ["B", "2"]);

	it("that stay the same say nothing", () => expect(keyChanges(pinned, trust(["B", "2"], ["A", "1"]))).toEqual([]));
	it("that change, go or come are each said", () => {
		expect(keyChanges(pinned, trust(["A", "1"], ["B", "x"]))).toEqual(["The key of B is another one than was pinned."]);
		expect(keyChanges(pinned, trust(["A", "1"]))).toEqual(["B was pinned and is not named any more."]);
		expect(keyChanges(pinned, trust(["A", "1"], ["B", "2"], ["C", "3"]))).toEqual(["C is named now and was not pinned."]);
		expect(keyChanges(pinned, { ...pinned, quorum: 1 })).toHaveLength(1);
		expect(keyChanges(pinned, { ...pinned, channel: "d" })).toHaveLength(1);
	});
});

it("a prediction and an edge's word are claims", () => {
	expect(claims(report({})).join(" ")).toContain("a prediction");
	const device = { id: "d", organisation: "o", calibrationDue: 0 };
	const of = (attestation: number): Report => ({
		kind: "reading",
		sentence: "",
		organisations: [],
		checks: [],
		device: { ...device, attestation },
	});
	expect(claims(of(1)).length).toBe(claims(of(0)).length + 1);
});

it("a fingerprint is read in groups", () => expect(grouped("0123456789ab")).toBe("0123 4567 89ab"));
