// Text of peers, shown as what it is. Characters that reorder, hide or join others are shown by their number
// instead of acting, so that nobody's name passes for another's and no link leads elsewhere than it reads.

import { el } from "./dom.js";

/** Controls, format characters (bidi, zero width, tags), separators of lines, and what shows nothing by itself: fillers,
 * selectors, the empty pattern of braille. */
const TRICKY = /(?:(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\ufff9-\ufffc])+/gu;

/** One selector chooses the form of the letter before it: of emoji, of Han and of Mongolian letters. */
const SELECTED = new RegExp([
  "\\p{Emoji}[\\ufe0e\\ufe0f]",
  "\\p{Script=Han}[\\ufe00-\\ufe02\\u{e0100}-\\u{e01ef}]",
  "\\p{Script=Mongolian}[\\u180b-\\u180d\\u180f]",
].join("|"), "u");

/** Scripts that cannot be written without joiners. */
const SCRIPTS = ["Arabic", "Syriac", "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu", "Kannada",
  "Malayalam", "Sinhala", "Mongolian"];
// Alternatives, not one class: V8 (Chromium 148) finds no class of letters beyond U+FFFF right before a `$`.
const JOINED = `(?:${SCRIPTS.map((script) => `\\p{Script=${script}}`).join("|")})`;
const JOINED_BEFORE = new RegExp(`${JOINED}$`, "u");
const JOINED_AFTER = new RegExp(`^${JOINED}`, "u");
const EMOJI_BEFORE = /(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\ufe0f)$/u;
const EMOJI_AFTER = /^\p{Extended_Pictographic}/u;

/** Each marker and each link is an element; a text made of them must not become tens of thousands. */
const MAX_MARKERS = 64;
const MAX_LINKS = 32;

/** Splits into `{text}` and `{code, count}`: what is shown as it is, and runs of what is not. */
export function pieces(text) {
  const clean = text.replaceAll("\r\n", "\n");
  const found = [];
  let from = 0;
  let markers = 0;
  for (const { run, index } of runs(clean)) {
    if (!run || isJoiner(clean, run, index)) continue;
    if (index > from) found.push({ text: clean.slice(from, index) });
    markers += 1;
    found.push(markers > MAX_MARKERS ? { text: "\ufffd" } : { code: run.codePointAt(0), count: [...run].length });
    from = index + run.length;
  }
  if (from < clean.length) found.push({ text: clean.slice(from) });
  return found;
}

/** Runs of characters that are not shown as they are, each without the selector that belongs to the letter before. */
function* runs(text) {
  for (const { 0: run, index } of text.matchAll(TRICKY)) {
    const first = String.fromCodePoint(run.codePointAt(0)).length;
    const isSelected = SELECTED.test(text.slice(Math.max(0, index - 2), index + first));
    yield isSelected ? { run: run.slice(first), index: index + first } : { run, index };
  }
}

/** Families of emoji and the joined scripts need the joiner that elsewhere only hides. */
function isJoiner(text, found, index) {
  if (found !== "\u200d" && found !== "\u200c") return false;
  const before = text.slice(Math.max(0, index - 2), index);
  const after = text.slice(index + 1, index + 3);
  if (found === "\u200d" && EMOJI_BEFORE.test(before) && EMOJI_AFTER.test(after)) return true;
  return JOINED_BEFORE.test(before) && JOINED_AFTER.test(after);
}

const number = (code) => `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;

/** One line of plain text, for titles and SVG. */
export function plain(text) {
  return pieces(text ?? "").map((piece) => piece.text ?? `[${number(piece.code)}]`).join("").replaceAll(/\s+/g, " ");
}

/** The same, cut to a length. */
export function short(text, length) {
  const letters = [...plain(text)];
  return letters.length > length ? `${letters.slice(0, length - 1).join("")}…` : letters.join("");
}

/** A name, isolated from the text around it. */
export function nameOf(name, className = "name") {
  const shown = pieces(name ?? "").map((piece) => (piece.text ?? marker(piece)));
  return el("bdi", { class: className, title: plain(name) }, ...shown);
}

/** The nodes of a message: text, links, markers, and what a search found. */
export function textNodes(text, query = "") {
  const parts = pieces(text);
  const isPlain = parts.every((piece) => piece.text !== undefined);
  return parts.flatMap((piece) => {
    if (piece.text === undefined) return [marker(piece)];
    return isPlain ? linked(piece.text, query) : marked(piece.text, query);
  });
}

function marker({ code, count }) {
  const label = count > 1 ? `${number(code)} +${count - 1}` : number(code);
  return el("span", { class: "control", title: "a character without a shape, shown by its number" }, label);
}

function linked(text, query) {
  const nodes = [];
  let from = 0;
  let links = 0;
  for (const match of text.matchAll(/https?:\/\/[^\s<>"'`]+/gu)) {
    const written = match[0].replace(/[.,;:!?)\]}]+$/u, "");
    const address = safeAddress(written);
    if (!address || links === MAX_LINKS) continue;
    links += 1;
    nodes.push(...marked(text.slice(from, match.index), query));
    const props = { href: address, title: address, target: "_blank", rel: "noopener noreferrer" };
    nodes.push(el("a", props, ...marked(written, query)));
    from = match.index + written.length;
  }
  return [...nodes, ...marked(text.slice(from), query)];
}

/** The address if it leads where it reads: plain letters in the host, and nothing before an @ that passes for one. */
function safeAddress(written) {
  const authority = written.replace(/^https?:\/\//u, "").split(/[/?#]/u, 1)[0];
  if (!/^[A-Za-z0-9.:[\]-]+$/u.test(authority)) return null;
  const address = URL.parse ? URL.parse(written) : tryParse(written);
  const isWeb = address?.protocol === "http:" || address?.protocol === "https:";
  return isWeb && !address.username && !address.password ? address.href : null;
}

function tryParse(written) {
  try {
    return new URL(written);
  } catch {
    return null;
  }
}

/** Lower case that does not change the length, so that places found in it hold in the text. */
const folded = (text) => [...text].map((letter) => {
  const lower = letter.toLowerCase();
  return lower.length === letter.length ? lower : letter;
}).join("");

/** Whether a text holds what is searched for. */
export const holds = (text, query) => folded(text).includes(folded(query));

function marked(text, query) {
  if (!query) return text ? [text] : [];
  const nodes = [];
  const needle = folded(query);
  const hay = folded(text);
  let from = 0;
  for (let at = hay.indexOf(needle); at >= 0; at = hay.indexOf(needle, from)) {
    if (at > from) nodes.push(text.slice(from, at));
    from = at + needle.length;
    nodes.push(el("mark", {}, text.slice(at, from)));
  }
  if (from < text.length) nodes.push(text.slice(from));
  return nodes;
}
