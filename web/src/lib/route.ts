/** The parameters of a path that fits a pattern such as /shipments/:shipment, or undefined. */
export function match(pattern: string, path: string): Record<string, string> | undefined {
	const want = pattern.split("/");
	const have = path.replace(/\/+$/, "").split("/");
	if (want.length !== have.length) return undefined;
	const found: Record<string, string> = {};
	for (const [i, part] of want.entries()) {
		const given = have[i] ?? "";
		if (part.startsWith(":")) {
			try {
				found[part.slice(1)] = decodeURIComponent(given);
			} catch {
				return undefined;
			}
		} else if (part !== given) return undefined;
	}
	return found;
}

const enc = encodeURIComponent;
export const to = {
	shipment: (id: string) => `/shipments/${enc(id)}`,
	alert: (a: { shipment: string; id: string }) => `/alerts/${enc(a.shipment)}/${enc(a.id)}`,
	device: (id: string) => `/devices/${enc(id)}`,
};
