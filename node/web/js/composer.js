// Where messages are written. The draft outlives a reload; what was sent is the outbox's.

import { byId, setText } from "./dom.js";
import { number } from "./format.js";
import { readText, writeText } from "./storage.js";

const KEY = "meshline.draft";
/** The node takes no longer text. It decides; this only says so while one writes. */
const MAX_TEXT_BYTES = 16 * 1024;
/** From here on the length is shown. */
const NEAR = 0.8;

export class Composer {
  #draft = byId("draft");
  #send = byId("send");
  #length = byId("length");
  #outbox;
  #onSend;

  constructor(outbox, onSend) {
    this.#outbox = outbox;
    this.#onSend = onSend;
    this.#draft.value = readText(KEY) ?? "";
    this.#draft.addEventListener("input", () => this.#onInput());
    this.#draft.addEventListener("keydown", (event) => this.#onKey(event));
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#onInput();
  }

  focus() {
    this.#draft.focus({ preventScroll: true });
  }

  /** Puts a refused message back, before what stands there. */
  takeBack(text) {
    this.#draft.value = this.#draft.value ? `${text}\n${this.#draft.value}` : text;
    this.#onInput();
    this.focus();
  }

  #onInput() {
    const text = this.#draft.value;
    writeText(KEY, text);
    const used = new TextEncoder().encode(text.trimEnd()).length;
    const isTooLong = used > MAX_TEXT_BYTES;
    setText(this.#length, used > NEAR * MAX_TEXT_BYTES ? `${number(used)} of ${number(MAX_TEXT_BYTES)} bytes` : "");
    this.#length.classList.toggle("too-much", isTooLong);
    this.#send.disabled = isTooLong || !text.trim();
    this.#fit();
  }

  /** As high as its text; the style sheet sets the bounds. */
  #fit() {
    if (CSS.supports("field-sizing", "content")) return;
    this.#draft.style.height = "auto";
    this.#draft.style.height = `${this.#draft.scrollHeight + 2}px`;
  }

  #onKey(event) {
    // While a word is being composed (Japanese, Chinese, Korean), Enter belongs to the composing.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.#submit();
  }

  #submit() {
    if (this.#send.disabled || this.#outbox.isFull) return;
    this.#outbox.add(this.#draft.value.trimEnd());
    this.#draft.value = "";
    this.#onInput();
    this.#onSend();
  }
}
