// One row of the chat: its order, its identity, and what became of it.

/** A row as the page holds it, whatever an older node leaves out; null if it is none. */
export function toRow(raw, me) {
  if (typeof raw?.text !== "string" || typeof raw.author !== "string" || raw.cursor === undefined) return null;
  const date = new Date(raw.time);
  const known = Number.isFinite(date.getTime()) ? date : new Date(0);
  const own = raw.own ?? raw.author === me;
  return {
    ...raw,
    kind: "message",
    cursor: String(raw.cursor),
    place: Number(raw.cursor),
    date: known,
    clock: raw.clock ?? known.getTime() * 1000,
    seq: raw.seq ?? Number(raw.cursor),
    own,
    state: raw.state ?? (own ? "sent" : "received"),
    path: Array.isArray(raw.path) ? raw.path : [],
  };
}

let notices = 0;

/** Something that happened here, among the messages: it has a time and no place in anybody's history. */
export function toNotice(text, people) {
  notices += 1;
  const date = new Date();
  const clock = date.getTime() * 1000;
  return { kind: "notice", cursor: `notice-${notices}`, author: "", seq: notices, clock, date, text, people };
}

/** The order that is the same on every member: clock, author, sequence number. */
export function compare(a, b) {
  if (a.clock !== b.clock) return a.clock - b.clock;
  if (a.author !== b.author) return a.author < b.author ? -1 : 1;
  return a.seq - b.seq;
}

/** Where `row` stands or would stand in sorted rows. */
export function placeOf(rows, row) {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare(rows[middle], row) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether two rows of one cursor are the same message. */
export const isSame = (a, b) => a.author === b.author && a.seq === b.seq && a.text === b.text;

/** How far an own message came, in words. */
export function deliveryOf(row, topology) {
  const to = row.delivered_to ?? 0;
  const of = row.delivered_of;
  switch (row.state) {
    case "queued":
      return topology === "ring" ? "queued until the ring closes" : "queued until somebody comes";
    case "delivered":
      return `delivered to ${to}${of === undefined ? "" : ` of ${of}`}`;
    default:
      if (of === undefined && to > 0) return `delivered to ${to}`;
      return to > 0 ? `on its way · ${to} of ${of} have it` : "on its way";
  }
}
