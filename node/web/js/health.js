// How this node itself is: ready or why not, its clock, its bounds.

import { byId, el, setAttribute, setText } from "./dom.js";
import { bytes, counted, duration, number } from "./format.js";
import { plain, short } from "./text.js";

export class Health {
  #list = byId("health-figures");
  #verdict = byId("health-verdict");
  #values = new Map();

  show({ reach, status, ready }) {
    byId("health").classList.toggle("is-stale", reach !== "ok");
    if (!status) return;
    const isReady = ready?.ready ?? false;
    const verdict = `${isReady ? "Ready" : "Not ready"}: ${plain(ready?.reason ?? "no reason given")}`;
    setText(this.#verdict, reach === "stopped" ? "Does not answer" : verdict);
    setAttribute(this.#verdict, "data-ready", String(isReady && reach === "ok"));
    for (const [term, value] of figures(status)) this.#set(term, value);
  }

  #set(term, value) {
    let shown = this.#values.get(term);
    if (!shown) {
      shown = el("dd");
      this.#values.set(term, shown);
      this.#list.append(el("div", {}, el("dt", {}, term), shown));
    }
    setText(shown, value);
  }
}

function figures(status) {
  const { ring, limits, chat } = status;
  return [
    ["Name", plain(status.name)],
    ["Up for", duration(status.uptime_ms ?? 0)],
    ["Version", `${status.version}`],
    ["Network", short(status.network ?? "–", 20)],
    ["Topology", status.topology + (ring ? ` · ${ring.complete ? `closed, ${counted(ring.length, "member")}` : "open"}` : "")],
    ["Links", limits ? `${number(limits.links)} of at most ${number(limits.max_links)}` : number(status.links?.length ?? 0)],
    ["Listens on", (status.listen ?? []).join(", ") || "nothing"],
    ["Clock", clockOf(status.time)],
    ["Chat", chatOf(chat)],
    ["Refused", refusedOf(status.refused)],
    ["Id", status.id],
  ];
}

function clockOf(time) {
  if (!time || !time.members) return "no peer to compare with";
  const off = (time.offset_us / 1000).toFixed(2).replace("-", "−");
  const bound = (time.error_us / 1000).toFixed(2);
  return `${time.offset_us > 0 ? "+" : ""}${off} ms ± ${bound} ms to ${counted(time.members, "peer")}`;
}

function chatOf(chat) {
  if (!chat) return "–";
  const kept = `${number(chat.messages)} of ${number(chat.max_messages)} messages, ${bytes(chat.bytes)}`;
  return chat.durable === false ? `${kept}, in memory only` : kept;
}

function refusedOf(refused = {}) {
  const named = Object.entries(refused).map(([reason, times]) => `${reason.replaceAll("_", " ")} ×${number(times)}`);
  return named.join(", ") || "nothing";
}
