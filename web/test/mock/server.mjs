// Serves the built page and the API over a made-up world, for this folder's tests alone.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { flipped, golden, goldenAlert } from "../golden.mjs";
import { find, hash, iso, makeWorld, organisations, readings } from "./fixtures.mjs";

/** @typedef {import("../../src/api/schema").components["schemas"]} Schemas */

const dist = fileURLToPath(new URL("../../dist", import.meta.url));
const types = /** @type {Record<string, string>} */ ({
	".html": "text/html; charset=utf-8",
	".js": "text/javascript",
	".css": "text/css",
	".svg": "image/svg+xml",
	".wasm": "application/wasm",
});
export const token = "test-token";

/** What the gateway is to send with the page too: strict, and the tests hold the page to it. */
export const policy =
	"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

class Refusal extends Error {
	/** @param {number} status @param {Schemas["ProblemCode"]} code @param {string} message */
	constructor(status, code, message) {
		super(message);
		this.status = status;
		this.code = code;
	}
}

/** @param {{ port?: number, simulated?: boolean, empty?: boolean, ingest?: boolean, lie?: Partial<Schemas["Alert"]> }} [options] */
export async function start(options = {}) {
	const world = makeWorld(Date.now());
	if (options.empty) for (const list of [world.shipments, world.alerts, world.devices, world.quarantine]) list.length = 0;
	if (options.simulated) world.clock = { now: iso(Date.now()), simulated: true, simulatedTime: iso(world.now), speed: 360 };
	/** @type {Set<import("node:http").ServerResponse>} */
	const listeners = new Set();
	let events = 0;
	/** What the node names as keys, and the byte of every receipt that it turns, where it does. */
	let trust = JSON.parse(new TextDecoder().decode(golden("trust-alert")));
	/** @type {number | undefined} */
	let turned;

	/** @param {string} event @param {unknown} data */
	function emit(event, data) {
		for (const l of listeners) l.write(`id: ${++events}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
	}
	const clock = () => ({ ...world.clock, now: iso(Date.now()) });
	function block() {
		world.height++;
		world.logSize++;
		emit("block", { number: world.height - 1, transactions: 1, committed: iso(Date.now()), logSize: world.logSize, clock: clock() });
	}

	/** @param {URL} url @param {string} method @param {string} body @returns {unknown} */
	function answer(url, method, body) {
		const q = url.searchParams;
		const parts = url.pathname.slice("/api/v1/".length).split("/").map(decodeURIComponent);
		const [head = "", a = "", b = "", c = ""] = parts;
		const limit = Number(q.get("limit") ?? 100);
		const one = (/** @type {{ id: string }[]} */ list, /** @type {string} */ id) => {
			if (!list.some((x) => x.id === id)) throw new Refusal(404, "not-found", `The ledger holds no ${head.replace(/s$/, "")} named ${id}.`);
		};
		switch (`${method} ${head}`) {
			case "GET status":
				return {
					organisation: organisations[1],
					channel: "trailmark",
					version: "0.1.0",
					roles: ["ingest", "gateway", "analytics"],
					user: { name: "Eva Lang", mayAcknowledge: true, mayReplay: true },
					ledger: { height: world.height, committed: iso(Date.now() - 2000), connected: true },
					log: { size: world.logSize, root: hash(`root ${world.logSize}`) },
					ready: true,
					reasons: [],
					clock: clock(),
				};
			case "GET shipments": {
				if (b === "readings") {
					one(world.shipments, a);
					const time = (/** @type {string} */ name) => (q.get(name) ? Date.parse(q.get(name) ?? "") : undefined);
					return readings(world, a, time("from"), time("to"), q.get("resolution") ? Number(q.get("resolution")) : undefined);
				}
				if (a) {
					one(world.shipments, a);
					return shipment(a);
				}
				const rank = ["act", "watch", "in-band", "no-data", "decided"];
				const states = q.getAll("state");
				const text = (q.get("search") ?? "").toLowerCase();
				const items = world.shipments
					.filter(
						(s) =>
							(!states.length || states.includes(s.state)) &&
							(q.get("open") !== "true" || !s.closed) &&
							JSON.stringify([s.id, s.lot, s.description, s.origin, s.destination]).toLowerCase().includes(text),
					)
					.sort((x, y) =>
						q.get("sort") === "id"
							? x.id.localeCompare(y.id)
							: q.get("sort") === "outOfBand"
								? x.outOfBandMinutes - y.outOfBandMinutes
								: rank.indexOf(y.state) - rank.indexOf(x.state),
					);
				if (q.get("order") !== "asc") items.reverse();
				return {
					items: items.slice(0, limit),
					total: items.length,
					states: rank.map((state) => ({ state, count: world.shipments.filter((s) => s.state === state).length })),
				};
			}
			case "GET alerts": {
				if (b) {
					if (a === goldenAlert.shipment) return { ...goldenAlert, ...options.lie };
					const found = world.alerts.find((x) => x.shipment === a && x.id === b);
					if (!found) throw new Refusal(404, "not-found", `The ledger holds no alert ${b} on shipment ${a}.`);
					return found;
				}
				const items = world.alerts.filter(
					(x) =>
						(!q.get("shipment") || x.shipment === q.get("shipment")) &&
						(!q.get("kind") || x.kind === q.get("kind")) &&
						(q.get("acknowledged") !== "false" || !x.acknowledgement),
				);
				return { items: items.slice(0, limit), total: items.length };
			}
			case "POST alerts": {
				const found = world.alerts.find((x) => x.shipment === a && x.id === b);
				if (c !== "acknowledge" || !found) throw new Refusal(404, "not-found", "no such alert");
				if (found.acknowledgement)
					throw new Refusal(409, "conflict", `${found.acknowledgement.person} acknowledged this alert before you did.`);
				found.acknowledgement = {
					organisation: { id: "CarrierMSP", name: "Carrier" },
					person: "Eva Lang",
					comment: JSON.parse(body).comment,
					time: iso(Date.now()),
				};
				const s = find(world.shipments, a);
				s.openAlerts--;
				if (s.openAlerts === 0) s.state = "watch";
				setTimeout(() => {
					emit("shipment", s);
					emit("alert", found);
					block();
				}, 50);
				return found;
			}
			case "GET devices": {
				if (a) {
					one(world.devices, a);
					const device = find(world.devices, a);
					return {
						device,
						keys: [{ fromEpoch: 1, algorithm: "EdDSA", fingerprint: hash(a) }],
						lastSequence: 412,
						gaps: device.missingFrames ? [{ epoch: 1, from: 133, to: 135 }] : [],
						attachments: world.traces.filter((t) => t.device === a).map((t) => ({ device: a, shipment: t.id, from: iso(t.start) })),
						provenance: { block: 12, transaction: hash(`enrol ${a}`), leaf: 14, proven: organisations },
					};
				}
				const items = world.devices.filter(
					(d) =>
						(!q.get("status") || d.status === q.get("status")) &&
						d.id.startsWith(q.get("search") ?? "") &&
						(!q.get("dueBefore") || d.calibrationDue < (q.get("dueBefore") ?? "")),
				);
				return { items, total: items.length };
			}
			case "GET quarantine": {
				if (options.ingest === false) throw new Refusal(503, "unavailable", "This node does not run ingest, so it holds no quarantine.");
				if (a)
					return {
						item: find(world.quarantine, a),
						message: Buffer.from(`\xd2\x84\x58\x2ea made-up frame of ${a}, to be looked at`, "latin1").toString("base64"),
						epoch: 1,
						sequence: 77,
						readings: 12,
						first: iso(world.now - 3_600_000),
						last: iso(world.now),
					};
				const items = world.quarantine.filter(
					(x) => (!q.get("verdict") || x.verdict === q.get("verdict")) && (!q.get("device") || x.device === q.get("device")),
				);
				return { items, total: items.length, verdicts: world.quarantine.map((x) => ({ verdict: x.verdict, reason: x.reason, count: 1 })) };
			}
			case "POST quarantine": {
				const found = find(world.quarantine, a);
				if (found.verdict === "bad-signature") return { accepted: false, verdict: found.verdict, reason: found.reason };
				world.quarantine.splice(world.quarantine.indexOf(found), 1);
				return { accepted: true, verdict: "accepted", reason: "recorded" };
			}
			case "GET models":
				return {
					items: [
						{
							name: "truck-autoencoder",
							version: "1.0.0",
							hash: hash("w"),
							kernel: "1",
							training: hash("t"),
							organisation: organisations[1],
							registered: iso(world.now),
						},
					],
				};
			case "GET trust":
				return trust;
			case "GET log": {
				const checkpoint = (/** @type {Schemas["Organisation"]} */ o, /** @type {number} */ size) => ({
					organisation: o,
					size,
					root: hash(`root ${size}`),
					note: "",
					anchored: iso(Date.now() - 3000),
					agreement: "agrees",
				});
				if (a === "checkpoints") {
					const items = organisations.flatMap((o) => [0, 8, 20].map((n) => checkpoint(o, world.anchored - n)));
					return { items: items.sort((x, y) => y.size - x.size), total: items.length };
				}
				if (a === "contradictions") return { items: [] };
				if (a === "anomalies") return { items: [], total: 0 };
				return {
					origin: "trailmark/trailmark",
					size: world.logSize,
					root: hash(`root ${world.logSize}`),
					quorum: 2,
					agreed: world.anchored,
					organisations: organisations.map((o) => ({
						organisation: o,
						agreement: options.empty ? "none" : "agrees",
						...(!options.empty && { checkpoint: checkpoint(o, world.anchored) }),
					})),
					contradictions: 0,
					anomalies: 0,
				};
			}
			default:
				throw new Refusal(404, "not-found", `no operation ${method} ${url.pathname}`);
		}
	}

	/** @param {string} id @returns {Schemas["Shipment"]} */
	function shipment(id) {
		const summary = find(world.shipments, id);
		const own = world.traces.filter((t) => t.id === id);
		const alerts = world.alerts.filter((x) => x.shipment === id);
		const open = alerts.find((x) => !x.acknowledgement);
		return {
			summary,
			...(open
				? {
						action: {
							kind: "acknowledge",
							text: "Call the driver, then acknowledge the spoilage alert so that the other parties know who acts.",
							alert: open.id,
						},
					}
				: summary.state === "no-data" && { action: { kind: "attach-device", text: "Attach a device, so that the shipment is watched." } }),
			goods: [{ gtin: "09506000134352", lot: summary.lot ?? "", description: summary.description, quantity: 4320 }],
			initialContamination: id.startsWith("MILK") ? 1.8 : undefined,
			confidential: false,
			changed: iso(world.now - 3_600_000),
			attachments: own.map((t) => ({ device: t.device, from: iso(t.start) })),
			devices: own.map((t) => find(world.devices, t.device)),
			excursions: readings(world, id, undefined, undefined, undefined).excursions,
			alerts,
		};
	}

	/** @param {import("node:http").IncomingMessage} request @param {import("node:http").ServerResponse} response */
	async function handle(request, response) {
		const url = new URL(request.url ?? "/", "http://localhost");
		if (!url.pathname.startsWith("/api/")) return file(url.pathname, response);
		try {
			if (request.headers.authorization !== `Bearer ${token}`) throw new Refusal(401, "unauthorised", "The token is missing or wrong.");
			if (url.pathname === "/api/v1/stream") {
				response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
				listeners.add(response);
				response.on("close", () => listeners.delete(response));
				response.write(
					`id: ${events}\nevent: block\ndata: ${JSON.stringify({ number: world.height - 1, transactions: 1, logSize: world.logSize, clock: clock() })}\n\n`,
				);
				return;
			}
			if (url.pathname.endsWith("/receipt")) {
				response.writeHead(200, { "Content-Type": "application/cbor" });
				const receipt = golden(url.pathname.includes("/readings/") ? "receipt-reading" : "receipt-alert");
				response.end(turned === undefined ? receipt : flipped(receipt, turned));
				return;
			}
			let body = "";
			for await (const chunk of request) body += chunk;
			const data = answer(url, request.method ?? "GET", body);
			response.writeHead(200, { "Content-Type": "application/json" });
			response.end(JSON.stringify(data));
		} catch (error) {
			const { status, code, message } = error instanceof Refusal ? error : { status: 500, code: "internal", message: String(error) };
			response.writeHead(status, { "Content-Type": "application/problem+json" });
			response.end(JSON.stringify({ type: "about:blank", title: message, status, code, detail: message }));
		}
	}

	/** @param {string} path @param {import("node:http").ServerResponse} response */
	async function file(path, response) {
		const name = extname(path) ? normalize(path) : "index.html";
		try {
			const body = await readFile(join(dist, name));
			response.writeHead(200, { "Content-Type": types[extname(name)] ?? "application/octet-stream", "Content-Security-Policy": policy });
			response.end(body);
		} catch {
			response.writeHead(404).end();
		}
	}

	const server = createServer((request, response) => void handle(request, response));
	await new Promise((done) => server.listen(options.port ?? 0, "127.0.0.1", () => done(undefined)));
	const address = server.address();
	const port = typeof address === "object" && address ? address.port : 0;
	const heartbeat = setInterval(() => {
		for (const l of listeners) l.write(":\n\n");
	}, 5000);
	return {
		origin: `http://127.0.0.1:${port}`,
		world,
		emit,
		block,
		/** Turns a bit in every receipt from now on. @param {number | undefined} at */
		tamper(at) {
			turned = at;
		},
		/** Names other keys from now on. @param {(keys: typeof trust) => void} change */
		rekey(change) {
			trust = structuredClone(trust);
			change(trust);
		},
		/** Cuts every live stream, as a node that goes away does. */
		cut() {
			for (const l of listeners) l.destroy();
		},
		async stop() {
			clearInterval(heartbeat);
			server.closeAllConnections();
			await new Promise((done) => server.close(done));
		},
	};
}

/**
 * A shipment that was in band goes bad: its readings, then an alert, as the live stream of a node tells it.
 * @param {Awaited<ReturnType<typeof start>>} node
 * @param {string} id
 */
export function goBad({ world, emit, block }, id) {
	const s = find(world.shipments, id);
	const trace = world.traces.find((t) => t.id === id);
	if (!trace?.device) throw new Error(`no trace of ${id}`);
	const before = trace.value;
	const at = (trace.end - trace.start) / 3_600_000;
	trace.value = (h) => before(h) + (h > at - 0.5 ? 12 * (h - at + 0.5) : 0);
	trace.end = Date.now();
	const base = world.alerts.find((a) => a.kind === "band-excursion");
	if (!base) throw new Error("no alert to copy");
	/** @type {Schemas["Alert"]} */
	const alert = {
		...base,
		id: `live-${id}`,
		shipment: id,
		devices: [trace.device],
		message: "Above the band for 12 minutes and warming; 90 minutes are allowed in all.",
		raised: iso(Date.now()),
		from: iso(trace.end - 3_600_000),
		to: iso(trace.end - 60_000),
		acknowledgement: undefined,
	};
	world.alerts.unshift(alert);
	Object.assign(s, {
		state: "act",
		sentence: "Above the band for 12 minutes while Carrier holds it, and warming.",
		openAlerts: 1,
		alerts: s.alerts + 1,
		outOfBandMinutes: 12,
		outOfBandNow: true,
	});
	s.latest = {
		time: iso(trace.end),
		value: trace.value((trace.end - trace.start) / 3_600_000),
		unit: "Cel",
		device: trace.device,
		inBand: false,
	};
	emit("shipment", s);
	emit("readings", { shipment: id, from: iso(trace.end - 3_600_000), to: iso(trace.end), backfilled: false });
	emit("alert", alert);
	block();
}
