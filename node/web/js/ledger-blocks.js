// The newest blocks as they come, older ones page by page, and the payments that wait. Blocks that a reorganisation takes
// back are struck out for a while before they go: who saw one should see it end.

import * as api from "./ledger-api.js";
import { byId, el, setAttribute, setText } from "./dom.js";
import { bytes, counted, fully, hourAndMinute, number } from "./format.js";
import { isoOf } from "./ledger-chain.js";
import { brief, momentOf, undone } from "./ledger-words.js";
import { Rows } from "./table.js";

const PAGE = 15;
const MAX_WAITING = 25;

/** So long an undone block is still shown, struck out. */
const GONE_MS = 15_000;
/** No more of them: a chain of another chain's length would fill the screen with what is no more. */
const MAX_GONE = 10;

/** A cell's button, made once and told anew. */
function link(cell, text, open, id) {
  const props = { type: "button", class: "link", onclick: () => open(button.dataset.id) };
  const button = cell.firstElementChild ?? cell.appendChild(el("button", props));
  button.dataset.id = id;
  setText(button, text);
}

function moment(cell, seconds) {
  const time = cell.firstElementChild ?? cell.appendChild(el("time"));
  setAttribute(time, "datetime", isoOf(seconds));
  setAttribute(time, "title", fully(new Date(seconds * 1000)));
  setText(time, momentOf(seconds));
}

export class Blocks {
  #rows = new Rows(byId("blocks"), 5);
  #open;
  /** The height the page begins with; null for the newest, whatever it is. */
  #from = null;
  #shown = [];
  #gone = [];
  #height = 0;

  constructor(open, changed) {
    this.#open = open;
    const turn = (from) => {
      this.#from = from;
      this.#shown = [];
      this.#gone = [];
      changed();
    };
    byId("newest").addEventListener("click", () => turn(null));
    byId("newer").addEventListener("click", () => {
      const from = (this.#shown[0]?.height ?? 0) + PAGE;
      turn(from >= this.#height ? null : from);
    });
    byId("older").addEventListener("click", () => turn(Math.max(0, (this.#shown.at(-1)?.height ?? 0) - 1)));
  }

  async look() {
    const from = this.#from;
    const { blocks, height } = await api.blocks(from, PAGE);
    // Somebody turned the page meanwhile.
    if (from === this.#from) this.show(blocks, height);
  }

  show(blocks, height) {
    const now = Date.now();
    const lost = undone(this.#shown, blocks);
    if (lost.length) this.#onUndone(lost, now);
    this.#gone = this.#gone.filter(({ until, hash }) => until > now && !blocks.some((block) => block.hash === hash));
    this.#shown = blocks;
    this.#height = height;
    const all = [...blocks, ...this.#gone].sort((a, b) => b.height - a.height || (a.until ? 1 : 0) - (b.until ? 1 : 0));
    this.#rows.show(all.map((block) => [block.hash, block]), (cells, block) => this.#fill(cells, block));
    byId("blocks").hidden = all.length === 0;
    const isNewest = this.#from === null || this.#from >= height;
    byId("newest").disabled = isNewest;
    byId("newer").disabled = isNewest;
    byId("older").disabled = (blocks.at(-1)?.height ?? 0) === 0;
    byId("blocks-pages").hidden = height < PAGE;
  }

  #onUndone(lost, now) {
    this.#gone = [...lost.map((block) => ({ ...block, until: now + GONE_MS })), ...this.#gone].slice(0, MAX_GONE);
    const heights = lost.length > 1 ? `${number(lost.at(-1).height)} to ${number(lost[0].height)}` : number(lost[0].height);
    const what = lost.length > 1 ? `Blocks ${heights} were` : `Block ${heights} was`;
    setText(byId("blocks-said"), `${what} taken back at ${hourAndMinute(new Date(now))}: another branch has more work. `
      + "What was paid in them and is not in the other waits again.");
  }

  #fill([height, time, count, size, hash], block) {
    const row = height.parentElement;
    setAttribute(row, "data-gone", Boolean(block.until));
    row.dataset.hash = block.hash;
    link(height, number(block.height), this.#open, block.hash);
    setAttribute(height.firstElementChild, "aria-label", `Block ${block.height}${block.until ? ", taken back" : ""}`);
    moment(time, block.time);
    setText(count, block.until ? "taken back" : number(block.count));
    setText(size, bytes(block.size));
    hash.className = "id";
    setText(hash, brief(block.hash));
    setAttribute(hash, "title", block.hash);
  }
}

export class Mempool {
  #rows = new Rows(byId("mempool"), 4);
  #open;

  constructor(open) {
    this.#open = open;
  }

  async look() {
    const { transactions, count, bytes: size } = await api.mempool(MAX_WAITING);
    this.#rows.show(transactions.map((row) => [row.txid, row]), ([txid, fee, weight, since], row) => {
      txid.className = "id";
      link(txid, brief(row.txid), this.#open, row.txid);
      setAttribute(txid.firstElementChild, "title", row.own ? `${row.txid}, sent by this node` : row.txid);
      setAttribute(txid.parentElement, "data-own", row.own);
      setText(fee, row.fee);
      setText(weight, bytes(row.size));
      moment(since, row.since);
    });
    byId("mempool").hidden = count === 0;
    const rest = count - transactions.length;
    const all = `${counted(count, "payment")}, ${bytes(size)}${rest > 0 ? `; the best ${transactions.length} are shown` : ""}`;
    setText(byId("mempool-said"), count ? all : "Nothing waits.");
  }
}
