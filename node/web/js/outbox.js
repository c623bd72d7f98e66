// What was written and is not yet in the history. One message is on its way at a time, which keeps the order; a
// refused one stays with its reason until somebody says what shall become of it. Kept over reloads.

import { send } from "./api.js";
import { Emitter } from "./emitter.js";
import { readJson, writeJson } from "./storage.js";

const KEY = "meshline.outbox";
/** Written while nothing goes out; more than this is no longer a chat. */
const MAX_ENTRIES = 100;

/** Emits `changed`, and `sent` with the row that the node answered. */
export class Outbox extends Emitter {
  entries = [];
  #history;
  #next = 1;
  #isSending = false;

  constructor(history) {
    super();
    this.#history = history;
    this.#restore();
    history.on("reset", () => this.#settle(history.rows));
    history.on("added", ({ rows }) => this.#settle(rows));
  }

  get isFull() {
    return this.entries.length >= MAX_ENTRIES;
  }

  add(text) {
    this.entries.push({ key: this.#next, text, state: "waiting", reason: "", isUnsure: false, isHeld: false, after: 0 });
    this.#next += 1;
    // If it goes out at once, that tells.
    if (this.#isSending) this.#changed();
    else this.#pump();
  }

  /** Tries a failed one again, and those that were held back behind it. */
  retry(key) {
    const from = this.entries.findIndex((entry) => entry.key === key);
    for (const [index, entry] of this.entries.entries()) {
      if (index > from && entry.state === "failed" && !entry.isHeld) break;
      if (index >= from && entry.state === "failed") Object.assign(entry, { state: "waiting", reason: "", isHeld: false });
    }
    this.#pump();
    this.#changed();
  }

  /** Takes one out and returns its text. */
  takeBack(key) {
    const entry = this.entries.find((candidate) => candidate.key === key);
    this.entries = this.entries.filter((candidate) => candidate !== entry);
    this.#changed();
    return entry?.text ?? "";
  }

  async #pump() {
    if (this.#isSending) return;
    this.#isSending = true;
    for (let entry = this.#due(); entry; entry = this.#due()) await this.#attempt(entry);
    this.#isSending = false;
  }

  #due() {
    return this.entries.find((entry) => entry.state === "waiting");
  }

  async #attempt(entry) {
    Object.assign(entry, { state: "sending", isUnsure: true, after: this.#history.newest });
    try {
      const answer = send(entry.text);
      // First on its way, then shown.
      this.#changed();
      const row = await answer;
      this.entries = this.entries.filter((candidate) => candidate !== entry);
      this.emit("sent", row);
    } catch (refusal) {
      this.#fail(entry, refusal);
    }
    this.#changed();
  }

  #fail(entry, refusal) {
    Object.assign(entry, { state: "failed", reason: reasonOf(refusal), isUnsure: Boolean(refusal.isUnanswered) });
    if (!isOfMoment(refusal)) return;
    // What is refused for now would be refused again, or overtake this one.
    for (const later of this.entries.filter((candidate) => candidate.state === "waiting")) {
      Object.assign(later, { state: "failed", reason: "held back to keep the order", isHeld: true });
    }
  }

  /** A message may be in the history before its answer is here, or although its answer was lost. */
  #settle(rows) {
    const unsure = this.entries.filter((entry) => entry.isUnsure);
    for (const entry of unsure) {
      const found = rows.find((row) => row.own && row.text === entry.text && row.place > entry.after && !row.isSettled);
      if (!found) continue;
      found.isSettled = true;
      this.entries = this.entries.filter((candidate) => candidate !== entry);
    }
    if (unsure.length) this.#changed();
  }

  #restore() {
    for (const { text, reason, isUnsure, after } of readJson(KEY) ?? []) {
      const shown = reason || "the page was left before it was sent";
      this.entries.push({ key: this.#next, text, state: "failed", reason: shown, isUnsure, isHeld: false, after });
      this.#next += 1;
    }
  }

  #changed() {
    writeJson(KEY, this.entries);
    this.emit("changed");
  }
}

/** Refusals that speak of the node's state rather than of the message. */
const isOfMoment = (refusal) => refusal.isUnanswered || [401, 403, 429, 500, 503, 507].includes(refusal.status);

function reasonOf(refusal) {
  switch (refusal.status) {
    case 0: return "the node did not answer";
    case 401: return "the token was not accepted";
    case 413: return "too long for one message";
    case 429: return "too many messages at once; try again in a moment";
    case 503: return "the node is stopping";
    case 507: return "the node cannot write to its disk";
    default: return refusal.message || "refused";
  }
}
