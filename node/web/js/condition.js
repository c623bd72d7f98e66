// How things stand, as one word for `#state` and a sentence for people. Pure: facts in, words out.

import { counted } from "./format.js";

/**
 * Facts: `reach` (connecting, ok, stopped), `hasToken`, `isTokenRefused`, `isAnotherNode`, `isStreaming`, `status`, `peers`.
 * The order is that of what hides what: of a node that does not answer nothing else can be known.
 */
export function conditionOf(facts) {
  const { status, peers } = facts;
  if (facts.reach === "stopped") return "stopped";
  if (!facts.hasToken || facts.isTokenRefused) return "unauthorized";
  if (facts.reach === "connecting" || !facts.isStreaming || !status) return "connecting";
  if (!status.links?.length) return peers.some((peer) => !peer.left) ? "link-lost" : "alone";
  if (status.ring && !status.ring.complete) return "ring-open";
  return "connected";
}

/** What stands in the header. */
export function shortly(condition, { status }) {
  switch (condition) {
    case "connected": return status.ring ? `ring of ${status.ring.length} closed` : counted(status.links.length, "link");
    case "alone": return "alone";
    case "ring-open": return "ring open";
    case "link-lost": return "link lost";
    case "stopped": return "node stopped";
    case "unauthorized": return "token needed";
    default: return "connecting";
  }
}

/** What it means for who writes here; empty when all is well. */
export function meaning(condition, { status, hasToken, isAnotherNode }) {
  switch (condition) {
    case "connected": return "";
    case "alone": return "Nobody is linked to this node yet. What you write is kept and goes out when somebody comes.";
    case "ring-open": return "The ring is open. Messages wait until it closes; this node keeps trying.";
    case "link-lost": return "No link is up. This node keeps trying everybody it knows; what you write goes out then.";
    case "stopped": return "The node does not answer. This page keeps trying and goes on where it was.";
    case "unauthorized":
      if (isAnotherNode) return "Another node answers here. It is not told the token; this page goes on when the first is back.";
      return hasToken ? "The node does not accept the token of this tab." : "";
    default: return status ? "Connecting to the events of the node…" : "Connecting to the node…";
  }
}
