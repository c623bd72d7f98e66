// Milliseconds since the navigation began, and the files that came: what the API answers is no part of the page.
const paint = (name) => performance.getEntriesByName(name)[0]?.startTime ?? null;
const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
const files = entries.filter((entry) => !entry.name.includes("/api/"));
return {
  first: paint("first-contentful-paint"),
  painted: window.paintedAt ?? null,
  files: files.length,
  transferred: files.reduce((sum, file) => sum + file.transferSize, 0),
  packed: files.reduce((sum, file) => sum + file.encodedBodySize, 0),
};
