"use strict";
// Text of models and data only ever becomes the text of a node, never markup.

const PAGE = 20;
const LONGEST_WORD = 40;

function element(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function pressed(buttons, chosen) {
  for (const button of buttons) button.setAttribute("aria-pressed", String(button === chosen));
}

function later(work) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, 120);
  };
}

// Verdicts: filter by outcome and text, sort by column.

function startVerdicts() {
  const table = document.getElementById("verdict-table");
  if (!table) return;
  const rows = [...table.tBodies];
  const chips = [...document.querySelectorAll("[data-outcome].chip")];
  const search = document.getElementById("verdict-search");
  const words = new Map(rows.map((row) => [row, row.rows[0].textContent.toLowerCase()]));
  let outcome = "";

  function show() {
    const text = search.value.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      const isShown = (!outcome || row.dataset.outcome === outcome) && words.get(row).includes(text);
      row.hidden = !isShown;
      count += isShown;
    }
    document.getElementById("no-verdicts").hidden = count > 0;
  }

  for (const chip of chips) {
    chip.addEventListener("click", () => {
      outcome = chip.dataset.outcome;
      pressed(chips, chip);
      show();
    });
  }
  search.addEventListener("input", show);
  for (const header of table.querySelectorAll("th[data-sort]")) startSorting(table, rows, header);
}

function startSorting(table, rows, header) {
  const key = header.dataset.sort;
  const isNumber = ["rank", "used", "count"].includes(key);
  const button = element("button", "sort");
  const label = header.firstChild;
  button.type = "button";
  header.insertBefore(button, label);
  button.append(label);
  button.addEventListener("click", () => {
    const isUp = header.getAttribute("aria-sort") !== "ascending";
    for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", isUp ? "ascending" : "descending");
    const side = isUp ? 1 : -1;
    const ordered = [...rows].sort((one, other) => {
      const [a, b] = [one.dataset[key], other.dataset[key]];
      return side * (isNumber ? Number(a) - Number(b) : a.localeCompare(b));
    });
    table.append(...ordered);
  });
}

// Examples that changed: cards are made as they are asked for.

function startCards() {
  const box = document.getElementById("cards");
  if (!box) return;
  const cards = JSON.parse(document.getElementById("cards-data").textContent);
  const chips = [...document.querySelectorAll("[data-kind].chip")];
  const search = document.getElementById("card-search");
  const selects = { w: "card-workload", v: "card-variant", s: "card-slice" };
  const more = document.getElementById("more-cards");
  let kind = "";
  let found = [];
  let count = 0;

  for (const [field, id] of Object.entries(selects)) {
    const select = (selects[field] = document.getElementById(id));
    const values = [...new Set(cards.map((card) => card[field]).filter(Boolean))].sort();
    for (const value of values) select.append(new Option(value, value));
    select.hidden = values.length < 2;
    select.addEventListener("change", show);
  }

  function matches(card, text) {
    const isChosen = Object.entries(selects).every(
      ([field, select]) => !select.value || card[field] === select.value
    );
    if (!isChosen || (kind && card.k !== kind)) return false;
    if (!text) return true;
    return [card.i, card.p, card.e, card.a, card.b].some(
      (part) => part && part.toLowerCase().includes(text)
    );
  }

  function show() {
    const text = search.value.trim().toLowerCase();
    found = cards.filter((card) => matches(card, text));
    count = 0;
    box.replaceChildren();
    showMore();
  }

  function showMore() {
    const next = found.slice(count, count + PAGE);
    count += next.length;
    box.append(...next.map(cardOf));
    more.hidden = count >= found.length;
    const shown = `${count.toLocaleString("en")} of ${found.length.toLocaleString("en")} shown`;
    document.getElementById("card-count").textContent = found.length ? shown : "No example matches.";
  }

  for (const chip of chips) {
    chip.addEventListener("click", () => {
      kind = chip.dataset.kind;
      pressed(chips, chip);
      show();
    });
  }
  search.addEventListener("input", later(show));
  more.addEventListener("click", showMore);
  show();
}

function cardOf(card) {
  const article = element("article", "card");
  const head = element("header");
  const isWorse = card.k === "worse";
  const [harm, luck] = card.f ? ["HARMFUL", "LUCKY"] : ["WORSE", "BETTER"];
  head.append(element("span", `badge ${isWorse ? "fail" : "pass"}`, isWorse ? harm : luck));
  head.append(element("b", "id", card.i));
  const from = element("span", "from");
  for (const part of [card.w, card.s, card.m, card.v]) {
    if (part) from.append(from.firstChild ? " · " : "", element("bdi", "", part));
  }
  head.append(from);
  if (card.c) head.append(element("span", "change", card.c));
  article.append(head);
  if (card.p) article.append(named(card.a || card.b ? "Prompt" : "Text", text(card.p)));
  if (card.d) article.append(named("Data", text(card.d)));
  if (card.e) article.append(named("Expected", text(card.e)));
  if (card.a || card.b) {
    const [before, after] = marked(card.a, card.b);
    const sides = element("div", "sides");
    sides.append(named("Reference", before), named(card.v, after));
    article.append(sides);
  }
  return article;
}

function named(label, content) {
  const box = element("div", "part");
  box.append(element("h4", "", label), content);
  return box;
}

function text(content) {
  const box = element("pre", "", content);
  box.dir = "auto";
  if (!content) box.append(element("i", "muted", "empty"));
  if (content.length > 600) box.tabIndex = 0;
  return box;
}

// Both texts, their first difference marked where the rest says something.

function marked(one, other) {
  const shortest = Math.min(one.length, other.length);
  let start = 0;
  while (start < shortest && one[start] === other[start]) start += 1;
  start = wordStart(one, start);
  let end = 0;
  const rest = shortest - start;
  while (end < rest && one[one.length - 1 - end] === other[other.length - 1 - end]) end += 1;
  while (end > 0 && isInWord(one, one.length - end)) end -= 1;
  const common = one.slice(0, start) + one.slice(one.length - end);
  return [one, other].map((whole) => {
    const box = text(whole);
    const middle = whole.slice(start, whole.length - end);
    if (!middle || !/[\p{L}\p{N}]/u.test(common)) return box;
    box.replaceChildren(whole.slice(0, start), element("mark", "", middle), whole.slice(whole.length - end));
    return box;
  });
}

function isInWord(whole, place) {
  const isLetter = /[\p{L}\p{N}\p{M}\uD800-\uDFFF]/u;
  return place > 0 && isLetter.test(whole[place - 1] || "") && isLetter.test(whole[place] || "");
}

function wordStart(whole, place) {
  let start = place;
  while (place - start < LONGEST_WORD && isInWord(whole, start)) start -= 1;
  return place - start < LONGEST_WORD ? start : place;
}

document.documentElement.classList.add("has-script");
startVerdicts();
startCards();
