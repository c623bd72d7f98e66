// The token of the node. It comes behind the # of the address, which browsers never send, and lives in this tab only:
// sessionStorage belongs to one origin, so the page of another port neither sees it nor leaves one here.

import { readText, writeText } from "./storage.js";

const KEY = "meshline.token";

/** Takes the token out of the address, so that neither history nor a shared screen shows it. */
export function takeFromAddress() {
  const token = tokenIn(location.hash);
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  if (token) writeText(KEY, token);
  return token !== null;
}

export const currentToken = () => readText(KEY);

/** Keeps what was pasted: the token alone, or the whole address that `node page` prints. */
export function keepPasted(text) {
  const token = tokenIn(text.trim());
  if (token) writeText(KEY, token);
  return token !== null;
}

/** What stands behind the last #; a header takes only such characters as tokens are made of. */
function tokenIn(text) {
  let token = text.slice(text.lastIndexOf("#") + 1);
  try {
    token = decodeURIComponent(token);
  } catch {
    return null;
  }
  return /^[\w.~+/=-]{1,512}$/u.test(token) ? token : null;
}
