// Tables whose rows come, go and change.

import { el } from "./dom.js";

/** Rows of a table by key: they stay while their figures change, so that focus and selection do. */
export class Rows {
  #table;
  #columns;
  #rows = new Map();

  constructor(table, columns) {
    this.#table = table;
    this.#columns = columns;
  }

  show(items, fill) {
    const body = this.#table.tBodies[0];
    for (const [key, row] of this.#rows) {
      if (items.some(([known]) => known === key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    items.forEach(([key, item], place) => {
      const row = this.#rows.get(key) ?? this.#make(key);
      if (body.children[place] !== row) body.insertBefore(row, body.children[place] ?? null);
      fill([...row.children], item, key);
    });
  }

  #make(key) {
    const cells = Array.from({ length: this.#columns }, (_, place) => (place === 0 ? el("th", { scope: "row" }) : el("td")));
    const row = el("tr", {}, ...cells);
    this.#rows.set(key, row);
    return row;
  }
}
