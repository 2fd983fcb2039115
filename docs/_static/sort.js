"use strict";
// Tables of the class "sortable" sort by the buttons of their headings.

// Numbers come first: "1,325.0", "(82.9) °", "−12.3", "3 of 5"; a dash comes last.
function valueOf(cell) {
  const text = cell.textContent.trim();
  const share = text.match(/^(\d+) of (\d+)/);
  if (share) return Number(share[1]) / Number(share[2]);
  const number = text.match(/^[(]?([-−]?[\d,]*\.?\d+)/);
  return number ? Number(number[1].replace("−", "-").replaceAll(",", "")) : text;
}

function compare(one, other, sign) {
  const ranks = [one, other].map((x) => (typeof x === "number" ? 0 : x === "–" ? 2 : 1));
  if (ranks[0] !== ranks[1]) return ranks[0] - ranks[1];
  return sign * (ranks[0] === 0 ? one - other : one.localeCompare(other, "en"));
}

function sort(table, heading) {
  const column = heading.cellIndex;
  const rows = [...table.tBodies[0].rows];
  const hasNumbers = rows.some((row) => typeof valueOf(row.cells[column]) === "number");
  const before = heading.getAttribute("aria-sort");
  const first = hasNumbers ? "descending" : "ascending";
  const direction = { ascending: "descending", descending: "ascending" }[before] || first;
  const sign = direction === "ascending" ? 1 : -1;
  rows.sort((a, b) => compare(valueOf(a.cells[column]), valueOf(b.cells[column]), sign));
  table.tBodies[0].append(...rows);
  for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
}

addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const heading of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.append(...heading.childNodes);
      button.addEventListener("click", () => sort(table, heading));
      heading.append(button);
    }
  }
});
