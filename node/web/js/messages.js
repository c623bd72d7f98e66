// The list of messages. Only what somebody scrolled to is built, in chunks that the browser lays out when they come
// near (`content-visibility`); what is far above a reader at the end is taken out again.

import { byId, el, nextFrame } from "./dom.js";
import { dayName, dayNumber } from "./format.js";
import { messageElement, outgoingElement, refreshMessage } from "./message.js";
import { compare, placeOf } from "./rows.js";
import { holds } from "./text.js";

/** Messages in a chunk, and built at a time: few enough for a frame of a slow machine. */
const CHUNK = 50;
const PAGE = 50;
/** More than this is taken out again, down to four pages, once the reader is at the end. */
const MAX_BUILT = 600;
/** This near to the end counts as the end, and older ones are built this many screens ahead. */
const END_PX = 48;
const AHEAD_SCREENS = 2;
/** Messages of one author within this time stand under one name. */
const TOGETHER_MS = 5 * 60_000;

export class MessageList {
  query = "";
  #list = byId("messages");
  #chunks = el("div", { class: "chunks" });
  #top = el("p", { class: "top" });
  #tail = el("div", { class: "tail" });
  #history;
  #outbox;
  #acts;
  #context;
  /** Built messages in order: `{row, element, day}`. */
  #built = [];
  #matches = [];
  #isAtEnd = true;
  #isGrowing = false;
  #ears = [];

  /** `context`: see `messageElement`; `acts`: see `outgoingElement`. */
  constructor({ history, outbox, context, acts }) {
    this.#history = history;
    this.#outbox = outbox;
    this.#acts = acts;
    this.#context = context;
    this.#list.replaceChildren(this.#top, this.#chunks, this.#tail);
    history.on("reset", () => this.#reset());
    history.on("added", (added) => this.#onAdded(added));
    history.on("changed", (row) => this.#onChanged(row));
    outbox.on("changed", () => this.#showOutbox());
    this.#list.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    new ResizeObserver(() => this.#stay()).observe(this.#list);
    this.#showOutbox();
  }

  get isAtEnd() {
    return this.#isAtEnd;
  }

  /** Calls `ear` whenever the reader comes to the end or leaves it. */
  onMove(ear) {
    this.#ears.push(ear);
  }

  toEnd() {
    if (this.query) return;
    this.#isAtEnd = true;
    this.#stay();
    this.#tellMove();
  }

  /** Shows what holds `query`, or everything. */
  search(query) {
    this.query = query;
    this.#reset();
    return this.#matches.length;
  }

  get matchCount() {
    return this.#matches.length;
  }

  /** What is shown, whether built or not. */
  get #rows() {
    return this.query ? this.#matches : this.#history.rows;
  }

  #isShown(row) {
    return !this.query || (row.kind === "message" && (holds(row.text, this.query) || holds(row.name ?? "", this.query)));
  }

  #reset() {
    this.#matches = this.query ? this.#history.rows.filter((row) => this.#isShown(row)) : [];
    this.#quietly(() => {
      this.#built = [];
      this.#chunks.replaceChildren();
      this.#prepend(this.#rows.slice(-PAGE));
      this.#tail.hidden = Boolean(this.query);
    });
    this.#showTop();
    this.#isAtEnd = true;
    this.#stay();
    this.#grow();
  }

  /** Additions in here are not news and are not read out. */
  #quietly(act) {
    this.#list.setAttribute("aria-busy", "true");
    act();
    this.#list.setAttribute("aria-busy", "false");
  }

  #onAdded({ rows, older }) {
    const shown = rows.filter((row) => this.#isShown(row));
    if (this.query) this.#matches = [...this.#matches, ...shown].sort(compare);
    const first = this.#built[0]?.row;
    // Older ones are built when somebody scrolls there.
    const due = older && first ? [] : shown.filter((row) => !first || compare(row, first) > 0 || this.#isComplete());
    for (const row of due) this.#insert(row);
    if (this.query && this.#built.length < PAGE) this.#grow();
    this.#trim();
    this.#showTop();
    this.#stay();
  }

  /** Whether the list begins with the first message there is. */
  #isComplete() {
    return !this.#history.hasOlder && placeOf(this.#rows, this.#built[0].row) <= 1;
  }

  #insert(row) {
    const place = placeOf(this.#built.map((item) => item.row), row);
    const item = { row, element: messageElement(row, { ...this.#context, query: this.query }), day: null };
    const next = this.#built[place];
    if (next) (next.day ?? next.element).before(item.element);
    else this.#lastChunk().append(item.element);
    this.#built.splice(place, 0, item);
    this.#dress(place);
    this.#dress(place + 1);
  }

  #lastChunk() {
    const last = this.#chunks.lastElementChild;
    if (last && last.childElementCount < CHUNK) return last;
    const chunk = el("div", { class: "chunk" });
    this.#chunks.append(chunk);
    return chunk;
  }

  /** What depends on the message before: a new day, or one more by the same author. */
  #dress(place) {
    const item = this.#built[place];
    if (!item) return;
    const before = this.#built[place - 1]?.row;
    const isNewDay = !before || dayNumber(before.date) !== dayNumber(item.row.date);
    if (isNewDay && !item.day) {
      item.day = el("h2", { class: "day" }, el("span", {}, dayName(item.row.date)));
      item.element.before(item.day);
    } else if (!isNewDay && item.day) {
      item.day.remove();
      item.day = null;
    }
    const isMore = !isNewDay && before.kind === item.row.kind && before.author === item.row.author
      && item.row.date - before.date < TOGETHER_MS;
    item.element.classList.toggle("more", isMore);
  }

  /** Builds rows that stand before everything built. */
  #prepend(rows) {
    const items = rows.map((row) => ({ row, element: messageElement(row, { ...this.#context, query: this.query }), day: null }));
    this.#built = [...items, ...this.#built];
    const chunks = [];
    for (let from = 0; from < items.length; from += CHUNK) {
      chunks.push(el("div", { class: "chunk" }, ...items.slice(from, from + CHUNK).map((item) => item.element)));
    }
    this.#chunks.prepend(...chunks);
    for (let place = 0; place <= items.length; place += 1) this.#dress(place);
  }

  #onChanged(row) {
    const item = this.#built[placeOf(this.#built.map((built) => built.row), row)];
    if (item?.row === row) refreshMessage(item.element, row, this.#context);
  }

  /** Words that depend on the topology, once it is known. */
  refresh() {
    for (const { row, element } of this.#built) refreshMessage(element, row, this.#context);
  }

  #showOutbox() {
    this.#tail.replaceChildren(...this.#outbox.entries.map((entry) => outgoingElement(entry, this.#acts)));
    this.#stay();
  }

  #showTop() {
    const isMore = this.#history.hasOlder || this.#built.length < this.#rows.length;
    this.#top.textContent = isMore || !this.#built.length || this.query ? "" : "This is the beginning of what this node knows.";
    this.#list.classList.toggle("is-empty", this.#history.isLoaded && !this.#history.rows.length && !this.#outbox.entries.length);
  }

  #onScroll() {
    const { scrollHeight, scrollTop, clientHeight } = this.#list;
    const wasAtEnd = this.#isAtEnd;
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < END_PX;
    if (wasAtEnd !== this.#isAtEnd) this.#tellMove();
    this.#grow();
  }

  #tellMove() {
    for (const ear of this.#ears) ear();
  }

  /** Who is at the end stays there. */
  #stay() {
    if (this.#isAtEnd) this.#list.scrollTop = this.#list.scrollHeight;
  }

  /** Builds older messages until enough stand above the reader; reads them from the node if need be. */
  async #grow() {
    if (this.#isGrowing) return;
    this.#isGrowing = true;
    try {
      while (this.#wantsOlder() && (await this.#growOnce())) await nextFrame();
    } catch {
      // The next scroll tries again; what is wrong with the node is said elsewhere.
    }
    this.#isGrowing = false;
    this.#showTop();
  }

  #wantsOlder() {
    return this.#list.clientHeight > 0 && this.#list.scrollTop < AHEAD_SCREENS * this.#list.clientHeight;
  }

  async #growOnce() {
    const first = this.#built[0]?.row;
    const place = first ? placeOf(this.#rows, first) : this.#rows.length;
    if (place > 0) {
      this.#keepPlace(() => this.#prepend(this.#rows.slice(Math.max(0, place - PAGE), place)));
      return true;
    }
    if (!this.#history.hasOlder || this.query) return false;
    const known = this.#history.rows.length;
    await this.#history.loadOlder();
    return this.#history.rows.length > known;
  }

  /** Browsers without scroll anchoring, and all of them at the very top, would jump. */
  #keepPlace(act) {
    const { scrollTop, scrollHeight } = this.#list;
    this.#quietly(act);
    if (this.#isAtEnd) this.#stay();
    else this.#list.scrollTop = scrollTop + this.#list.scrollHeight - scrollHeight;
  }

  #trim() {
    if (!this.#isAtEnd || this.query || this.#built.length <= MAX_BUILT) return;
    while (this.#built.length > 4 * PAGE) {
      const chunk = this.#chunks.firstElementChild;
      this.#built = this.#built.filter((item) => item.element.parentNode !== chunk);
      chunk.remove();
    }
    this.#dress(0);
  }

  /** The row that an element of the list shows. */
  rowOf(element) {
    return this.#history.get(element?.closest?.("[data-cursor]")?.dataset.cursor);
  }
}
