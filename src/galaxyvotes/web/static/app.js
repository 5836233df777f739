// The page: its bar, its tabs, and what each shows.

import { get } from "./api.js";
import { $, debounce, h, say } from "./dom.js";
import { Filters } from "./filters.js";
import { GalaxyPage } from "./galaxy.js";
import { Gallery } from "./gallery.js";
import { JudgePage } from "./judge.js";
import { MapPage } from "./map.js";
import { Bulk, LabelPage } from "./label.js";
import { INTEREST, starredFilter } from "./stars.js";
import { TryPage } from "./try.js";
import { onChange, selection, show, view } from "./view.js";

const KEYS = [
  ["← → ↑ ↓", "move in the gallery"],
  ["Enter", "open a galaxy"],
  ["← →", "previous, next galaxy"],
  ["Esc", "close"],
  ["/", "search"],
  ["f", "filters"],
  ["+ −", "larger, smaller pictures"],
  ["x", "choose a galaxy, to vote for several"],
  ["s", "star a galaxy, or take the star back"],
  ["g, m, l, j, t", "gallery, map, label, judge, try"],
  ["1 – 9", "answer, when labelling"],
  ["s, u", "skip, undo, when labelling"],
  ["d", "dark or light"],
  ["?", "these keys"],
];

async function start() {
  theme(localStorage.getItem("galaxyvotes-theme"));
  $("#theme").addEventListener("click", () => theme(isDark() ? "light" : "dark"));
  $("#help").addEventListener("click", help);
  addEventListener("keydown", key);
  let about;
  try {
    about = await get("about");
  } catch (error) {
    $("#main").replaceChildren(h("p", { class: "empty" }, error.message));
    return;
  }
  const tabs = [];
  if (about.catalogue) tabs.push({ name: "gallery", title: "Gallery", element: browse(about.catalogue) });
  if (about.catalogue?.map) tabs.push({ name: "map", title: "Map", element: new MapPage(about.catalogue).element });
  if (about.catalogue?.votes) tabs.push({ name: "label", title: "Label", element: new LabelPage(about.catalogue).element });
  if (about.catalogue?.judge) tabs.push({ name: "judge", title: "Judge", element: new JudgePage(about.catalogue, gallery).element });
  tabs.push({ name: "try", title: "Try", element: new TryPage(about).element });
  if (!about.catalogue) view.tab = "try";
  $(".tabs").replaceChildren(
    ...tabs.map(({ name, title }) =>
      h("a", { href: `?tab=${name}`, "data-tab": name, onclick: (event) => (event.preventDefault(), show({ tab: name, galaxy: null })) }, title),
    ),
  );
  const turn = () => {
    const tab = tabs.find((one) => one.name === view.tab) ?? tabs[0];
    for (const link of document.querySelectorAll(".tabs a"))
      link.dataset.tab === tab.name ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
    document.body.dataset.tab = tab.name;
    if (!tab.element.isConnected) $("#main").replaceChildren(tab.element);
  };
  onChange((changes) => "tab" in changes && turn());
  turn();
}

// ---- the gallery with its filters

let gallery;

function browse(catalogue) {
  document.title = `${catalogue.name} · galaxyvotes`;
  gallery = new Gallery(catalogue);
  const filters = new Filters(catalogue);
  const panel = h("aside", { class: "panel", id: "panel", "aria-label": "Filters" }, filters.element);
  const page = h(
    "div",
    { class: "browse" },
    panel,
    h("section", { class: "stage" }, toolbar(catalogue), gallery.scroller, catalogue.votes ? new Bulk(catalogue, gallery).element : null),
  );
  search(catalogue);
  new GalaxyPage(catalogue, gallery);
  gallery.reload();
  return page;
}

function toolbar(catalogue) {
  const size = h("input", { type: "range", id: "size", min: "90", max: "320", value: String(gallery.size), "aria-label": "Size of the pictures", oninput: () => gallery.resize(Number(size.value)) });
  return h(
    "div",
    { class: "toolbar" },
    h("button", { type: "button", class: "button filters-button", "aria-controls": "panel", onclick: togglePanel }, "Filters"),
    gallery.counter,
    starredFilter(),
    ...sorting(catalogue),
    size,
    exporting(),
  );
}

function sorting(catalogue) {
  const option = (value, text) => h("option", { value }, text);
  const answers = catalogue.tree?.questions.flatMap((question) =>
    question.answers.filter((answer) => answer.column in catalogue.answers).map((answer) => [answer.column, answer.text, question.text]),
  ) ?? [];
  const groups = Map.groupBy ? Map.groupBy(answers, (one) => one[2]) : new Map([["Answers", answers]]);
  const taken = new Set(Object.entries(catalogue.answers ?? {}).flat().flatMap((name) => [name, `${name}_low`, `${name}_high`]));
  const others = catalogue.numbers.filter((name) => !taken.has(name) && name !== "familiarity");
  const select = h(
    "select",
    { id: "sort", "aria-label": "Sort by" },
    option("", "As in the catalogue"),
    catalogue.sorts.map((name) => option(name, name === "uncertainty" ? "Uncertainty" : name)),
    catalogue.familiarity ? option("familiarity", "Familiarity") : null,
    catalogue.interest ? option(INTEREST, "Interesting to you") : null,
    [...groups].map(([title, list]) => h("optgroup", { label: title }, list.map(([column, text]) => option(column, text)))),
    others.length ? h("optgroup", { label: "Columns" }, others.map((name) => option(name, name))) : null,
  );
  const way = h("button", { type: "button", class: "icon", id: "way" });
  const follow = () => {
    select.value = view.sort.replace(/^-/, "");
    const down = view.sort.startsWith("-");
    way.textContent = down ? "↓" : "↑";
    way.setAttribute("aria-label", down ? "Largest first" : "Smallest first");
    way.title = way.getAttribute("aria-label");
    way.disabled = !view.sort;
  };
  select.addEventListener("change", () => {
    const smallestFirst = select.value === "familiarity";
    show({ sort: select.value && (smallestFirst ? "" : "-") + select.value });
  });
  way.addEventListener("click", () => show({ sort: view.sort.startsWith("-") ? view.sort.slice(1) : `-${view.sort}` }));
  onChange((changes) => "sort" in changes && follow());
  follow();
  return [select, way];
}

function exporting() {
  const to = (format) => () => {
    const query = selection();
    query.set("format", format);
    location.assign(`export?${query}`);
    menu.removeAttribute("open");
  };
  const item = (format, text) => h("button", { type: "button", onclick: to(format) }, text);
  const menu = h(
    "details",
    { class: "menu" },
    h("summary", { class: "button" }, "Export"),
    h("div", {}, item("csv", "Table (CSV)"), item("parquet", "Table (Parquet)"), item("ids", "List of ids"), h("button", { type: "button", onclick: () => location.assign("stars/export") }, "Stars (CSV)"), h("button", { type: "button", onclick: share }, "Copy the address")),
  );
  addEventListener("click", (event) => menu.contains(event.target) || menu.removeAttribute("open"));
  return menu;
}

async function share() {
  try {
    await navigator.clipboard.writeText(location.href);
    say("The address of this view is copied");
  } catch {
    say(location.href);
  }
}

function search(catalogue) {
  const input = $("#search");
  if (catalogue.sky) input.placeholder = "Search an id, or RA, Dec, radius″";
  const follow = () => (input.value = view.cone || view.q);
  const ask = () => {
    const text = input.value.trim();
    const numbers = text.split(/[\s,]+/);
    const isCone = catalogue.sky && numbers.length >= 2 && numbers.length <= 3 && numbers.every((one) => one !== "" && !Number.isNaN(Number(one)));
    if (isCone) show({ q: "", cone: [...numbers, "60"].slice(0, 3).join(",") });
    else show({ q: text, cone: "" });
  };
  input.addEventListener("input", debounce(ask, 250));
  $(".search").addEventListener("submit", (event) => (event.preventDefault(), ask()));
  onChange((changes) => ("q" in changes || "cone" in changes) && document.activeElement !== input && follow());
  follow();
}

function togglePanel() {
  document.body.classList.toggle("with-panel");
  if (document.body.classList.contains("with-panel")) $("#panel summary")?.focus();
}

// ---- keys, and dark or light

function key(event) {
  const typing = event.target.matches?.("input:not([type=range]), textarea, select");
  if (event.key === "Escape") document.body.classList.remove("with-panel");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const open = document.querySelector("dialog[open]");
  const work = {
    "/": () => $("#search").focus(),
    "?": help,
    d: () => theme(isDark() ? "light" : "dark"),
    f: togglePanel,
    g: () => show({ tab: "gallery", galaxy: null }),
    m: () => $("[data-tab=map]")?.click(),
    l: () => $('.tabs [data-tab="label"]') && show({ tab: "label", galaxy: null }),
    j: () => $("[data-tab=judge]")?.click(),
    t: () => show({ tab: "try", galaxy: null }),
    "+": () => gallery?.resize(gallery.size * 1.15),
    "-": () => gallery?.resize(gallery.size / 1.15),
  }[event.key];
  if (!work || (open && event.key !== "d")) return;
  event.preventDefault();
  work();
}

function help() {
  const dialog = $("#keys");
  dialog.replaceChildren(
    h("h2", { id: "keys-title" }, "Keys"),
    h("dl", {}, KEYS.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
    h("form", { method: "dialog" }, h("button", { class: "button" }, "Close")),
  );
  dialog.showModal();
}

const isDark = () =>
  (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function theme(name) {
  if (name) {
    document.documentElement.dataset.theme = name;
    localStorage.setItem("galaxyvotes-theme", name);
  }
  $("#theme").textContent = isDark() ? "☾" : "☀";
}

start();
