// Writes messages at the pace of a fast talk and answers when each was sent. Pauses differ, so that they do not fall
// into step with the frames of the other browser.
const [prefix, count, least, most, done] = arguments;
const draft = document.querySelector("#draft");
const button = document.querySelector("#send");
const sent = [];
const next = () => {
  if (sent.length === count) return done(sent);
  draft.value = `${prefix}${sent.length}`;
  draft.dispatchEvent(new InputEvent("input", { bubbles: true }));
  sent.push(performance.timeOrigin + performance.now());
  button.click();
  setTimeout(next, least + Math.random() * (most - least));
};
next();
