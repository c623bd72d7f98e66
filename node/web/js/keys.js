// The keys that work everywhere: `/` searches, Esc goes back to the draft, arrows walk through the messages.

import { byId } from "./dom.js";

const isWriting = (target) => target.closest?.("input, textarea, select") !== null;

export function keys({ views, search, composer }) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "/" && !isWriting(event.target)) {
      event.preventDefault();
      const find = views.current === "ledger" && byId("find-text");
      if (find) return find.focus();
      views.show("chat");
      search.focus();
    } else if (event.key === "Escape" && views.current === "chat") {
      if (search.isActive) search.end();
      else composer.focus();
    }
  });
  byId("messages").addEventListener("keydown", walk);
}

/** Moves the focus from message to message; the list itself is one stop for the tab key. */
function walk(event) {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("a, button")) return;
  const list = event.currentTarget;
  const all = [...list.querySelectorAll("article.message")];
  const place = all.indexOf(event.target.closest("article.message"));
  // From the list itself: the newest first, unless somebody scrolled away from it.
  if (place < 0 && step > 0) return;
  const next = place < 0 ? all.findLast((element) => isInSight(element, list)) : all[place + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

function isInSight(element, list) {
  const { top, bottom } = list.getBoundingClientRect();
  const place = element.getBoundingClientRect();
  return place.bottom > top && place.bottom <= bottom + 1;
}
