// One message as it stands in the list.

import { el, setAttribute, setText } from "./dom.js";
import { fully, hourAndMinute, number } from "./format.js";
import { hueOf, initialOf } from "./person.js";
import { deliveryOf } from "./rows.js";
import { nameOf, textNodes } from "./text.js";

/** Longer texts are folded: one paste must not push the talk out of sight. */
const LONG_TEXT = 1_500;
const LONG_LINES = 24;

/** The element of a row. `context` has `topology` and `query`. */
export function messageElement(row, context) {
  if (row.kind === "notice") return noticeElement(row);
  const data = { cursor: row.cursor, author: row.author, own: row.own, state: row.state };
  return el("article", { class: "message", data, tabindex: -1 },
    avatar(row),
    el("header", {}, nameOf(row.name), row.own ? el("span", { class: "you" }, "you") : null, timeOf(row)),
    ...textElements(row.text, context.query),
    el("p", { class: "delivery" }, row.own ? deliveryOf(row, context.topology) : ""));
}

function avatar(row) {
  return el("span", { class: `avatar ${hueOf(row.author)}`, "aria-hidden": "true" }, initialOf(row.name));
}

function timeOf(row) {
  return el("time", { datetime: row.date.toISOString(), title: fully(row.date) }, hourAndMinute(row.date));
}

function textElements(text, query) {
  const shown = el("div", { class: "text", dir: "auto" }, ...textNodes(text, query));
  const isLong = text.length > LONG_TEXT || text.split("\n").length > LONG_LINES;
  if (!isLong || query) return [shown];
  shown.classList.add("folded");
  const unfold = el("button", {
    class: "unfold",
    type: "button",
    onclick: () => {
      shown.classList.remove("folded");
      unfold.remove();
    },
  }, `Show all ${number(text.length)} characters`);
  return [shown, unfold];
}

function noticeElement(row) {
  return el("p", { class: "notice", data: { cursor: row.cursor } }, ...noticeNodes(row), " ", timeOf(row));
}

function noticeNodes({ text, people }) {
  const names = people.slice(0, 3).flatMap((name, index) => [index ? ", " : "", nameOf(name, "who")]);
  return [...names, people.length > 3 ? ` and ${people.length - 3} more` : "", ` ${text}`];
}

/** Brings what can change up to date: how far an own message came. */
export function refreshMessage(element, row, context) {
  if (row.kind === "notice") return;
  setAttribute(element, "data-state", row.state);
  if (row.own) setText(element.querySelector(".delivery"), deliveryOf(row, context.topology));
}

/** A message that is not in the history yet, or was refused. `acts` has `retry(key)` and `takeBack(key)`. */
export function outgoingElement(entry, acts) {
  const isFailed = entry.state === "failed";
  const buttons = [
    el("button", { class: "retry", type: "button", onclick: () => acts.retry(entry.key) }, "Try again"),
    el("button", { class: "take-back", type: "button", onclick: () => acts.takeBack(entry.key) }, "Back to the draft"),
  ];
  const said = isFailed ? `Not sent: ${entry.reason}.` : "on its way to the node";
  const data = { own: true, state: entry.state, key: entry.key };
  return el("article", { class: `message outgoing${isFailed ? " failed" : ""}`, data, tabindex: -1 },
    el("div", { class: "text", dir: "auto" }, ...textNodes(entry.text)),
    el("p", { class: "delivery", role: isFailed ? "alert" : null }, said),
    isFailed ? el("div", { class: "acts" }, ...buttons) : null);
}
