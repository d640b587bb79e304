// A small world for tests of the page: what a node might say. Deterministic but for the moment it is made at.
// It stands in for a node only in this folder's tests; the road's own test (test/e2e/road.mjs) runs against a real one.

/** @typedef {import("../../src/api/schema").components["schemas"]} Schemas */
/** @typedef {{ id: string, device: string, start: number, end: number, step: number, value: (h: number) => number, gap?: [number, number], late?: [number, number] }} Trace */

const hour = 3_600_000;
export const iso = (/** @type {number} */ t) => new Date(t).toISOString();
/** @param {string} seed */
export const hash = (seed) => {
	let h = 2166136261;
	let out = "";
	for (let i = 0; out.length < 64; i++) {
		for (const c of `${seed}/${i}`) h = Math.imul(h ^ c.charCodeAt(0), 16777619) >>> 0;
		out += h.toString(16).padStart(8, "0");
	}
	return out.slice(0, 64);
};

const manufacturer = { id: "ManufacturerMSP", name: "Manufacturer" };
const carrier = { id: "CarrierMSP", name: "Carrier" };
const regulator = { id: "RegulatorMSP", name: "Regulator" };
export const organisations = [manufacturer, carrier, regulator];

/** Air in a refrigerated truck: a compressor's cycles, a slow drift, a little noise. */
const truck = (/** @type {number} */ mean, /** @type {number} */ seed) => (/** @type {number} */ h) =>
	mean + 0.5 * Math.sin(h * 7.3 + seed) + 0.25 * Math.sin(h * 1.1 + seed * 2) + 0.12 * Math.sin(h * 91 + seed * 3);
/** A door that stays open at hour `at`, closed again after `length` hours. */
const door =
	(/** @type {(h: number) => number} */ base, /** @type {number} */ at, /** @type {number} */ length, /** @type {number} */ rise) =>
	(/** @type {number} */ h) =>
		base(h) +
		(h < at
			? 0
			: h < at + length
				? rise * (1 - Math.exp(-(h - at) * 2.2))
				: rise * (1 - Math.exp(-length * 2.2)) * Math.exp(-(h - at - length) * 1.6));

/** @param {number} now */
export function makeWorld(now) {
	/** @type {Trace[]} */
	const traces = [
		{
			id: "MILK-1042",
			device: "truck7-air",
			start: now - 38 * hour,
			end: now - 20_000,
			step: 300_000,
			value: door(truck(4.1, 1), 34.2, 99, 7.5),
			gap: [11, 12.6],
			late: [14.5, 18.5],
		},
		{
			id: "MILK-1042",
			device: "truck7-core",
			start: now - 38 * hour,
			end: now - 20_000,
			step: 300_000,
			value: door((h) => 3.6 + 0.15 * Math.sin(h * 1.3), 34.6, 99, 4.1),
		},
		{
			id: "MILK-1042",
			device: "truck7-humidity",
			start: now - 38 * hour,
			end: now - 20_000,
			step: 600_000,
			value: (h) => 71 + 6 * Math.sin(h * 0.8) + (h > 34.3 ? 12 : 0),
		},
		{
			id: "VACC-0091",
			device: "box-19",
			start: now - 26 * hour,
			end: now - 45_000,
			step: 300_000,
			value: door(truck(4.8, 4), 20, 0.8, 5.4),
		},
		{ id: "FISH-3307", device: "reefer-2", start: now - 9 * hour, end: now - 30_000, step: 60_000, value: truck(0.6, 2) },
		{ id: "VACC-0090", device: "box-18", start: now - 52 * hour, end: now - 70_000, step: 300_000, value: truck(5.1, 6) },
		{ id: "MILK-1040", device: "truck3-air", start: now - 96 * hour, end: now - 12 * hour, step: 600_000, value: truck(4.3, 8) },
	];

	/** @type {Schemas["Device"][]} */
	const devices = traces.map((t, i) => ({
		id: t.device,
		organisation: i % 2 ? manufacturer : carrier,
		quantity: t.device.endsWith("humidity") ? "humidity" : "temperature",
		unit: t.device.endsWith("humidity") ? "%RH" : "Cel",
		min: t.device.endsWith("humidity") ? 0 : -40,
		max: t.device.endsWith("humidity") ? 100 : 85,
		calibrationDue: iso(now + (t.device === "box-19" ? 12 : t.device === "truck7-core" ? -9 : 210 + i * 9) * 24 * hour),
		calibration: t.device === "box-19" ? "due-soon" : t.device === "truck7-core" ? "expired" : "valid",
		status: "active",
		epoch: 1,
		lane: i % 4,
		attestation: t.device === "truck7-humidity" ? "edge" : "sensor",
		changed: iso(now - 100 * hour),
		latest: { time: iso(t.end), value: t.value((t.end - t.start) / hour) },
		shipment: t.id,
		missingFrames: t.device === "truck7-air" ? 3 : 0,
	}));
	devices.push({
		.../** @type {Schemas["Device"]} */ (devices[0]),
		id: "spare-01",
		status: "suspended",
		shipment: undefined,
		latest: undefined,
		missingFrames: 0,
	});

	/** @type {Schemas["ShipmentSummary"][]} */
	const shipments = [
		summary("MILK-1042", {
			description: "Pasteurised whole milk, 1 L",
			lot: "L42-7",
			origin: "Graz",
			destination: "Vienna",
			profile: "milk-pseudomonas",
			limits: { min: 0, max: 6, allowedMinutes: 120 },
		}),
		summary("VACC-0091", {
			description: "Influenza vaccine, 10 doses",
			lot: "FLU-26B",
			origin: "Leiden",
			destination: "Vienna",
			profile: "vaccine-2-8",
			limits: { min: 2, max: 8, allowedMinutes: 60 },
		}),
		summary("FISH-3307", {
			description: "Cold-smoked salmon, sliced",
			lot: "S-881",
			origin: "Bergen",
			destination: "Hamburg",
			profile: "seafood-listeria",
			limits: { min: -1, max: 4, allowedMinutes: 90 },
		}),
		summary("VACC-0090", {
			description: "Influenza vaccine, 10 doses",
			lot: "FLU-26A",
			origin: "Leiden",
			destination: "Linz",
			profile: "vaccine-2-8",
			limits: { min: 2, max: 8, allowedMinutes: 60 },
		}),
		summary("BERRY-220", {
			description: "Raspberries, 125 g",
			lot: "R-5",
			origin: "Huelva",
			destination: "Munich",
			profile: "berries",
			limits: { min: 0, max: 5, allowedMinutes: 180 },
		}),
		summary("MILK-1040", {
			description: "Pasteurised whole milk, 1 L",
			lot: "L42-5",
			origin: "Graz",
			destination: "Vienna",
			profile: "milk-pseudomonas",
			limits: { min: 0, max: 6, allowedMinutes: 120 },
		}),
	];

	/** @param {string} id @param {Partial<Schemas["ShipmentSummary"]>} rest @returns {Schemas["ShipmentSummary"]} */
	function summary(id, rest) {
		const own = traces.filter((t) => t.id === id);
		const first = Math.min(...own.map((t) => t.start), now - hour);
		return {
			id,
			organisation: manufacturer,
			parties: [carrier, manufacturer, regulator],
			description: "",
			origin: "",
			destination: "",
			profile: "",
			limits: { min: 2, max: 8, allowedMinutes: 60 },
			opened: iso(first - hour),
			state: own.length ? "in-band" : "no-data",
			sentence: own.length ? "In band since it was opened." : "No reading yet: no device is attached.",
			outOfBandMinutes: 0,
			outOfBandNow: false,
			openAlerts: 0,
			alerts: 0,
			devices: own.length,
			readings: own.reduce((n, t) => n + Math.floor((t.end - t.start) / t.step), 0),
			...rest,
		};
	}

	const milk = find(shipments, "MILK-1042");
	Object.assign(milk, {
		state: "act",
		sentence: "Out of band for 3 h 35 min while Carrier held it, and still warming; predicted spoiled in 31 h, 80 % between 26 and 38.",
		outOfBandMinutes: 215,
		outOfBandNow: true,
		openAlerts: 2,
		alerts: 3,
		prediction: {
			alert: "spoilage-1",
			asOf: iso(now - 60_000),
			probability: 0.8,
			earliest: iso(now + 26 * hour),
			expected: iso(now + 31 * hour),
			latest: iso(now + 38 * hour),
		},
	});
	Object.assign(find(shipments, "VACC-0091"), {
		state: "watch",
		sentence: "Back in band after 47 minutes outside it yesterday; 13 of 60 allowed minutes are left.",
		outOfBandMinutes: 47,
		alerts: 1,
		openAlerts: 0,
	});
	Object.assign(find(shipments, "MILK-1040"), {
		state: "decided",
		sentence: "Closed in Vienna after 84 hours in band.",
		closed: iso(now - 11 * hour),
	});
	for (const s of shipments) {
		const t = traces.find((one) => one.id === s.id);
		if (!t) continue;
		const value = t.value((t.end - t.start) / hour);
		s.latest = { time: iso(t.end), value, unit: "Cel", device: t.device, inBand: value >= s.limits.min && value <= s.limits.max };
	}

	/** @type {Schemas["Alert"][]} */
	const alerts = [
		alert("spoilage-1", "MILK-1042", "spoilage-predicted", now - 4 * 60_000, {
			score: 0.93,
			message: "At this rate the milk is spoiled in 31 h, 80 % between 26 and 38 h: it has been above 6 °C for 3 h 35 min and still warms.",
			drivers: [
				{ name: "countHigh", value: 3.42, unit: "log10" },
				{ name: "hoursLeft", value: 31.2, unit: "h" },
				{ name: "extremeTemperature", value: 11.93, unit: "Cel" },
				{ name: "minutesOut", value: 215, unit: "min" },
			],
		}),
		alert("excursion-1", "MILK-1042", "band-excursion", now - 3.4 * hour, {
			score: 1,
			message: "Above 6 °C for 20 minutes at up to 9.1 °C while Carrier held it; 120 minutes are allowed in all.",
			drivers: [{ name: "minutes-out-of-band", value: 20, unit: "min" }],
		}),
		alert("forecast-1", "MILK-1042", "excursion-forecast", now - 3.9 * hour, {
			score: 0.81,
			message: "Warming by 3.1 °C an hour: out of the band in about 25 minutes unless the doors are closed.",
			acknowledgement: {
				organisation: carrier,
				person: "Eva Lang",
				comment: "Driver called, closes the doors at the next stop.",
				time: iso(now - 3.8 * hour),
			},
		}),
		alert("excursion-7", "VACC-0091", "band-excursion", now - 5.5 * hour, {
			score: 1,
			message: "Above 8 °C for 47 minutes at up to 8.9 °C during loading; back in band since.",
			acknowledgement: {
				organisation: manufacturer,
				person: "Jonas Reiter",
				comment: "Within the stability budget of FLU-26B, see deviation DEV-118.",
				time: iso(now - 5 * hour),
			},
		}),
	];

	/** @param {string} id @param {string} shipment @param {Schemas["AlertKind"]} kind @param {number} at @param {Partial<Schemas["Alert"]>} rest @returns {Schemas["Alert"]} */
	function alert(id, shipment, kind, at, rest) {
		const own = traces.filter((t) => t.id === shipment && !t.device.endsWith("humidity"));
		return {
			id,
			shipment,
			kind,
			score: 1,
			modelName: kind === "anomaly" ? "truck-autoencoder" : "cold-chain-rules",
			modelVersion: "1.0.0",
			modelHash: hash(`model ${kind}`),
			inputRoot: hash(`input ${id}`),
			from: iso(at - 6 * hour),
			to: iso(at - 60_000),
			asOfBlock: 1180,
			devices: own.map((t) => t.device),
			readings: 144,
			message: "",
			drivers: [],
			raised: iso(at),
			organisation: carrier,
			attestations: [
				{ organisation: carrier, score: rest.score ?? 1, inputRoot: hash(`input ${id}`), asOfBlock: 1180, time: iso(at) },
				{ organisation: manufacturer, score: rest.score ?? 1, inputRoot: hash(`input ${id}`), asOfBlock: 1180, time: iso(at + 900) },
			],
			provenance: { block: 1181, transaction: hash(`tx ${id}`), leaf: 2207, proven: [carrier, manufacturer, regulator] },
			...rest,
		};
	}

	/** @type {Schemas["Quarantined"][]} */
	const quarantine = [
		{
			id: "q1",
			received: iso(now - 3 * 60_000),
			topic: "tm/CarrierMSP/0/truck9-air",
			device: "truck9-air",
			verdict: "unknown-device",
			reason: "no device of this name is enrolled on the ledger; enrol it, then replay",
			size: 412,
			attempts: 1,
		},
		{
			id: "q2",
			received: iso(now - 40 * 60_000),
			topic: "tm/CarrierMSP/1/truck7-core",
			device: "truck7-core",
			verdict: "bad-signature",
			reason: "the signature does not verify under the device's key for the frame's epoch",
			size: 388,
			attempts: 2,
			lastAttempt: iso(now - 30 * 60_000),
		},
		{
			id: "q3",
			received: iso(now - 7 * hour),
			topic: "tm/CarrierMSP/0/spare-01",
			device: "spare-01",
			verdict: "device-suspended",
			reason: "the device is suspended; reactivate it, then replay",
			size: 401,
			attempts: 1,
		},
	];

	return {
		now,
		traces,
		devices,
		shipments,
		alerts,
		quarantine,
		height: 1234,
		logSize: 2240,
		anchored: 2239,
		clock: /** @type {Schemas["NodeClock"]} */ ({ now: iso(now), simulated: false }),
	};
}

/** @template {{ id: string }} T @param {T[]} list @param {string} id @returns {T} */
export function find(list, id) {
	const found = list.find((one) => one.id === id);
	if (!found) throw new Error(`no fixture ${id}`);
	return found;
}

/** @typedef {ReturnType<typeof makeWorld>} World */

/** @param {World} world @param {string} id @param {number | undefined} from @param {number | undefined} to @param {number | undefined} resolution @returns {Schemas["Readings"]} */
export function readings(world, id, from, to, resolution) {
	const own = world.traces.filter((t) => t.id === id);
	const limits = find(world.shipments, id).limits;
	const a = from ?? Math.min(...own.map((t) => t.start), world.now);
	const b = to ?? Math.max(...own.map((t) => t.end + 1), world.now);
	const step = resolution ?? [60, 300, 600, 1800, 3600].find((s) => (b - a) / 1000 / s <= 500) ?? 3600;
	/** @type {Schemas["Excursion"][]} */
	const excursions = [];
	const series = own.map((t) => {
		/** @type {Schemas["Point"][]} */
		const points = [];
		/** @type {Schemas["Gap"][]} */
		const gaps = [];
		/** @type {Schemas["Excursion"] | undefined} */
		let excursion;
		let before = 0;
		let n = 0;
		for (let at = t.start; at <= t.end; at += t.step, n++) {
			const h = (at - t.start) / hour;
			if (t.gap && h >= t.gap[0] && h < t.gap[1]) continue;
			const value = Math.round(t.value(h) * 100) / 100;
			if (before && at - before > 3 * t.step) gaps.push({ from: iso(before), to: iso(at), missingFrames: 3 });
			before = at;
			const outside = !t.device.endsWith("humidity") && (value > limits.max || value < limits.min);
			if (outside && !excursion) {
				excursion = {
					device: t.device,
					from: iso(at),
					to: iso(at),
					open: true,
					direction: value > limits.max ? "above" : "below",
					minutes: 0,
					extreme: value,
					extremeTime: iso(at),
				};
				excursions.push(excursion);
			}
			if (excursion) {
				excursion.to = iso(at);
				excursion.minutes = (at - Date.parse(excursion.from)) / 60_000;
				if (value > excursion.extreme) Object.assign(excursion, { extreme: value, extremeTime: iso(at) });
				if (!outside) {
					excursion.open = false;
					excursion = undefined;
				}
			}
			if (at < a || at >= b) continue;
			const backfilled = t.late !== undefined && h >= t.late[0] && h < t.late[1];
			const bucket = step === 0 ? at : Math.floor(at / step / 1000) * step * 1000;
			const last = points.at(-1);
			if (step > 0 && last && Date.parse(last.t) === bucket) {
				last.mean = (last.mean * last.count + value) / (last.count + 1);
				last.min = Math.min(last.min, value);
				last.max = Math.max(last.max, value);
				last.count++;
				last.backfilled ||= backfilled;
			} else {
				points.push({
					t: iso(bucket),
					min: value,
					mean: value,
					max: value,
					count: 1,
					backfilled,
					...(step === 0 && { reading: { epoch: 1, sequence: Math.floor(n / 12) + 1, index: n % 12 } }),
				});
			}
		}
		const device = find(world.devices, t.device);
		return {
			device: t.device,
			quantity: device.quantity,
			unit: device.unit,
			attestation: device.attestation,
			points,
			gaps: gaps.filter((g) => Date.parse(g.to) > a && Date.parse(g.from) < b),
		};
	});
	return {
		shipment: id,
		from: iso(a),
		to: iso(b),
		resolution: step,
		limits,
		series,
		excursions: excursions.filter((e) => Date.parse(e.to) >= a && Date.parse(e.from) < b),
	};
}
