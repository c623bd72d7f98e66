// Times in the reader's zone and language, and figures with their units.

const clockTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const fullTime = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dayWithYear = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const nearDay = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const count = new Intl.NumberFormat();

const DAY_MS = 86_400_000;

export const hourAndMinute = (date) => clockTime.format(date);
export const fully = (date) => fullTime.format(date);
export const number = (value) => count.format(value);

/** Which day of the reader a moment falls on, as a number that grows by one a day. */
export function dayNumber(date) {
  return Math.round(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / DAY_MS);
}

/** "today", "yesterday", or the date. */
export function dayName(date, now = new Date()) {
  const away = dayNumber(date) - dayNumber(now);
  if (away === 0 || away === -1) return capital(nearDay.format(away, "day"));
  return (date.getFullYear() === now.getFullYear() ? dayOfYear : dayWithYear).format(date);
}

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Microseconds as milliseconds, with as many digits as mean something. */
export function milliseconds(us) {
  if (us === null || us === undefined) return "–";
  const ms = us / 1000;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

export function percent(share) {
  if (share === null || share === undefined) return "–";
  if (share === 0) return "0 %";
  return share < 0.01 ? "< 1 %" : `${Math.round(share * 100)} %`;
}

export function bytes(amount) {
  if (amount === null || amount === undefined) return "–";
  if (amount < 1024) return `${amount} B`;
  const kib = amount / 1024;
  return kib < 1024 ? `${kib.toFixed(kib < 10 ? 1 : 0)} KiB` : `${(kib / 1024).toFixed(1)} MiB`;
}

/** A duration by its two largest units. */
export function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** "1 member", "3 members". */
export const counted = (amount, one, many = `${one}s`) => `${number(amount)} ${amount === 1 ? one : many}`;

/** "a", "a and b", "a, b and 3 more". */
export function listed(names, most = 3) {
  if (names.length <= 1) return names.join("");
  const shown = names.length > most ? names.slice(0, most - 1) : names.slice(0, -1);
  const last = names.length > most ? `${names.length - shown.length} more` : names.at(-1);
  return `${shown.join(", ")} and ${last}`;
}
