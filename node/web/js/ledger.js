// The ledger's view: how the chain stands, its blocks, what waits, what is searched for, and the wallet of this node.

import * as api from "./ledger-api.js";
import { byId, el, setAttribute, setText } from "./dom.js";
import { Blocks, Mempool } from "./ledger-blocks.js";
import { ChainCard, MiningCard } from "./ledger-chain.js";
import { Detail } from "./ledger-detail.js";
import { frame } from "./ledger-frame.js";
import { Wallet } from "./ledger-wallet.js";
import { refusalWords } from "./ledger-words.js";

/** Looked at again in any case: rates and rests change without an event. */
const LOOK_MS = 3_000;
/** Where blocks come faster than they can be read, they are read so often. */
const LEAST_MS = 700;

/** Loaded before the first element is shown, which would jump otherwise. */
function styled() {
  return new Promise((resolve) => {
    const props = { rel: "stylesheet", href: "css/ledger.css", onload: resolve, onerror: resolve };
    document.head.append(el("link", props));
  });
}

await styled();

export class Ledger {
  #isShown;
  #known = null;
  #status = null;
  #looked = -LOOK_MS;
  #isLooking = false;
  #timer = null;
  #parts;

  constructor(live, isShown) {
    byId("view-ledger").replaceChildren(...frame());
    this.#isShown = isShown;
    const open = (id) => this.#parts.detail.open(id);
    const changed = () => this.#soon();
    const detail = new Detail();
    const wallet = new Wallet({ open, changed, status: () => this.#status });
    this.#parts = {
      chain: new ChainCard(open),
      mining: new MiningCard(changed, () => wallet.firstAddress),
      blocks: new Blocks(open, changed),
      mempool: new Mempool(open),
      detail,
      wallet,
    };
    live.on("ledger", () => {
      wallet.stir();
      this.#soon();
    });
  }

  show(known) {
    this.#known = known;
    byId("view-ledger").classList.toggle("is-stale", known.reach !== "ok");
    this.#guard();
    if (performance.now() - this.#looked >= LOOK_MS) this.#look();
  }

  get #mayRead() {
    return this.#known.hasToken && !this.#known.isTokenRefused;
  }

  /** How the ledger stands is everybody's to see, the rest only with the token. */
  #guard() {
    const isThere = this.#status !== null;
    byId("chain").hidden = !isThere;
    byId("mining").hidden = !isThere;
    for (const part of document.querySelectorAll("#view-ledger > [data-guarded]")) part.hidden = !isThere || !this.#mayRead;
    byId("mining-form").hidden = !this.#mayRead;
  }

  #soon() {
    if (this.#timer !== null || !this.#known || !this.#isShown()) return;
    const wait = Math.max(0, this.#looked + LEAST_MS - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#look();
    }, wait);
  }

  async #look() {
    if (this.#known.reach !== "ok" || document.hidden) return;
    if (this.#isLooking) return this.#soon();
    this.#isLooking = true;
    this.#looked = performance.now();
    try {
      await this.#read();
      setText(byId("ledger-said"), "");
    } catch (refusal) {
      this.#onRefusal(refusal);
    }
    this.#looked = performance.now();
    this.#isLooking = false;
  }

  async #read() {
    const { chain, mining, blocks, mempool, detail, wallet } = this.#parts;
    this.#status = await api.status();
    byId("no-ledger").hidden = true;
    this.#guard();
    chain.show(this.#status);
    mining.show(this.#status);
    if (!this.#mayRead) return;
    await Promise.all([blocks.look(), mempool.look(), detail.look(this.#status), wallet.look(this.#status)]);
  }

  #onRefusal(refusal) {
    const isNone = refusal.code === "no_ledger";
    if (isNone) this.#status = null;
    byId("no-ledger").hidden = !isNone;
    setText(byId("ledger-said"), isNone ? "" : `Not known at the moment: ${refusalWords(refusal)}`);
    setAttribute(byId("ledger-said"), "data-bad", !isNone);
    this.#guard();
  }
}
