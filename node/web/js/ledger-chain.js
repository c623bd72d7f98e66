// How the chain stands, and the switch of the search for blocks.

import * as api from "./ledger-api.js";
import { byId, el, setAttribute, setText } from "./dom.js";
import { bytes, counted, fully, number } from "./format.js";
import { brief, miningWords, momentOf, progressOf, refusalWords } from "./ledger-words.js";
import { plain, short } from "./text.js";

export class ChainCard {
  #list = byId("chain-figures");
  #values = new Map();
  #open;

  constructor(open) {
    this.#open = open;
  }

  show(status) {
    const { phase, height, target, isBehind, words } = progressOf(status);
    const bar = byId("chain-progress");
    bar.hidden = !isBehind;
    setAttribute(bar, "max", Math.max(target, 1));
    setAttribute(bar, "value", height);
    const task = status.task ? `${status.task.name}: ${number(status.task.done)} of ${number(status.task.of)} blocks` : "";
    setText(byId("chain-said"), [words, task].filter(Boolean).join(" · "));
    setAttribute(byId("chain-said"), "data-phase", phase);
    this.#set("Chain", [`${short(status.name, 40)} · `, el("span", { class: "id", title: status.chain }, brief(status.chain))]);
    this.#set("Height", [number(height)]);
    const newest = el("button", { type: "button", class: "link id", onclick: () => this.#open(status.tip) }, brief(status.tip));
    const when = { datetime: isoOf(status.tip_time), title: fully(new Date(status.tip_time * 1000)) };
    const time = el("time", when, momentOf(status.tip_time));
    this.#set("Newest block", [newest, " ", time]);
    this.#set("Bits due", [status.bits]);
    const { transactions, bytes: size } = status.mempool;
    this.#set("Waiting", [`${counted(transactions, "payment")}, ${bytes(size)}`]);
  }

  /** Written anew only where the text differs: a button keeps the focus. */
  #set(term, parts) {
    let shown = this.#values.get(term);
    if (!shown) {
      shown = el("dd");
      this.#values.set(term, shown);
      this.#list.append(el("div", {}, el("dt", {}, term), shown));
    }
    const text = parts.map((part) => part.textContent ?? part).join("");
    if (shown.textContent !== text) shown.replaceChildren(...parts);
  }
}

export const isoOf = (seconds) => {
  const date = new Date(seconds * 1000);
  return Number.isFinite(date.getTime()) ? date.toISOString() : "";
};

export class MiningCard {
  #changed;
  #ownAddress;
  #isOn = false;
  #isBusy = false;

  /** `ownAddress()` is one of the wallet, if it is open. */
  constructor(changed, ownAddress) {
    this.#changed = changed;
    this.#ownAddress = ownAddress;
    byId("mine").addEventListener("click", () => this.#switch(!this.#isOn));
    byId("mining-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#switch(true);
    });
  }

  show({ mining }) {
    setText(byId("mining-state"), miningWords(mining));
    this.#isOn = mining?.on ?? false;
    setAttribute(byId("mine"), "aria-checked", String(this.#isOn));
    const input = byId("mine-to");
    const suggested = mining?.to ?? this.#ownAddress();
    if (suggested && !input.value && document.activeElement !== input) input.value = suggested;
  }

  async #switch(on) {
    if (this.#isBusy) return;
    const to = byId("mine-to").value.trim();
    if (on && !to) {
      setText(byId("mining-said"), "Who gets the rewards? Give an address.");
      return byId("mine-to").focus();
    }
    this.#isBusy = true;
    setAttribute(byId("mine"), "aria-busy", "true");
    try {
      const mining = await api.mine(on ? { on, to } : { on });
      setText(byId("mining-said"), "");
      this.show({ mining });
      this.#changed();
    } catch (refusal) {
      setText(byId("mining-said"), plain(refusalWords(refusal)));
    }
    setAttribute(byId("mine"), "aria-busy", null);
    this.#isBusy = false;
  }
}
