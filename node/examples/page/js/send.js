// Writes messages at the pace of a talk and notes when each was sent. Pauses differ, so that they do not fall into step
// with the frames of the other browser.
const [prefix, count, least, most] = arguments;
const draft = document.querySelector("#draft");
const button = document.querySelector("#send");
const sent = [];
window.sent = sent;
const next = () => {
  draft.value = `${prefix}${sent.length}`;
  draft.dispatchEvent(new InputEvent("input", { bubbles: true }));
  sent.push(performance.timeOrigin + performance.now());
  button.click();
  if (sent.length < count) setTimeout(next, least + Math.random() * (most - least));
};
next();
