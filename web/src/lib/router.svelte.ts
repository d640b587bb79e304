// Where the page stands: path and query, in the address bar, so that a view can be linked to and reloaded.

class Router {
	path = $state(location.pathname);
	query = $state.raw(new URLSearchParams(location.search));

	start(): () => void {
		const read = () => {
			this.path = location.pathname;
			this.query = new URLSearchParams(location.search);
		};
		const click = (event: MouseEvent) => {
			if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
			const link = (event.target as Element).closest("a");
			if (
				!link ||
				link.origin !== location.origin ||
				link.target ||
				link.hasAttribute("download") ||
				link.getAttribute("href")?.startsWith("#")
			)
				return;
			event.preventDefault();
			this.go(link.pathname + link.search);
		};
		addEventListener("popstate", read);
		document.addEventListener("click", click);
		return () => {
			removeEventListener("popstate", read);
			document.removeEventListener("click", click);
		};
	}

	go(to: string) {
		history.pushState(null, "", to);
		const url = new URL(to, location.origin);
		this.path = url.pathname;
		this.query = url.searchParams;
		scrollTo(0, 0);
		// A screen reader starts where the new page starts.
		queueMicrotask(() => document.getElementById("main")?.focus({ preventScroll: true }));
	}

	/** Changes parts of the query in place; undefined and "" remove. */
	set(changes: Record<string, string | undefined>) {
		const query = new URLSearchParams(this.query);
		for (const [name, value] of Object.entries(changes)) {
			if (value) query.set(name, value);
			else query.delete(name);
		}
		const text = query.toString();
		history.replaceState(history.state, "", this.path + (text ? `?${text}` : ""));
		this.query = query;
	}
}

export const router = new Router();
