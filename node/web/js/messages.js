// The list of messages. A part of them is built around the reader, in chunks that the browser lays out when they come
// near (`content-visibility`). It grows on the side the reader scrolls to and is cut on the far one, so it stays small
// whatever arrives and however far somebody reads.

import { byId, el, nextFrame, soon } from "./dom.js";
import { dayName, dayNumber } from "./format.js";
import { messageElement, outgoingElement, refreshMessage } from "./message.js";
import { compare, placeOf } from "./rows.js";
import { holds } from "./text.js";

/** Messages in a chunk, and built at a time: few enough for a frame of a slow machine. */
const CHUNK = 50;
const PAGE = 50;
/** Messages built at once: a dozen screens. At the end, where they come and go, more is cut down to four pages. */
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
  /** Built messages in order, without a gap: `{row, element, day}`. */
  #built = [];
  /** Whether there are newer ones than those that are built. */
  #hasNewer = false;
  #matches = [];
  #isAtEnd = true;
  #isGrowing = false;
  #willStay = false;
  /** Where the list stood when it was last looked at. */
  #lastTop = 0;
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
    history.on("trimmed", () => this.#onTrimmed());
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
    if (this.#hasNewer) this.#reset();
    if (this.#isAtEnd) this.#staySoon();
    else {
      this.#isAtEnd = true;
      this.#stay();
    }
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
      this.#hasNewer = false;
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
    for (const row of due) this.#take(row);
    if (this.query && this.#built.length < PAGE) this.#grow();
    this.#trim();
    this.#showTop();
    this.#staySoon();
  }

  /** Builds what has come, unless it stands behind what is not built, or the reader is elsewhere and has enough. */
  #take(row) {
    const last = this.#built.at(-1)?.row;
    const isNewest = !last || compare(row, last) > 0;
    const isBehind = isNewest && (this.#hasNewer || (!this.#isAtEnd && this.#built.length >= MAX_BUILT));
    if (isBehind) this.#hasNewer = true;
    else this.#insert(row);
    this.#trim();
  }

  /** What the history holds no longer is shown no longer. */
  #onTrimmed() {
    const oldest = this.#history.rows[0];
    const isGone = (row) => compare(row, oldest) < 0;
    this.#matches = this.#matches.filter((row) => !isGone(row));
    const gone = this.#built.filter((item) => isGone(item.row));
    if (gone.length === this.#built.length) this.#reset();
    else if (gone.length) this.#keepPlace(() => this.#remove(gone));
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

  /** Builds rows that stand behind everything built. */
  #append(rows) {
    for (const row of rows) this.#insert(row);
    this.#hasNewer = this.#rows.at(-1) !== this.#built.at(-1)?.row;
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
    this.#staySoon();
  }

  #showTop() {
    const isMore = this.#history.hasOlder || this.#built[0]?.row !== this.#rows[0];
    this.#top.textContent = isMore || !this.#built.length || this.query ? "" : "This is the beginning of what this node knows.";
    this.#list.classList.toggle("is-empty", this.#history.isLoaded && !this.#history.rows.length && !this.#outbox.entries.length);
  }

  #onScroll() {
    // What came since the last frame moved the end away, not the reader.
    if (this.#willStay && this.#list.scrollTop >= this.#lastTop) this.#stay();
    const { scrollHeight, scrollTop, clientHeight } = this.#list;
    this.#lastTop = scrollTop;
    const wasAtEnd = this.#isAtEnd;
    this.#isAtEnd = !this.#hasNewer && scrollHeight - scrollTop - clientHeight < END_PX;
    if (wasAtEnd !== this.#isAtEnd) this.#tellMove();
    this.#grow();
  }

  #tellMove() {
    for (const ear of this.#ears) ear();
  }

  /** The same in the next frame: to ask for the height lays the list out, which is done once for all that comes till then. */
  #staySoon() {
    if (this.#willStay || !this.#isAtEnd) return;
    this.#willStay = true;
    soon(() => this.#willStay && this.#stay());
  }

  /** Who is at the end stays there. */
  #stay() {
    this.#willStay = false;
    if (!this.#isAtEnd) return;
    this.#list.scrollTop = this.#list.scrollHeight;
    this.#lastTop = this.#list.scrollTop;
  }

  /** Builds messages until enough stand above and below the reader; reads older ones from the node if need be. */
  async #grow() {
    if (this.#isGrowing) return;
    this.#isGrowing = true;
    try {
      while (this.#growDown() || (this.#wantsOlder() && (await this.#growUp()))) await nextFrame();
    } catch {
      // The next scroll tries again; what is wrong with the node is said elsewhere.
    }
    this.#isGrowing = false;
    this.#showTop();
  }

  #wantsOlder() {
    return this.#list.clientHeight > 0 && this.#list.scrollTop < AHEAD_SCREENS * this.#list.clientHeight;
  }

  #growDown() {
    const { scrollHeight, scrollTop, clientHeight } = this.#list;
    const below = scrollHeight - scrollTop - clientHeight;
    if (!this.#hasNewer || !clientHeight || below > AHEAD_SCREENS * clientHeight) return false;
    const place = placeOf(this.#rows, this.#built.at(-1).row) + 1;
    this.#quietly(() => this.#append(this.#rows.slice(place, place + PAGE)));
    this.#trim();
    return true;
  }

  async #growUp() {
    const first = this.#built[0]?.row;
    const place = first ? placeOf(this.#rows, first) : this.#rows.length;
    if (place > 0) {
      this.#keepPlace(() => this.#prepend(this.#rows.slice(Math.max(0, place - PAGE), place)));
      this.#trim();
      return true;
    }
    if (!this.#history.hasOlder || this.query) return false;
    const known = this.#history.rows.length;
    await this.#history.loadOlder();
    return this.#history.rows.length > known;
  }

  /** Browsers without scroll anchoring, and all of them at the very top, would jump. */
  #keepPlace(act, isBelow = false) {
    const { scrollTop, scrollHeight } = this.#list;
    this.#quietly(act);
    if (this.#isAtEnd) this.#stay();
    else if (!isBelow) this.#list.scrollTop = scrollTop + this.#list.scrollHeight - scrollHeight;
  }

  /** Cuts what is far from the reader: never what `#grow` would build again. */
  #trim() {
    if (this.#built.length <= MAX_BUILT) return;
    const most = this.#isAtEnd && !this.query ? 4 * PAGE : MAX_BUILT;
    while (this.#built.length > most && this.#chunks.childElementCount > 1) {
      const { scrollHeight, scrollTop, clientHeight } = this.#list;
      const below = scrollHeight - scrollTop - clientHeight;
      const isBelow = !this.#isAtEnd && below > scrollTop;
      const chunk = isBelow ? this.#chunks.lastElementChild : this.#chunks.firstElementChild;
      const left = Math.max(below, scrollTop) - chunk.offsetHeight;
      if (!this.#isAtEnd && clientHeight && left <= AHEAD_SCREENS * clientHeight) return;
      const items = this.#built.filter((item) => item.element.parentNode === chunk);
      this.#hasNewer ||= isBelow;
      this.#keepPlace(() => this.#remove(items), isBelow);
    }
  }

  #remove(items) {
    const gone = new Set(items);
    this.#built = this.#built.filter((item) => !gone.has(item));
    for (const { element, day } of items) {
      const chunk = element.parentNode;
      day?.remove();
      element.remove();
      if (!chunk.childElementCount) chunk.remove();
    }
    this.#dress(0);
  }

  /** The row that an element of the list shows. */
  rowOf(element) {
    return this.#history.get(element?.closest?.("[data-cursor]")?.dataset.cursor);
  }
}
