// What a page can do without a server: theme, code, sorting, filtering, search, sounds.
"use strict";

const root = document.body.dataset.root || "";

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Theme: the system's until a reader chooses another; remembered if the browser allows it.
const THEMES = { "": "Theme: system", light: "Theme: light", dark: "Theme: dark" };

function remember(theme) {
  try {
    if (theme === undefined) return localStorage.getItem("theme") || "";
    localStorage.setItem("theme", theme);
  } catch { /* no storage */ }
  return theme || "";
}

function showTheme(button, theme) {
  document.documentElement.style.colorScheme = theme;
  button.textContent = THEMES[theme];
  button.dataset.theme = theme;
}

function addSwitches() {
  const place = document.querySelector(".switches");
  const theme = make("button", { type: "button" });
  showTheme(theme, remember() in THEMES ? remember() : "");
  theme.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    showTheme(theme, names[(names.indexOf(theme.dataset.theme) + 1) % names.length]);
    remember(theme.dataset.theme);
  });
  place.append(theme);
  if (!document.querySelector("details.code")) return;
  const code = make("button", { type: "button", id: "code", textContent: "Show code" });
  code.setAttribute("aria-pressed", "false");
  code.addEventListener("click", () => {
    const open = code.getAttribute("aria-pressed") === "false";
    code.setAttribute("aria-pressed", open);
    code.textContent = open ? "Hide code" : "Show code";
    document.body.classList.toggle("with-code", open);
    document.querySelectorAll("details.code").forEach((each) => { each.open = open; });
  });
  place.append(" ", code);
}

// Tables: a button in each header sorts, an input above a long table filters.
function sortKey(text) {
  const number = text.replace("−", "-").match(/^\s*[+-]?\d*\.?\d+/);
  return number ? Number(number[0]) : NaN;
}

function compareRows(a, b, index, sign) {
  const [first, second] = [a, b].map((row) => row.cells[index].textContent);
  const [x, y] = [first, second].map(sortKey);
  if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1; // numbers come first
  return sign * (Number.isNaN(x) ? first.localeCompare(second) : x - y);
}

function sortBy(table, header) {
  const up = header.getAttribute("aria-sort") !== "ascending";
  table.querySelectorAll("thead th").forEach((each) => each.removeAttribute("aria-sort"));
  header.setAttribute("aria-sort", up ? "ascending" : "descending");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  rows.sort((a, b) => compareRows(a, b, header.cellIndex, up ? 1 : -1));
  body.append(...rows);
}

function addSorting(table) {
  if (!table.tBodies[0] || table.tBodies[0].rows.length < 3 || table.matches(".dataframe")) return;
  table.querySelectorAll("thead th").forEach((header) => {
    const label = `Sort by ${header.textContent.trim() || "the first column"}`;
    const button = make("button", { type: "button", className: "sort", textContent: "↕", title: label });
    button.setAttribute("aria-label", label);
    button.addEventListener("click", () => sortBy(table, header));
    header.append(" ", button);
  });
}

function addFilter(section) {
  const rows = [...section.querySelectorAll("tbody tr")];
  if (rows.length < 8) return;
  const choices = [...section.querySelectorAll("select")];
  const input = make("input", { type: "search", placeholder: "Filter rows", className: "filter" });
  input.setAttribute("aria-label", "Filter the rows of this table");
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/);
    rows.forEach((row) => {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word)) || !choices.every(
        (each) => !each.value || row.cells[each.dataset.column].textContent.trim() === each.value);
    });
    section.querySelectorAll("details.not-run").forEach((each) => {
      if (input.value && each.querySelector("tbody tr:not([hidden])")) each.open = true;
    });
  };
  [input, ...choices].forEach((each) => each.addEventListener("input", filter));
  if (choices.some((each) => each.value)) filter();
  section.querySelector(".scroll, details").before(input);
}

// Search: the index of all pages is loaded at the first letter.
function loadIndex() {
  if (!loadIndex.promise) {
    loadIndex.promise = new Promise((resolve) => {
      const script = make("script", { src: `${root}assets/search.js` });
      script.addEventListener("load", () => resolve(window.searchIndex));
      script.addEventListener("error", () => resolve([]));
      document.head.append(script);
    });
  }
  return loadIndex.promise;
}

function rank(entry, words) {
  let points = 0;
  for (const word of words) {
    const places = [entry.title, entry.heading, entry.text].map((text) => text.toLowerCase().includes(word));
    if (!places.includes(true)) return 0;
    points += 4 * places[0] + 3 * places[1] + places[2];
  }
  return points;
}

function excerpt(text, word) {
  const start = Math.max(0, text.toLowerCase().indexOf(word) - 40);
  return (start ? "…" : "") + text.slice(start, start + 120) + "…";
}

async function search(form) {
  const found = form.querySelector(".found");
  const words = form.querySelector("input").value.toLowerCase().split(/\s+/).filter(Boolean);
  found.hidden = !words.length;
  if (!words.length) return;
  const ranked = (await loadIndex()).map((entry) => [rank(entry, words), entry]).filter(([points]) => points);
  ranked.sort((a, b) => b[0] - a[0]);
  const items = ranked.slice(0, 12).map(([, entry]) => make("li", {},
    make("a", { href: root + entry.address, textContent: entry.heading || entry.title }),
    make("small", { textContent: `${entry.title}: ${excerpt(entry.text, words[0])}` })));
  found.replaceChildren(items.length ? make("ol", {}, ...items) : "Nothing found.");
}

function addSearch(form) {
  form.addEventListener("input", () => search(form));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const first = form.querySelector(".found a");
    if (first) first.click();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") form.querySelector(".found").hidden = true;
  });
}

// Sounds: a line moves over the spectrogram; a click there plays from that moment.
function addCursor(figure) {
  const sound = figure.querySelector("audio");
  const [picture, cursor] = [figure.querySelector(".picture"), figure.querySelector(".cursor")];
  const move = () => {
    cursor.style.left = `${(100 * sound.currentTime) / (sound.duration || 1)}%`;
    if (!sound.paused) requestAnimationFrame(move);
  };
  sound.addEventListener("play", move);
  sound.addEventListener("timeupdate", move);
  picture.addEventListener("click", (event) => {
    sound.currentTime = (sound.duration || 0) * (event.offsetX / picture.clientWidth);
    sound.play();
  });
}

addSwitches();
document.querySelectorAll("main table").forEach(addSorting);
document.querySelectorAll("section.data").forEach(addFilter);
document.querySelectorAll("form.search").forEach(addSearch);
document.querySelectorAll("figure.sound").forEach(addCursor);
