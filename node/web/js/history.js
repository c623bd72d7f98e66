// The messages this tab knows, in the common order, and how further ones are read. A row is known by its cursor, so
// it does not matter how often or by which way (history, event, answer) it comes.

import { messages } from "./api.js";
import { Emitter } from "./emitter.js";
import { compare, isSame, placeOf, toRow } from "./rows.js";

const PAGE = 200;
/** A search goes through everything: larger pages, fewer requests. */
const SEARCH_PAGE = 1_000;
/** Rows held in memory; what is older is read again when it is wanted. */
const MAX_ROWS = 20_000;
/** Deliveries of messages not seen yet; most are of older pages and of no use. */
const MAX_AHEAD = 64;

/** Emits `reset` (all is new), `added` (rows, `older` if read from before), `trimmed` (the oldest rows went) and
 * `changed` (a row). */
export class History extends Emitter {
  rows = [];
  /** The greatest cursor known: what arrived after it is new. */
  newest = 0;
  hasOlder = true;
  isLoaded = false;
  #byCursor = new Map();
  /** Up to this cursor nothing is missing; events alone do not say what came while nobody listened. */
  #gapless = 0;
  /** What events brought while the history was read: it may be newer than what is read. */
  #arriving = [];
  #reading = Promise.resolve();
  #me = null;
  #older = null;
  /** Deliveries told before their message: events overtake the answer to whoever sent it. */
  #ahead = new Map();

  setMe(id) {
    this.#me = id;
  }

  get(cursor) {
    return this.#byCursor.get(cursor);
  }

  /** Reads what came since, or the newest page the first time; one reading after the other. */
  catchUp() {
    this.#reading = this.#reading.catch(() => {}).then(() => this.#read());
    return this.#reading;
  }

  async #read() {
    const known = this.newest;
    this.#arriving = [];
    try {
      const page = await messages({ limit: PAGE });
      const rows = this.#rowsOf(page);
      if (!this.isLoaded || this.#isAnother(page, rows, known)) this.#restart(page, rows);
      else await this.#goOn(page, rows);
    } finally {
      if (this.isLoaded) this.#arriving = null;
    }
  }

  async #goOn(page, rows) {
    if (rows.length && Math.min(...rows.map((row) => row.place)) > this.#gapless + 1) await this.#fillGap();
    this.add(rows);
    this.#gapless = Math.max(this.#gapless, Number(page.cursor ?? 0), ...rows.map((row) => row.place));
  }

  /** A node that lost its history counts from the start again: cursors of before mean nothing then. */
  #isAnother(page, rows, known) {
    const covered = Math.max(Number(page.cursor ?? 0), ...rows.map((row) => row.place));
    return covered < known || rows.some((row) => this.#differs(row));
  }

  #differs(row) {
    const known = this.#byCursor.get(row.cursor);
    return known !== undefined && !isSame(known, row);
  }

  #restart(page, rows) {
    this.rows = rows.sort(compare);
    this.#byCursor = new Map(rows.map((row) => [row.cursor, row]));
    this.newest = Math.max(0, ...rows.map((row) => row.place));
    this.hasOlder = page.more ?? rows.length >= PAGE;
    this.#gapless = Math.max(this.newest, Number(page.cursor ?? 0));
    this.isLoaded = true;
    this.emit("reset");
    this.add(this.#rowsOf({ messages: this.#arriving ?? [] }));
  }

  async #fillGap() {
    for (let more = true; more; ) {
      const page = await messages({ after: String(this.#gapless), limit: SEARCH_PAGE });
      const rows = this.#rowsOf(page);
      const covered = Math.max(Number(page.cursor ?? 0), ...rows.map((row) => row.place));
      more = covered > this.#gapless && (page.more ?? rows.length >= SEARCH_PAGE);
      this.#gapless = Math.max(this.#gapless, covered);
      this.add(rows);
    }
  }

  #rowsOf(page) {
    return (page.messages ?? []).map((raw) => toRow(raw, this.#me)).filter(Boolean);
  }

  /** One row from an event or an answer. */
  addRaw(raw) {
    this.#arriving?.push(raw);
    const row = toRow(raw, this.#me);
    if (!row || !this.isLoaded) return;
    if (this.#differs(row)) this.emit("confused");
    else this.add([row]);
  }

  /** Takes in rows: new ones in their place, known ones brought up to date. */
  add(rows, older = false) {
    const fresh = rows.filter((row) => !this.#update(row)).filter((row) => older || this.#isInReach(row));
    for (const row of rows) if (row.kind === "message") this.newest = Math.max(this.newest, row.place);
    if (!fresh.length) return;
    for (const row of fresh) {
      this.rows.splice(placeOf(this.rows, row), 0, row);
      this.#byCursor.set(row.cursor, row);
    }
    this.emit("added", { rows: fresh.sort(compare), older });
    this.#trim();
    for (const { cursor } of fresh.filter((row) => this.#ahead.has(row.cursor))) {
      this.change(cursor, this.#ahead.get(cursor));
      this.#ahead.delete(cursor);
    }
  }

  /** A late message that belongs before all we hold comes with its page, when somebody scrolls there. */
  #isInReach(row) {
    return !this.hasOlder || !this.rows.length || compare(row, this.rows[0]) > 0;
  }

  #update(row) {
    const known = this.#byCursor.get(row.cursor);
    if (!known) return false;
    this.change(row.cursor, row);
    return true;
  }

  /** Changes what is known of a message, as its delivery goes on. */
  change(cursor, changes) {
    const known = this.#byCursor.get(String(cursor));
    if (!known) this.#keepAhead(String(cursor), changes);
    if (!known || isBehind(known, changes)) return;
    const { state, delivered_to: to, delivered_of: of } = known;
    Object.assign(known, { state: changes.state ?? state, delivered_to: changes.delivered_to ?? to });
    known.delivered_of = changes.delivered_of ?? of;
    if (known.state !== state || known.delivered_to !== to || known.delivered_of !== of) this.emit("changed", known);
  }

  #keepAhead(cursor, changes) {
    this.#ahead.set(cursor, changes);
    if (this.#ahead.size > MAX_AHEAD) this.#ahead.delete(this.#ahead.keys().next().value);
  }

  #trim() {
    if (this.rows.length <= MAX_ROWS) return;
    for (const row of this.rows.splice(0, this.rows.length - MAX_ROWS)) this.#byCursor.delete(row.cursor);
    this.hasOlder = true;
    this.emit("trimmed");
  }

  /** Reads the page before the oldest row; callers at the same time share one reading. */
  loadOlder(limit = PAGE) {
    this.#older ??= this.#readOlder(limit).finally(() => (this.#older = null));
    return this.#older;
  }

  /** The same for a search. */
  loadMuchOlder() {
    return this.loadOlder(SEARCH_PAGE);
  }

  async #readOlder(limit) {
    const oldest = this.rows.find((row) => row.kind === "message");
    if (!this.hasOlder || !oldest) return;
    // What is read here must not push out what is newer, nor itself.
    const room = MAX_ROWS - this.rows.length;
    if (room <= 0) return void (this.hasOlder = false);
    const page = await messages({ before: oldest.cursor, limit });
    // The history may have begun anew meanwhile.
    if (this.#byCursor.get(oldest.cursor) !== oldest) return;
    const rows = this.#rowsOf(page).filter((row) => compare(row, oldest) < 0).slice(-room);
    this.hasOlder = rows.length > 0 && rows.length < room && (page.more ?? rows.length >= limit);
    this.add(rows, true);
  }
}

/** Events and answers cross on their way: what was known to be delivered stays so. */
function isBehind(known, changes) {
  const isFewer = (changes.delivered_to ?? known.delivered_to) < known.delivered_to;
  return isFewer || (known.state === "delivered" && changes.state !== undefined && changes.state !== "delivered");
}
