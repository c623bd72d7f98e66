// Keeps the page true: events as they come, a gentle look at status and peers, and a new reading after every break.

import * as api from "./api.js";
import { conditionOf } from "./condition.js";
import { Emitter } from "./emitter.js";
import { Stream } from "./stream.js";
import { currentToken } from "./token.js";
import { trust } from "./trust.js";

/** How often status and peers are looked at: the mesh page shows round trips, the chat only who is here. */
const BUSY_MS = 2_000;
const CALM_MS = 4_000;
/** Events come in bursts (a node leaves: three events); one look is enough for all. */
const SOON_MS = 120;
/** What an event begins (routes go, a ring heals) takes a moment; so long it is looked at more often. */
const STIR_MS = 3_000;
const STIRRED_MS = 600;
/** One missed answer may be a stall; two are a stop. */
const MISSES = 2;

/**
 * Emits `facts` (see `condition.js`, with `condition`) after every look, `routes` when a way has changed, `services`
 * when an offer has, and `ledger` when a block or a payment has come.
 */
export class Live extends Emitter {
  facts = {
    reach: "connecting",
    hasToken: false,
    isTokenRefused: false,
    isAnotherNode: false,
    isStreaming: false,
    status: null,
    peers: [],
    ready: null,
  };
  #history;
  #stream;
  #timer = null;
  #misses = 0;
  #isLooking = false;
  #isBusy = false;
  #isDue = false;
  #stirredUntil = 0;

  constructor(history) {
    super();
    this.#history = history;
    this.#stream = new Stream("/api/v1/events", {
      onOpen: () => this.#onOpen(),
      onEvent: (name, value) => this.#onEvent(name, value),
      onEnd: (refusal) => this.#onEnd(refusal),
    });
    history.on("confused", () => this.#catchUp());
    document.addEventListener("visibilitychange", () => this.#soon());
  }

  /** Begins, and begins again when there is another token. */
  start() {
    this.#stream.stop();
    trust.renew();
    Object.assign(this.facts, { hasToken: currentToken() !== null, isTokenRefused: false, isStreaming: false });
    this.#tell();
    this.#soon();
    if (this.facts.hasToken) this.#stream.start();
  }

  /** The mesh page wants fresher figures. */
  setBusy(isBusy) {
    this.#isBusy = isBusy;
    this.#soon();
  }

  #tell() {
    this.facts.condition = conditionOf(this.facts);
    this.emit("facts", this.facts);
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), SOON_MS);
  }

  async #look() {
    this.#isDue = this.#isLooking;
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const [status, peers, ready] = await Promise.all([api.status(), api.peers(), this.#isBusy ? api.ready() : null]);
      this.#onAnswer(status, peers, ready);
    } catch (refusal) {
      this.#onMiss(refusal);
    }
    this.#isLooking = false;
    if (this.#isDue) return this.#soon();
    clearTimeout(this.#timer);
    // Nobody looks at a hidden page; the events still come, for the unread count.
    const isStirred = performance.now() < this.#stirredUntil;
    if (document.hidden && !isStirred && this.facts.reach === "ok") return;
    this.#timer = setTimeout(() => this.#look(), isStirred ? STIRRED_MS : this.#pause);
  }

  get #pause() {
    return this.#isBusy || this.facts.reach !== "ok" ? BUSY_MS : CALM_MS;
  }

  #onAnswer(status, peers, ready) {
    const wasGone = this.facts.reach !== "ok";
    this.#misses = 0;
    this.#history.setMe(status.id);
    Object.assign(this.facts, { reach: "ok", status, peers, ready: ready ?? status.ready ?? null });
    if (wasGone) this.#stream.hurry();
    this.#tell();
  }

  #onMiss(refusal) {
    this.#misses += 1;
    // A refused connection is certain; silence is so only when it lasts. Without a stream nothing speaks for the node.
    if (refusal.code === "unreachable" || this.#misses >= MISSES) this.facts.reach = "stopped";
    this.#tell();
  }

  async #onOpen() {
    Object.assign(this.facts, { isStreaming: true, isTokenRefused: false });
    this.#soon();
    await this.#catchUp();
    this.#tell();
  }

  async #catchUp() {
    try {
      // Own rows are told apart by the id, which an older node does not say in the row.
      if (!this.facts.status) this.#history.setMe((await api.status()).id);
      await this.#history.catchUp();
    } catch {
      // The connection is about to end as well, and what follows reads again.
      setTimeout(() => this.facts.isStreaming && this.#catchUp(), BUSY_MS);
    }
  }

  #onEnd(refusal) {
    this.facts.isStreaming = false;
    // It is tried again all the same: another node may have stood in for a moment at this address.
    this.facts.isTokenRefused = refusal?.status === 401;
    this.facts.isAnotherNode = refusal?.code === "another_node";
    this.#tell();
    this.#soon();
    return true;
  }

  #onEvent(name, value) {
    switch (name) {
      case "chat":
        return this.#history.addRaw(value);
      case "delivered":
        return this.#history.change(value.cursor, value);
      case "reset":
      case "lagged":
        this.#catchUp();
        this.emit("ledger");
        return this.#soon();
      default:
        if (name.startsWith("ledger_")) return this.emit("ledger", value);
        if (name === "route_changed") this.emit("routes", value);
        if (name.startsWith("service_")) {
          this.emit("services", value);
          return this.#soon();
        }
        this.#stirredUntil = performance.now() + STIR_MS;
        return this.#soon();
    }
  }
}
