// What is shown, as the address says it: it can be shared, and the browser's Back goes back.

const listeners = new Set();

export const view = read();

export function onChange(listener) {
  listeners.add(listener);
}

function read() {
  const query = new URLSearchParams(location.search);
  return {
    tab: query.get("tab") || "gallery",
    answer: query.get("answer") || "",
    galaxy: query.get("galaxy"),
    q: query.get("q") || "",
    cone: query.get("cone") || "",
    lasso: query.get("lasso") || "",
    sort: query.get("sort") || "",
    ...parsed(query.getAll("filter")),
  };
}

// Nothing selected, in no order.
export const ALL = () => ({ filters: new Map(), words: new Map(), q: "", cone: "", lasso: "", sort: "" });

// Ranges of numbers, [low, high], and words, "=WORD" or "!=WORD", by column.
export function parsed(texts) {
  const [filters, words] = [new Map(), new Map()];
  for (const text of texts) {
    const [, named, word] = text.match(/^(.+?):(!?=.*)$/s) ?? [];
    const at = text.lastIndexOf(":");
    const [low, high] = text.slice(at + 1).split("..");
    if (named) words.set(named, word);
    else if (at > 0 && high !== undefined) filters.set(text.slice(0, at), [low, high]);
  }
  return { filters, words };
}

// The words of the selection alone, as /galaxies, /histograms and /export take them.
export function selection({ sort = true, of = view } = {}) {
  const query = new URLSearchParams();
  for (const [column, word] of of.words) query.append("filter", `${column}:${word}`);
  for (const [column, [low, high]] of of.filters) query.append("filter", `${column}:${low}..${high}`);
  if (of.q) query.set("q", of.q);
  if (of.cone) query.set("cone", of.cone);
  if (of.lasso) query.set("lasso", of.lasso);
  if (sort && of.sort) query.set("sort", of.sort);
  return query;
}

export function address(changes = {}) {
  const shown = { ...view, ...changes };
  const query = selection({ of: shown });
  if (shown.tab === "judge" && shown.answer) query.set("answer", shown.answer);
  if (shown.tab !== "gallery") query.set("tab", shown.tab);
  if (shown.galaxy) query.set("galaxy", shown.galaxy);
  const text = query.toString().replaceAll("%3A", ":");
  return text ? `?${text}` : location.pathname;
}

// `quietly` replaces the address, as while a slider moves.
export function show(changes, quietly = false) {
  Object.assign(view, changes);
  const to = address();
  if (to !== location.search) history[quietly ? "replaceState" : "pushState"](null, "", to);
  for (const listener of listeners) listener(changes);
}

export function setFilter(column, low, high, quietly = false) {
  if (low === "" && high === "") view.filters.delete(column);
  else view.filters.set(column, [low, high]);
  show({ filters: view.filters }, quietly);
}

addEventListener("popstate", () => {
  const before = selection().toString();
  Object.assign(view, read());
  const same = selection().toString() === before;
  for (const listener of listeners) listener(same ? { tab: view.tab, galaxy: view.galaxy, answer: view.answer } : view);
});
