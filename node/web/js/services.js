// What members offer, by name, kind and member. Everything of it was written by others and is shown as plain text.

import * as api from "./api.js";
import { byId, setAttribute, setText } from "./dom.js";
import { milliseconds } from "./format.js";
import { Rows } from "./table.js";
import { plain } from "./text.js";

/** The list is read again after a change, and so often in any case: costs change without a word. */
const LOOK_MS = 5_000;

/** More rows are not shown: nobody reads them, and a list for machines is at /api/v1/services. */
const MAX_ROWS = 500;

export class Services {
  #rows = new Rows(byId("services"), 5);
  #looked = 0;
  #isLooking = false;

  /** Texts of members are shown to whoever has the token. */
  show({ hasToken, isTokenRefused, reach }) {
    const mayRead = hasToken && !isTokenRefused;
    byId("services-part").hidden = !mayRead;
    byId("services-part").classList.toggle("is-stale", reach !== "ok");
    if (mayRead && reach === "ok" && !this.#isLooking && Date.now() - this.#looked >= LOOK_MS) this.#look();
  }

  /** Something changed: the next look is due. */
  hurry() {
    this.#looked = 0;
  }

  async #look() {
    this.#isLooking = true;
    this.#looked = Date.now();
    try {
      this.#fill(await api.services());
      setText(byId("services-said"), "");
    } catch (refusal) {
      setText(byId("services-said"), `Not known at the moment: ${refusal.message}`);
    }
    this.#isLooking = false;
  }

  #fill(services) {
    const shown = services.slice(0, MAX_ROWS);
    this.#rows.show(shown.map((row) => [`${row.name} ${row.member}`, row]), fillRow);
    byId("services").hidden = shown.length === 0;
    byId("no-services").hidden = shown.length > 0;
    const rest = services.length - shown.length;
    setText(byId("more-services"), rest > 0 ? `and ${rest} more` : "");
  }
}

function fillRow([name, kind, host, health, text], row) {
  setText(name, plain(row.name));
  setText(kind, plain(row.kind));
  setText(host, plain(row.member_name) + (row.port ? `:${row.port}` : ""));
  setText(health, healthOf(row));
  setAttribute(health, "data-bad", String(row.health === "down" || row.cost === null));
  setText(text, Object.entries(row.text ?? {}).map(([key, value]) => plain(`${key}=${value}`)).join(" "));
}

/** In words: what its owner says, and whether a way leads there. */
function healthOf({ health, cost, damped }) {
  if (cost === null) return "away";
  const said = damped ? `${health}, flapping` : health;
  return cost === 0 ? `${said}, here` : `${said}, ${milliseconds(cost)}`;
}
