// The views and the tabs between them (WAI-ARIA tabs: arrows move, the tab key goes into the view).

import { byId, setAttribute } from "./dom.js";
import { readText, writeText } from "./storage.js";

const KEY = "meshline.view";
const NAMES = ["chat", "mesh", "ledger"];

export class Views {
  #ears = [];

  constructor() {
    for (const name of NAMES) {
      byId(`tab-${name}`).addEventListener("click", () => this.show(name));
    }
    byId("tabs").addEventListener("keydown", (event) => this.#onKey(event));
  }

  get current() {
    return document.body.dataset.view;
  }

  onChange(ear) {
    this.#ears.push(ear);
  }

  restore() {
    const kept = readText(KEY);
    this.show(NAMES.includes(kept) ? kept : "chat");
  }

  show(name) {
    document.body.dataset.view = name;
    writeText(KEY, name);
    for (const other of NAMES) {
      setAttribute(byId(`tab-${other}`), "aria-selected", String(other === name));
      setAttribute(byId(`tab-${other}`), "tabindex", other === name ? 0 : -1);
      byId(`view-${other}`).hidden = other !== name;
    }
    for (const ear of this.#ears) ear(name);
  }

  #onKey(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const ends = { Home: 0, End: NAMES.length - 1 }[event.key];
    if (step === undefined && ends === undefined) return;
    event.preventDefault();
    const place = ends ?? (NAMES.indexOf(this.current) + step + NAMES.length) % NAMES.length;
    this.show(NAMES[place]);
    byId(`tab-${NAMES[place]}`).focus();
  }
}
