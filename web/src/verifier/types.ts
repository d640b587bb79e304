// What the verifier reads and says: the JSON of chaincode/evidence, as far as the page needs it. Numbers are millionths, times ms.

export interface Trust {
	version: number;
	channel: string;
	quorum: number;
	organisations: { mspId: string; name: string; logKey: string }[];
}

export interface Report {
	kind: string;
	sentence: string;
	organisations: string[];
	checks: { what: string; proves: string }[];
	alert?: {
		id: string;
		shipment: string;
		kind: string;
		score: number;
		modelName: string;
		modelVersion: string;
		modelHash: string;
		inputRoot: string;
		message: string;
		raised: number;
		organisation: string;
		acknowledgement?: { organisation: string; person: string; comment: string; time: number };
	};
	reading?: { time: number; value: number };
	frame?: { device: string; epoch: number; sequence: number };
	device?: { id: string; organisation: string; attestation: number; calibrationDue: number };
}

export type Verdict = { report: Report } | { part: string; detail: string };
