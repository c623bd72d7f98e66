// Notes when an element was painted: in the first task after the frame that it came with.
(() => {
  const look = () => {
    if (!document.querySelector(CSS)) return;
    observer.disconnect();
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => (window.paintedAt = performance.now());
      port2.postMessage(0);
    });
  };
  const observer = new MutationObserver(look);
  observer.observe(document, { childList: true, subtree: true });
})();
