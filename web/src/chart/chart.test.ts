import { describe, expect, it } from "vitest";
import type { Alert, Readings } from "../api/types";
import { csv, rows } from "./csv";
import { chartModels, moments, nearest } from "./model";
import { option } from "./option";
import { lateStroke, seriesStroke, type Theme } from "./theme";

const t0 = Date.parse("2026-11-22T08:00:00Z");
const iso = (minute: number) => new Date(t0 + minute * 60_000).toISOString();
const point = (minute: number, mean: number, backfilled = false, spread = 0) => ({
	t: iso(minute),
	min: mean - spread,
	mean,
	max: mean + spread,
	count: 5,
	backfilled,
});

const readings: Readings = {
	shipment: "S-1",
	from: iso(0),
	to: iso(60),
	resolution: 300,
	limits: { min: 2, max: 8, allowedMinutes: 60 },
	series: [
		{ device: "h-1", quantity: "humidity", unit: "%RH", attestation: "edge", points: [point(0, 70)], gaps: [] },
		{
			device: "=t-1",
			quantity: "temperature",
			unit: "Cel",
			attestation: "sensor",
			points: [point(0, 4), point(5, 5, false, 0.5), point(10, 6, true), point(15, 7, true), point(20, 9), point(40, 5), point(45, 5)],
			gaps: [{ from: iso(22), to: iso(41), missingFrames: 2 }],
		},
	],
	excursions: [
		{ device: "=t-1", from: iso(20), to: iso(40), open: false, direction: "above", minutes: 20, extreme: 9, extremeTime: iso(20) },
		{ device: "=t-1", from: iso(38), to: iso(42), open: false, direction: "above", minutes: 4, extreme: 9, extremeTime: iso(40) },
		{ device: "other", from: iso(0), to: iso(60), open: true, direction: "above", minutes: 60, extreme: 9, extremeTime: iso(40) },
	],
};
const alert = { id: "a-1", to: iso(21), devices: ["=t-1"] } as Alert;
const outside = { ...alert, id: "a-2", to: iso(90) };
const models = chartModels(readings, [alert, outside]);
const model = models[0];
if (!model) throw new Error("no model");
const none: ReadonlySet<string> = new Set();

describe("model", () => {
	it("puts temperature first and gives only it the band", () => {
		expect(models.map((m) => [m.quantity, m.band !== undefined])).toEqual([
			["temperature", true],
			["humidity", false],
		]);
		expect(models[0]?.lines[0]?.place).toBe(1);
	});

	it("breaks lines at gaps and where live readings and back-filled ones meet, without tearing them apart", () => {
		const runs = model.lines[0]?.runs.map((r) => [r.backfilled, r.samples.map((s) => (s.t - t0) / 60_000)]);
		expect(runs).toEqual([
			[false, [0, 5]],
			[true, [5, 10, 15, 20]],
			[false, [40, 45]],
		]);
	});

	it("marks a step as outside by its extremes, and merges excursions that touch", () => {
		expect(model.lines[0]?.samples.map((s) => s.outside)).toEqual([false, false, false, false, true, false, false]);
		expect(model.excursions.map((e) => [(e.from - t0) / 60_000, (e.to - t0) / 60_000, e.label])).toEqual([[20, 42, "22 min"]]);
	});

	it("shows the alerts of its range and leaves room around band and values", () => {
		expect(model.alerts.map((a) => a.alert.id)).toEqual(["a-1"]);
		expect(model.low).toBeLessThan(2);
		expect(model.high).toBeGreaterThan(9);
		expect(((model.high - model.low) / model.interval) % 1).toBe(0);
	});

	it("finds the nearest moment", () => {
		const list = moments(model, none);
		expect(list).toHaveLength(7);
		expect(nearest(list, t0 - 1e9)).toBe(0);
		expect(nearest(list, t0 + 12.4 * 60_000)).toBe(2);
		expect(nearest(list, t0 + 12.6 * 60_000)).toBe(3);
		expect(nearest(list, t0 + 1e9)).toBe(6);
		expect(nearest([], 5)).toBe(-1);
		expect(moments(model, new Set(["=t-1"]))).toEqual([]);
	});

	it("stands an empty range", () => {
		const empty = chartModels({ ...readings, series: readings.series.map((s) => ({ ...s, points: [], gaps: [] })), excursions: [] }, []);
		expect(empty[1]?.lines[0]?.runs).toEqual([]);
		expect(empty[1]?.high).toBeGreaterThan(empty[1]?.low ?? 0);
	});
});

describe("csv", () => {
	it("holds exactly the points that are shown", () => {
		expect(rows(model, none)).toHaveLength(7);
		expect(rows(model, new Set(["=t-1"]))).toEqual([]);
	});

	it("is a table with band, excursions, back-filling and alerts, and no formulas", () => {
		const lines = csv("S-1", model, none).split("\r\n");
		expect(lines).toHaveLength(9);
		expect(lines[0]?.split(",").length).toBe(lines[1]?.split(",").length);
		expect(lines[3]).toMatch(/^S-1,2026-11-22T08:10:00.000Z,[^,]+,'=t-1,temperature,Cel,6,6,6,5,yes,2,8,yes,no,$/);
		expect(lines[5]).toMatch(/,no,2,8,no,yes,a-1$/);
	});
});

describe("option", () => {
	const theme: Theme = {
		ink: "#000",
		muted: "#555",
		line: "#ccc",
		surface: "#fff",
		band: "#eee",
		bandEdge: "#aaa",
		act: "#a00",
		watch: "#880",
		decided: "#444",
		hatch: "#a00",
		series: ["#111", "#222"],
		font: "x",
	};
	type Drawn = { type: string; data: [number, number | null][]; lineStyle?: { type?: unknown }; markArea?: { data: unknown[] } };
	const series = option(model, theme, { from: t0, to: t0 + 3_600_000, hidden: none, narrow: false, hatch: "#a00" }).series as Drawn[];

	it("draws the band and the excursion as areas", () => {
		expect(series[0]?.markArea?.data).toHaveLength(2);
	});

	it("draws back-filled readings dotted, live ones in the device's stroke, and nothing across a gap", () => {
		const inStroke = (stroke: number[]) => series.find((s) => s.type === "line" && String(s.lineStyle?.type) === stroke.join());
		expect(inStroke(lateStroke)?.data.filter(([, v]) => v !== null)).toHaveLength(4);
		expect(inStroke(seriesStroke(1))?.data.map(([, v]) => v)).toEqual([4, 5, null, 5, 5, null]);
	});

	it("draws nothing of a device that is hidden", () => {
		const hidden = option(model, theme, { from: t0, to: t0 + 1, hidden: new Set(["=t-1"]), narrow: true, hatch: "#a00" })
			.series as unknown[];
		expect(hidden).toHaveLength(2);
	});
});

it("gives every device's line a colour and a stroke of its own, none of them that of back-filled readings", () => {
	const strokes = [0, 1, 2, 3, 4, 5].map((n) => seriesStroke(n).join());
	expect(new Set([...strokes, lateStroke.join()]).size).toBe(7);
});
