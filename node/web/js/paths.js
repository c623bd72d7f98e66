// The way to a member: shown in the circle while the member is pointed at or has the focus, there or in the table.

import { byId, setText } from "./dom.js";
import { milliseconds } from "./format.js";
import { plain } from "./text.js";

const memberAt = (element) => element?.closest?.("#circle g.member, #peers tr[data-peer]")?.dataset.peer;

export class Paths {
  names = new Map();
  me = null;
  peers = [];
  #circle;
  #said = byId("way-said");

  constructor(circle) {
    this.#circle = circle;
    for (const place of [byId("circle"), byId("peers")]) {
      const point = (event) => this.#point(memberAt(event.target) ?? memberAt(document.activeElement));
      for (const kind of ["pointerover", "focusin"]) place.addEventListener(kind, point);
      // A pointer that rests beside the members takes nothing from whoever goes by keyboard.
      for (const kind of ["pointerleave", "focusout"]) {
        place.addEventListener(kind, () => this.#point(memberAt(document.activeElement)));
      }
    }
  }

  #point(id) {
    const peer = this.peers.find((known) => known.id === id && known.reachable && known.path?.length);
    this.#circle.showWay(peer ? [this.me, ...peer.path] : null);
    const hops = (peer?.path ?? []).map((hop) => plain(this.names.get(hop) ?? hop.slice(0, 8)));
    const cost = peer && peer.cost !== null ? ` (${milliseconds(peer.cost)})` : "";
    setText(this.#said, peer ? ["you", ...hops].join(" → ") + cost : "");
  }
}
