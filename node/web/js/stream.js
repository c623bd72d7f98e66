// Server-sent events over fetch, because EventSource can send no Authorization. One `Stream` stays connected until
// stopped: it takes up where it was by Last-Event-ID and tries again, each time a little later.

import { request } from "./api.js";
import { trust } from "./trust.js";

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 5_000;

/** The node sends a comment every 15 s; three missing ones mean that nobody is there. */
const SILENCE_MS = 45_000;

/** A longer line is nothing the node would send. */
const MAX_PENDING = 1_048_576;

/** Splits text, in whatever pieces it comes, into events (WHATWG HTML, server-sent events). */
export class EventParser {
  #pending = "";
  #event = { name: "message", data: [] };
  lastId = "";

  /** The events completed by this piece. */
  push(piece) {
    this.#pending += piece;
    // A CR at the very end may be half of a CRLF.
    const lines = this.#pending.split(/\r\n|\n|\r(?!$)/u);
    this.#pending = lines.pop();
    if (this.#pending.length > MAX_PENDING) throw new Error("a line without end");
    return lines.map((line) => this.#take(line)).filter(Boolean);
  }

  #take(line) {
    if (line === "") return this.#finish();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /u, "");
    if (field === "event") this.#event.name = value;
    else if (field === "data") this.#event.data.push(value);
    else if (field === "id" && !value.includes("\0")) this.lastId = value;
    return null;
  }

  #finish() {
    const { name, data } = this.#event;
    this.#event = { name: "message", data: [] };
    return data.length ? { name, data: data.join("\n") } : null;
  }
}

/** Calls `onOpen()`, `onEvent(name, value)` and `onEnd(refusal)`; the last says by its answer whether to go on. */
export class Stream {
  #path;
  #ears;
  #abort = null;
  #wake = null;
  #lastId = "";

  constructor(path, ears) {
    this.#path = path;
    this.#ears = ears;
  }

  get isRunning() {
    return this.#abort !== null;
  }

  start() {
    if (this.isRunning) return;
    this.#abort = new AbortController();
    this.#run(this.#abort.signal);
  }

  stop() {
    this.#abort?.abort();
    this.#abort = null;
    this.#wake?.();
  }

  /** Tries now instead of waiting further: somebody saw the node answer. */
  hurry() {
    this.#wake?.();
  }

  async #run(stopped) {
    let wait = FIRST_RETRY_MS;
    while (!stopped.aborted) {
      const { opened, refusal } = await this.#connect(stopped);
      if (stopped.aborted) return;
      trust.end();
      if (!this.#ears.onEnd(refusal)) return this.stop();
      wait = opened ? FIRST_RETRY_MS : wait;
      await this.#sleep(wait * (0.8 + 0.4 * Math.random()));
      wait = Math.min(LAST_RETRY_MS, wait * 1.7);
    }
  }

  #sleep(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #connect(stopped) {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
    };
    let opened = false;
    try {
      const signal = AbortSignal.any([stopped, silence.signal]);
      const headers = this.#lastId ? { "Last-Event-ID": this.#lastId } : {};
      const response = await request(this.#path, { headers, signal });
      opened = true;
      this.#ears.onOpen?.();
      await this.#read(response.body, heard);
      return { opened };
    } catch (refusal) {
      return { opened, refusal };
    } finally {
      clearTimeout(timer);
    }
  }

  async #read(body, heard) {
    const parser = new EventParser();
    parser.lastId = this.#lastId;
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      for (const { name, data } of parser.push(value)) this.#tell(name, data);
      this.#lastId = parser.lastId;
    }
  }

  #tell(name, data) {
    try {
      this.#ears.onEvent(name, JSON.parse(data));
    } catch (error) {
      // One bad event must not cost the connection, which would bring it again.
      reportError(error);
    }
  }
}
