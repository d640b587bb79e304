import { describe, expect, it } from "vitest";
import { EventParser } from "./sse";

const stream =
	': hello\r\n\r\nid: 7\nevent: block\ndata: {"number":1,\ndata: "x":2}\n\n:\n\nevent: alert\rdata:  two\r\rdata\n\nevent: nothing\n\nid: 9\ndata: last\r\n\r\n';
const events = [
	{ event: "block", data: '{"number":1,\n"x":2}', id: "7" },
	{ event: "alert", data: " two", id: "7" },
	{ event: "message", data: "", id: "7" },
	{ event: "message", data: "last", id: "9" },
];

describe("EventParser", () => {
	it("reads events with every line ending, comments apart", () => {
		expect(new EventParser().push(stream)).toEqual(events);
	});

	it("gives the same events wherever the stream is cut", () => {
		for (let size = 1; size < stream.length; size++) {
			const parser = new EventParser();
			const found = [];
			for (let at = 0; at < stream.length; at += size) found.push(...parser.push(stream.slice(at, at + size)));
			expect(found, `cut every ${size}`).toEqual(events);
		}
	});

	it("keeps an unfinished event to itself", () => {
		expect(new EventParser().push("event: alert\ndata: half\n")).toEqual([]);
	});
});
