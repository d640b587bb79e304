// Takes a picture of every page at 1280 and 390 px, light and dark, over the made-up world: node test/screens.mjs [folder]

import { mkdir } from "node:fs/promises";
import { AxeBuilder } from "@axe-core/playwright";
import { launch, watch } from "./browser.mjs";
import { start, token } from "./mock/server.mjs";

const folder = process.argv[2] ?? "/tmp/trailmark-screens";
const only = process.argv[3];
await mkdir(folder, { recursive: true });
const pages = /** @type {Record<string, string>} */ ({
	shipments: "/shipments",
	shipment: "/shipments/MILK-1042",
	nodata: "/shipments/BERRY-220",
	alerts: "/alerts?show=all",
	alert: "/alerts/MILK-1042/spoilage-1",
	devices: "/devices",
	device: "/devices/truck7-air",
	quarantine: "/quarantine",
	log: "/log",
	verify: "/verify",
	missing: "/shipments/NOPE",
});
const node = await start({ simulated: true });
const empty = await start({ empty: true });
const browser = await launch();
let bad = 0;
/** @param {string} name @param {string} url @param {number} width @param {"light" | "dark"} colorScheme */
async function shoot(name, url, width, colorScheme) {
	const context = await browser.newContext({
		viewport: { width, height: width < 500 ? 844 : 800 },
		colorScheme,
		reducedMotion: "reduce",
		timezoneId: "Europe/Vienna",
	});
	const page = await context.newPage();
	const problems = watch(page);
	await page.goto(url);
	await page.waitForLoadState("load");
	await page.waitForTimeout(name.startsWith("shipment") && !name.includes("s-") ? 1500 : 700);
	await page.screenshot({ path: `${folder}/${name}-${width}-${colorScheme}.png`, fullPage: true });
	const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
	if (wide > 0) problems.push(`scrolls sideways by ${wide} px`);
	const axe = await new AxeBuilder({ page }).analyze();
	for (const v of axe.violations)
		problems.push(`axe ${v.id}: ${v.nodes.map((n) => n.target.join(" ")).join(" | ")} ${v.nodes[0]?.failureSummary ?? ""}`);
	const real = problems.filter((p) => !(name === "missing" && p.includes("404")));
	if (real.length) {
		bad++;
		process.stdout.write(`${name} ${width} ${colorScheme}\n  ${real.join("\n  ")}\n`);
	}
	await context.close();
}
for (const width of [1280, 390]) {
	for (const scheme of /** @type {const} */ (["light", "dark"])) {
		for (const [name, path] of Object.entries(pages))
			if (!only || name === only) await shoot(name, `${node.origin}${path}#token=${token}`, width, scheme);
		if (only) continue;
		await shoot("token", `${node.origin}/`, width, scheme);
		if (scheme === "light")
			for (const name of ["shipments", "devices", "log"])
				await shoot(`empty-${name}`, `${empty.origin}/${name}#token=${token}`, width, scheme);
	}
}
await browser.close();
await node.stop();
await empty.stop();
process.stdout.write(bad ? `${bad} pages with problems\n` : `all pages clean; pictures in ${folder}\n`);
process.exit(bad ? 1 : 0);
