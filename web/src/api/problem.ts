import type { components } from "./schema";

type Code = components["schemas"]["ProblemCode"];

/** A request that failed, with words for a person: what happened, what is safe, what to do next. */
export class Problem extends Error {
	constructor(
		readonly code: Code,
		message: string,
		readonly next?: string,
	) {
		super(message);
		this.name = "Problem";
	}

	/** Reads a problem+json body, or makes the best of anything else that came back. */
	static from(body: unknown, status: number): Problem {
		if (typeof body === "object" && body !== null && "code" in body) {
			const problem = body as components["schemas"]["Problem"];
			return new Problem(problem.code, problem.detail ?? problem.title, problem.next);
		}
		return new Problem(status === 401 ? "unauthorised" : "internal", `The node answered with status ${status} and no explanation.`);
	}

	static of(error: unknown): Problem {
		if (error instanceof Problem) return error;
		if (error instanceof TypeError) return new Problem("unavailable", "The node does not answer.");
		return new Problem("internal", error instanceof Error ? error.message : String(error));
	}

	/** What remains true although the request failed. */
	get safe(): string {
		switch (this.code) {
			case "unavailable":
				return "What is on the ledger stays there, and what this page already shows is as of the last update.";
			case "conflict":
				return "Nothing was changed: what the ledger held before still stands.";
			case "not-found":
				return "";
			default:
				return "Nothing was changed.";
		}
	}

	get advice(): string {
		if (this.next) return this.next;
		switch (this.code) {
			case "unavailable":
				return "The page tries again by itself. If it lasts, see whether the node runs: bin/trailmark net status";
			case "unauthorised":
				return "Open the link that the node printed when it started; it carries the token.";
			case "forbidden":
				return "Ask someone whose token may do this, or use your own organisation's node.";
			case "not-found":
				return "Check the name, or go back to the list.";
			case "conflict":
				return "Reload to see what the ledger holds now.";
			case "invalid":
				return "Correct what is named above and try again.";
			default:
				return "Try again; if it fails again, the node's journal says why.";
		}
	}
}
