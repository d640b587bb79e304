// How numbers, times and names are written, everywhere alike.

const units: Record<string, string> = { Cel: "°C", "%RH": "%", lux: "lx", "%": "%", "1": "", log10: "log₁₀" };
const minus = (text: string) => text.replace(/^-/, "−");
const grouped = new Intl.NumberFormat("en-GB");

export const count = (n: number) => grouped.format(n);

/** "1 alert", "3 alerts". */
export const plural = (n: number, one: string, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

export const unit = (senml: string) => units[senml] ?? senml;

/** A measured value with one decimal, and its unit. */
export function measured(value: number, senml: string): string {
	return `${decimal(value)} ${unit(senml)}`;
}

export const decimal = (value: number, digits = 1) => {
	const text = value.toFixed(digits);
	return minus(Number(text) === 0 ? text.replace("-", "") : text);
};

/** A number as it was given, with no more digits than are worth reading. */
export const plain = (value: number) => minus(String(Number(value.toPrecision(4))));

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** A span of time in its two largest parts: "42 min", "3 h 10 min", "2 d 4 h". */
export function duration(ms: number): string {
	const span = Math.abs(ms);
	if (span < minute) return `${Math.floor(span / second)} s`;
	if (span < hour) return `${Math.floor(span / minute)} min`;
	if (span < day) return parts(span, hour, "h", minute, "min");
	return span < 14 * day ? parts(span, day, "d", hour, "h") : `${Math.floor(span / day)} d`;
}

function parts(span: number, large: number, largeName: string, small: number, smallName: string): string {
	const rest = Math.floor((span % large) / small);
	return `${Math.floor(span / large)} ${largeName}${rest > 0 ? ` ${rest} ${smallName}` : ""}`;
}

/** How long ago, or how soon. */
export function ago(then: string | number, now: number): string {
	const ms = now - (typeof then === "string" ? Date.parse(then) : then);
	if (ms < -2 * second) return `in ${duration(ms)}`;
	if (ms < 2 * second) return "just now";
	return `${duration(ms)} ago`;
}

const short = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const long = new Intl.DateTimeFormat("en-GB", {
	day: "numeric",
	month: "short",
	year: "numeric",
	hour: "2-digit",
	minute: "2-digit",
	second: "2-digit",
});
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** "22 Nov, 13:40" in the viewer's zone. */
export const time = (at: string | number) => short.format(new Date(at));
/** "22 Nov 2026, 13:40:12 UTC+01:00" in the viewer's zone. */
export const fullTime = (at: string | number) => `${long.format(new Date(at))} ${zone(at)}`;
export const calendarDay = (at: string | number) => date.format(new Date(at));

/** The viewer's offset from UTC at a moment: "UTC+01:00". */
export function zone(at: string | number): string {
	const offset = -new Date(at).getTimezoneOffset();
	if (offset === 0) return "UTC";
	const two = (n: number) => String(n).padStart(2, "0");
	return `UTC${offset < 0 ? "−" : "+"}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
}

/** A hash that fits a line: its first and last digits. */
export const hash = (hex: string) => (hex.length > 16 ? `${hex.slice(0, 8)}…${hex.slice(-6)}` : hex);

/** A sentence whose numbers keep their units on their line. */
export const tied = (sentence: string) => sentence.replaceAll(/(?<=\d) (?=(?:%|°C|h|min)(?![\p{L}\d]))/gu, "\u00a0");

/** How likely, in whole per cent. */
export const percent = (probability: number) => `${Math.round(probability * 100)} %`;

export function bytes(n: number): string {
	return n < 1024 ? `${n} B` : `${(n / 1024).toFixed(1)} kB`;
}
