"use strict";
// Tables sort by the buttons of their headings. One field filters the rows of all tables and lists.

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

function hasAll(row, words) {
  const cells = row.cells ? [...row.cells] : [row];
  const shown = cells.filter((cell) => !cell.querySelector("svg"));
  const content = shown.map((cell) => cell.textContent).join(" ").toLowerCase();
  return words.every((word) => content.includes(word));
}

// A column without a value in any visible row is folded.
function fold(table) {
  const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
  for (const header of table.tHead.rows[0].cells) {
    const column = header.cellIndex;
    const empty = rows.every((row) => row.cells[column].textContent.trim() === "–");
    for (const row of table.rows) row.cells[column].hidden = empty && rows.length > 0;
  }
}

const tables = [...document.querySelectorAll("table.sortable")];
const lists = [...document.querySelectorAll("ol.ranking")];

function filter(text, output) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...tables.flatMap((x) => [...x.tBodies[0].rows]), ...lists.flatMap((x) => [...x.children])];
  for (const row of rows) row.hidden = !hasAll(row, words);
  tables.forEach(fold);
  const left = rows.filter((row) => !row.hidden).length;
  output.textContent = words.length ? ` ${left} of ${rows.length}` : "";
}

for (const table of tables) {
  // On a phone, rows are cards whose lines have the headings as labels.
  const labels = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  for (const row of table.tBodies[0].rows) {
    for (const cell of row.cells) cell.dataset.label = labels[cell.cellIndex];
  }
  fold(table);
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) sort(table, button.closest("th"));
  });
}

// On a phone, tables of all tasks are long.
if (matchMedia("(max-width: 40rem)").matches) {
  for (const part of document.querySelectorAll("details[open]")) part.open = false;
}

const toolbar = document.querySelector(".toolbar");
const field = toolbar && toolbar.querySelector(".search");
if (field && tables.length + lists.length) {
  field.closest("label").hidden = false;
  field.addEventListener("input", () => filter(field.value, toolbar.querySelector("output")));
  toolbar.addEventListener("submit", (event) => event.preventDefault());
}
