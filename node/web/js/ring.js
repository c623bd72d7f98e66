// Where members stand on the circle, and which of them the known paths connect. Pure: documents in, order out.

/** Everybody, oneself first, in the order of the ring as far as this node can see it. */
export function orderOf(status, peers) {
  const byName = [...peers].sort((a, b) => a.name.localeCompare(b.name) || (a.id < b.id ? -1 : 1)).map((peer) => peer.id);
  const ring = status.ring;
  if (!ring) return [status.id, ...byName];
  const alive = new Set(peers.filter((peer) => !peer.left).map((peer) => peer.id));
  // Two members: next and previous are the same, and the way forward is the whole ring.
  const forward = chain(ring.next, peers, alive);
  const backward = chain(ring.previous, peers, alive).filter((id) => !forward.includes(id));
  const seen = new Set([...forward, ...backward]);
  return [status.id, ...forward, ...byName.filter((id) => !seen.has(id)), ...backward.reverse()];
}

/** The longest way that begins with this neighbour. */
function chain(first, peers, alive) {
  if (!first || !alive.has(first)) return [];
  let longest = [first];
  for (const { path = [] } of peers) {
    if (path[0] === first && path.length > longest.length && path.every((id) => alive.has(id))) longest = path;
  }
  return [...new Set(longest)];
}

/** The hops of a way as pairs. */
export function hopsOf(way) {
  return way.slice(1).map((id, place) => [way[place], id]);
}

/** A link seen from either end is the same link. */
export const pairKey = (a, b) => (a < b ? `${a} ${b}` : `${b} ${a}`);

/** Hops on somebody's path that are no link of this node: known from hearsay. */
export function hearsay(status, peers) {
  const own = new Set((status.links ?? []).map((link) => pairKey(status.id, link.peer)));
  const hops = new Map();
  for (const { path = [] } of peers) {
    for (const [a, b] of hopsOf([status.id, ...path])) {
      if (!own.has(pairKey(a, b))) hops.set(pairKey(a, b), [a, b]);
    }
  }
  return hops;
}

/** The way of a message from its author to here; null if it is not known. */
export function wayOf(row, me) {
  if (!row || row.kind !== "message" || row.own || !row.path.length) return null;
  return [...row.path.filter((id) => id !== me), me];
}
