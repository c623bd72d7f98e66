// What this page sent, shown until it is beyond doubt: it waits, is in a block, and has ever more blocks on it. Names of
// transactions are no secret, so they outlive a reload, and a wallet that is locked again.

import * as api from "./ledger-api.js";
import { byId, el, setAttribute, setText } from "./dom.js";
import { brief, standingOf } from "./ledger-words.js";
import { readJson, writeJson } from "./storage.js";

const KEY = "meshline.sent";
/** Older ones are in the payments of the wallet. */
const MAX_SENT = 8;

export class Sent {
  #list = byId("sent");
  #open;
  #sent = [];

  constructor(open) {
    this.#open = open;
    const kept = readJson(KEY);
    this.#sent = Array.isArray(kept) ? kept.filter((one) => typeof one?.txid === "string").slice(0, MAX_SENT) : [];
    this.#show();
  }

  add(payment) {
    this.#sent = [{ ...payment, state: "waiting", words: "waits for a block" }, ...this.#sent].slice(0, MAX_SENT);
    this.#show();
  }

  /** What is beyond doubt, or gone, is not asked for again. */
  async look() {
    const open = this.#sent.filter((one) => one.state !== "final" && one.state !== "gone");
    await Promise.all(open.map(async (one) => {
      try {
        Object.assign(one, standingOf(await api.transaction(one.txid)));
      } catch (refusal) {
        if (refusal.code === "no_such_block") Object.assign(one, standingOf(null));
      }
    }));
    if (open.length) this.#show();
  }

  #show() {
    writeJson(KEY, this.#sent);
    byId("sent-part").hidden = this.#sent.length === 0;
    this.#sent.forEach((one, place) => {
      const row = this.#list.querySelector(`[data-txid="${CSS.escape(one.txid)}"]`) ?? this.#row(one);
      setAttribute(row, "data-state", one.state);
      setText(row.querySelector(".standing"), one.words);
      if (this.#list.children[place] !== row) this.#list.insertBefore(row, this.#list.children[place] ?? null);
    });
    for (const row of [...this.#list.children].slice(this.#sent.length)) row.remove();
  }

  #row({ txid, amount, to }) {
    const drop = () => {
      this.#sent = this.#sent.filter((one) => one.txid !== txid);
      this.#list.querySelector(`[data-txid="${CSS.escape(txid)}"]`)?.remove();
      this.#show();
    };
    return el("li", { data: { txid } },
      el("b", {}, String(amount)), " to ", el("span", { class: "id", title: String(to) }, brief(String(to), 10)), " ",
      el("button", { type: "button", class: "link id", title: txid, onclick: () => this.#open(txid) }, brief(txid)), " ",
      el("span", { class: "standing" }), " ",
      el("button", { type: "button", "aria-label": `Forget the payment ${txid}`, onclick: drop }, "Forget"));
  }
}
