// The gallery: a grid of any number of galaxies, of which only those in sight are elements.

import { get, pictureOf } from "./api.js";
import { $, count, debounce, h, percent } from "./dom.js";
import { INTEREST, STARS, learn, onStars, starButton, turn } from "./stars.js";
import { address, onChange, selection, show, view } from "./view.js";

const CHUNK = 90;
const KEPT = 60; // chunks
const TALLEST = 12_000_000; // pixels; browsers draw nothing below some 17 million
const CAPTION = 46;

const said = (text, number) => [h("b", {}, text), h("span", {}, number)];

export class Gallery {
  constructor(about) {
    this.about = about;
    this.tree = about.tree;
    this.first = this.tree?.kind === "quantities" ? null : this.tree?.questions[0];
    this.chunks = new Map();
    this.cells = new Map();
    this.total = 0;
    this.at = 0;
    this.chosen = new Set(); // ids
    this.onChoice = () => {};
    this.size = Number(localStorage.getItem("galaxyvotes-size")) || 150;
    this.list = h("ul", { class: "grid", "aria-label": "Galaxies" });
    this.spacer = h("div", { class: "spacer" }, this.list);
    this.scroller = h("div", { class: "scroller", tabindex: "-1" }, this.spacer);
    this.counter = h("p", { class: "counter", "aria-live": "polite" });
    this.scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    this.scroller.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.list.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.layout()).observe(this.scroller);
    this.fetchSoon = debounce(() => this.fetchMissing(), 40);
    onStars((id, stars) => this.star(id, stars));
    onChange((changes) => {
      if ("filters" in changes || "q" in changes || "sort" in changes || "cone" in changes || "lasso" in changes) this.reload();
    });
  }

  async reload() {
    this.abort?.abort();
    this.abort = new AbortController();
    this.chunks.clear();
    this.scroller.classList.add("loading");
    try {
      if (view.sort.endsWith(INTEREST)) await learn();
      await this.chunk(0);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.total = 0;
      this.counter.textContent = error.message;
    }
    this.scroller.classList.remove("loading");
    for (const cell of this.cells.values()) cell.remove();
    this.cells.clear();
    this.at = Math.min(this.at, Math.max(this.total - 1, 0));
    this.scroller.scrollTop = 0;
    this.layout();
  }

  chunk(number) {
    let found = this.chunks.get(number);
    if (found) return found;
    const query = selection();
    query.set("offset", number * CHUNK);
    query.set("limit", CHUNK);
    for (const column of this.columns()) query.append("column", column);
    const signal = this.abort.signal;
    found = get(`galaxies?${query}`, signal).then((page) => {
      found.page = page;
      if (this.total !== page.matching || number === 0) {
        this.total = page.matching;
        const all = count(page.total);
        this.counter.textContent =
          page.matching === page.total ? `${all} galaxies` : `${count(page.matching)} of ${all} galaxies`;
      }
      return page;
    });
    found.catch(() => this.chunks.delete(number));
    this.chunks.set(number, found);
    if (this.chunks.size > KEPT) this.chunks.delete(this.chunks.keys().next().value);
    return found;
  }

  columns() {
    const sort = view.sort.replace(/^-/, "");
    const columns = this.first ? this.first.answers.map((answer) => answer.column) : [];
    columns.push(STARS);
    const known = sort && (this.about.sorts.includes(sort) || sort in (this.about.answers || {}) || this.about.numbers.includes(sort));
    return known ? [...new Set([...columns, sort])] : columns;
  }

  galaxyAt(index) {
    return this.chunks.get(Math.floor(index / CHUNK))?.page?.galaxies[index % CHUNK];
  }

  async idAt(index) {
    if (index < 0 || index >= this.total) return null;
    const page = await this.chunk(Math.floor(index / CHUNK));
    return page.galaxies[index % CHUNK]?.id ?? null;
  }

  // ---- geometry

  layout() {
    const width = this.scroller.clientWidth;
    if (!width) return;
    const gap = 10;
    this.columnCount = Math.max(2, Math.floor((width - gap) / (this.size + gap)));
    this.cell = (width - gap * (this.columnCount + 1)) / this.columnCount;
    this.gap = gap;
    this.rowHeight = this.cell + CAPTION + gap;
    const rows = Math.ceil(this.total / this.columnCount);
    this.tall = rows * this.rowHeight + gap;
    this.shown = Math.min(this.tall, TALLEST);
    this.spacer.style.height = `${this.shown}px`;
    const room = this.scroller.clientHeight;
    this.scale = this.shown > room ? (this.tall - room) / (this.shown - room) : 1;
    this.draw();
  }

  wheel(event) {
    if (this.scale <= 1.001 || event.ctrlKey) return;
    event.preventDefault();
    const line = event.deltaMode === 1 ? 16 : 1;
    this.scroller.scrollTop += (event.deltaY * line) / this.scale;
  }

  draw() {
    if (!this.columnCount) return;
    const top = this.scroller.scrollTop * this.scale;
    const shift = this.scroller.scrollTop - top; // of what is drawn, where the page is squeezed
    const room = this.scroller.clientHeight;
    const from = Math.max(0, Math.floor(top / this.rowHeight) - 2) * this.columnCount;
    const to = Math.min(this.total, (Math.ceil((top + room) / this.rowHeight) + 2) * this.columnCount);
    for (const [index, cell] of this.cells)
      if (index < from || index >= to) {
        cell.remove();
        this.cells.delete(index);
      }
    for (let index = from; index < to; index++) {
      let cell = this.cells.get(index);
      if (!cell) {
        cell = this.makeCell(index);
        this.cells.set(index, cell);
        this.list.append(cell);
      }
      const x = this.gap + (index % this.columnCount) * (this.cell + this.gap);
      const y = this.gap + Math.floor(index / this.columnCount) * this.rowHeight + shift;
      cell.style.transform = `translate(${x}px, ${y}px)`;
      cell.style.width = `${this.cell}px`;
      cell.style.height = `${this.cell + CAPTION}px`;
      this.fill(cell, index);
    }
    this.range = [from, to];
    this.list.classList.toggle("nothing", this.total === 0);
    this.fetchSoon();
  }

  fetchMissing() {
    const [from, to] = this.range;
    for (let number = Math.floor(from / CHUNK); number * CHUNK < to; number++)
      if (!this.chunks.get(number)?.page)
        this.chunk(number).then(() => this.draw(), () => {});
  }

  makeCell(index) {
    return h("li", { class: "cell waiting", "aria-posinset": index + 1, "aria-setsize": this.total });
  }

  fill(cell, index) {
    const galaxy = this.galaxyAt(index);
    if (!galaxy || cell.dataset.id === galaxy.id) return;
    cell.dataset.id = galaxy.id;
    cell.classList.remove("waiting");
    const picture = this.about.pictures
      ? h("img", { src: pictureOf(galaxy.id), alt: "", decoding: "async", draggable: "false" })
      : h("span", { class: "nopicture" }, "no image");
    picture.addEventListener("error", () =>
      picture.replaceWith(h("span", { class: "nopicture" }, "no image")),
    );
    const link = h(
      "a",
      {
        href: address({ galaxy: galaxy.id }),
        tabindex: index === this.at ? "0" : "-1",
        onclick: (event) => this.open(event, index, galaxy.id),
        onfocus: () => this.moveTo(index),
      },
      h("span", { class: "frame" }, picture),
      h("span", { class: "caption" }, ...this.caption(galaxy), h("small", {}, galaxy.id)),
    );
    cell.replaceChildren(link, starButton(galaxy.id, galaxy[STARS], { tabindex: "-1" }));
    if (this.about.votes) cell.append(this.tick(galaxy.id));
    this.mark(cell);
  }

  star(id, stars) {
    for (const { page } of this.chunks.values())
      for (const galaxy of page?.galaxies ?? []) if (galaxy.id === id) galaxy[STARS] = stars;
    for (const cell of this.cells.values()) if (cell.dataset.id === id) cell.querySelector(".star").follow(stars);
  }

  // ---- choosing several

  tick(id) {
    return h("button", { type: "button", class: "tick", tabindex: "-1", "aria-label": `Choose ${id}`, onclick: () => this.toggle(id) }, "✓");
  }

  toggle(id) {
    if (!this.chosen.delete(id)) this.chosen.add(id);
    this.choose(this.chosen);
  }

  choose(ids) {
    const chosen = [...ids];
    this.chosen.clear();
    for (const id of chosen) this.chosen.add(id);
    for (const cell of this.cells.values()) this.mark(cell);
    this.list.classList.toggle("choosing", this.chosen.size > 0);
    this.onChoice();
  }

  mark(cell) {
    const chosen = this.chosen.has(cell.dataset.id);
    cell.classList.toggle("chosen", chosen);
    cell.querySelector(".tick")?.setAttribute("aria-pressed", String(chosen));
  }

  caption(galaxy) {
    const sort = view.sort.replace(/^-/, "");
    const answer = this.tree?.questions.flatMap((one) => one.answers).find((one) => one.column === sort);
    if (sort in galaxy && sort !== "id") {
      const value = galaxy[sort];
      if (answer && this.tree.kind !== "quantities") return said(answer.text, percent(value));
      return said(sort, value === null ? "–" : String(Number(Number(value).toPrecision(3))));
    }
    if (!this.first) return [];
    const best = [...this.first.answers].sort((a, b) => (galaxy[b.column] ?? 0) - (galaxy[a.column] ?? 0))[0];
    return said(best.text, percent(galaxy[best.column]));
  }

  // ---- moving

  open(event, index, id) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.moveTo(index);
    show({ galaxy: id });
  }

  moveTo(index) {
    if (index === this.at) return;
    this.cells.get(this.at)?.firstElementChild?.setAttribute("tabindex", "-1");
    this.at = index;
    this.cells.get(index)?.firstElementChild?.setAttribute("tabindex", "0");
  }

  async focus(index) {
    index = Math.max(0, Math.min(this.total - 1, index));
    const top = Math.floor(index / this.columnCount) * this.rowHeight;
    const room = this.scroller.clientHeight;
    const seen = this.scroller.scrollTop * this.scale;
    if (top < seen) this.scroller.scrollTop = top / this.scale;
    else if (top + this.rowHeight > seen + room)
      this.scroller.scrollTop = (top + this.rowHeight + this.gap - room) / this.scale;
    await this.chunk(Math.floor(index / CHUNK));
    this.draw();
    this.moveTo(index);
    this.cells.get(index)?.firstElementChild?.focus({ preventScroll: true });
  }

  key(event) {
    if ((event.key === "x" || event.key === " ") && this.about.votes && event.target.matches("a")) {
      event.preventDefault();
      this.toggle(this.galaxyAt(this.at).id);
      return;
    }
    if (event.key === "s" && event.target.matches("a")) {
      const galaxy = this.galaxyAt(this.at);
      turn(galaxy.id, galaxy[STARS]);
      return;
    }
    const page = this.columnCount * Math.max(1, Math.floor(this.scroller.clientHeight / this.rowHeight));
    const steps = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: this.columnCount,
      ArrowUp: -this.columnCount,
      PageDown: page,
      PageUp: -page,
      Home: -this.total,
      End: this.total,
    };
    if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.focus(this.at + steps[event.key]);
  }

  resize(size) {
    this.size = Math.max(90, Math.min(320, size));
    localStorage.setItem("galaxyvotes-size", this.size);
    this.layout();
    const slider = $("#size");
    if (slider) slider.value = this.size;
  }
}
