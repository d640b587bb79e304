import { expect, it } from "vitest";
import { match, to } from "./route";

it("finds the parameters of a path", () => {
	expect(match("/alerts/:shipment/:alert", "/alerts/S-1/a%3A2/")).toEqual({ shipment: "S-1", alert: "a:2" });
	expect(match("/alerts/:shipment/:alert", "/alerts/S-1")).toBeUndefined();
	expect(match("/shipments/:shipment", "/devices/x")).toBeUndefined();
	expect(match("/shipments/:shipment", "/shipments/%zz")).toBeUndefined();
});

it("makes paths that it finds again", () => {
	const path = to.alert({ shipment: "S:1", id: "x.y-z" });
	expect(match("/alerts/:shipment/:alert", path)).toEqual({ shipment: "S:1", alert: "x.y-z" });
});
