// The token of this browser tab. It arrives in the fragment of the link that the node prints, which browsers never send
// to a server, and is kept for the tab alone; the address bar is cleaned so that it is not copied by accident.

const key = "trailmark.token";

class Session {
	token = $state("");
	/** Why there is no token, where one was refused. */
	refused = $state(false);

	start() {
		const fragment = new URLSearchParams(location.hash.slice(1));
		const given = fragment.get("token");
		if (given) {
			sessionStorage.setItem(key, given);
			history.replaceState(history.state, "", location.pathname + location.search);
		}
		this.token = sessionStorage.getItem(key) ?? "";
	}

	use(token: string) {
		sessionStorage.setItem(key, token);
		this.refused = false;
		this.token = token;
	}

	/** Forgets the token, because the node refused it. */
	refuse() {
		sessionStorage.removeItem(key);
		// Several requests may be refused at once; the first one says why there is no token now.
		if (this.token !== "") this.refused = true;
		this.token = "";
	}
}

export const session = new Session();
