// What is shown, as the address says it: it can be shared, and the browser's Back goes back.

const listeners = new Set();

export const view = read();

export function onChange(listener) {
  listeners.add(listener);
}

function read() {
  const query = new URLSearchParams(location.search);
  const filters = new Map();
  for (const text of query.getAll("filter")) {
    const at = text.lastIndexOf(":");
    const [low, high] = text.slice(at + 1).split("..");
    if (at > 0 && high !== undefined) filters.set(text.slice(0, at), [low, high]);
  }
  return {
    tab: query.get("tab") || "gallery",
    galaxy: query.get("galaxy"),
    q: query.get("q") || "",
    cone: query.get("cone") || "",
    lasso: query.get("lasso") || "",
    sort: query.get("sort") || "",
    filters,
  };
}

// The words of the selection alone, as /galaxies, /histograms and /export take them.
export function selection({ sort = true } = {}) {
  const query = new URLSearchParams();
  for (const [column, [low, high]] of view.filters) query.append("filter", `${column}:${low}..${high}`);
  if (view.q) query.set("q", view.q);
  if (view.cone) query.set("cone", view.cone);
  if (view.lasso) query.set("lasso", view.lasso);
  if (sort && view.sort) query.set("sort", view.sort);
  return query;
}

export function address(changes = {}) {
  const shown = { ...view, ...changes };
  const query = selection();
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
  for (const listener of listeners) listener(same ? { tab: view.tab, galaxy: view.galaxy } : view);
});
