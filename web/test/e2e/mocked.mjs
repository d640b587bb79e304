// The browser tests that need no network: the road's own test and what a real node cannot be asked to do (vanish, hold nothing),
// over the made-up world. Exit code 0 when all hold.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { AxeBuilder } from "@axe-core/playwright";
import { launch, watch } from "../browser.mjs";
import { flipped, golden, goldenAlert } from "../golden.mjs";
import { find } from "../mock/fixtures.mjs";
import { goBad, start, token } from "../mock/server.mjs";

/** @param {unknown} holds @param {string} otherwise */
function must(holds, otherwise) {
	if (!holds) throw new Error(otherwise);
}
const say = (/** @type {string} */ words) => process.stdout.write(`  ${words}\n`);

async function road() {
	const node = await start({ simulated: true });
	for (const s of node.world.shipments) Object.assign(s, { openAlerts: 0, state: s.closed ? "decided" : "in-band" });
	for (const a of node.world.alerts)
		a.acknowledgement ??= { organisation: a.organisation, person: "Eva Lang", comment: "Done.", time: a.raised };
	const child = spawn(
		process.execPath,
		[fileURLToPath(new URL("road.mjs", import.meta.url)), "--timeout", "60", "--without-proof", ...process.argv.slice(2)],
		{
			env: { ...process.env, TRAILMARK_URL: `${node.origin}/#token=${token}` },
			stdio: "inherit",
		},
	);
	const timer = setTimeout(() => goBad(node, "FISH-3307"), 8000);
	const code = await new Promise((done) => child.on("exit", done));
	clearTimeout(timer);
	await node.stop();
	must(code === 0, `the road's test ended with ${code}`);
}

/** The seal: grey, then pinned and proved; a turned bit, other keys and a lie are each told in words. */
async function seal() {
	const node = await start();
	const browser = await launch();
	const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
	const page = await context.newPage();
	const problems = watch(page);
	/** @type {string[]} */
	const loaded = [];
	page.on("request", (request) => loaded.push(new URL(request.url()).pathname));
	const at = `/alerts/${goldenAlert.shipment}/${goldenAlert.id}`;
	await page.goto(`${node.origin}${at}#token=${token}`);
	const seal = page.locator("details.seal");
	await seal.locator("summary").click();
	must((await seal.getAttribute("data-outcome")) === "unchecked", "the seal is not grey before anything was checked");
	must(!loaded.some((path) => path.endsWith(".wasm")), "the verifier was loaded before anybody asked for it");

	const check = page.getByRole("button", { name: /^Check (again )?in this browser$/ });
	await check.click();
	await page.locator("[data-pin-offer]").waitFor();
	must(
		(await page.locator("[data-pin-offer] code").first().textContent())?.replaceAll(" ", "").startsWith("421cba08662af6af"),
		"the offer shows another fingerprint",
	);
	must((await seal.getAttribute("data-outcome")) === "unchecked", "the seal says something before keys were pinned");
	await axe(page, "the offer to pin");
	await page.getByRole("button", { name: "Pin these keys and check" }).click();
	await page.locator('details.seal[data-outcome="proved"]').waitFor();
	must((await seal.locator("summary").textContent())?.includes("Proved in this browser"), "the seal has no word for proved");
	must(
		(await page.locator('[data-verdict="proved"]').textContent())?.includes("It will spoil."),
		"the verdict does not say what is proved",
	);
	await axe(page, "a proved seal");
	say("the seal asks before it pins, and proves a receipt in this browser");

	const parts = new Set();
	for (const byte of [400, 900, golden("receipt-alert").length - 3]) {
		node.tamper(byte);
		await check.click();
		await page.locator('details.seal[data-outcome="failed"]').waitFor();
		const part = await page.locator("[data-verdict=failed] [data-part]").getAttribute("data-part");
		must(part, "a broken receipt has no broken part");
		parts.add(part);
	}
	must(parts.size > 1, `every turned bit is said to break ${[...parts].join()}`);
	await axe(page, "a failed seal");
	say(`a turned bit is found: ${[...parts].join("; ")}`);

	node.tamper(undefined);
	node.rekey((keys) => {
		keys.organisations[0].logKey = keys.organisations[0].logKey.replace("AYqI", "AYqJ");
	});
	await check.click();
	await page.locator("[data-keys-changed]").getByText("The key of Carrier is another one than was pinned.").waitFor();
	must((await seal.getAttribute("data-outcome")) === "alarm", "other keys are no alarm");
	await page.reload();
	await page.locator("details.seal summary").click();
	must((await seal.getAttribute("data-outcome")) === "unchecked", "a reloaded seal is not grey");
	await check.click();
	await page.locator('details.seal[data-outcome="alarm"]').waitFor();
	say("keys that change later are an alarm, after a reload too");
	must(problems.length === 0, `problems: ${problems.join("; ")}`);

	const liar = await start({ lie: { score: 0.2 } });
	await page.goto(`${liar.origin}${at}#token=${token}`);
	await page.locator("details.seal summary").click();
	await check.click();
	await page.getByRole("button", { name: "Pin these keys and check" }).click();
	await page.locator('[data-verdict="contradicted"]').getByText("the receipt proves “0.9”, the page shows “0.2”").waitFor();
	must((await seal.getAttribute("data-outcome")) === "failed", "a page that shows something else than is proved is not told");
	say("a page that shows something else than its receipt proves is found out");
	await browser.close();
	await liar.stop();
	await node.stop();
}

/** The regulator's page: no token, and no network once it stands. */
async function verifyPage() {
	const node = await start();
	const browser = await launch();
	const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
	const page = await context.newPage();
	const problems = watch(page);
	/** @type {string[]} */
	const asked = [];
	page.on("request", (request) => asked.push(new URL(request.url()).pathname));
	await page.goto(`${node.origin}/verify`);
	await page.locator("[data-verifier=ready]").waitFor();
	must(!asked.some((path) => path.startsWith("/api/")), "the page asks the node for something");
	await context.setOffline(true);
	await node.stop();

	/** Drops files on the page, as a person does. @param {Record<string, Uint8Array>} files */
	const drop = async (files) => {
		const data = await page.evaluateHandle(
			(list) => {
				const transfer = new DataTransfer();
				for (const [name, content] of list) transfer.items.add(new File([new Uint8Array(content)], name));
				return transfer;
			},
			/** @type {[string, number[]][]} */ (Object.entries(files).map(([name, content]) => [name, [...content]])),
		);
		await page.locator("[data-drop]").dispatchEvent("drop", { dataTransfer: data });
	};
	await drop({ "alert.receipt": golden("receipt-alert") });
	await page.getByText("The receipt waits for keys").waitFor();
	await drop({ "trust.json": golden("trust-alert") });
	await page.locator('[data-verdict="proved"]').getByText("What is only claimed").waitFor();
	for (const width of [1280, 390]) {
		await page.setViewportSize({ width, height: 900 });
		const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
		must(wide <= 0, `the page Verify scrolls sideways by ${wide} px at ${width} px`);
		await axe(page, `the page Verify at ${width} px`);
	}
	await page.setViewportSize({ width: 1280, height: 900 });
	await drop({ "reading.receipt": golden("receipt-reading") });
	await page.locator('[data-verdict="proved"]').getByText("Device truck-1 of Carrier measured 4.4 Cel").waitFor();
	say("the page Verify proves dropped receipts without a token and without a network");

	await drop({ "alert.receipt": flipped(golden("receipt-alert"), 600) });
	const part = page.locator("[data-verdict=failed] [data-part]");
	await part.waitFor();
	say(`and names what is broken: ${await part.getAttribute("data-part")}`);
	await axe(page, "a failed verdict");
	await drop({ "notes.json": new TextEncoder().encode('{"version":1}') });
	await page.getByText(/^notes\.json: trust file: /).waitFor();
	await drop({ "film.bin": new Uint8Array((1 << 20) + 1) });
	await page.getByText(/^film\.bin is .* long/).waitFor();

	await page
		.locator("input[type=file]")
		.first()
		.setInputFiles({ name: "picked.receipt", mimeType: "application/cbor", buffer: Buffer.from(golden("receipt-alert")) });
	await page.locator('[data-verdict="proved"]').waitFor();
	await page.getByRole("button", { name: "Pin these keys in this browser" }).click();
	await page.getByRole("button", { name: "Put the file away" }).click();
	await page
		.locator('[data-verdict="proved"]')
		.getByText(/pinned/)
		.first()
		.waitFor();
	await page.getByRole("button", { name: "Forget these keys" }).click();
	await page.getByText("The receipt waits for keys").waitFor();
	must((await page.locator("[data-verdict]").count()) === 0, "a verdict outlives the keys it rests on");
	say("keys are pinned and forgotten there");
	must(problems.length === 0, `problems: ${problems.join("; ")}`);
	await browser.close();
}

/** @param {import("playwright-core").Page} page @param {string} what */
async function axe(page, what) {
	const { violations } = await new AxeBuilder({ page }).analyze();
	must(
		violations.length === 0,
		`${what}: ${violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`).join("; ")}`,
	);
}

async function alone() {
	const node = await start();
	const browser = await launch();
	const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
	const problems = watch(page);
	await page.goto(`${node.origin}/shipments/MILK-1042#token=${token}`);
	const canvas = page.locator("[data-chart=drawn] canvas");
	await canvas.first().waitFor();

	// Brush, by the mouse: the range goes into the address bar and the chart asks for it.
	const plot = page.locator(".plot").first();
	await plot.scrollIntoViewIfNeeded();
	const box = await plot.boundingBox();
	must(box, "no plot");
	if (!box) return;
	await page.mouse.move(box.x + 300, box.y + 150);
	await page.mouse.down();
	await page.mouse.move(box.x + 500, box.y + 150, { steps: 5 });
	await page.mouse.up();
	await page.waitForURL(/from=/);
	say("a brush zooms");

	// And by the keyboard: whole trip, then a point's readings with their receipts.
	await plot.focus();
	await page.keyboard.press("0");
	await page.waitForURL((url) => !url.search.includes("from"));
	await page.keyboard.press("End");
	await page.keyboard.press("ArrowLeft");
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { name: /Readings behind/ }).waitFor();
	const download = page.waitForEvent("download");
	await page
		.getByRole("button", { name: /Download the receipt of/ })
		.first()
		.click();
	must((await download).suggestedFilename().endsWith(".receipt"), "a reading's receipt has another name");
	say("the keyboard reaches a reading's receipt");

	const picture = page.waitForEvent("download");
	await page.getByRole("button", { name: "PNG" }).click();
	must((await picture).suggestedFilename().endsWith(".png"), "no picture came");
	say("the chart exports a picture");

	// Rows take new values at once but keep their places under the pointer.
	await page.getByRole("link", { name: "Shipments" }).first().click();
	await page.locator("tr[data-shipment]").first().waitFor();
	await page.locator('tr[data-shipment="FISH-3307"]').hover();
	const order = () => page.locator("tr[data-shipment]").evaluateAll((rows) => rows.map((r) => r.getAttribute("data-shipment")).join());
	const before = await order();
	const milk = find(node.world.shipments, "MILK-1042");
	milk.state = "decided";
	milk.sentence = "Closed, just now.";
	node.emit("shipment", milk);
	find(node.world.shipments, "BERRY-220").state = "act";
	node.block();
	await page.getByText("Closed, just now.").waitFor();
	await page.waitForTimeout(1200);
	must((await order()) === before, "rows changed places under the pointer");
	await page.getByRole("button", { name: /sort again/ }).waitFor();
	await page.mouse.move(5, 5);
	await page.waitForFunction(
		(was) => [...document.querySelectorAll("tr[data-shipment]")].map((r) => r.getAttribute("data-shipment")).join() !== was,
		before,
	);
	say("rows keep their places under the pointer, and move when it has gone");

	// Four alerts at once take no more room than two and a line.
	const base = find(node.world.alerts, "excursion-1");
	for (const n of [1, 2, 3, 4]) node.emit("alert", { ...base, id: `crowd-${n}`, shipment: "FISH-3307", acknowledgement: undefined });
	await page.getByText("2 more new alerts").waitFor();
	must((await page.locator("[data-alarm]").count()) === 2, "more than two notices cover the page");
	await page.getByRole("button", { name: /^Dismiss all/ }).click();
	must((await page.locator("[data-alarm]").count()) === 0, "notices stay although they were dismissed");
	say("notices of new alerts stack at most two high");

	// A second tab needs no link of its own.
	const tab = await page.context().newPage();
	await tab.goto(`${node.origin}/alerts`);
	await tab.locator("[data-connection=live]").waitFor({ timeout: 10_000 });
	await tab.close();
	say("a second tab gets the token from the first");

	// A node that goes away is noticed, and the page comes back by itself.
	problems.length = 0;
	const port = Number(new URL(node.origin).port);
	node.cut();
	await node.stop();
	await page.locator("[data-connection=stale]").waitFor({ timeout: 5000 });
	say("a lost connection says so");
	const again = await start({ port });
	await page.locator("[data-connection=live]").waitFor({ timeout: 20_000 });
	say("and is live again when the node is back");
	const real = problems.filter((p) => !p.includes("ERR_"));
	must(real.length === 0, `problems: ${real.join("; ")}`);

	// A wrong token is said, not swallowed.
	await page.goto(`${again.origin}/log#token=wrong`);
	await page.getByRole("heading", { name: "The node did not accept the token" }).waitFor();
	say("a refused token is said");
	await browser.close();
	await again.stop();
}

try {
	await seal();
	await verifyPage();
	await alone();
	await road();
	process.stdout.write("ok\n");
	process.exit(0);
} catch (error) {
	process.stderr.write(`FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
	process.exit(1);
}
