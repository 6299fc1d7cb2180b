// Sorts a table by the pressed heading: highest number first, words from A; a second press reverses the order.
"use strict";
(() => {
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.textContent.trim();
    return cell.dataset.value !== undefined ? Number(cell.dataset.value) : text === "-" || text === "" ? null : text;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });

  const sort = (table, column) => {
    const headings = table.tHead.rows[0].cells;
    const heading = headings[column];
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row, place) => ({ row, place, value: valueOf(row, column) }));
    const figures = rows.some(({ value }) => typeof value === "number");
    const before = heading.getAttribute("aria-sort");
    const order = before ? (before === "descending" ? "ascending" : "descending") : figures ? "descending" : "ascending";
    const sign = order === "ascending" ? 1 : -1;
    rows.sort((a, b) => {
      if (a.value === null || b.value === null) return (a.value === null) - (b.value === null) || a.place - b.place;
      return sign * compare(a.value, b.value) || a.place - b.place;
    });
    for (const other of headings) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    body.append(...rows.map(({ row }) => row));
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      heading.querySelector("button").addEventListener("click", () => sort(table, column));
    });
  }
})();
