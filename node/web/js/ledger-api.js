// What the ledger and the wallet of the node are asked.

import { json } from "./api.js";

/** The thread of the ledger does one thing after the other. */
const READ_TIMEOUT_MS = 10_000;
/** Opening a wallet takes its time by design, and one is opened at a time. */
const WALLET_TIMEOUT_MS = 30_000;

const read = (path) => json(`/api/v1/${path}`, READ_TIMEOUT_MS);

function post(path, body, timeout) {
  const headers = { "Content-Type": "application/json" };
  return json(`/api/v1/${path}`, timeout, { method: "POST", body: JSON.stringify(body), headers });
}

const named = (path, id) => read(`${path}/${encodeURIComponent(id)}`);
const wallet = (verb, body) => post(`wallet/${verb}`, body, WALLET_TIMEOUT_MS);

export const status = () => read("ledger");
export const blocks = (from, limit) => read(`ledger/blocks?brief=true&limit=${limit}${from === null ? "" : `&from=${from}`}`);
export const mempool = (limit) => read(`ledger/mempool?limit=${limit}`);
export const find = (text) => named("ledger/find", text);
export const block = (id) => named("ledger/block", id);
export const transaction = (id) => named("ledger/tx", id);
export const address = (id, limit) => read(`ledger/address/${encodeURIComponent(id)}?limit=${limit}`);
export const mine = (order) => post("ledger/mine", order, READ_TIMEOUT_MS);

export const qr = (address) => named("wallet/qr", address);
export const newAddress = (passphrase) => wallet("new", { passphrase });
export const restore = (passphrase, phrase) => wallet("restore", { passphrase, phrase });
export const list = (passphrase) => wallet("list", { passphrase });
export const history = (passphrase, limit) => wallet("history", { passphrase, limit });
export const quote = (passphrase, payment) => wallet("quote", { passphrase, ...payment });
export const send = (passphrase, payment, maxFee) => wallet("send", { passphrase, ...payment, max_fee: maxFee });
