// The token of this browser session. It arrives in the fragment of the link that the node prints, which browsers never send
// to a server, and is kept for the tab alone; the address bar is cleaned so that it is not copied by accident. A tab opened
// from another one asks its siblings, so that nothing has to outlive the last of them.

const key = "trailmark.token";
type Message = "ask" | { token: string };

class Session {
	token = $state("");
	/** Whether the node refused the token that was here. */
	refused = $state(false);

	start() {
		const given = new URLSearchParams(location.hash.slice(1)).get("token");
		if (given) {
			sessionStorage.setItem(key, given);
			history.replaceState(history.state, "", location.pathname + location.search);
		}
		this.token = sessionStorage.getItem(key) ?? "";
		const siblings = new BroadcastChannel(key);
		siblings.onmessage = ({ data }: MessageEvent<Message>) => {
			if (data !== "ask" && !this.token && !this.refused) this.use(data.token);
			else if (data === "ask" && this.token) siblings.postMessage({ token: this.token } satisfies Message);
		};
		if (!this.token) siblings.postMessage("ask" satisfies Message);
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
