// Forwards, what is offered to others, and tunnels: as tables, with a form for one forward more.

import * as api from "./api.js";
import { byId, el, setAttribute, setText } from "./dom.js";
import { bytes, milliseconds, number } from "./format.js";
import { Rows } from "./table.js";
import { plain } from "./text.js";

/** Figures are looked at as often as the rest of this view. */
const LOOK_MS = 2_000;

export class Gateway {
  #forwards = new Rows(byId("forwards"), 7);
  #tunnels = new Rows(byId("tunnels"), 6);
  #looked = 0;
  #isLooking = false;
  /** Bytes of each tunnel at the last look, for its rate. */
  #before = new Map();

  constructor() {
    byId("forward-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add(event.target);
    });
  }

  /** Tunnels are everybody's to see, forwards only with the token. */
  show({ hasToken, isTokenRefused, reach }) {
    const mayRead = hasToken && !isTokenRefused;
    byId("forwards-part").hidden = !mayRead;
    byId("gateway").classList.toggle("is-stale", reach !== "ok");
    if (reach === "ok" && !this.#isLooking && Date.now() - this.#looked >= LOOK_MS) this.#look(mayRead);
  }

  async #look(mayRead) {
    this.#isLooking = true;
    try {
      const [forwards, tunnels] = await Promise.all([mayRead ? api.forwards() : null, api.tunnels()]);
      if (forwards) this.#showForwards(forwards);
      this.#showTunnels(tunnels);
      setText(byId("gateway-said"), "");
    } catch (refusal) {
      setText(byId("gateway-said"), `Not known at the moment: ${refusal.message}`);
    }
    this.#looked = Date.now();
    this.#isLooking = false;
  }

  #showForwards({ forwards = [], socks5, exposed = [], exit }) {
    this.#forwards.show(forwards.map((row) => [row.id, row]), (cells, row) => this.#forward(cells, row));
    byId("forwards").hidden = forwards.length === 0;
    byId("no-forwards").hidden = forwards.length > 0;
    const lines = [...proxyLine(socks5), ...exposed.map(exposedLine), ...exitLines(exit)];
    const shown = lines.length ? lines : ["Nothing: other members reach nothing here."];
    const list = byId("offered");
    if (list.innerText !== shown.join("\n")) list.replaceChildren(...shown.map((line) => el("li", {}, plain(line))));
  }

  #forward([listen, peer, target, origin, open, moved, act], row) {
    const { text, is_bad: isBad } = stateOf(row);
    setText(listen.firstChild ?? listen.appendChild(el("span")), plain(row.listen) + (row.reverse ? " there" : ""));
    const said = listen.children[1] ?? listen.appendChild(el("p", { class: "said" }));
    setText(said, [text, row.last_error ? `last: ${plain(row.last_error)}` : ""].filter(Boolean).join(" · "));
    setAttribute(said, "data-bad", String(isBad));
    setText(peer, plain(row.peer_name ?? (row.peer.length === 52 ? row.peer.slice(0, 8) : row.peer)));
    setText(target, plain(row.target ?? "what it offers"));
    setText(origin, row.origin);
    setText(open, `${number(row.open)} of ${number(row.connections)}`);
    setText(moved, `${bytes(row.sent_bytes)} · ${bytes(row.received_bytes)}`);
    if (row.origin === "added" && !act.firstChild) {
      const props = { type: "button", "aria-label": `Remove the forward from ${row.listen}` };
      act.append(el("button", { ...props, onclick: () => this.#remove(row.id) }, "Remove"));
    }
  }

  #showTunnels(tunnels) {
    const now = performance.now();
    const counts = new Map();
    const rows = tunnels.map((tunnel) => {
      const at = counts.get(tunnel.peer) ?? 0;
      counts.set(tunnel.peer, at + 1);
      return [`${tunnel.peer} ${at}`, tunnel];
    });
    this.#tunnels.show(rows, (cells, tunnel, id) => this.#tunnel(cells, tunnel, this.#rates(id, tunnel, now)));
    for (const id of this.#before.keys()) if (!rows.some(([known]) => known === id)) this.#before.delete(id);
    byId("tunnels").hidden = tunnels.length === 0;
    byId("no-tunnels").hidden = tunnels.length > 0;
  }

  /** Bits a second there and back since the last look. */
  #rates(id, { sent_bytes: sent, received_bytes: received }, now) {
    const before = this.#before.get(id);
    this.#before.set(id, { sent, received, now });
    if (!before || sent < before.sent || received < before.received) return "–";
    const bits = (bytes) => (bytes * 8_000) / Math.max(now - before.now, 1);
    return `${rate(bits(sent - before.sent))} · ${rate(bits(received - before.received))}`;
  }

  #tunnel([peer, paths, streams, rates, moved, again], tunnel, now) {
    setText(peer, plain(tunnel.name) + (tunnel.up ? "" : " (opening)"));
    const lines = tunnel.paths.map(pathLine);
    const shown = lines.length ? lines : ["no way at the moment"];
    while (paths.children.length > shown.length) paths.lastElementChild.remove();
    shown.forEach((line, place) => setText(paths.children[place] ?? paths.appendChild(el("p")), line));
    setText(streams, number(tunnel.streams));
    setText(rates, now);
    setText(moved, `${bytes(tunnel.sent_bytes)} · ${bytes(tunnel.received_bytes)}`);
    setText(again, `${bytes(tunnel.repeated_bytes)} · ${number(tunnel.lost)}`);
  }

  async #add(form) {
    const { listen, peer, target, reverse } = Object.fromEntries(new FormData(form));
    const forward = { listen: listen.trim(), peer: peer.trim(), reverse: reverse !== undefined };
    if (target.trim()) forward.target = target.trim();
    await this.#change(form.querySelector("button"), () => api.addForward(forward), () => form.reset());
  }

  async #remove(id) {
    await this.#change(null, () => api.removeForward(id), () => byId("forward-listen").focus());
  }

  /** Does something and looks what has become of it; what went wrong is said where one looks for it. */
  async #change(button, act, done) {
    setAttribute(button ?? byId("forward-form"), "aria-busy", "true");
    try {
      await act();
      setText(byId("forward-said"), "");
      done();
      await this.#look(true);
    } catch (refusal) {
      setText(byId("forward-said"), plain(refusal.message));
    }
    setAttribute(button ?? byId("forward-form"), "aria-busy", null);
  }
}

/** How a forward stands, and why if not well. */
function stateOf({ state, listen }) {
  if (state?.refused) return { text: `does not listen: ${plain(state.refused.detail)} (${state.refused.code})`, is_bad: true };
  if (state?.listening === listen) return { text: "listens", is_bad: false };
  if (state?.listening) return { text: `listens on ${plain(state.listening)}`, is_bad: false };
  return { text: "asks the peer to listen", is_bad: false };
}

const allowed = (allow = []) => (allow.length === 0 ? "nobody" : allow.join(", ").replace("*", "everybody"));

const exposedLine = ({ name, target, via, allow }) =>
  `${name}: ${target}${via ? ` through ${via}` : ""}, for ${allowed(allow)}`;

function proxyLine(proxy) {
  if (!proxy) return [];
  const { listening, refused } = proxy.state ?? {};
  const state = listening ? `listens on ${listening}` : `does not listen: ${refused?.detail ?? "?"}`;
  return [`SOCKS5 and HTTP, for programs here: ${state}, out through ${proxy.exit}`];
}

function exitLines({ rules = [], listen = [] } = {}) {
  const where = ({ networks = [], ports = [] }) => `${networks.join(", ")}, ports ${ports.join(", ")}`;
  const sockets = ({ paths = [] }) => (paths.length ? `, sockets ${paths.join(", ")}` : "");
  return [
    ...rules.map((rule) => `Way out to ${where(rule)}: for ${allowed(rule.allow)}`),
    ...listen.map((rule) => `Listeners on ${where(rule)}${sockets(rule)}: for ${allowed(rule.allow)}`),
  ];
}

function pathLine({ names, rtt_us: rtt, window_bytes: windowBytes, alive, direct }) {
  const way = direct ? "the direct link" : names.map((name) => plain(name)).join(" → ");
  const carries = rtt ? `, up to ${rate((windowBytes * 8_000_000) / rtt)}` : "";
  return alive ? `${way}: ${milliseconds(rtt)}${carries}` : `${way}: does not answer`;
}

function rate(bps) {
  if (bps < 1_000_000) return `${Math.round(bps / 1000)} kbit/s`;
  if (bps >= 10_000_000_000) return `${number(Math.round(bps / 1_000_000_000))} Gbit/s`;
  return `${bps < 10_000_000 ? (bps / 1_000_000).toFixed(1) : number(Math.round(bps / 1_000_000))} Mbit/s`;
}
