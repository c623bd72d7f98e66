// The elements of the view, which are filled by its parts. They are made here and do not stand in the static page, which
// is loaded by everybody.

import { el, svg } from "./dom.js";

const said = (id, role = "status", props = {}) => el("p", { id, role, ...props });
const field = (label, input) => el("label", {}, `${label} `, input);
const secret = (id, autocomplete) => el("input", { id, type: "password", autocomplete, required: true, maxlength: 1024 });
const plainInput = (id, props) => el("input", { id, spellcheck: "false", autocapitalize: "off", autocomplete: "off", ...props });
const button = (id, text, props = {}) => el("button", { id, type: "button", ...props }, text);
const submit = (text) => el("button", { type: "submit", class: "main" }, text);

function card(id, title, ...parts) {
  return el("section", { class: "card", id, "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title), ...parts);
}

/** A table whose headings have classes, by which narrow screens leave some out. */
function table(id, label, columns) {
  const heads = columns.map(([text, kind]) => el("th", { scope: "col", class: kind }, text));
  return el("div", { class: "wide" },
    el("table", { id, class: "listing", "aria-label": label, hidden: true },
      el("thead", {}, el("tr", {}, ...heads)), el("tbody")));
}

const pages = (id, label, ...buttons) => el("div", { class: "row pages", id, role: "group", "aria-label": label }, ...buttons);

const none = () => el("section", { class: "card", id: "no-ledger", "aria-labelledby": "no-ledger-title", hidden: true },
  el("h2", { id: "no-ledger-title" }, "This node has no ledger"),
  el("p", {}, "Make a chain, whose first coins go to an address of your wallet (node wallet new --config FILE):"),
  el("pre", { tabindex: 0, role: "region", "aria-label": "How to make a chain" },
    "node ledger create --address ADDRESS --config FILE"),
  el("p", {}, "Or join one: put its genesis file where the node looks for it, and start the node again."));

const chain = () => card("chain", "Chain",
  el("p", { id: "chain-said", role: "status" }),
  el("progress", { id: "chain-progress", max: 1, value: 0, "aria-label": "Blocks read", hidden: true }),
  el("dl", { class: "figures", id: "chain-figures" }));

const mining = () => card("mining", "Mining",
  el("p", { id: "mining-state" }, "–"),
  el("form", { id: "mining-form", autocomplete: "off", hidden: true },
    field("Rewards to", plainInput("mine-to", { placeholder: "an address", maxlength: 90 })),
    button("mine", "Mine blocks", { role: "switch", "aria-checked": "false" })),
  said("mining-said", "alert", { class: "too-much" }));

const openForm = () => el("form", { id: "wallet-open", autocomplete: "off", hidden: true },
  el("p", { class: "none" }, "The wallet is locked. This page forgets the passphrase when it is closed, and after a while."),
  field("Passphrase", secret("passphrase", "current-password")), submit("Open"));

const makeForm = () => el("form", { id: "wallet-make", autocomplete: "off", hidden: true },
  el("p", { class: "none" }, "This node has no wallet yet. Choose a passphrase for one."),
  field("Passphrase", secret("new-passphrase", "new-password")),
  field("Once more", secret("new-passphrase-again", "new-password")),
  field("Words of an earlier wallet, if there was one", plainInput("phrase", { maxlength: 400 })),
  submit("Make the wallet"));

const words = () => el("div", { id: "wallet-words", hidden: true },
  el("h3", {}, "The words of this wallet"),
  el("p", {}, "Write them down and keep them apart from this machine. Whoever has them has the money, and nothing else "
    + "brings the wallet back. They are not shown again."),
  el("pre", { id: "words", tabindex: 0, role: "region", "aria-label": "The words" }),
  button("words-done", "I have written them down"));

const purse = () => el("div", { id: "purse", hidden: true },
  el("div", { class: "row" },
    el("p", { id: "balance" }, "–"), el("p", { id: "balance-more" }), button("lock", "Lock")),
  el("div", { class: "halves" }, pay(), receive()),
  el("h3", {}, "Payments of this wallet"),
  table("history", "Payments of this wallet", HISTORY),
  el("p", { id: "no-history", class: "none" }, "Nothing came in or went out yet."),
  pages("history-pages", "Pages of payments", button("history-more", "Earlier ones", { hidden: true })));

const HISTORY = [["What", "kind"], ["Amount", "amount"], ["Address", "who"], ["Standing", "standing"]];
const AMOUNT = { inputmode: "decimal", placeholder: "0.25", maxlength: 32, required: true };
const RATE = { inputmode: "numeric", maxlength: 15, placeholder: "as the ledger thinks right" };
const BLOCKS = [["Height", "height"], ["Time", "time"], ["Transactions", "count"], ["Size", "size"], ["Hash", "hash"]];

const pay = () => el("form", { id: "pay", autocomplete: "off", "aria-labelledby": "pay-title" },
  el("h3", { id: "pay-title" }, "Send"),
  field("To", plainInput("pay-to", { placeholder: "an address", maxlength: 90, required: true })),
  field("Amount, in coins", plainInput("pay-amount", AMOUNT)),
  el("details", {}, el("summary", {}, "More"),
    field("From", el("select", { id: "pay-from" }, el("option", { value: "" }, "the whole wallet"))),
    field("Fee, in base units for 1,000 bytes", plainInput("pay-rate", RATE))),
  submit("Review…"),
  said("pay-said", "alert", { class: "too-much" }));

const receive = () => el("section", { id: "receive", "aria-labelledby": "receive-title" },
  el("h3", { id: "receive-title" }, "Receive"),
  el("div", { class: "row" }, el("label", { for: "receive-at", class: "hidden-label" }, "Address"),
    el("select", { id: "receive-at" }), button("new-address", "New address")),
  svg("svg", { id: "qr", role: "img", "aria-label": "The address as a QR code", hidden: true }),
  el("p", { id: "receive-address", class: "id" }),
  el("div", { class: "row" }, button("copy", "Copy"), said("copied")));

const sent = () => el("div", { id: "sent-part", hidden: true },
  el("h3", {}, "Sent from this page"),
  el("ul", { id: "sent" }));

const wallet = () => card("wallet", "Wallet",
  said("wallet-said", "alert", { class: "too-much" }), openForm(), makeForm(), words(), sent(), purse());

const search = () => card("finding", "Search",
  el("search", {}, el("form", { id: "find", class: "row", autocomplete: "off" },
    el("label", { for: "find-text", class: "hidden-label" }, "Height, hash, transaction or address"),
    plainInput("find-text", { type: "search", placeholder: "Height, hash, transaction or address", maxlength: 100 }),
    submit("Find"))),
  said("find-said", "status", { class: "none" }),
  el("div", { id: "detail", hidden: true }));

const blocks = () => card("blocks-part", "Blocks",
  said("blocks-said", "status", { class: "notice-line" }),
  table("blocks", "Blocks", BLOCKS),
  pages("blocks-pages", "Pages of blocks", button("newest", "Newest"), button("newer", "Newer"), button("older", "Older")));

const mempool = () => card("mempool-part", "Waiting for a block",
  el("p", { id: "mempool-said", class: "none" }, "–"),
  table("mempool", "Payments that wait", [["Transaction", "txid"], ["Fee", "amount"], ["Size", "size"], ["Since", "time"]]));

const confirmation = () => el("dialog", { id: "confirm", "aria-labelledby": "confirm-title" },
  el("h2", { id: "confirm-title" }, "Send this?"),
  el("dl", { class: "figures", id: "confirm-figures" }),
  el("p", { id: "confirm-warning", class: "warning", hidden: true }),
  el("p", { id: "confirm-said", role: "alert", class: "too-much" }),
  el("div", { class: "row" }, button("confirm-no", "Cancel"), button("confirm-yes", "Send", { class: "main" })));

/** Everything below the tab. */
export function frame() {
  const guarded = [wallet(), search(), blocks(), mempool()];
  for (const part of guarded) part.dataset.guarded = "";
  return [
    none(),
    el("p", { id: "ledger-said", role: "status", class: "none" }),
    chain(), mining(), ...guarded, confirmation(),
  ];
}
