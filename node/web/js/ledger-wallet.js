// The wallet of this node: opened with its passphrase, which stays in the memory of this page and nowhere else.

import * as api from "./ledger-api.js";
import { byId, el, setAttribute, setText } from "./dom.js";
import { number } from "./format.js";
import { Pay } from "./ledger-pay.js";
import { Receive } from "./ledger-receive.js";
import { Sent } from "./ledger-sent.js";
import { brief, refusalWords, standingOf } from "./ledger-words.js";
import { Rows } from "./table.js";

/** Payments shown at first, and by how many times more. */
const ROWS = 10;
const MAX_ROWS = 2_000;

/** Opening the wallet's file is made slow on purpose: it is not opened more often because blocks come fast. */
const READ_MS = 4_000;

/** Who went away from the page leaves no open wallet behind. */
const LOCK_MS = 15 * 60_000;
const LOCK_LOOK_MS = 20_000;

const SIGNS = { mined: "+", received: "+", sent: "−", moved: "" };

export class Wallet {
  #passphrase = null;
  #open;
  #changed;
  #status;
  #rows = new Rows(byId("history"), 4);
  #limit = ROWS;
  #addresses = [];
  #isDue = false;
  #read = 0;
  #used = 0;
  #pay;
  #receive;
  #sent;

  /** `open(id)` shows something, `changed()` asks for a look, `status()` is how the ledger stands. */
  constructor({ open, changed, status }) {
    this.#open = open;
    this.#changed = changed;
    this.#status = status;
    this.#sent = new Sent(open);
    this.#receive = new Receive(() => this.#newAddress());
    this.#pay = new Pay({ passphrase: () => this.#passphrase, status, onSent: (payment) => this.#onSent(payment) });
    this.#listen();
  }

  #listen() {
    const on = (id, act) => byId(id).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#busily(event.target, act);
    });
    on("wallet-open", () => this.#unlock());
    on("wallet-make", () => this.#make());
    byId("lock").addEventListener("click", () => this.lock());
    byId("words-done").addEventListener("click", () => {
      byId("words").replaceChildren();
      byId("wallet-words").hidden = true;
      this.#show();
    });
    byId("history-more").addEventListener("click", () => {
      this.#limit = Math.min(MAX_ROWS, this.#limit * 4);
      this.#read = 0;
      this.stir();
      this.#changed();
    });
    const used = () => (this.#used = performance.now());
    for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, used, { passive: true });
    // By a timer: whoever comes back moves before anything else is looked at.
    setInterval(() => this.#lockIfLeft(), LOCK_LOOK_MS);
  }

  get #isOpen() {
    return this.#passphrase !== null;
  }

  get firstAddress() {
    return this.#addresses.find((row) => !row.change)?.address ?? null;
  }

  /** A block or a payment has come: what is shown may be old. */
  stir() {
    this.#isDue = true;
  }

  lock() {
    this.#passphrase = null;
    this.#addresses = [];
    this.#rows.show([], () => {});
    this.#pay.close();
    this.#show();
  }

  #lockIfLeft() {
    if (this.#isOpen && performance.now() - this.#used > LOCK_MS) this.lock();
  }

  async look() {
    this.#lockIfLeft();
    this.#show();
    await this.#sent.look();
    if (!this.#isOpen || !this.#isDue || performance.now() - this.#read < READ_MS) return;
    try {
      await this.#readHistory();
    } catch (refusal) {
      this.#refuse(refusal);
    }
  }

  /** Which of the forms there is. */
  #show() {
    const isThere = this.#status()?.wallet !== false;
    const hasWords = !byId("wallet-words").hidden;
    byId("wallet-make").hidden = isThere || this.#isOpen || hasWords;
    byId("wallet-open").hidden = !isThere || this.#isOpen || hasWords;
    byId("purse").hidden = !this.#isOpen || hasWords;
  }

  /** One thing at a time, and what went wrong is said. */
  async #busily(form, act) {
    if (form.ariaBusy === "true") return;
    form.ariaBusy = "true";
    setText(byId("wallet-said"), "");
    try {
      await act();
    } catch (refusal) {
      this.#refuse(refusal);
    }
    form.ariaBusy = null;
  }

  #refuse(refusal) {
    if (refusal.code === "wrong_passphrase" && this.#isOpen) this.lock();
    setText(byId("wallet-said"), refusalWords(refusal));
  }

  async #unlock() {
    const input = byId("passphrase");
    const passphrase = input.value;
    const list = await api.list(passphrase);
    input.value = "";
    await this.#enter(passphrase, list);
  }

  async #enter(passphrase, list) {
    this.#passphrase = passphrase;
    this.#used = performance.now();
    this.#setAddresses(list.addresses);
    this.#show();
    await this.#readHistory();
    this.#changed();
  }

  async #make() {
    const [first, again, phrase] = ["new-passphrase", "new-passphrase-again", "phrase"].map((id) => byId(id));
    if (first.value !== again.value) {
      setText(byId("wallet-said"), "The two passphrases differ.");
      return again.focus();
    }
    const passphrase = first.value;
    const words = phrase.value.trim();
    if (words) await api.restore(passphrase, words);
    else this.#showWords((await api.newAddress(passphrase)).phrase);
    for (const input of [first, again, phrase]) input.value = "";
    this.#status().wallet = true;
    await this.#enter(passphrase, await api.list(passphrase));
  }

  #showWords(phrase) {
    if (!phrase) return;
    setText(byId("words"), phrase);
    byId("wallet-words").hidden = false;
    this.#show();
    byId("words-done").focus();
  }

  async #newAddress() {
    try {
      const { address, warning } = await api.newAddress(this.#passphrase);
      setText(byId("wallet-said"), warning ?? "");
      this.#setAddresses((await api.list(this.#passphrase)).addresses);
      await this.#receive.choose(address);
    } catch (refusal) {
      this.#refuse(refusal);
    }
  }

  #setAddresses(addresses) {
    this.#addresses = addresses;
    this.#pay.setAddresses(addresses);
    this.#receive.setAddresses(addresses.filter((row) => !row.change));
  }

  async #onSent(payment) {
    this.#sent.add(payment);
    this.#read = 0;
    this.stir();
    this.#changed();
  }

  async #readHistory() {
    const passphrase = this.#passphrase;
    this.#isDue = false;
    const told = await api.history(passphrase, this.#limit);
    this.#read = performance.now();
    if (passphrase === this.#passphrase) this.#showHistory(told);
  }

  #showHistory({ history, earlier, balance, pending, immature }) {
    setText(byId("balance"), balance);
    setAttribute(byId("balance"), "aria-label", `${balance} can be spent`);
    const more = [
      "can be spent",
      pending !== "0" ? `${pending} more on its way here` : null,
      immature !== "0" ? `${immature} more has to rest` : null,
    ];
    setText(byId("balance-more"), more.filter(Boolean).join(" · "));
    this.#rows.show([...history].reverse().map((row) => [row.txid, row]), (cells, row) => this.#fill(cells, row));
    byId("history").hidden = history.length === 0;
    byId("no-history").hidden = history.length > 0;
    byId("history-more").hidden = earlier === 0 || this.#limit >= MAX_ROWS;
    setText(byId("history-more"), `Earlier ones (${number(earlier)})`);
  }

  #fill([kind, amount, who, standing], row) {
    const button = kind.firstElementChild
      ?? kind.appendChild(el("button", { type: "button", class: "link", onclick: () => this.#open(row.txid) }));
    setText(button, row.kind);
    setAttribute(button, "title", row.txid);
    const fee = row.fee && row.fee !== "0" ? ` and ${row.fee} fee` : "";
    setText(amount, `${SIGNS[row.kind] ?? ""}${row.amount}${fee}`);
    setAttribute(amount, "data-kind", row.kind);
    const rest = row.to.length - 1;
    who.className = "id";
    setText(who, row.to.length ? brief(row.to[0], 10) + (rest > 0 ? ` and ${number(rest)} more` : "") : "–");
    const { words, state } = standingOf(row);
    setText(standing, words);
    setAttribute(standing, "data-state", state);
  }
}
