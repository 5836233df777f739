// Links to the galaxies that a number counts, in the gallery.

import { h, svg } from "./dom.js";
import { ALL, address, parsed, show } from "./view.js";

export const WORST_FIRST = "-prediction_error";

const changes = (filter, sort) => ({ ...ALL(), ...parsed(filter), sort, tab: "gallery", galaxy: null });

function follow(filter, sort) {
  return (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(changes(filter, sort));
  };
}

const attributes = (filter, sort, name) => ({
  href: address(changes(filter, sort)),
  onclick: follow(filter, sort),
  "aria-label": name,
  title: name,
});

// Those of a selection, which words of the address name, the largest errors first.
export function galaxiesLink(filter, text, { sort = WORST_FIRST, name = null } = {}) {
  return h("a", attributes(filter, sort, name), text);
}

// The same around shapes of a figure.
export function galaxiesShape(filter, name, ...shapes) {
  return svg("a", attributes(filter, WORST_FIRST, name), svg("title", {}, name), ...shapes);
}
