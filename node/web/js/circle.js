// The mesh as a circle: members in the order of the ring, this node at the top, its links with round trip and loss.
// Built anew only when somebody comes or goes; figures change in place.

import { byId, setAttribute, setText, svg } from "./dom.js";
import { milliseconds, percent } from "./format.js";
import { hueOf, initialOf } from "./person.js";
import { hearsay, hopsOf, orderOf, pairKey } from "./ring.js";
import { plain, short } from "./text.js";

/** Wider than high: names stand left and right. */
const WIDTH = 720;
const HEIGHT = 540;
const RADIUS = 200;
/** Without names only the circle itself needs room. */
const SMALL = "140 50 440 440";
/** Labels stand this far outside the discs, and take about this much room a letter and a line. */
const LABEL_GAP = 12;
const LETTER = 7.5;
const LINE = 17;
const NAME_LENGTH = 14;
/** On a telephone the drawing shrinks and its letters do not; the style sheet knows the same factor. */
const NARROW = matchMedia("(max-width: 40rem)");
const NARROW_SCALE = 1.75;
/** So many links can show their figures without covering each other, if they are long enough. */
const MAX_FIGURES = 12;
const FIGURE_LENGTH = 110;

export class Circle {
  #svg = byId("circle");
  #edges = svg("g", { class: "edges" });
  #wayLayer = svg("g", { class: "way" });
  #memberLayer = svg("g", { class: "members" });
  #figures = svg("g", { class: "figures" });
  #members = new Map();
  #links = new Map();
  #places = new Map();
  #order = [];
  #way = null;
  #signature = "";
  #edgeSignature = "";

  constructor() {
    this.setSmall(true);
    this.#svg.append(this.#edges, this.#wayLayer, this.#figures, this.#memberLayer);
    this.#svg.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** Small, beside the chat: without names and figures. */
  setSmall(isSmall) {
    setAttribute(this.#svg, "viewBox", isSmall ? SMALL : `0 0 ${WIDTH} ${HEIGHT}`);
  }

  show({ status, peers, names }) {
    if (!status) return;
    const order = orderOf(status, peers);
    const signature = [NARROW.matches, ...order.map((id) => `${id} ${names.get(id)}`)].join();
    if (signature !== this.#signature) this.#build(order, status.id, names);
    this.#signature = signature;
    this.#showEdges(status, peers);
    this.#showMembers(status, peers);
    this.showWay(this.#way);
    setAttribute(this.#svg, "aria-label", `${order.length} members, ${status.links?.length ?? 0} links of this node`);
  }

  #build(order, me, names) {
    this.#order = order;
    this.#places = new Map(order.map((id, place) => [id, pointAt(place, order.length, RADIUS)]));
    this.#members = new Map(order.map((id, place) => [id, this.#member(id, place, me, names)]));
    this.#edgeSignature = "";
    const held = document.activeElement?.closest?.("#circle g.member")?.dataset.peer;
    this.#memberLayer.replaceChildren(...this.#members.values());
    if (held) this.#focus(this.#members.has(held) ? held : me);
    thinOut([...this.#members.values()].map((member) => member.querySelector(".label")));
    setAttribute(this.#svg, "data-crowd", order.length > 40 ? "many" : order.length > 16 ? "some" : "few");
  }

  #member(id, place, me, names) {
    const { x, y } = this.#places.get(id);
    const isSelf = id === me;
    const name = names.get(id) ?? id.slice(0, 8);
    const radius = this.#order.length > 40 ? 7 : this.#order.length > 16 ? 11 : 17;
    const disc = svg("circle", { cx: x, cy: y, r: isSelf ? radius + 3 : radius, class: hueOf(id) });
    const letter = radius > 8 ? svg("text", { x, y, class: "initial", "aria-hidden": "true" }, initialOf(name)) : null;
    const props = { class: `member${isSelf ? " self" : ""}`, data: { peer: id }, role: "img", tabindex: place === 0 ? 0 : -1 };
    return svg("g", props, svg("title", {}, plain(name)), disc, letter, label(place, this.#order.length, name));
  }

  #showEdges(status, peers) {
    const links = status.links ?? [];
    const far = hearsay(status, peers);
    const signature = `${links.map((link) => link.peer)} ${[...far.keys()]}`;
    if (signature !== this.#edgeSignature) this.#buildEdges(status.id, links, far);
    this.#edgeSignature = signature;
    for (const link of links) this.#showFigures(link, links.length);
  }

  #buildEdges(me, links, far) {
    const distant = [...far.values()].map(([a, b]) => this.#line(a, b, { class: "far" }));
    this.#links = new Map(links.map((link) => [link.peer, this.#link(me, link)]));
    const own = [...this.#links.values()];
    this.#edges.replaceChildren(...distant.filter(Boolean), ...own.map((link) => link.group).filter(Boolean));
    this.#figures.replaceChildren(...own.map((link) => link.figure).filter(Boolean));
  }

  #link(me, { peer }) {
    const line = this.#line(me, peer, { class: "stroke" });
    if (!line) return {};
    const title = svg("title");
    const [a, b] = [this.#places.get(me), this.#places.get(peer)];
    // Nearer to the other end, where links from one member lie apart.
    const middle = { x: a.x + (b.x - a.x) * 0.58, y: a.y + (b.y - a.y) * 0.58 };
    const figure = svg("text", { ...middle, class: "figure" });
    const group = svg("g", { class: "link", data: { peer } }, title, line);
    return { title, figure, group, length: Math.hypot(b.x - a.x, b.y - a.y) };
  }

  #line(a, b, props) {
    const [from, to] = [this.#places.get(a), this.#places.get(b)];
    return from && to ? svg("line", { x1: from.x, y1: from.y, x2: to.x, y2: to.y, ...props }) : null;
  }

  #showFigures(row, linkCount) {
    const link = this.#links.get(row.peer);
    if (!link?.group) return;
    const lossy = row.loss > 0 ? ` · ${percent(row.loss)} lost` : "";
    setText(link.title, `${plain(row.name)}: ${milliseconds(row.rtt_us)}, ${percent(row.loss)} lost, ${row.transport}`);
    setText(link.figure, linkCount <= MAX_FIGURES && link.length >= FIGURE_LENGTH ? `${milliseconds(row.rtt_us)}${lossy}` : "");
    setAttribute(link.group, "data-quality", row.loss >= 0.1 ? "bad" : row.loss > 0.01 ? "poor" : "good");
  }

  #showMembers(status, peers) {
    const linked = new Set((status.links ?? []).map((link) => link.peer));
    const reachable = new Set(peers.filter((peer) => peer.reachable).map((peer) => peer.id));
    for (const [id, member] of this.#members) {
      setAttribute(member, "data-reachable", String(id === status.id || reachable.has(id)));
      setAttribute(member, "data-linked", String(linked.has(id)));
    }
  }

  /** Draws the way a message took (ids, author first); null for none. */
  showWay(way) {
    this.#way = way;
    const hops = hopsOf(way ?? []);
    const known = hops.map(([a, b]) => this.#line(a, b, { class: "hop" })).filter(Boolean);
    this.#wayLayer.replaceChildren(...known);
    this.#svg.classList.toggle("has-way", known.length > 0);
    const on = new Set(way ?? []);
    for (const [id, member] of this.#members) member.classList.toggle("on-way", on.has(id));
    const pairs = new Set(hops.map(([a, b]) => pairKey(a, b)));
    for (const [peer, { group }] of this.#links) group?.classList.toggle("on-way", pairs.has(pairKey(this.#order[0], peer)));
  }

  /** One stop for the tab key; arrows go round. */
  #onKey(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const id = event.target.closest?.("g.member")?.dataset.peer;
    if (!step || !id) return;
    event.preventDefault();
    const place = (this.#order.indexOf(id) + step + this.#order.length) % this.#order.length;
    this.#focus(this.#order[place]);
  }

  /** The focus goes to a member, and the tab key comes back to it. */
  #focus(id) {
    for (const [other, member] of this.#members) setAttribute(member, "tabindex", other === id ? 0 : -1);
    this.#members.get(id)?.focus();
  }
}

/** A place on the circle, from the top clockwise; who is alone is its middle. */
function pointAt(place, total, radius) {
  const angle = (2 * Math.PI * place) / total - Math.PI / 2;
  const reach = total === 1 && radius === RADIUS ? 0 : radius;
  const round = (value) => Math.round(value * 10) / 10;
  return { x: round(WIDTH / 2 + reach * Math.cos(angle)), y: round(HEIGHT / 2 + reach * Math.sin(angle)) };
}

/** A name outside the circle. */
function label(place, total, name) {
  const radius = (total === 1 ? 0 : RADIUS) + (total > 40 ? 10 : total > 16 ? 14 : 20) + LABEL_GAP;
  const { x, y } = pointAt(place, total, radius);
  const side = Math.abs(x - WIDTH / 2) < 30 ? "middle" : x > WIDTH / 2 ? "start" : "end";
  return svg("text", { x, y, class: "label", "text-anchor": side }, short(name, NAME_LENGTH));
}

/** Where there is no room for all names, those that would cover others show only when pointed at. */
function thinOut(labels) {
  const scale = NARROW.matches ? NARROW_SCALE : 1;
  const taken = [];
  for (const text of labels) {
    const box = boxOf(text, scale);
    if (!taken.some((other) => isOverlapping(box, other))) taken.push(box);
    else text.classList.add("on-demand");
  }
}

const isOverlapping = (a, b) => a.right > b.left && a.left < b.right && a.bottom > b.top && a.top < b.bottom;

/** About the room a label takes: measuring the drawn text would need it in sight. */
function boxOf(text, scale) {
  const width = text.textContent.length * LETTER * scale;
  const shift = { start: 0, middle: -width / 2, end: -width }[text.getAttribute("text-anchor")];
  const left = Number(text.getAttribute("x")) + shift;
  const middle = Number(text.getAttribute("y"));
  return { left, right: left + width, top: middle - (LINE * scale) / 2, bottom: middle + (LINE * scale) / 2 };
}
