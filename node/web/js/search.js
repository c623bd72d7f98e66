// The search: goes through everything the node keeps, reading older pages while the first finds are shown.

import { byId, setText } from "./dom.js";
import { counted } from "./format.js";

/** Not at every key while somebody still writes the word. */
const PAUSE_MS = 150;

export class Search {
  #input = byId("search");
  #said = byId("found");
  #list;
  #history;
  #timer = null;
  #onEnd;

  constructor(list, history, onEnd) {
    this.#list = list;
    this.#history = history;
    this.#onEnd = onEnd;
    this.#input.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#run(), PAUSE_MS);
    });
    this.#input.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      this.end();
    });
    history.on("added", () => this.#say());
  }

  focus() {
    this.#input.focus();
    this.#input.select();
  }

  get isActive() {
    return this.#list.query !== "";
  }

  end() {
    this.#input.value = "";
    this.#run();
    this.#onEnd();
  }

  async #run() {
    const query = this.#input.value.trim();
    if (query === this.#list.query) return;
    this.#list.search(query);
    this.#say();
    try {
      while (query && query === this.#list.query && this.#history.hasOlder) await this.#history.loadMuchOlder();
    } catch {
      // What is wrong with the node is said elsewhere; what is known has been searched.
    }
    this.#say();
  }

  #say() {
    if (!this.#list.query) return setText(this.#said, "");
    const found = counted(this.#list.matchCount, "message");
    setText(this.#said, this.#history.hasOlder ? `${found}, looking further back…` : found);
  }
}
