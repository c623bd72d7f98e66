// How far the clock of this page (timeOrigin and now) is behind that of the system, which says whole milliseconds only:
// one looks at the moment when it goes on.
const offsets = [];
for (let ticks = 0; ticks < 25; ticks += 1) {
  const was = Date.now();
  let now = was;
  while (now === was) now = Date.now();
  offsets.push(now - (performance.timeOrigin + performance.now()));
}
return offsets.sort((a, b) => a - b)[12];
