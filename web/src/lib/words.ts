// The words for states, everywhere alike; each has a shape of its own too (components/StateMark.svelte).
import type { Agreement, AlertKind, Device, Prediction, ShipmentState } from "../api/types";
import { ago, duration, percent, time } from "./format";

export const stateWord: Record<ShipmentState, string> = {
	act: "Act",
	watch: "Watch",
	"in-band": "In band",
	"no-data": "No data",
	decided: "Closed",
};

export const stateOrder: ShipmentState[] = ["act", "watch", "in-band", "no-data", "decided"];

export const stateMeaning: Record<ShipmentState, string> = {
	act: "An alert waits for somebody to acknowledge it",
	watch: "Something is off, and nobody needs to decide yet",
	"in-band": "Nothing is off",
	"no-data": "No reading has come yet",
	decided: "The shipment is closed",
};

export const kindWord: Record<AlertKind, string> = {
	"band-excursion": "Out of band",
	"excursion-forecast": "Will leave the band",
	"spoilage-predicted": "Spoilage predicted",
	anomaly: "Unusual pattern",
	"device-silent": "Device silent",
	"device-clock": "Device clock off",
	"device-battery": "Battery low",
	"device-calibration": "Calibration expired",
};

/** What kind of statement an alert is: counted from readings, or said by a model about what is not known yet. */
export const kindBasis: Record<AlertKind, string> = {
	"band-excursion": "Counted from signed readings: which lay outside the band, and for how long by the time they were acquired.",
	"excursion-forecast": "A prediction: a model carries the temperature on from the newest readings. It may turn out otherwise.",
	"spoilage-predicted":
		"A prediction, not a measurement: a model of how bacteria grow, fed with the temperatures that were read. Nobody has tested the goods.",
	anomaly: "A model's judgement: the readings do not look like those it learnt from. It does not say what is wrong.",
	"device-silent": "Counted from when the device's newest readings were acquired. It is about the device, not the goods.",
	"device-clock":
		"Counted from when its frames were signed, by its own clock, against when they arrived. It is about the device, not the goods.",
	"device-battery": "Counted from the signed readings of its battery. It is about the device, not the goods.",
	"device-calibration": "Read from the date of its calibration on the ledger. It is about the device, not the goods.",
};

export const agreementWord: Record<Agreement, string> = {
	agrees: "Agrees with this log",
	disagrees: "Disagrees with this log",
	unchecked: "Ahead of this node; checked when it has caught up",
	unreadable: "Its note cannot be read or its signature is wrong",
	none: "No checkpoint yet",
};

/** What a device's calibration means for its readings. */
export function calibration(device: Pick<Device, "calibration" | "calibrationDue">, now: number): { word: string; span: string } {
	const left = Date.parse(device.calibrationDue) - now;
	switch (device.calibration) {
		case "expired":
			return { word: "Calibration expired", span: `${duration(left)} ago` };
		case "due-soon":
			return { word: "Calibration due soon", span: `in ${duration(left)}` };
		default:
			return { word: "Calibrated", span: `for another ${duration(left)}` };
	}
}

/** When the goods are spoiled, by the viewer's clock, counting down with the clock of the readings. */
export function prediction(p: Prediction, now: number): string {
	const middle = p.expected ? Date.parse(p.expected) : (Date.parse(p.earliest) + Date.parse(p.latest)) / 2;
	const range = `${percent(p.probability)} between ${time(p.earliest)} and ${time(p.latest)}`;
	return `Predicted by the model: spoiled about ${time(middle)} (${ago(middle, now)}), ${range}`;
}

const driverWords: Record<string, string> = {
	minutesOut: "Outside the band, this time",
	minutesOutInAll: "Outside the band, in all",
	extremeTemperature: "Farthest from the band",
	degreesPerHour: "Degrees of change in an hour",
	minutesLeft: "Until it leaves the band",
	hoursLeft: "Until spoiled",
	hoursLeftLow: "Until spoiled, at the earliest",
	hoursLeftHigh: "Until spoiled, at the latest",
	lifeUsed: "Share of the shelf life used",
	lifeUsedLow: "Share of the shelf life used, at least",
	lifeUsedHigh: "Share of the shelf life used, at most",
	hoursLeftNow: "Until spoiled, if it stays as warm as now",
	probability: "How likely, within the time looked ahead",
	temperature: "Temperature, last read",
	gapMinutes: "Longest time without a reading",
	count: "Bacterial count, most likely",
	countLow: "Bacterial count, at least",
	countHigh: "Bacterial count, at most",
	usualLow: "Usual, from",
	usualHigh: "Usual, to",
	falseAlarms: "False alarms to be expected",
	horizonHours: "Looks ahead by",
};

/** Words for a number behind a score; a name that is not known is read as the words it is made of. */
export function driver(name: string): string {
	const words = name
		.replaceAll(/[-_.]/g, " ")
		.replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ")
		.trim()
		.toLowerCase();
	return driverWords[name] ?? words.charAt(0).toUpperCase() + words.slice(1);
}
