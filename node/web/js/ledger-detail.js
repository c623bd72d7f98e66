// The search, and what it finds: one block, transaction or address, told anew with every block while it is shown.

import * as api from "./ledger-api.js";
import { byId, el, nextFrame, setAttribute, setText } from "./dom.js";
import { bytes, counted, number } from "./format.js";
import { brief, effectOn, momentOf, refusalWords, standingOf } from "./ledger-words.js";
import { plain } from "./text.js";

/** Rows shown at first, and by how many more. */
const ROWS = 20;
/** The node tells no more of an address. */
const MAX_ROWS = 1_000;

export class Detail {
  #place = byId("detail");
  /** What is shown: `{kind, id}`. */
  #now = null;
  #rows = ROWS;
  #told = "";
  #stamp = "";

  constructor() {
    byId("find").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = byId("find-text").value.trim();
      if (text) this.open(text);
      else this.#close();
    });
    byId("find").addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#close();
    });
  }

  /** Looks for something by its height, hash, name or address, and shows it. */
  async open(text) {
    byId("find-text").value = text;
    setText(byId("find-said"), "Looking…");
    try {
      const { kind, id } = await api.find(text.replaceAll(/\s/gu, ""));
      this.#now = { kind, id };
      this.#rows = ROWS;
      this.#told = "";
      await this.#tell();
      setText(byId("find-said"), "");
      await nextFrame();
      byId("finding").scrollIntoView({ block: "nearest" });
    } catch (refusal) {
      this.#close();
      setText(byId("find-said"), refusal.code === "no_such_block" ? "Nothing is known by that name." : refusalWords(refusal));
    }
  }

  #close() {
    this.#now = null;
    this.#place.hidden = true;
    setText(byId("find-said"), "");
  }

  /** A new block changes confirmations, and what was waiting may be in it. */
  async look({ height, mempool }) {
    const stamp = `${height} ${mempool.transactions}`;
    if (!this.#now || stamp === this.#stamp) return;
    this.#stamp = stamp;
    await this.#tell().catch((refusal) => {
      const isGone = refusal.code === "no_such_block";
      setText(byId("find-said"), isGone ? "It is not known any more: replaced, or taken back." : refusalWords(refusal));
      setAttribute(this.#place, "data-gone", isGone);
    });
  }

  async #tell() {
    const { kind, id } = this.#now;
    const { found, parts } = await this[`_${kind}`](id);
    if (this.#now?.id !== id) return;
    // Told again only if it is new: what has the focus would lose it.
    const told = JSON.stringify([found, this.#rows]);
    setAttribute(this.#place, "data-gone", false);
    this.#place.hidden = false;
    if (told === this.#told) return;
    const buttons = () => [...this.#place.querySelectorAll("button")];
    const focused = buttons().indexOf(document.activeElement);
    this.#told = told;
    setAttribute(this.#place, "data-kind", kind);
    this.#place.replaceChildren(...parts());
    buttons()[focused]?.focus({ preventScroll: true });
  }

  #link(text, id, className = "link id") {
    return el("button", { type: "button", class: className, title: id, onclick: () => this.open(id) }, text);
  }

  async _block(id) {
    const block = await api.block(id);
    const all = block.transactions;
    const state = block.confirmations
      ? counted(block.confirmations, "confirmation")
      : "no part of the chain: taken back, or of another branch";
    const figures = [
      ["Hash", [block.hash], "id"],
      ["Standing", [state]],
      ["Time", [momentOf(block.time)]],
      ["Before it", [block.height > 0 ? this.#link(brief(block.previous), block.previous) : "nothing: the first block"]],
      ["Size", [`${bytes(block.size)}, ${counted(block.count, "transaction")}`]],
      ["Bits, nonce", [`${block.bits}, ${block.nonce}`]],
      ["Proof of work", [block.pow ? "good" : "not good"]],
    ];
    const parts = () => [
      el("h3", {}, `Block ${number(block.height)}`), list(figures),
      ...this.#listing(all.slice(0, this.#rows).map((row) => this.#transactionRow(row)), all.length),
    ];
    return { found: block, parts };
  }

  async _transaction(id) {
    const found = await api.transaction(id);
    const { words, state } = standingOf(found);
    const figures = [
      ["Name", [found.txid], "id"],
      ["Standing", [words], `standing ${state}`],
      ["Block", found.block ? [this.#link(brief(found.block), found.block), ` ${momentOf(found.time)}`] : ["none yet"]],
      ["Fee", [found.fee ?? (found.coinbase ? "none: the reward of a block" : "–")]],
      ["Size", [bytes(found.size)]],
    ];
    const { inputs, outputs } = found;
    const came = (row) => [this.#link(row.address, row.address), " of ", this.#link(`${brief(row.txid)}:${row.index}`, row.txid)];
    const went = (row) => [el("b", {}, row.amount), " to ", this.#link(row.address, row.address)];
    const parts = () => [
      el("h3", {}, "Transaction"), list(figures),
      el("h3", {}, found.coinbase ? "New money" : `From (${number(inputs.length)})`),
      el("ul", {}, ...inputs.slice(0, this.#rows).map((row) => el("li", {}, ...came(row)))),
      el("h3", {}, `To (${number(outputs.length)})`),
      el("ul", {}, ...outputs.slice(0, this.#rows).map((row) => el("li", {}, ...went(row)))),
      ...this.#more(Math.max(inputs.length, outputs.length)),
    ];
    return { found, parts };
  }

  async _address(id) {
    // One more than is shown tells whether there are more.
    const found = await api.address(id, Math.min(MAX_ROWS, this.#rows + 1));
    const figures = [
      ["Address", [found.address], "id"],
      ["Can be spent", [found.balance]],
      ["On its way", [found.pending]],
      ["Has to rest", [found.immature]],
    ];
    const rows = found.transactions.slice(0, this.#rows);
    const parts = () => [
      el("h3", {}, "Address"), list(figures.filter(([, [value]], at) => at < 2 || value !== "0")),
      ...this.#listing(rows.map((row) => el("li", {},
        el("b", {}, effectOn(found.address, row)), " in block ", this.#link(number(row.height), String(row.height), "link"), " ",
        this.#link(brief(row.txid), row.txid))), found.transactions.length),
    ];
    return { found, parts };
  }

  #transactionRow(row) {
    const [first] = row.outputs;
    const rest = row.outputs.length - 1;
    const to = first ? [el("b", {}, first.amount), " to ", this.#link(brief(first.address, 10), first.address)] : [];
    const name = this.#link(brief(row.txid), row.txid);
    return el("li", {}, name, row.coinbase ? " reward " : " ", ...to, rest > 0 ? ` and ${counted(rest, "other")}` : "");
  }

  #listing(rows, all) {
    if (!all) return [el("p", { class: "none" }, "No block holds a transaction of it.")];
    return [el("h3", {}, "Transactions"), el("ul", {}, ...rows), ...this.#more(all)];
  }

  #more(all) {
    if (all <= this.#rows || this.#rows >= MAX_ROWS) return [];
    const more = () => {
      this.#rows = Math.min(MAX_ROWS, this.#rows * 3);
      this.#tell().catch((refusal) => setText(byId("find-said"), refusalWords(refusal)));
    };
    return [el("button", { type: "button", onclick: more }, "More")];
  }
}

function list(figures) {
  const shown = (part) => (typeof part === "string" ? plain(part) : part);
  return el("dl", { class: "figures" }, ...figures.map(([term, value, className]) =>
    el("div", {}, el("dt", {}, term), el("dd", { class: className }, ...value.map(shown)))));
}
