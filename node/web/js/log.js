// The tail of the node's log. It is followed only while somebody looks: a browser opens few connections to one host,
// and every page of this node needs one for its events.

import * as api from "./api.js";
import { byId, el, setText } from "./dom.js";
import { counted } from "./format.js";
import { readText, writeText } from "./storage.js";
import { Stream } from "./stream.js";
import { plain } from "./text.js";

const KEY = "meshline.log-level";
const LEVELS = ["error", "warn", "info", "debug", "trace"];
const FIRST_LINES = 200;
const MAX_LINES = 500;
/** This near to the end counts as following. */
const END_PX = 24;

export class LogTail {
  #list = byId("log");
  #level = byId("log-level");
  #pause = byId("log-pause");
  #said = byId("log-said");
  #stream = null;
  #isWanted = false;
  #isPaused = false;
  #held = [];
  /** The greatest number of a line: reading and stream overlap. */
  #last = 0;

  constructor() {
    const kept = readText(KEY);
    if (LEVELS.includes(kept)) this.#level.value = kept;
    this.#level.addEventListener("change", () => this.#onLevel());
    this.#pause.addEventListener("click", () => this.#onPause());
    document.addEventListener("visibilitychange", () => this.#follow());
  }

  /** Whether the log is in view and may be read. */
  setWanted(isWanted) {
    if (isWanted === this.#isWanted) return;
    this.#isWanted = isWanted;
    this.#follow();
  }

  #follow() {
    const isDue = this.#isWanted && !document.hidden;
    if (isDue === Boolean(this.#stream)) return;
    this.#stream?.stop();
    this.#stream = null;
    if (!isDue) return;
    const stream = new Stream(`/api/v1/log/events?level=${this.#level.value}`, {
      onOpen: () => this.#read(stream),
      onEvent: (name, value) => stream === this.#stream && this.#onEvent(stream, name, value),
      onEnd: (refusal) => this.#onEnd(refusal),
    });
    this.#stream = stream;
    stream.start();
  }

  async #read(stream) {
    try {
      const { lines = [], level } = await api.log(this.#level.value, FIRST_LINES);
      if (stream !== this.#stream) return;
      // A node that was started anew numbers its lines anew.
      if (lines.length && lines.at(-1).id < this.#last) this.#clear();
      for (const line of lines) this.#take(line);
      this.#sayLevel(level);
    } catch (refusal) {
      setText(this.#said, `The log cannot be read: ${refusal.message}.`);
    }
  }

  /** A filter here cannot show what the node does not write. */
  #sayLevel(written) {
    const isLess = LEVELS.indexOf(written) >= 0 && LEVELS.indexOf(written) < LEVELS.indexOf(this.#level.value);
    if (!this.#isPaused) setText(this.#said, isLess ? `This node writes ${written} and above.` : "");
  }

  #onEvent(stream, name, value) {
    if (name === "log") this.#take(value);
    else if (name === "reset" || name === "lagged") this.#read(stream);
  }

  #onEnd(refusal) {
    if (refusal?.status === 404) setText(this.#said, "This node offers no log here.");
    const isFinal = refusal?.status === 404 || refusal?.status === 401;
    if (isFinal) this.#stream = null;
    return !isFinal;
  }

  #onLevel() {
    writeText(KEY, this.#level.value);
    this.#clear();
    this.#stream?.stop();
    this.#stream = null;
    this.#follow();
  }

  #clear() {
    this.#list.replaceChildren();
    this.#held = [];
    this.#last = 0;
  }

  #onPause() {
    this.#isPaused = !this.#isPaused;
    this.#pause.setAttribute("aria-pressed", String(this.#isPaused));
    setText(this.#pause, this.#isPaused ? "Go on" : "Pause");
    if (!this.#isPaused) this.#show(this.#held.splice(0));
    setText(this.#said, "");
  }

  #take(line) {
    if (typeof line?.message !== "string" || line.id <= this.#last) return;
    if (LEVELS.indexOf(line.level) > LEVELS.indexOf(this.#level.value)) return;
    this.#last = line.id;
    if (!this.#isPaused) return this.#show([line]);
    this.#held = [...this.#held, line].slice(-MAX_LINES);
    setText(this.#said, `${counted(this.#held.length, "line")} held back.`);
  }

  #show(lines) {
    const { scrollHeight, scrollTop, clientHeight } = this.#list;
    const isFollowing = scrollHeight - scrollTop - clientHeight < END_PX;
    this.#list.append(...lines.map(lineElement));
    while (this.#list.childElementCount > MAX_LINES) this.#list.firstElementChild.remove();
    if (isFollowing) this.#list.scrollTop = this.#list.scrollHeight;
  }
}

const timeOfDay = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});

function lineElement({ time, level, target, message, fields = {} }) {
  const date = new Date(time);
  const shown = Number.isFinite(date.getTime()) ? timeOfDay.format(date) : "";
  const worded = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${worded(value)}`);
  return el("div", { class: "line", data: { level }, title: target },
    el("time", { datetime: time }, shown), " ",
    el("span", { class: "level" }, level), " ",
    el("span", { class: "said" }, plain(message)),
    el("span", { class: "fields" }, plain(pairs.join(""))));
}
