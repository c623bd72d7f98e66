// Amounts of money. They come and go as decimal text and are reckoned in whole base units: never as floating point, in
// which 0.1 and 0.2 are not 0.3. Pure.

const DECIMALS = 8;
const COIN = 10n ** BigInt(DECIMALS);
/** More there never is: 21 million coins. */
const MAX_UNITS = 21_000_000n * COIN;

/** Decimal text, as the node tells it, in base units; null if it is none. */
export function units(text) {
  const [, coins, decimals = ""] = /^(\d+)(?:\.(\d{1,8}))?$/u.exec(text) ?? [];
  return coins === undefined ? null : BigInt(coins) * COIN + BigInt(decimals.padEnd(DECIMALS, "0"));
}

/** Base units as decimal text. */
export function coins(amount) {
  const decimals = (amount % COIN).toString().padStart(DECIMALS, "0").replace(/0+$/u, "");
  return `${amount / COIN}${decimals ? `.${decimals}` : ""}`;
}

export const sum = (texts) => coins(texts.reduce((all, text) => all + (units(text) ?? 0n), 0n));

/** What somebody typed: `{amount}` as decimal text, or `{wrong}`, a sentence that says what to mend. */
export function typedAmount(typed) {
  const text = typed.trim();
  if (!text) return { wrong: "How much? Write an amount, such as 1 or 0.25." };
  if (text.includes(",")) return { wrong: "Write the amount with a point and without separators, such as 1000.5." };
  if (/^-/u.test(text)) return { wrong: "An amount is more than 0." };
  if (/^\d*\.\d{9,}$/u.test(text)) return { wrong: "A coin has 8 decimals; this amount has more." };
  const amount = units(text.startsWith(".") ? `0${text}` : text);
  if (amount === null) return { wrong: "That is not an amount. Write digits and a point, such as 1 or 0.25." };
  if (amount === 0n) return { wrong: "An amount is more than 0." };
  if (amount > MAX_UNITS) return { wrong: "There will never be so many coins." };
  return { amount: coins(amount) };
}

/** Base units for 1,000 bytes, if somebody chose a fee: `{rate}`, null for what the ledger thinks right, or `{wrong}`. */
export function typedRate(typed) {
  const text = typed.trim();
  if (!text) return { rate: null };
  // As many digits as a number of JSON keeps exactly.
  if (/^\d{1,15}$/u.test(text)) return { rate: Number(text) };
  return { wrong: "The fee is a whole number of base units for 1,000 bytes." };
}
