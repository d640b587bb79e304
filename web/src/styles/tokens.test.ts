import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

type Triple = [number, number, number];
// Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
const visions: Record<string, [Triple, Triple, Triple]> = {
	"all colours": [
		[1, 0, 0],
		[0, 1, 0],
		[0, 0, 1],
	],
	protanopia: [
		[0.152286, 1.052583, -0.204868],
		[0.114503, 0.786281, 0.099216],
		[-0.003882, -0.048116, 1.051998],
	],
	deuteranopia: [
		[0.367322, 0.860646, -0.227968],
		[0.280085, 0.672501, 0.047413],
		[-0.01182, 0.04294, 0.968881],
	],
	tritanopia: [
		[1.255528, -0.076749, -0.178779],
		[-0.078411, 0.930809, 0.147602],
		[0.004733, 0.691367, 0.3039],
	],
};

const linear = (hex: string): Triple =>
	[1, 3, 5].map((at) => {
		const c = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
		return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
	}) as Triple;
const dot = (a: Triple, b: Triple) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const clamp = (x: number) => Math.min(Math.max(x, 0), 1);
const luminance = (rgb: Triple) => dot([0.2126, 0.7152, 0.0722], rgb);

function lab(seen: Triple): Triple {
	const rgb = seen.map(clamp) as Triple;
	const f = (t: number) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
	const x = f(dot([0.4124, 0.3576, 0.1805], rgb) / 0.95047);
	const y = f(luminance(rgb));
	const z = f(dot([0.0193, 0.1192, 0.9505], rgb) / 1.08883);
	return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

const css = readFileSync(new URL("./tokens.css", import.meta.url), "utf8");
const [light = "", dark = ""] = css.split('[data-theme="dark"]');

describe.each([
	["light", light],
	["dark", dark],
])("the chart's lines in %s colours", (_, text) => {
	const series = [...text.matchAll(/--series-\d: (#[0-9a-f]{6})/g)].map((m) => linear(m[1] ?? ""));
	const surface = luminance(linear(text.match(/--surface: (#[0-9a-f]{6})/)?.[1] ?? ""));

	it("stand out from the surface", () => {
		expect(series).toHaveLength(6);
		for (const colour of series) {
			const [a, b] = [luminance(colour), surface];
			expect((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)).toBeGreaterThan(3);
		}
	});

	it.each(Object.entries(visions))("are apart for eyes with %s", (_, matrix) => {
		const seen = series.map((colour) => lab(matrix.map((row) => dot(row, colour)) as Triple));
		for (const [i, a] of seen.entries())
			for (const b of seen.slice(0, i)) expect(Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2])).toBeGreaterThan(20);
	});
});
