// The local API of the node: the only thing this page talks to.

import { currentToken } from "./token.js";
import { trust } from "./trust.js";

/** A node that is alive answers a read at once; a message waits for the disk. */
const READ_TIMEOUT_MS = 5_000;
const SEND_TIMEOUT_MS = 15_000;
/** What others are asked for takes as long as they do. */
const FAR_TIMEOUT_MS = 30_000;

/** Why a request gave nothing. `status` 0: no answer, so nobody knows what became of it. */
export class Refusal extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }

  get isUnanswered() {
    return this.status === 0;
  }
}

/** Sends a request with the token and returns the answer; anything but success is a `Refusal`. */
export async function request(path, options = {}) {
  if (!trust.isGiven) await recognize();
  const headers = new Headers(options.headers);
  const token = currentToken();
  if (token) headers.set("Authorization", `Bearer ${token}`);
  return ask(path, { ...options, headers });
}

/** Sends a request as anybody can. */
async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", ...options });
  } catch (error) {
    trust.end();
    throw new Refusal(0, error.name === "TimeoutError" ? "no_answer" : "unreachable", "the node does not answer");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** Looks who answers, before it is told the token. */
async function recognize() {
  const { id } = await status();
  if (!trust.give(id)) throw new Refusal(401, "another_node", "another node answers at this address");
}

async function refusal(response) {
  const problem = await response.json().catch(() => null);
  const detail = typeof problem?.detail === "string" ? problem.detail : `the node answered ${response.status}`;
  return new Refusal(response.status, problem?.code ?? "unknown", detail);
}

export async function json(path, timeout = READ_TIMEOUT_MS, options = {}) {
  return parsed(await request(path, { ...options, signal: AbortSignal.timeout(timeout) }));
}

/** What needs no token is asked without it: this goes on while the node is down, whoever has its port then. */
async function openly(path) {
  return parsed(await ask(path, { signal: AbortSignal.timeout(READ_TIMEOUT_MS) }));
}

async function parsed(response) {
  try {
    return await response.json();
  } catch {
    throw new Refusal(0, "unreachable", "the answer broke off");
  }
}

export const status = () => openly("/api/v1/status");
export const peers = async () => (await openly("/api/v1/peers")).peers ?? [];
export const explain = (id) => openly(`/api/v1/explain/${encodeURIComponent(id)}`);
/** Echoes of far hops that do not come are waited for, each some seconds. */
export const trace = (id) => json(`/api/v1/trace/${encodeURIComponent(id)}`, SEND_TIMEOUT_MS);
export const log = (level, limit) => json(`/api/v1/log?level=${level}&limit=${limit}`);

export const tunnels = async () => (await openly("/api/v1/tunnels")).tunnels ?? [];
export const forwards = () => json("/api/v1/forwards");

export const services = async () => (await json("/api/v1/services")).services ?? [];

/** Answered once it listens and is on disk; a service is looked for first. */
export function addForward(forward) {
  const headers = { "Content-Type": "application/json" };
  return json("/api/v1/forwards", FAR_TIMEOUT_MS, { method: "POST", body: JSON.stringify(forward), headers });
}

export const removeForward = (id) => json(`/api/v1/forwards/${id}`, SEND_TIMEOUT_MS, { method: "DELETE" });

/** One page of the history: `{after}`, `{before}` or the newest. */
export async function messages({ after, before, limit }) {
  const query = new URLSearchParams({ limit });
  if (after) query.set("after", after);
  if (before) query.set("before", before);
  return json(`/api/v1/chat?${query}`, SEND_TIMEOUT_MS);
}

export function send(text) {
  const headers = { "Content-Type": "application/json" };
  return json("/api/v1/chat", SEND_TIMEOUT_MS, { method: "POST", body: JSON.stringify({ text }), headers });
}

/** Readiness: 503 is an answer here, and says why. */
export async function ready() {
  const options = { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(READ_TIMEOUT_MS) };
  try {
    return await (await fetch("/readyz", options)).json();
  } catch {
    throw new Refusal(0, "unreachable", "the node does not answer");
  }
}
