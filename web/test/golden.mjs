// The golden receipts of chaincode/evidence, and an alert as a node would show it that agrees with the golden one.
import { readFileSync } from "node:fs";

/** @param {string} name */
export const golden = (name) =>
	new Uint8Array(
		Buffer.from(
			readFileSync(new URL(`../../chaincode/evidence/testdata/golden/${name}.hex`, import.meta.url), "utf8").replaceAll(/\s/g, ""),
			"hex",
		),
	);

/** The same with one bit turned. @param {Uint8Array} data @param {number} at */
export function flipped(data, at) {
	const copy = data.slice();
	copy[at] = (copy[at] ?? 0) ^ 1;
	return copy;
}

const carrier = { id: "Carrier", name: "Carrier" };
const hash = (/** @type {string} */ start) => start.padEnd(64, "0");

/** @type {import("../src/api/schema").components["schemas"]["Alert"]} */
export const goldenAlert = {
	id: "spoilage-1",
	shipment: "106141412345678908",
	kind: "spoilage-predicted",
	score: 0.9,
	modelName: "cold-chain",
	modelVersion: "1",
	modelHash: hash("01"),
	inputRoot: hash("03"),
	from: "2026-05-28T19:26:40.000Z",
	to: "2026-05-28T20:20:00.000Z",
	asOfBlock: 6,
	devices: ["truck-1"],
	readings: 400,
	message: "It will spoil.",
	drivers: [{ name: "log10", value: 5, unit: "log10 CFU/mL" }],
	raised: "2026-05-28T20:26:40.000Z",
	organisation: carrier,
	attestations: [],
	provenance: { block: 7, transaction: hash("03"), leaf: 2, proven: [carrier, { id: "Manufacturer", name: "Manufacturer" }] },
};
