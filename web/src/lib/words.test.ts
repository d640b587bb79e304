import { expect, it } from "vitest";
import { calibration, driver, prediction } from "./words";

const now = Date.parse("2026-11-22T12:00:00Z");
const day = 86_400_000;

it("says what a calibration means", () => {
	const due = (days: number) => new Date(now + days * day).toISOString();
	expect(calibration({ calibration: "expired", calibrationDue: due(-9) }, now)).toEqual({ word: "Calibration expired", span: "9 d ago" });
	expect(calibration({ calibration: "valid", calibrationDue: due(90) }, now)).toEqual({ word: "Calibrated", span: "for another 90 d" });
});

it("counts a prediction down, with its interval and probability", () => {
	const at = (hours: number) => new Date(now + hours * 3_600_000).toISOString();
	const p = { alert: "a", asOf: at(0), probability: 0.8, earliest: at(26), expected: at(31), latest: at(38) };
	expect(prediction(p, now)).toMatch(/\(in 1 d 7 h\), 80 % between .+ and .+/);
	expect(prediction(p, now + 40 * 3_600_000)).toContain("9 h ago");
});

it("reads a driver's name, known or not", () => {
	expect(driver("hoursLeftLow")).toBe("Until spoiled, at the earliest");
	expect(driver("restMinutes")).toBe("Rest minutes");
	expect(driver("minutes-out-of-band")).toBe("Minutes out of band");
});
