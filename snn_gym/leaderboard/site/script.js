"use strict";
// Tables sort by the buttons of their headings, and show the rows that have all words of a field.

function value(row, column) {
  const cell = row.cells[column];
  return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
}

// Numbers before texts before dashes: what is not known comes last whichever way it is sorted.
function compare(one, other, sign) {
  const ranks = [one, other].map((x) => (typeof x === "number" ? 0 : x === "–" ? 2 : 1));
  if (ranks[0] !== ranks[1]) return ranks[0] - ranks[1];
  const numbers = [one, other].map((x) => typeof x === "number");
  return sign * (numbers[0] ? one - other : one.localeCompare(other, "en"));
}

function sort(table, header) {
  const column = header.cellIndex;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const hasNumbers = rows.some((row) => typeof value(row, column) === "number");
  const before = header.getAttribute("aria-sort");
  const first = hasNumbers ? "descending" : "ascending";
  const turned = { ascending: "descending", descending: "ascending" };
  const direction = before ? turned[before] : first;
  const sign = direction === "ascending" ? 1 : -1;
  rows.sort((a, b) => compare(value(a, column), value(b, column), sign));
  body.append(...rows);
  for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", direction);
}

function filter(table, text, output) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...table.tBodies[0].rows];
  for (const row of rows) {
    const shown = [...row.cells].filter((cell) => !cell.querySelector("svg"));
    const content = shown.map((cell) => cell.textContent).join(" ").toLowerCase();
    row.hidden = !words.every((word) => content.includes(word));
  }
  const left = rows.filter((row) => !row.hidden).length;
  output.textContent = words.length ? ` ${left} of ${rows.length}` : "";
}

for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) sort(table, button.closest("th"));
  });
  const field = table.parentNode.previousElementSibling;
  field.hidden = false;
  field.addEventListener("input", (event) => {
    filter(table, event.target.value, field.querySelector("output"));
  });
}
