type Choice = "light" | "dark" | "system";
const key = "trailmark.theme";

/** Light, dark, or as the system says; printed pages are light. */
class ThemeChoice {
	choice = $state<Choice>("system");
	/** What is shown now. */
	shown = $state<"light" | "dark">("light");

	start(): () => void {
		const stored = localStorage.getItem(key);
		this.choice = stored === "light" || stored === "dark" ? stored : "system";
		const system = matchMedia("(prefers-color-scheme: dark)");
		const apply = () => this.#show(this.choice === "system" ? (system.matches ? "dark" : "light") : this.choice);
		const print = () => this.#show("light");
		apply();
		system.addEventListener("change", apply);
		addEventListener("beforeprint", print);
		addEventListener("afterprint", apply);
		return () => {
			system.removeEventListener("change", apply);
			removeEventListener("beforeprint", print);
			removeEventListener("afterprint", apply);
		};
	}

	toggle() {
		const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
		const other = this.shown === "dark" ? "light" : "dark";
		this.choice = other === system ? "system" : other;
		if (this.choice === "system") localStorage.removeItem(key);
		else localStorage.setItem(key, this.choice);
		this.#show(other);
	}

	#show(theme: "light" | "dark") {
		document.documentElement.dataset.theme = theme;
		this.shown = theme;
	}
}

export const theme = new ThemeChoice();
