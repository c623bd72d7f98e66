// What the ledger's documents mean for people. Pure: documents in, words out.

import { capital, counted, duration, number } from "./format.js";
import { plain } from "./text.js";
import { sum } from "./ledger-money.js";

/** From here on nobody expects a payment to be taken back. */
export const FINAL = 6;

/**
 * How far the ledger is: `{phase, height, target, words}`; `phase` is `alone`, `headers`, `blocks` or `synced`. What a
 * ledger that speaks with nobody leaves out follows from its headers.
 */
export function progressOf(status) {
  const { height, headers = height, sync } = status;
  const target = Math.max(sync?.target ?? 0, headers, height);
  const phase = sync?.state ?? (target > height ? "blocks" : "synced");
  return { phase, height, target, isBehind: target > height, words: progressWords(phase, height, target, sync) };
}

function progressWords(phase, height, target, sync) {
  const peers = Array.isArray(sync?.peers) ? sync.peers.length : sync?.peers;
  const from = typeof peers === "number" && peers > 0 ? `from ${counted(peers, "member")}` : null;
  if (target <= height) {
    if (phase === "alone") return "No linked member has this chain.";
    if (phase === "headers") return ["Asking which chain has the most work", from].filter(Boolean).join(", ");
    return from ? `Up to date with ${counted(peers, "member")}` : "";
  }
  const rate = sync?.blocks_per_s;
  const pace = rate > 0 ? `${number(rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate))} blocks/s` : null;
  const left = sync?.remaining_s;
  const remaining = Number.isFinite(left) ? `${duration(left * 1000)} left` : null;
  const verb = phase === "headers" ? "Reading headers" : "Catching up";
  const done = `${number(height)} of ${number(target)} blocks`;
  return [`${verb}: ${done}`, pace, remaining, from].filter(Boolean).join(" · ");
}

/** The search for blocks in words. */
export function miningWords(mining) {
  if (!mining?.on) return "Off";
  const found = `${counted(mining.blocks, "block")} found`;
  if (!mining.searching) return `On · waits for payments · ${found}`;
  const every = mining.expected_s;
  const pace = every > 0 ? `a block every ${every < 1 ? "moment" : duration(every * 1000)}` : null;
  return ["On", hashRate(mining.hash_rate), pace, found].filter(Boolean).join(" · ");
}

function hashRate(rate) {
  if (!(rate > 0)) return null;
  const units = ["H/s", "kH/s", "MH/s", "GH/s"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(rate) / 3));
  const shown = rate / 1000 ** Math.max(0, power);
  return `${shown < 10 ? shown.toFixed(1) : Math.round(shown)} ${units[Math.max(0, power)]}`;
}

/** How a payment stands: `{state, words}`; `found` is its document, or null if the ledger does not know it. */
export function standingOf(found) {
  if (!found) return { state: "gone", words: "not known any more: replaced, or taken back" };
  const { confirmations, height } = found;
  if (height === null || height === undefined) return { state: "waiting", words: "waits for a block" };
  const deep = counted(confirmations, "confirmation");
  return { state: confirmations >= FINAL ? "final" : "confirmed", words: `${deep}, block ${number(height)}` };
}

/** The blocks shown that are no part of the chain any more. `fresh` are its newest, of heights without a gap. */
export function undone(shown, fresh) {
  if (!fresh.length) return [];
  const lowest = fresh.at(-1).height;
  return shown.filter(({ height, hash }) => height >= lowest && !fresh.some((block) => block.hash === hash));
}

/** What a transaction was for an address, from its outputs and the keys that signed. */
export function effectOn(address, { inputs, outputs }) {
  const came = sum(outputs.filter((output) => output.address === address).map((output) => output.amount));
  if (!inputs.some((input) => input.address === address)) return `+${came}`;
  return came === "0" ? "spent" : `spent, ${came} back`;
}

/** A refusal as a sentence. `act` is what was not done. */
export function refusalWords(refusal) {
  const said = capital(plain(refusal.message)).replace(/\.$/u, "");
  switch (refusal.code) {
    case "wrong_passphrase": return "The passphrase does not open this wallet.";
    case "no_wallet": return "This node has no wallet yet.";
    case "no_ledger": return "This node has no ledger.";
    case "ledger_busy": return `${said}. Nothing was done; try again in a moment.`;
    case "no_answer": case "unreachable": return "The node does not answer.";
    default: return `${said}.`;
  }
}

/** Long names by their ends, which is what people compare. */
export const brief = (id, ends = 8) => (id.length <= 2 * ends + 1 ? id : `${id.slice(0, ends)}…${id.slice(-ends)}`);

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dated = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const DAY_MS = 86_400_000;

/** Seconds since 1970 as a time of day, with the date if that is not today's. */
export function momentOf(seconds, now = Date.now()) {
  const date = new Date(seconds * 1000);
  if (!Number.isFinite(date.getTime())) return "–";
  return (Math.abs(now - date.getTime()) < DAY_MS / 2 ? clock : dated).format(date);
}
