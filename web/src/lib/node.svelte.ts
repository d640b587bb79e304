import type { NodeStatus } from "../api/types";

/** What the node last said about itself. */
class Node {
	status = $state.raw<NodeStatus>();
}

export const node = new Node();
