// The way a message took: shown in the circle while the message is pointed at or has the focus.

import { byId, el, setText } from "./dom.js";
import { hourAndMinute } from "./format.js";
import { wayOf } from "./ring.js";
import { nameOf, plain, short } from "./text.js";

/** Messages offered beside the circle. */
const RECENT = 8;

export class Ways {
  names = new Map();
  me = null;
  #circle;
  #history;
  #recent = byId("recent");
  #said = byId("way-said");

  constructor(circle, history) {
    this.#circle = circle;
    this.#history = history;
    this.#watch(byId("messages"));
    this.#watch(this.#recent);
    history.on("reset", () => this.#showRecent());
    history.on("added", () => this.#showRecent());
  }

  /** "by way of donald and eddy", for those who see no circle. */
  #describe(way) {
    const between = way.slice(1, -1).map((id) => this.#name(id));
    return between.length ? `by way of ${between.join(", ")}` : "straight from its author";
  }

  #name(id) {
    return id === this.me ? "you" : short(this.names.get(id) ?? id.slice(0, 8), 24);
  }

  #watch(list) {
    const point = (event) => this.#point(event.target.closest?.("[data-cursor]"));
    for (const kind of ["pointerover", "focusin"]) list.addEventListener(kind, point);
    for (const kind of ["pointerleave", "focusout"]) list.addEventListener(kind, () => this.#point(null));
  }

  #point(element) {
    const row = element && this.#history.get(element.dataset.cursor);
    const way = wayOf(row, this.me);
    this.#circle.showWay(way);
    // Said in the message as well: on a narrow screen there is no circle beside it.
    const said = way && element.querySelector(".delivery");
    if (said) setText(said, this.#describe(way));
    const own = row?.own ? "Your own message set out from here." : "";
    setText(this.#said, way ? way.map((id) => this.#name(id)).join(" → ") : own);
  }

  #showRecent() {
    const rows = this.#history.rows.filter((row) => row.kind === "message").slice(-RECENT).reverse();
    this.#recent.replaceChildren(...rows.map((row) => el("li", {},
      el("button", { type: "button", data: { cursor: row.cursor } },
        nameOf(row.name), el("span", { class: "excerpt" }, short(row.text.slice(0, 400), 80)),
        el("time", { datetime: row.date.toISOString() }, hourAndMinute(row.date))))));
    byId("no-recent").hidden = rows.length > 0;
  }
}
