// What stands above everything: who this node is, how things stand, and what that means for who writes.

import { meaning, shortly } from "./condition.js";
import { byId, el, setAttribute, setText } from "./dom.js";
import { nameOf, plain } from "./text.js";

/** A network known by its key can be joined by invitation only. */
const CLOSED = /^[a-z2-7]{52}$/u;

export class Header {
  #name = null;

  show(facts) {
    const { condition, status } = facts;
    const state = byId("state");
    setAttribute(state, "data-state", condition);
    setText(state, shortly(condition, facts));
    setText(byId("banner"), meaning(condition, facts));
    byId("banner").hidden = !byId("banner").textContent;
    byId("token-form").hidden = condition !== "unauthorized";
    byId("talk").classList.toggle("is-locked", condition === "unauthorized");
    if (status && status.name !== this.#name) {
      this.#name = status.name;
      byId("self").replaceChildren(nameOf(status.name));
    }
    this.#showInvitation(facts);
  }

  /** What to do when nobody is here: the very command that brings somebody. */
  #showInvitation({ condition, status }) {
    const isAlone = condition === "alone";
    setText(byId("empty-title"), isAlone ? "Nobody is here yet" : "Nothing has been written yet");
    byId("invitation").hidden = !isAlone;
    if (!isAlone || byId("invitation").childElementCount) return;
    byId("invitation").replaceChildren(...invitation(status));
  }
}

function invitation(status) {
  if (CLOSED.test(status.network)) {
    const command = "config-tool invite REQUEST --out membership.json";
    return [el("p", {}, "This network is closed. Bring somebody in with"), el("pre", { tabindex: 0 }, command)];
  }
  const [host, port] = splitAddress(status.listen?.[0]);
  const parts = [
    "node run",
    `--listen ${host}:${port + 1}`,
    status.topology === "ring" ? `--next ${host}:${port}` : `--peers ${host}:${port}`,
    status.network === "local" ? null : `--network ${plain(status.network)}`,
    `--http 127.0.0.1:${Number(location.port || 80) + 1}`,
    "--name eddy",
  ];
  return [el("p", {}, "Start another peer with"), el("pre", { tabindex: 0 }, parts.filter(Boolean).join(" "))];
}

function splitAddress(address = "127.0.0.1:6001") {
  const colon = address.lastIndexOf(":");
  return [address.slice(0, colon), Number(address.slice(colon + 1))];
}
