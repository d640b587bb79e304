// Starts Chromium for a test, without the network traffic of its own that a closed machine refuses.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

export async function launch() {
	const executablePath =
		process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => existsSync(path));
	if (!executablePath) throw new Error("no Chromium found: apt-get install -y chromium, or name it with CHROMIUM=/path");
	return chromium.launch({
		executablePath,
		args: [
			"--no-sandbox",
			"--disable-gpu",
			"--disable-quic",
			"--no-first-run",
			"--disable-background-networking",
			"--disable-component-update",
			"--disable-sync",
			"--disable-dev-shm-usage",
		],
	});
}

/** Problems that a person would notice: errors on the console, exceptions, and whatever the content security policy refused. @param {import("playwright-core").Page} page */
export function watch(page) {
	/** @type {string[]} */
	const problems = [];
	page.on("console", (message) => {
		if (message.type() === "error") problems.push(`console: ${message.text()}`);
	});
	page.on("pageerror", (error) => problems.push(`exception: ${error.message}`));
	return problems;
}
