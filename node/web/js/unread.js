// How much came while nobody looked: beside the tab, in the title of the window, and on the way back to the end.

import { byId, setText } from "./dom.js";
import { counted, number } from "./format.js";
import { readText, writeText } from "./storage.js";

const KEY = "meshline.read";

export class Unread {
  count = 0;
  #read = Number(readText(KEY) ?? -1);
  #history;
  #isLooking;
  #name = "";

  /** `isLooking()` says whether somebody sees the newest message. */
  constructor(history, isLooking) {
    this.#history = history;
    this.#isLooking = isLooking;
    history.on("reset", () => this.#onReset());
    history.on("added", ({ rows, older }) => older || this.#onAdded(rows));
    document.addEventListener("visibilitychange", () => this.look());
  }

  setName(name) {
    this.#name = name;
    this.#show();
  }

  /** To be called whenever somebody may have come to see the newest message. */
  look() {
    if (this.#history.isLoaded && this.#isLooking()) this.#setRead();
    this.#show();
  }

  #onReset() {
    // At the first visit everything is as good as read; so it is when the node counts anew.
    if (this.#read < 0 || this.#read > this.#history.newest) this.#setRead();
    this.count = 0;
    this.#onAdded(this.#history.rows);
  }

  #onAdded(rows) {
    this.count += rows.filter((row) => row.kind === "message" && !row.own && row.place > this.#read).length;
    this.look();
  }

  #setRead() {
    this.count = 0;
    this.#read = this.#history.newest;
    writeText(KEY, String(this.#read));
  }

  #show() {
    const badge = byId("unread");
    badge.hidden = this.count === 0;
    setText(badge, this.count ? number(this.count) : "");
    setText(byId("to-end"), this.count ? counted(this.count, "new message") : "To the newest");
    const title = this.#name ? `${this.#name} · meshline` : "meshline";
    document.title = this.count ? `(${this.count}) ${title}` : title;
  }
}
