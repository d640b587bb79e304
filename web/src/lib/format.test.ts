import { describe, expect, it } from "vitest";
import { ago, decimal, duration, hash, measured, plural, tied, zone } from "./format";

const s = 1000;
const min = 60 * s;
const h = 60 * min;

describe("format", () => {
	it.each([
		[0, "0 s"],
		[59_999, "59 s"],
		[42 * min, "42 min"],
		[3 * h, "3 h"],
		[3 * h + 10 * min, "3 h 10 min"],
		[52 * h, "2 d 4 h"],
		[-5 * min, "5 min"],
		[200 * 24 * h + h, "200 d"],
	])("duration %d", (ms, text) => expect(duration(ms)).toBe(text));

	it("says how long ago and how soon", () => {
		expect(ago(0, 500)).toBe("just now");
		expect(ago(0, 12 * s)).toBe("12 s ago");
		expect(ago(90 * min, 0)).toBe("in 1 h 30 min");
	});

	it("writes values with a true minus and without a minus zero", () => {
		expect(measured(-3.26, "Cel")).toBe("−3.3 °C");
		expect(decimal(-0.04)).toBe("0.0");
		expect(measured(71, "%RH")).toBe("71.0 %");
	});

	it("counts in words", () => {
		expect(plural(1, "alert")).toBe("1 alert");
		expect(plural(12_345, "reading")).toBe("12,345 readings");
		expect(hash("ab".repeat(32))).toBe("abababab…ababab");
	});

	it("names the viewer's offset", () => {
		const offset = -new Date(0).getTimezoneOffset();
		expect(zone(0)).toMatch(offset === 0 ? /^UTC$/ : /^UTC[+−]\d\d:\d\d$/);
	});
});

it("numbers keep their units beside them", () => {
	expect(tied("in 29 h (80 % between 4 °C and 20 hens)")).toBe("in 29\u00a0h (80\u00a0% between 4\u00a0°C and 20 hens)");
});
