// A receipt can be genuine and yet be of something else than what the page shows, and a node can name other keys than it did: both
// are found here.
import type { Alert } from "../api/types";
import type { Report, Trust } from "./types";

/** What the page shows and the receipt is to prove. */
export type Shown = { alert: Alert } | { reading: { device: string; epoch: number; sequence: number; time: string; value: number } };

const micro = (n: number) => Math.round(n * 1e6);

/** Where what the page shows is not what the receipt proves, in words; empty where they agree. */
export function contradictions(report: Report, shown: Shown): string[] {
	return "alert" in shown ? ofAlert(report, shown.alert) : ofReading(report, shown.reading);
}

function ofAlert({ alert: proved }: Report, shown: Alert): string[] {
	if (!proved) return ["the receipt is not of an alert"];
	const pairs: [what: string, proved: string | number, shown: string | number][] = [
		["shipment", proved.shipment, shown.shipment],
		["alert", proved.id, shown.id],
		["kind", proved.kind, shown.kind],
		["sentence", proved.message, shown.message],
		["score", proved.score / 1e6, micro(shown.score) / 1e6],
		["organisation that raised it", proved.organisation, shown.organisation.id],
		["model", `${proved.modelName} ${proved.modelVersion}`, `${shown.modelName} ${shown.modelVersion}`],
		["hash of the model", proved.modelHash, shown.modelHash],
		["root of the input", proved.inputRoot, shown.inputRoot],
		["time", new Date(proved.raised).toISOString(), new Date(shown.raised).toISOString()],
	];
	if (proved.acknowledgement && shown.acknowledgement)
		pairs.push(
			["comment", proved.acknowledgement.comment, shown.acknowledgement.comment],
			["person who acknowledged it", proved.acknowledgement.person, shown.acknowledgement.person],
		);
	return different(pairs);
}

function ofReading({ reading, frame }: Report, shown: Extract<Shown, { reading: unknown }>["reading"]): string[] {
	if (!reading || !frame) return ["the receipt is not of a reading"];
	return different([
		["device", frame.device, shown.device],
		["frame", `${frame.epoch}-${frame.sequence}`, `${shown.epoch}-${shown.sequence}`],
		["time", new Date(reading.time).toISOString(), new Date(shown.time).toISOString()],
		["value", reading.value / 1e6, micro(shown.value) / 1e6],
	]);
}

const different = (pairs: [string, string | number, string | number][]) =>
	pairs.filter(([, a, b]) => a !== b).map(([what, a, b]) => `${what}: the receipt proves “${a}”, the page shows “${b}”`);

/** What a node says about keys now that is not what was pinned, in words. */
export function keyChanges(pinned: Trust, offered: Trust): string[] {
	const said: string[] = [];
	if (pinned.channel !== offered.channel) said.push(`The channel was ${pinned.channel} and is ${offered.channel} now.`);
	if (offered.quorum < pinned.quorum)
		said.push(`${pinned.quorum} organisations had to vouch for a receipt, and only ${offered.quorum} are asked for now.`);
	else if (offered.quorum > pinned.quorum)
		said.push(`${pinned.quorum} organisations had to vouch for a receipt, and ${offered.quorum} are asked for now.`);
	for (const o of pinned.organisations) {
		const now = offered.organisations.find((x) => x.mspId === o.mspId);
		if (!now) said.push(`${o.name} was pinned and is not named any more.`);
		else if (now.logKey !== o.logKey) said.push(`The key of ${o.name} is another one than was pinned.`);
	}
	for (const o of offered.organisations)
		if (!pinned.organisations.some((x) => x.mspId === o.mspId)) said.push(`${o.name} is named now and was not pinned.`);
	return said;
}

/** What nobody can see from a receipt, for what it is about: claims, not proofs. */
export function claims(report: Report): string[] {
	const said: string[] = [];
	if (report.alert) {
		said.push(
			"That the model is right. Proved is which model, with which weights, said this about which readings; its score is a prediction, which anybody with the readings and the weights can compute again.",
		);
		if (report.alert.acknowledgement)
			said.push(
				`That ${report.alert.acknowledgement.person} acknowledged it in person: the ledger has it by the word of the node of ${report.alert.acknowledgement.organisation}.`,
			);
	}
	if (report.device) {
		if (report.device.attestation !== 0)
			said.push("That the sensor measured this: the key is of the edge that speaks for it, and what lies between the two is its word.");
		said.push(
			`That device ${report.device.id} stood where it should, measured right and had the right time: it signs what it read, by its own clock.`,
		);
	}
	if (report.kind === "record") said.push("That what the record says is true: proved is that it was recorded, and not changed since.");
	said.push("That nothing was left out: a receipt is of one record, and does not show what else was, or was not, recorded.");
	said.push("That the pinned keys are the organisations' own: that rests on how you came by them.");
	return said;
}

/** A fingerprint as a person reads it aloud: in groups of four. */
export const grouped = (hex: string) => hex.replaceAll(/(.{4})(?=.)/g, "$1 ");
