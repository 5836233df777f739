// Stars: what is interesting, with a click or the key s.

import { get, send } from "./api.js";
import { count, h, say } from "./dom.js";
import { onChange, setFilter, view } from "./view.js";

export const STARS = "given_stars";
export const INTEREST = "learned_interest";
const MOST = 5;

const listeners = new Set();
export const onStars = (listener) => listeners.add(listener);

export async function give(id, stars) {
  try {
    const { starred } = await send("stars", { galaxies: [id], stars });
    for (const listener of listeners) listener(id, stars, starred);
  } catch (error) {
    say(`Not saved: ${error.message}`);
  }
}

export const turn = (id, stars) => give(id, stars ? 0 : MOST);

export function starButton(id, stars, attributes = {}) {
  const button = h("button", { type: "button", class: "star", "aria-label": `Star ${id}`, title: "Star (s)", ...attributes }, "★");
  const follow = (number) => {
    stars = number;
    button.setAttribute("aria-pressed", String(number > 0));
  };
  follow(stars);
  button.addEventListener("click", () => turn(id, stars));
  button.follow = follow;
  return button;
}

// How many are starred; pressed, only those are shown.
export function starredFilter() {
  const text = h("span", {});
  const button = h("button", { type: "button", class: "button", onclick: () => setFilter(STARS, view.filters.has(STARS) ? "" : "1", "") }, "★ ", text);
  const show = (starred) => {
    text.textContent = count(starred);
    button.setAttribute("aria-label", `${count(starred)} starred, show only these`);
  };
  const follow = () => button.setAttribute("aria-pressed", String(view.filters.has(STARS)));
  onStars((_, __, starred) => show(starred));
  onChange((changes) => "filters" in changes && follow());
  show(0);
  follow();
  get("stars").then(({ starred }) => show(starred), () => {});
  return button;
}

export const learn = () => send("stars/learn");
