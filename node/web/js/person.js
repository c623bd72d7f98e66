// How a member is told from others at a glance: the first letter of its name, and a tint from its id.

import { pieces } from "./text.js";

const HUES = 8;

/** A class for the tint. The id is a key: its characters are as good as random. */
export function hueOf(id) {
  let sum = 0;
  for (const letter of id) sum = (sum * 31 + letter.codePointAt(0)) % 65_521;
  return `hue-${sum % HUES}`;
}

export function initialOf(name) {
  const first = pieces(name ?? "").find((piece) => piece.text?.trim())?.text.trim() ?? "?";
  return [...first][0].toUpperCase();
}
