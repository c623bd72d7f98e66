// Notes when each message came into the document, and when it was painted: in the first task after the next frame.
const prefix = arguments[0];
const clock = () => performance.timeOrigin + performance.now();
window.seen = {};
const note = (article) => {
  const text = article.querySelector(".text")?.textContent ?? "";
  if (!text.startsWith(prefix) || window.seen[text]) return;
  const times = (window.seen[text] = { dom: clock(), painted: null });
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => (times.painted = clock());
    port2.postMessage(0);
  });
};
const look = (node) => {
  if (node.nodeType !== Node.ELEMENT_NODE) return;
  if (node.matches("article")) note(node);
  else node.querySelectorAll("article").forEach(note);
};
window.watching?.disconnect();
window.watching = new MutationObserver((changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach(look)));
window.watching.observe(document.querySelector("#messages"), { childList: true, subtree: true });
