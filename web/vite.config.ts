import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

export default defineConfig({
	plugins: [svelte()],
	// npm run dev shows a running node's data: TRAILMARK_NODE=http://127.0.0.1:8080 npm run dev, and add the #token=… of its link.
	server: { proxy: { "/api": process.env.TRAILMARK_NODE ?? "http://127.0.0.1:8080" } },
	build: {
		target: "es2023",
		// The node serves with a strict content security policy: nothing is inlined as a data URL.
		assetsInlineLimit: 0,
		chunkSizeWarningLimit: 700,
		rolldownOptions: { output: { codeSplitting: { groups: [{ name: "charts", test: /node_modules[\\/](echarts|zrender|tslib)[\\/]/ }] } } },
	},
	test: { include: ["src/**/*.test.ts", "test/**/*.test.ts"], environment: "node" },
});
