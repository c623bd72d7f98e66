// The members as a table. Opening a row asks the node to explain how it stands with that member.

import * as api from "./api.js";
import { byId, el, setAttribute, setText } from "./dom.js";
import { duration, milliseconds, percent } from "./format.js";
import { wayThere } from "./members.js";
import { nameOf, plain } from "./text.js";
import { Trace } from "./trace.js";

/** An explanation changes with every attempt; once a look is often enough. */
const EXPLAIN_MS = 4_000;

export class PeersTable {
  #body = byId("peers").tBodies[0];
  #rows = new Map();
  /** Of the open rows: the row with the explanation, and when it was asked for. */
  #open = new Map();

  show({ status, peers, names }) {
    const links = new Map((status?.links ?? []).map((link) => [link.peer, link]));
    const sorted = [...peers].sort((a, b) => Number(b.reachable) - Number(a.reachable) || a.name.localeCompare(b.name));
    for (const id of this.#rows.keys()) if (!peers.some((peer) => peer.id === id)) this.#drop(id);
    let place = 0;
    for (const peer of sorted) {
      const row = this.#row(peer);
      this.#fill(row, peer, links.get(peer.id), names);
      place = this.#put(row, place);
      const opened = this.#open.get(peer.id);
      if (opened) place = this.#put(opened.row, place);
      this.#refresh(peer.id);
    }
    byId("no-peers").hidden = peers.length > 0;
    byId("peers").hidden = peers.length === 0;
  }

  #put(row, place) {
    if (this.#body.children[place] !== row) this.#body.insertBefore(row, this.#body.children[place] ?? null);
    return place + 1;
  }

  #drop(id) {
    this.#rows.get(id).remove();
    this.#rows.delete(id);
    this.#open.get(id)?.row.remove();
    this.#open.delete(id);
  }

  #row(peer) {
    const known = this.#rows.get(peer.id);
    if (known) return known;
    const button = el("button", { class: "opener", type: "button", "aria-expanded": "false" }, nameOf(peer.name));
    const row = el("tr", { data: { peer: peer.id } },
      el("th", { scope: "row" }, button),
      ...["state", "rtt", "loss", "hops", "cost", "address"].map((name) => el("td", { class: name })));
    row.addEventListener("click", (event) => event.target.closest("a") ?? this.#toggle(peer.id, button));
    this.#rows.set(peer.id, row);
    return row;
  }

  #fill(row, peer, link, names) {
    setAttribute(row, "data-reachable", String(Boolean(peer.reachable)));
    const [, state, rtt, loss, hops, cost, address] = row.children;
    setText(state, wayThere(peer, names) + (link && link.transport !== "tcp" ? ` · ${link.transport}` : ""));
    setText(rtt, milliseconds(link?.rtt_us));
    setText(loss, percent(link?.loss));
    setText(hops, peer.reachable ? String(peer.hops ?? "–") : "–");
    setText(cost, milliseconds(peer.reachable ? peer.cost : null));
    setText(address, link?.address ?? peer.addresses?.[0] ?? "–");
  }

  #toggle(id, button) {
    const opened = this.#open.get(id);
    setAttribute(button, "aria-expanded", String(!opened));
    if (opened) {
      opened.row.remove();
      this.#open.delete(id);
      return;
    }
    const said = el("div", { class: "explanation", "aria-live": "polite" }, "Asking the node…");
    const cell = el("td", { colspan: 7 }, said, new Trace(id).element);
    const row = el("tr", { class: "opened" }, cell);
    this.#open.set(id, { row, asked: 0 });
    this.#rows.get(id).after(row);
    this.#refresh(id);
  }

  /** A way has changed: what is open is asked for again. */
  hurry() {
    for (const [id, opened] of this.#open) {
      opened.asked = 0;
      this.#refresh(id);
    }
  }

  async #refresh(id) {
    const opened = this.#open.get(id);
    if (!opened || Date.now() - opened.asked < EXPLAIN_MS) return;
    opened.asked = Date.now();
    const shown = opened.row.querySelector(".explanation");
    try {
      shown.replaceChildren(...explanation(await api.explain(id)));
    } catch (refusal) {
      setText(shown, `No explanation: ${refusal.message}`);
    }
  }
}

function explanation({ summary, next_attempt_ms: next, attempts = [], why = [], advice = [], id }) {
  const soon = next === null || next === undefined ? null : el("p", {}, `The next attempt is due in ${duration(next)}.`);
  const tried = attempts.length ? el("ol", { class: "attempts", reversed: true }, ...attempts.toReversed().map(attempt)) : null;
  const said = el("p", { class: "summary" }, summary ?? "Nothing is known.");
  const sentences = (name, list) =>
    list.length ? el("ul", { class: name, "aria-label": name }, ...list.map((text) => el("li", {}, plain(text)))) : null;
  return [said, sentences("why", why), sentences("advice", advice), soon, tried, el("p", { class: "id" }, id)].filter(Boolean);
}

function attempt({ ago_ms: ago, transport, address, outcome, detail }) {
  return el("li", { data: { outcome } },
    el("span", { class: "ago" }, `${duration(ago)} ago`), " ",
    el("span", { class: "outcome" }, outcome.replaceAll("_", " ")), " ",
    el("span", { class: "where" }, `${transport} ${address}`), detail ? ` – ${detail}` : "");
}
