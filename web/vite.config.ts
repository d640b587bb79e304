import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

export default defineConfig({
	plugins: [svelte()],
	build: {
		target: "es2023",
		// The node serves with a strict content security policy: nothing is inlined as a data URL.
		assetsInlineLimit: 0,
		chunkSizeWarningLimit: 700,
		rolldownOptions: { output: { codeSplitting: { groups: [{ name: "charts", test: /node_modules[\\/](echarts|zrender|tslib)[\\/]/ }] } } },
	},
	test: { include: ["src/**/*.test.ts", "test/**/*.test.ts"], environment: "node" },
});
