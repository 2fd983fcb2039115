"use strict";

/* Shows below each result the sentence with the query, else with its longest word. */
addEventListener("DOMContentLoaded", () => {
  const LENGTH = 180;
  const query = new URLSearchParams(location.search).get("q") || "";
  const words = query.toLowerCase().match(/[\p{L}\p{N}_]+/gu) || [];
  const wanted = [query.toLowerCase(), ...words.sort((a, b) => b.length - a.length)];

  const excerpt = (text) => {
    const lower = text.toLowerCase();
    const place = wanted.map((part) => lower.indexOf(part)).find((at) => at >= 0) || 0;
    const start = place < LENGTH / 2 ? 0 : text.lastIndexOf(". ", place) + 1;
    const end = Math.max(start + LENGTH, place + LENGTH / 2);
    return (start ? "… " : "") + text.slice(start, end).trim() + (end < text.length ? " …" : "");
  };

  const addTo = (item) => {
    const [address] = item.querySelector("a").getAttribute("href").split("#");
    const text = PAGE_TEXTS[address];
    if (!text || item.querySelector(".context")) return;
    const paragraph = document.createElement("p");
    paragraph.className = "context";
    paragraph.textContent = excerpt(text);
    item.append(paragraph);
  };

  const results = document.getElementById("search-results");
  const add = () => results.querySelectorAll("ul.search > li").forEach(addTo);
  new MutationObserver(add).observe(results, { childList: true, subtree: true });
  add();
});
