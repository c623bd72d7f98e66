// Asks each hop on the way to a member, when its button is pressed, and shows a line a hop.

import * as api from "./api.js";
import { el, setText } from "./dom.js";
import { milliseconds, percent } from "./format.js";
import { plain } from "./text.js";

export class Trace {
  element;
  #id;
  #button = el("button", { type: "button", onclick: () => this.#run() }, "Trace the way");
  #said = el("p", { role: "status" });
  #hops = el("ol", { class: "hops" });

  constructor(id) {
    this.#id = id;
    this.element = el("div", { class: "trace" }, this.#button, this.#said, this.#hops);
  }

  async #run() {
    this.#button.disabled = true;
    setText(this.#said, "Asking each hop…");
    try {
      const { hops, reached, ends } = await api.trace(this.#id);
      this.#hops.replaceChildren(...hops.map(line));
      const reason = ends?.reason.replaceAll("_", " ");
      const end = ends ? `The way ends: ${reason} at ${plain(ends.name)}.` : "It does not answer.";
      setText(this.#said, reached ? "" : end);
    } catch (refusal) {
      setText(this.#said, `No trace: ${refusal.message}`);
    }
    this.#button.disabled = false;
  }
}

function line({ name, min_us: min, avg_us: avg, link, failure }) {
  const lost = (failure?.reason ?? "no answer").replaceAll("_", " ");
  const echo = min === null ? lost : `${milliseconds(min)}, ${milliseconds(avg)} on average`;
  const end = (view) => (view ? `${milliseconds(view.rtt_us)}, ${percent(view.loss)} lost` : "claims none");
  const ends = link ? ` – link: ${end(link.there)} there, ${end(link.back)} back, cost ${milliseconds(link.cost)}` : "";
  return el("li", {}, el("strong", {}, plain(name)), ` ${echo}${ends}`);
}
