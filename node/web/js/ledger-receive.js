// An address to be paid at: as text, to be copied, and as a QR code.

import * as api from "./ledger-api.js";
import { byId, el, setAttribute, setText, svg } from "./dom.js";
import { refusalWords } from "./ledger-words.js";

/** Addresses offered, the newest. */
const MAX_OFFERED = 100;

/** Modules around a code that stay light (ISO/IEC 18004). */
const QUIET = 4;

/** The dark modules as one path: a run of them is one stroke. Pure. */
export function pathOf(rows) {
  const stroke = (x, y, length) => `M${x + QUIET} ${y + QUIET}h${length}v1h-${length}z`;
  const strokes = rows.flatMap((row, y) => [...row.matchAll(/1+/gu)].map(({ index, 0: run }) => stroke(index, y, run.length)));
  return strokes.join("");
}

export class Receive {
  #select = byId("receive-at");
  #drawn = null;

  constructor(newAddress) {
    this.#select.addEventListener("change", () => this.#draw());
    byId("new-address").addEventListener("click", async ({ target }) => {
      target.disabled = true;
      await newAddress();
      target.disabled = false;
    });
    byId("copy").addEventListener("click", () => this.#copy());
  }

  setAddresses(addresses) {
    const chosen = this.#select.value;
    const offered = addresses.slice(-MAX_OFFERED).reverse();
    this.#select.replaceChildren(...offered.map((row) => el("option", { value: row.address }, row.address)));
    if (offered.some((row) => row.address === chosen)) this.#select.value = chosen;
    this.#draw();
  }

  async choose(address) {
    this.#select.value = address;
    await this.#draw();
  }

  async #draw() {
    const address = this.#select.value;
    setText(byId("receive-address"), address);
    setText(byId("copied"), "");
    if (!address || address === this.#drawn) return;
    const place = byId("qr");
    setAttribute(place, "hidden", true);
    try {
      const { size, rows } = await api.qr(address);
      if (address !== this.#select.value) return;
      const side = size + 2 * QUIET;
      setAttribute(place, "viewBox", `0 0 ${side} ${side}`);
      const light = svg("rect", { width: side, height: side, class: "light" });
      place.replaceChildren(light, svg("path", { d: pathOf(rows), class: "dark" }));
      setAttribute(place, "hidden", null);
      place.dataset.address = address;
      this.#drawn = address;
    } catch (refusal) {
      setText(byId("copied"), `There is no code: ${refusalWords(refusal)}`);
    }
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.#select.value);
      setText(byId("copied"), "Copied. Compare the ends where you paste it.");
    } catch {
      setText(byId("copied"), "The browser does not allow that: mark the address and copy it.");
    }
  }
}
