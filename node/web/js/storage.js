// What outlives a reload of this tab. A browser that forbids storage costs only that.

export function readText(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

export function writeText(key, text) {
  try {
    if (text) sessionStorage.setItem(key, text);
    else sessionStorage.removeItem(key);
  } catch {
    // Full or forbidden: the page goes on with what it holds in memory.
  }
}

export function readJson(key) {
  try {
    return JSON.parse(readText(key) ?? "null");
  } catch {
    return null;
  }
}

export const writeJson = (key, value) => writeText(key, JSON.stringify(value));
