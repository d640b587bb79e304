import type { EChartsCoreOption } from "echarts/core";
import { decimal, unit } from "../lib/format";
import type { ChartModel, Line, Run } from "./model";
import { lateStroke, seriesColour, seriesStroke, type Theme } from "./theme";

export interface View {
	from: number;
	to: number;
	hidden: ReadonlySet<string>;
	narrow: boolean;
	/** The pattern of excursions: an image, or a colour where there is none. */
	hatch: HTMLCanvasElement | string;
}

/** Margins of the plot in px; the readout and the brush, which lie over it, need them too. */
export const plot = (narrow: boolean) => ({ left: narrow ? 34 : 44, right: narrow ? 8 : 16, top: 30, bottom: 26 });

const hour = 3_600_000;

/** The one grammar of our charts: band, excursions, live and back-filled readings, gaps, alerts. */
export function option(model: ChartModel, theme: Theme, view: View): EChartsCoreOption {
	const visible = model.lines
		.map((line) => ({ line, colour: seriesColour(theme, line.place) }))
		.filter(({ line }) => !view.hidden.has(line.device));
	const text = { color: theme.muted, fontFamily: theme.font, fontSize: 12 };
	return {
		animation: false,
		backgroundColor: theme.surface,
		grid: { ...plot(view.narrow), containLabel: false },
		xAxis: {
			type: "time",
			min: view.from,
			max: view.to,
			splitNumber: view.narrow ? 3 : 7,
			axisLine: { onZero: false, lineStyle: { color: theme.line } },
			axisTick: { lineStyle: { color: theme.line } },
			axisLabel: { ...text, hideOverlap: true, formatter: (t: number) => tick(t, view.to - view.from) },
		},
		yAxis: {
			type: "value",
			min: model.low,
			max: model.high,
			axisLabel: { ...text, formatter: (v: number) => decimal(v, Number.isInteger(v) ? 0 : 1) },
			splitLine: { lineStyle: { color: theme.line, opacity: 0.6 } },
			interval: model.interval,
		},
		series: [
			background(model, theme, view),
			...visible.flatMap(({ line, colour }) => drawn(line, colour, theme, model.step)),
			marks(model, theme),
		],
	};
}

/** Band, excursions and the lines at the limits, behind everything. */
function background(model: ChartModel, theme: Theme, view: View) {
	const label = { color: theme.muted, fontFamily: theme.font, fontSize: 11 };
	const areas: unknown[] = [];
	if (model.band) areas.push([{ yAxis: model.band.min, itemStyle: { color: theme.band } }, { yAxis: model.band.max }]);
	for (const e of model.excursions) {
		const pixels = ((Math.min(e.to, view.to) - Math.max(e.from, view.from)) / (view.to - view.from)) * (view.narrow ? 320 : 1000);
		const style = typeof view.hatch === "string" ? { color: view.hatch } : { color: { image: view.hatch, repeat: "repeat" } };
		areas.push([
			{
				xAxis: e.from,
				itemStyle: style,
				name: pixels > 44 ? e.label : "",
				label: { ...label, show: pixels > 44, position: "insideBottom", distance: 6, color: theme.act, fontWeight: 600 },
			},
			{ xAxis: Math.max(e.to, e.from + 1) },
		]);
	}
	const edge = (value: number, position: string) => ({
		yAxis: value,
		label: { ...label, position, formatter: `${decimal(value, Number.isInteger(value) ? 0 : 1)} ${unit(model.unit)}`, distance: 2 },
	});
	return {
		type: "line",
		data: [],
		silent: true,
		markArea: { silent: true, data: areas },
		markLine: {
			silent: true,
			symbol: "none",
			lineStyle: { color: theme.bandEdge, type: "solid", width: 1 },
			data: model.band ? [edge(model.band.max, "insideStartTop"), edge(model.band.min, "insideStartBottom")] : [],
		},
	};
}

/** A device's line: in its own stroke where live, dotted with hollow points where back-filled, an envelope from min to max, nothing in a gap. */
function drawn(line: Line, colour: string, theme: Theme, step: number) {
	// A step's value stands in its middle.
	const at = (t: number) => t + step / 2;
	const joined = (runs: Run[], value: (s: Run["samples"][number]) => number) =>
		runs.flatMap((run) => [...run.samples.map((s) => [at(s.t), value(s)]), [at(run.samples.at(-1)?.t ?? 0), null]]);
	const live = line.runs.filter((r) => !r.backfilled);
	const late = line.runs.filter((r) => r.backfilled);
	const base = { type: "line", silent: true, showSymbol: false, connectNulls: false, itemStyle: { color: colour } };
	const envelope = line.samples.some((s) => s.max > s.min);
	const lone = line.runs.filter((r) => r.samples.length === 1).flatMap((r) => r.samples);
	const hollow = thin(line.samples.filter((s) => s.backfilled));
	return [
		...(envelope
			? [
					{ ...base, stack: `${line.device} span`, stackStrategy: "all", lineStyle: { opacity: 0 }, data: joined(line.runs, (s) => s.min) },
					{
						...base,
						stack: `${line.device} span`,
						stackStrategy: "all",
						lineStyle: { opacity: 0 },
						areaStyle: { color: colour, opacity: 0.16 },
						data: joined(line.runs, (s) => s.max - s.min),
					},
				]
			: []),
		{ ...base, data: joined(live, (s) => s.mean), lineStyle: { color: colour, width: 1.8, type: dashed(seriesStroke(line.place)) } },
		{ ...base, data: joined(late, (s) => s.mean), lineStyle: { color: colour, width: 1.8, type: lateStroke } },
		{
			type: "scatter",
			silent: true,
			symbol: "circle",
			symbolSize: 3,
			itemStyle: { color: colour },
			data: lone.map((s) => [at(s.t), s.mean]),
		},
		{
			type: "scatter",
			silent: true,
			symbol: "circle",
			symbolSize: 5,
			itemStyle: { color: theme.surface, borderColor: colour, borderWidth: 1.2 },
			data: hollow.map((s) => [at(s.t), s.mean]),
		},
	];
}

const dashed = (stroke: number[]) => (stroke.length > 0 ? stroke : "solid");

/** So many hollow points that they can be told apart, and no more. */
function thin<T>(list: T[]): T[] {
	const every = Math.ceil(list.length / 60);
	return list.filter((_, i) => i % every === 0);
}

/** Alerts: a mark on the axis above, filled while nobody has acknowledged it. */
function marks(model: ChartModel, theme: Theme) {
	return {
		type: "scatter",
		silent: true,
		clip: false,
		z: 5,
		symbol: "path://M0 10 L6 0 L12 10 Z",
		symbolSize: [13, 11],
		symbolOffset: [0, -9],
		data: model.alerts.map(({ at, alert }) => ({
			value: [at, model.high],
			itemStyle: alert.acknowledgement
				? { color: theme.surface, borderColor: theme.decided, borderWidth: 1.5 }
				: { color: theme.act, borderColor: theme.act, borderWidth: 1.5 },
		})),
		markLine: {
			silent: true,
			symbol: "none",
			label: { show: false },
			data: model.alerts.map(({ at, alert }) => ({
				xAxis: at,
				lineStyle: { color: alert.acknowledgement ? theme.decided : theme.act, type: [2, 3], width: 1 },
			})),
		},
	};
}

const clockTick = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const secondTick = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayTick = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

function tick(t: number, span: number): string {
	const d = new Date(t);
	if (d.getHours() === 0 && d.getMinutes() === 0 && d.getSeconds() === 0) return dayTick.format(d);
	return (span < hour / 12 ? secondTick : clockTick).format(d);
}
