// The browser tests that need no network: the road's own test and what a real node cannot be asked to do (vanish, hold nothing),
// over the made-up world. Exit code 0 when all hold.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { launch, watch } from "../browser.mjs";
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
		[fileURLToPath(new URL("road.mjs", import.meta.url)), "--timeout", "60", ...process.argv.slice(2)],
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
	await alone();
	await road();
	process.stdout.write("ok\n");
	process.exit(0);
} catch (error) {
	process.stderr.write(`FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
	process.exit(1);
}
