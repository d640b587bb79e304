// The end of the road, seen by a browser: against a running node, an alert appears on the page without a reload, its shipment's
// page shows it in words and in a chart, and it is acknowledged on the ledger. Exit code 0 when all of that was seen.
//
//   TRAILMARK_URL=http://127.0.0.1:8080/#token=… node test/e2e/road.mjs [--timeout seconds] [--screens folder] [--without-proof]
//
// --without-proof leaves out the check of the receipt in the browser, which a made-up node cannot have.

import { mkdir } from "node:fs/promises";
import { AxeBuilder } from "@axe-core/playwright";
import { launch, watch } from "../browser.mjs";

/** @param {string} name @param {string} fallback */
function flag(name, fallback) {
	const at = process.argv.indexOf(`--${name}`);
	return at < 0 ? fallback : (process.argv[at + 1] ?? fallback);
}
const link = process.env.TRAILMARK_URL;
if (!link?.includes("#token=")) {
	process.stderr.write("TRAILMARK_URL is missing: set it to the link that the node prints, with its #token=…\n");
	process.exit(2);
}
const { origin } = new URL(link);
const timeout = Number(flag("timeout", "120")) * 1000;
const folder = flag("screens", "/tmp/trailmark-road");
await mkdir(folder, { recursive: true });

const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "light", acceptDownloads: true });
const page = await context.newPage();
const problems = watch(page);
let loads = 0;
page.on("load", () => loads++);

const say = (/** @type {string} */ words) => process.stdout.write(`  ${words}\n`);
/** @param {unknown} holds @param {string} otherwise */
function must(holds, otherwise) {
	if (!holds) throw new Error(otherwise);
}
const shoot = (/** @type {string} */ name) => page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });

/** Both widths: nothing scrolls sideways and axe finds nothing. @param {string} name */
async function inspect(name) {
	for (const width of [1280, 390]) {
		await page.setViewportSize({ width, height: width > 500 ? 800 : 844 });
		await page.waitForTimeout(300);
		const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
		must(wide <= 0, `${name} scrolls sideways by ${wide} px at ${width} px`);
		const axe = await new AxeBuilder({ page }).analyze();
		must(
			axe.violations.length === 0,
			`${name} at ${width} px: ${axe.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`).join("; ")}`,
		);
		await shoot(`${name}-${width}`);
	}
	await page.setViewportSize({ width: 1280, height: 800 });
}

/** How many pixels of the chart's canvas differ from its corner: an empty canvas has none. */
const inked = () =>
	page.evaluate(() => {
		const canvas = document.querySelector("[data-chart=drawn] canvas");
		if (!(canvas instanceof HTMLCanvasElement)) return 0;
		const { data } = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).getImageData(0, 0, canvas.width, canvas.height);
		let n = 0;
		for (let i = 4; i < data.length; i += 4) if (data[i] !== data[0] || data[i + 1] !== data[1] || data[i + 2] !== data[2]) n++;
		return n;
	});

async function road() {
	await page.goto(link ?? "");
	await page.locator("[data-connection=live], [data-connection=not-ready]").waitFor({ timeout: 30_000 });
	must(!page.url().includes("token"), "the token still stands in the address bar");
	say("the page is live");
	await page.locator("tr[data-shipment]").first().waitFor({ timeout });
	say(`${await page.locator("tr[data-shipment]").count()} shipments listed`);

	const waiting = page.locator('tr[data-shipment]:not([data-open-alerts="0"])').first();
	await waiting.waitFor({ timeout });
	must(loads === 1, `the page was loaded ${loads} times; the alert must come without a reload`);
	const shipment = (await waiting.getAttribute("data-shipment")) ?? "";
	say(`an alert on ${shipment} appeared without a reload`);
	await shoot("alert-appears");
	await inspect("shipments");

	await page.locator(`tr[data-shipment="${shipment}"] a`).first().click();
	await page.locator("[data-sentence]").waitFor({ timeout: 20_000 });
	const sentence = (await page.locator("[data-sentence]").textContent()) ?? "";
	must(sentence.trim().length > 10, "the shipment's page has no sentence");
	say(`it says: ${sentence.trim()}`);
	await page.locator("[data-chart=drawn] canvas").first().waitFor({ timeout: 20_000 });
	await page.waitForTimeout(500);
	const ink = await inked();
	must(ink > 2000, `the chart is empty: ${ink} pixels drawn`);
	await inspect("shipment");

	const exported = page.waitForEvent("download");
	await page.getByRole("button", { name: "CSV" }).click();
	const csv = await (await exported).createReadStream();
	let table = "";
	for await (const chunk of csv) table += chunk;
	must(table.startsWith("shipment,time_utc,") && table.split("\r\n").length > 3, "the CSV export holds no readings");
	say(`the chart exports ${table.split("\r\n").length - 2} rows`);

	const open = page.locator('li[data-alert][data-acknowledged="false"]').first();
	await open.locator("a").first().click();
	await page.waitForURL(/\/alerts\/[^/]+\/[^/]+$/);
	const alert = decodeURIComponent(new URL(page.url()).pathname.split("/").at(-1) ?? "");
	await page.locator("header.judgement[data-acknowledged=false] h1").waitFor();
	const message = ((await page.locator("header.judgement h1").textContent()) ?? "").trim();
	must(message.length > 10, "the alert has no sentence");
	say(`alert ${alert}: ${message}`);
	await inspect("alert");

	// A second page of the same node must see the acknowledgement live.
	const other = await context.newPage();
	const otherProblems = watch(other);
	await other.goto(`${origin}/alerts?show=all#token=${new URLSearchParams(new URL(link ?? "").hash.slice(1)).get("token")}`);
	const seen = other.locator(`li[data-alert="${alert}"]`).first();
	await seen.waitFor({ timeout: 20_000 });

	const comment = `Seen by the browser test at ${new Date().toISOString()}`;
	await page.getByLabel("What did you find, or do?").fill(comment);
	await page.getByRole("button", { name: "Acknowledge on the ledger" }).click();
	await page.locator("header.judgement[data-acknowledged=true]").waitFor({ timeout: 60_000 });
	must(((await page.locator("blockquote").textContent()) ?? "").includes(comment), "the comment does not stand on the alert's page");
	await other.locator(`li[data-alert="${alert}"][data-acknowledged="true"]`).first().waitFor({ timeout: 60_000 });
	must(((await seen.textContent()) ?? "").includes(comment), "the comment did not reach the other page");
	say("acknowledged on the ledger, and another page saw it live");
	await shoot("acknowledged");

	await page.locator("details.seal summary").click();
	const button = page.getByRole("button", { name: "Download the receipt" });
	await page.waitForFunction(
		() => [...document.querySelectorAll("button")].some((b) => b.textContent?.includes("Download the receipt") && !b.disabled),
		undefined,
		{ timeout: 60_000 },
	);
	let receipt;
	for (let tries = 0; !receipt && tries < 20; tries++) {
		const [download] = await Promise.all([page.waitForEvent("download", { timeout: 3000 }).catch(() => undefined), button.click()]);
		receipt = download;
	}
	must(receipt, "no receipt came within a minute");
	await receipt?.saveAs(`${folder}/alert.receipt`);
	say(`its receipt is at ${folder}/alert.receipt`);

	if (!process.argv.includes("--without-proof")) await prove();

	for (const place of ["Devices", "Quarantine", "Log"]) {
		await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: place }).click();
		await page.locator("h1").waitFor();
		await page.waitForTimeout(700);
		await inspect(place.toLowerCase());
	}
	must(loads === 1, `the page was loaded ${loads} times`);
	// A receipt that is asked for before enough organisations have signed is refused for now, as it should be.
	const all = [...problems, ...otherProblems].filter((p) => !/status of 503/.test(p));
	must(all.length === 0, `problems on the console: ${all.join("; ")}`);
}

/** The seal pins the node's keys, proves the alert in this browser, and the regulator's page proves the downloaded file. */
async function prove() {
	await page.getByRole("button", { name: "Check in this browser" }).click();
	const offer = page.locator("[data-pin-offer]");
	await offer.waitFor({ timeout: 30_000 });
	must(
		/^[0-9a-f]{4}( [0-9a-f]{4}){15}$/.test(((await offer.locator("code").first().textContent()) ?? "").trim()),
		"the offer shows no fingerprint",
	);
	await page.getByRole("button", { name: "Pin these keys and check" }).click();
	// A record that has just changed again makes the seal grey until it is checked again, as it should.
	await page.locator("[data-verdict]").first().waitFor({ timeout: 30_000 });
	const verdict = page.locator('[data-verdict="proved"]');
	must(await verdict.count(), `the receipt is not proved: ${((await page.locator("[data-verdict]").first().textContent()) ?? "").trim()}`);
	say(`proved in this browser: ${((await verdict.locator("p").first().textContent()) ?? "").trim()}`);
	await inspect("proved");

	const regulator = await context.newPage();
	const regulatorProblems = watch(regulator);
	await regulator.goto(`${origin}/verify`);
	await regulator.locator("[data-verifier=ready]").waitFor({ timeout: 30_000 });
	await regulator.locator("input[type=file]").first().setInputFiles(`${folder}/alert.receipt`);
	await regulator.locator('[data-verdict="proved"]').waitFor({ timeout: 20_000 });
	must(regulatorProblems.length === 0, `problems on the page Verify: ${regulatorProblems.join("; ")}`);
	say("and on the page Verify, from the downloaded file and the pinned keys alone");
	await regulator.close();
}

let code = 0;
try {
	await road();
	process.stdout.write(`ok: the road ends on the page; pictures in ${folder}\n`);
} catch (error) {
	code = 1;
	await shoot("failed").catch(() => {});
	process.stderr.write(
		`FAILED: ${error instanceof Error ? error.message : String(error)}\n${problems.join("\n")}\nThe page as it stood: ${folder}/failed.png\n`,
	);
}
await browser.close();
process.exit(code);
