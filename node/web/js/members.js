// Who is here and who left: the list beside the chat, and the notices in it.

import { byId, el, setAttribute, setText } from "./dom.js";
import { counted } from "./format.js";
import { hueOf, initialOf } from "./person.js";
import { toNotice } from "./rows.js";
import { nameOf, plain } from "./text.js";

/** Present first, then by name: whoever comes or goes is the only one that moves. */
function byPresence(a, b) {
  if (a.reachable !== b.reachable) return a.reachable ? -1 : 1;
  return a.name.localeCompare(b.name) || (a.id < b.id ? -1 : 1);
}

/** What is said beside a name. */
export function whereabouts(peer, names) {
  if (peer.left) return "left";
  if (!peer.reachable) return "not reachable";
  if (peer.direct) return "direct";
  return peer.via ? `via ${plain(names.get(peer.via) ?? peer.via.slice(0, 8))}` : counted(peer.hops ?? 0, "hop");
}

/** The same with everybody on the way. */
export function wayThere(peer, names) {
  const between = (peer.path ?? []).slice(0, -1).map((id) => plain(names.get(id) ?? id.slice(0, 8)));
  return peer.reachable && !peer.direct && between.length ? `via ${between.join(" → ")}` : whereabouts(peer, names);
}

export class Members {
  #rows = new Map();
  /** Who was here at the last look; null until there was one. */
  #present = null;
  #history;

  constructor(history) {
    this.#history = history;
  }

  show({ reach, peers, names }) {
    const list = byId("members");
    const sorted = [...peers].sort(byPresence);
    const here = peers.filter((peer) => peer.reachable).length;
    const isUnknown = reach !== "ok";
    const known = peers.length ? `${here} of ${counted(peers.length, "other")} here` : "Nobody else is known";
    setText(byId("presence"), isUnknown ? "Unknown who is here" : known);
    list.classList.toggle("is-stale", isUnknown);
    for (const [id, row] of this.#rows) if (!peers.some((peer) => peer.id === id)) this.#drop(id, row);
    sorted.forEach((peer, place) => this.#place(list, peer, place, names));
    this.#tell(reach, peers);
  }

  #drop(id, row) {
    row.remove();
    this.#rows.delete(id);
  }

  #place(list, peer, place, names) {
    const row = this.#rows.get(peer.id) ?? this.#build(peer);
    setAttribute(row, "data-reachable", String(Boolean(peer.reachable)));
    setAttribute(row, "data-left", String(Boolean(peer.left)));
    setText(row.lastElementChild, whereabouts(peer, names));
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  }

  #build(peer) {
    const avatar = el("span", { class: `avatar ${hueOf(peer.id)}`, "aria-hidden": "true" }, initialOf(peer.name));
    const row = el("li", { data: { peer: peer.id } }, avatar, nameOf(peer.name), el("span", { class: "where" }));
    this.#rows.set(peer.id, row);
    return row;
  }

  /** Who came and went since the last look. While the node is stopped nobody knows, and nothing is said. */
  #tell(reach, peers) {
    if (reach !== "ok") {
      this.#present = null;
      return;
    }
    const before = this.#present;
    this.#present = new Map(peers.map((peer) => [peer.id, peer.reachable]));
    if (!before) return;
    const came = peers.filter((peer) => peer.reachable && !before.get(peer.id));
    const gone = peers.filter((peer) => !peer.reachable && before.get(peer.id));
    this.#notice(came, came.length > 1 ? "are here" : "is here");
    const left = gone.filter((peer) => peer.left);
    const lost = gone.filter((peer) => !peer.left);
    this.#notice(left, left.length > 1 ? "have left" : "has left");
    this.#notice(lost, lost.length > 1 ? "are not reachable" : "is not reachable");
  }

  #notice(peers, text) {
    if (peers.length) this.#history.add([toNotice(text, peers.map((peer) => peer.name))]);
  }
}
