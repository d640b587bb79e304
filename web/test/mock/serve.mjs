// The built page over a made-up world, to look at: node test/mock/serve.mjs [port] [--empty] [--simulated]
import { start, token } from "./server.mjs";

const flags = process.argv.slice(2);
const node = await start({
	port: Number(flags.find((f) => /^\d+$/.test(f)) ?? 0),
	empty: flags.includes("--empty"),
	simulated: flags.includes("--simulated"),
});
process.stdout.write(`${node.origin}/#token=${token}\n`);
