// Builds elements. Strings become text nodes and nothing else: markup from a peer has no way in.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id, which the static page holds. */
export const byId = (id) => document.getElementById(id);

/** An HTML element; `props` are attributes, `on…` are listeners, `data` is the dataset. */
export function el(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** Likewise for SVG. */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (name === "data") Object.assign(element.dataset, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else setAttribute(element, name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets, or removes at null and false. Writes only what differs, so that nothing is laid out anew for nothing. */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? "" : value);
}

/** Sets the text if it differs: a screen reader speaks a live region again at every write. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));

/** A page that nobody sees has no frames, but goes on. */
const HIDDEN_MS = 250;

/** Does something once, before the next frame is painted. */
export function soon(act) {
  const frame = requestAnimationFrame(() => {
    clearTimeout(timer);
    act();
  });
  const timer = setTimeout(() => {
    cancelAnimationFrame(frame);
    act();
  }, HIDDEN_MS);
}
