// A payment: written, looked at with its fee, agreed to, sent. Nothing leaves without the dialog that shows all of it, and
// no more than it showed is paid.

import * as api from "./ledger-api.js";
import { byId, el, setAttribute, setText } from "./dom.js";
import { typedAmount, typedRate } from "./ledger-money.js";
import { brief, progressOf, refusalWords } from "./ledger-words.js";

/** Addresses offered to be paid from: all of a wallet would be thousands. */
const MAX_OFFERED = 100;

/** What a send without an answer means: it may have been done. */
const UNKNOWN = "The node did not answer, so it is not known whether this was sent. Look at the payments of this wallet before "
  + "you send it again.";

export class Pay {
  #passphrase;
  #status;
  #onSent;
  /** What is agreed to by "Send": the payment and its quote. */
  #asked = null;
  #isSending = false;

  constructor({ passphrase, status, onSent }) {
    this.#passphrase = passphrase;
    this.#status = status;
    this.#onSent = onSent;
    byId("pay").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#review();
    });
    byId("confirm-no").addEventListener("click", () => this.close());
    byId("confirm-yes").addEventListener("click", () => this.#send());
    byId("confirm").addEventListener("cancel", (event) => {
      // What is under way is not ended by a key.
      if (this.#isSending) event.preventDefault();
    });
  }

  close() {
    this.#asked = null;
    if (byId("confirm").open) byId("confirm").close();
  }

  setAddresses(addresses) {
    const select = byId("pay-from");
    const chosen = select.value;
    const options = addresses.slice(-MAX_OFFERED).map(({ address }) => el("option", { value: address }, brief(address, 14)));
    select.replaceChildren(el("option", { value: "" }, "the whole wallet"), ...options);
    if (addresses.some((row) => row.address === chosen)) select.value = chosen;
  }

  #say(text, field = null) {
    setText(byId("pay-said"), text);
    for (const id of ["pay-to", "pay-amount", "pay-rate"]) setAttribute(byId(id), "aria-invalid", id === field ? "true" : null);
    if (field) byId(field).focus();
  }

  /** What the form holds, or null where it was said what to mend. */
  #payment() {
    const to = byId("pay-to").value.replaceAll(/\s/gu, "");
    if (!to) return this.#say("Who is paid? Give an address.", "pay-to");
    const { amount, wrong } = typedAmount(byId("pay-amount").value);
    if (wrong) return this.#say(wrong, "pay-amount");
    const { rate, wrong: wrongRate } = typedRate(byId("pay-rate").value);
    if (wrongRate) return this.#say(wrongRate, "pay-rate");
    return { to, amount, from: byId("pay-from").value || null, fee_rate: rate };
  }

  async #review() {
    const payment = this.#payment();
    if (!payment || byId("pay").ariaBusy === "true") return;
    byId("pay").ariaBusy = "true";
    this.#say("");
    try {
      const quote = await api.quote(this.#passphrase(), payment);
      this.#asked = { payment, quote };
      this.#ask("");
    } catch (refusal) {
      const isAddress = refusal.code === "invalid_message" && /address/u.test(refusal.message);
      this.#say(refusalWords(refusal), isAddress ? "pay-to" : null);
    }
    byId("pay").ariaBusy = null;
  }

  #ask(said) {
    const { payment, quote } = this.#asked;
    const figures = [
      ["Amount", quote.amount], ["Fee", quote.fee], ["In all", quote.total], ["To", quote.to],
      ["From", payment.from ?? "the whole wallet"],
    ];
    const rows = figures.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value)));
    byId("confirm-figures").replaceChildren(...rows);
    const status = this.#status();
    const isBehind = status !== null && progressOf(status).isBehind;
    byId("confirm-warning").hidden = !isBehind;
    setText(byId("confirm-warning"), isBehind ? "This ledger is still catching up: what it shows of the wallet may be old." : "");
    setText(byId("confirm-yes"), `Send ${quote.amount}`);
    setText(byId("confirm-said"), said);
    if (!byId("confirm").open) byId("confirm").showModal();
    byId("confirm-no").focus();
  }

  async #send() {
    if (this.#isSending || !this.#asked) return;
    const { payment, quote } = this.#asked;
    this.#isSending = true;
    byId("confirm-yes").disabled = true;
    try {
      const { txid, fee } = await api.send(this.#passphrase(), payment, quote.fee);
      this.close();
      byId("pay").reset();
      this.#onSent({ txid, fee, to: quote.to, amount: quote.amount });
    } catch (refusal) {
      await this.#onRefusal(refusal, payment);
    }
    byId("confirm-yes").disabled = false;
    this.#isSending = false;
  }

  async #onRefusal(refusal, payment) {
    if (refusal.code === "fee_changed") {
      try {
        this.#asked = { payment, quote: await api.quote(this.#passphrase(), payment) };
        return this.#ask(`${refusalWords(refusal)} Nothing was sent; look at it again.`);
      } catch {
        // The refusal of the payment says more than that of the second look.
      }
    }
    this.close();
    this.#say(refusal.isUnanswered ? UNKNOWN : refusalWords(refusal));
  }
}
