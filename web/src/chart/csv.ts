import { zone } from "../lib/format";
import type { ChartModel } from "./model";

/** The table of what a chart shows, for people (the page) and for spreadsheets (CSV): one row for each visible point. */
export function rows(model: ChartModel, hidden: ReadonlySet<string>) {
	return model.lines
		.filter((line) => !hidden.has(line.device))
		.flatMap((line) => line.samples.map((sample) => ({ device: line.device, unit: line.unit, sample, alerts: alertsAt(model, sample.t) })))
		.sort((a, b) => a.sample.t - b.sample.t || a.device.localeCompare(b.device));
}

function alertsAt(model: ChartModel, t: number): string[] {
	return model.alerts.filter(({ at }) => at >= t && at < t + Math.max(model.step, 1)).map(({ alert }) => alert.id);
}

/** RFC 4180, with a header row; times in UTC and in the viewer's zone. */
export function csv(shipment: string, model: ChartModel, hidden: ReadonlySet<string>): string {
	const header = [
		"shipment",
		"time_utc",
		"time_local",
		"device",
		"quantity",
		"unit",
		"min",
		"mean",
		"max",
		"readings",
		"back_filled",
		"band_min",
		"band_max",
		"in_band",
		"in_excursion",
		"alerts",
	];
	const lines = rows(model, hidden).map(({ device, unit, sample, alerts }) => [
		shipment,
		new Date(sample.t).toISOString(),
		local(sample.t),
		device,
		model.quantity,
		unit,
		sample.min,
		sample.mean,
		sample.max,
		sample.count,
		sample.backfilled ? "yes" : "no",
		model.band?.min ?? "",
		model.band?.max ?? "",
		model.band ? (sample.outside ? "no" : "yes") : "",
		model.excursions.some((e) => sample.t + model.step > e.from && sample.t <= e.to) ? "yes" : "no",
		alerts.join(" "),
	]);
	return [header, ...lines]
		.map((line) => line.map(cell).join(","))
		.join("\r\n")
		.concat("\r\n");
}

function local(t: number): string {
	const d = new Date(t - new Date(t).getTimezoneOffset() * 60_000).toISOString().slice(0, -1);
	const offset = zone(t).replace("UTC", "").replace("−", "-");
	return d + (offset || "+00:00");
}

function cell(value: string | number): string {
	let text = String(value);
	// A spreadsheet must not take text from outside for a formula.
	if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
	return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
