// What a chart of a shipment shows, worked out from the API's answer; drawing, the readout, the table and the exports all use this.
import type { Alert, Excursion, Limits, Point, Readings, Series } from "../api/types";

export interface Sample extends Omit<Point, "t"> {
	/** ms since the epoch */
	t: number;
	outside: boolean;
}

/** A run of samples without a gap, all live or all back-filled; a back-filled run includes its neighbours so that lines meet. */
export interface Run {
	backfilled: boolean;
	samples: Sample[];
}

export interface Line {
	device: string;
	/** Place among all devices of the shipment, which decides its colour. */
	place: number;
	unit: string;
	attestation: Series["attestation"];
	samples: Sample[];
	runs: Run[];
	gaps: { from: number; to: number; missingFrames: number | undefined }[];
}

export interface Span {
	from: number;
	to: number;
	label: string;
}

export interface ChartModel {
	quantity: string;
	unit: string;
	from: number;
	to: number;
	/** ms */
	step: number;
	/** Only for temperature: other quantities have no band. */
	band: Limits | undefined;
	lines: Line[];
	excursions: Span[];
	alerts: { at: number; alert: Alert }[];
	/** Ends of the vertical axis, and the distance of its labels. */
	low: number;
	high: number;
	interval: number;
}

/** One chart for each quantity, temperature first. */
export function chartModels(readings: Readings, alerts: Alert[]): ChartModel[] {
	const quantities = [...new Set(readings.series.map((s) => s.quantity))].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
	return quantities.map((quantity) => chartModel(readings, quantity, alerts));
}

const rank = (quantity: string) => (quantity === "temperature" ? 0 : 1);

function chartModel(readings: Readings, quantity: string, alerts: Alert[]): ChartModel {
	const series = readings.series.filter((s) => s.quantity === quantity);
	const band = quantity === "temperature" ? readings.limits : undefined;
	const from = Date.parse(readings.from);
	const to = Date.parse(readings.to);
	const lines = series.map((s) => line(s, readings.series.indexOf(s), band));
	const values = lines.flatMap((l) => l.samples.flatMap((p) => [p.min, p.max]));
	if (band) values.push(band.min, band.max);
	const devices = new Set(series.map((s) => s.device));
	return {
		quantity,
		unit: series[0]?.unit ?? "",
		from,
		to,
		step: readings.resolution * 1000,
		band,
		lines,
		excursions: band ? merge(readings.excursions.filter((e) => devices.has(e.device))) : [],
		alerts: alerts
			.map((alert) => ({ at: Date.parse(alert.to), alert }))
			.filter(({ at, alert }) => at >= from && at <= to && (band !== undefined || alert.devices.some((d) => devices.has(d)))),
		...span(values),
	};
}

function line(series: Series, place: number, band: Limits | undefined): Line {
	const samples = series.points.map((p) => ({
		...p,
		t: Date.parse(p.t),
		outside: band !== undefined && (p.min < band.min || p.max > band.max),
	}));
	const gaps = series.gaps.map((g) => ({ from: Date.parse(g.from), to: Date.parse(g.to), missingFrames: g.missingFrames }));
	return { device: series.device, place, unit: series.unit, attestation: series.attestation, samples, runs: runs(samples, gaps), gaps };
}

function runs(samples: Sample[], gaps: { from: number; to: number }[]): Run[] {
	const result: Run[] = [];
	let gap = 0;
	let open: Run | undefined;
	let before: Sample | undefined;
	for (const sample of samples) {
		const last = before;
		before = sample;
		// A gap's ends are readings: it lies between two samples if the step of each holds one of them.
		while (last && (gaps[gap]?.from ?? Number.POSITIVE_INFINITY) < last.t) gap++;
		const next = gaps[gap];
		const broken = next !== undefined && next.from < sample.t && next.to >= sample.t;
		if (!open || !last || broken) {
			open = { backfilled: sample.backfilled, samples: [sample] };
			result.push(open);
		} else if (open.backfilled === (sample.backfilled || last.backfilled)) {
			open.samples.push(sample);
		} else {
			open = { backfilled: sample.backfilled || last.backfilled, samples: [last, sample] };
			result.push(open);
		}
	}
	return result;
}

/** Excursions of several devices at once are shaded once. */
function merge(excursions: Excursion[]): Span[] {
	const spans = excursions.map((e) => ({ from: Date.parse(e.from), to: Date.parse(e.to) })).sort((a, b) => a.from - b.from);
	const merged: { from: number; to: number }[] = [];
	for (const s of spans) {
		const last = merged.at(-1);
		if (last && s.from <= last.to) last.to = Math.max(last.to, s.to);
		else merged.push({ ...s });
	}
	return merged.map((s) => ({ ...s, label: minutes(s.to - s.from) }));
}

const minutes = (ms: number) => (ms < 3_600_000 ? `${Math.max(1, Math.round(ms / 60_000))} min` : `${(ms / 3_600_000).toFixed(1)} h`);

/** Room above and below, ending on round numbers. */
function span(values: number[]): { low: number; high: number; interval: number } {
	if (values.length === 0) return { low: 0, high: 1, interval: 1 };
	let low = Number.POSITIVE_INFINITY;
	let high = Number.NEGATIVE_INFINITY;
	for (const v of values) {
		low = Math.min(low, v);
		high = Math.max(high, v);
	}
	const room = Math.max((high - low) * 0.08, 0.5);
	const rough = (high - low + 2 * room) / 7;
	const power = 10 ** Math.floor(Math.log10(rough));
	const interval = ([1, 2, 5].find((n) => n * power >= rough) ?? 10) * power;
	return { low: Math.floor((low - room) / interval) * interval, high: Math.ceil((high + room) / interval) * interval, interval };
}

/** The times at which some visible line has a sample, rising: the steps of the keyboard cursor. */
export function moments(model: ChartModel, hidden: ReadonlySet<string>): number[] {
	const all = new Set<number>();
	for (const l of model.lines) if (!hidden.has(l.device)) for (const s of l.samples) all.add(s.t);
	return [...all].sort((a, b) => a - b);
}

/** Where in a rising list the value nearest to x stands; -1 where the list is empty. */
export function nearest(list: number[], x: number): number {
	let low = 0;
	let high = list.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if ((list[middle] ?? 0) < x) low = middle + 1;
		else high = middle;
	}
	if (low === list.length) return list.length - 1;
	const before = list[low - 1];
	return before !== undefined && x - before < (list[low] ?? 0) - x ? low - 1 : low;
}
