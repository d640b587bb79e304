import { expect, it } from "vitest";
import { Problem } from "./problem";

it("reads a problem, with what to do next", () => {
	const p = Problem.from(
		{ type: "about:blank", title: "Conflict", status: 409, code: "conflict", detail: "acknowledged before", next: "Reload." },
		409,
	);
	expect([p.code, p.message, p.advice]).toEqual(["conflict", "acknowledged before", "Reload."]);
	expect(p.safe).toMatch(/still stands/);
});

it("says something useful about anything else", () => {
	expect(Problem.from(undefined, 502).code).toBe("internal");
	expect(Problem.from("<html>", 401).code).toBe("unauthorised");
	expect(Problem.of(new TypeError("Failed to fetch")).code).toBe("unavailable");
	for (const code of ["invalid", "unauthorised", "forbidden", "not-found", "conflict", "internal", "unavailable"] as const) {
		expect(new Problem(code, "x").advice).toMatch(/\w/);
	}
});
