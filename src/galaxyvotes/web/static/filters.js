// The decision tree as a filter: each answer has the distribution of its values and two thresholds.

import { get } from "./api.js";
import { debounce, h, svg } from "./dom.js";
import { ALL, onChange, selection, setFilter, show, view } from "./view.js";

const USUAL = { top: 0.5, below: 0.3 }; // the threshold that a click on an answer sets

export class Filters {
  constructor(about) {
    this.about = about;
    this.rows = new Map(); // by column
    this.open = new Set();
    this.refreshSoon = debounce(() => this.refresh(), 60);
    this.element = h("div", { class: "filters" }, this.head(), this.chips(), this.body());
    onChange((changes) => {
      if ("filters" in changes || "q" in changes || "cone" in changes || "lasso" in changes) {
        this.drawChips();
        for (const row of this.rows.values()) row.follow();
        this.refreshSoon();
      }
    });
    this.drawChips();
    this.refreshSoon();
  }

  head() {
    return h(
      "div",
      { class: "panel-head" },
      h("h2", {}, this.about.tree ? "Decision tree" : "Columns"),
      h("button", { type: "button", class: "quiet", onclick: () => show({ ...ALL(), sort: view.sort }) }, "Clear"),
    );
  }

  chips() {
    this.chipList = h("ul", { class: "chips", "aria-label": "Filters in use" });
    return this.chipList;
  }

  drawChips() {
    const items = [...view.filters].map(([column, [low, high]]) =>
      this.chip(`${this.nameOf(column)} ${between(low, high)}`, () => setFilter(column, "", "")),
    );
    for (const [column, word] of view.words) items.push(this.chip(this.inWords(column, word), () => this.without(column)));
    if (view.q) items.push(this.chip(`id has “${view.q}”`, () => show({ q: "" })));
    if (view.cone) items.push(this.chip(`cone ${view.cone}″`, () => show({ cone: "" })));
    if (view.lasso) items.push(this.chip("in the lasso on the map", () => show({ lasso: "" })));
    this.chipList.replaceChildren(...items);
  }

  chip(text, remove) {
    return h("li", {}, h("button", { type: "button", onclick: remove, "aria-label": `Remove the filter ${text}` }, text, h("span", { "aria-hidden": "true" }, " ×")));
  }

  inWords(column, word) {
    const [, operator, value] = word.match(/^(!?)=(.*)$/s);
    if (operator && !value) return `${this.nameOf(column)} known`;
    return `${this.nameOf(column)} ${operator ? "≠" : "="} ${this.nameOf(value)}`;
  }

  without(column) {
    view.words.delete(column);
    show({ filters: view.filters, words: view.words });
  }

  nameOf(column) {
    for (const question of this.about.tree?.questions ?? [])
      for (const answer of question.answers) {
        if (answer.column === column) return answer.text;
        if (`${answer.column}_label` === column) return `${answer.text} (label)`;
      }
    return column.replaceAll("_", " ");
  }

  // ---- the tree

  body() {
    const { tree } = this.about;
    const known = this.about.answers || {};
    const groups = [];
    if (tree) {
      const asked = (column) => tree.questions.filter((question) => question.asked_of === column);
      const group = (question, depth) => {
        const answers = question.answers.filter((answer) => answer.column in known);
        if (!answers.length) return null;
        const nested = (answer) => asked(answer.column).map((one) => group(one, depth + 1));
        return this.group(
          question.text,
          answers.map((answer) => [this.row(answer.column, answer.text, question, depth), ...nested(answer)]),
          question === tree.questions[0],
        );
      };
      groups.push(...asked(null).map((question) => group(question, 0)));
    }
    const taken = new Set(Object.entries(known).flat().flatMap((name) => [name, `${name}_low`, `${name}_high`]));
    const others = this.about.numbers.filter((name) => !taken.has(name));
    const first = others.filter((name) => name === this.about.familiarity);
    if (tree) first.push(...this.about.sorts);
    if (first.length) groups.push(this.group("How sure, how familiar", first.map((name) => this.row(name, name)), false));
    const rest = others.filter((name) => !first.includes(name)).slice(0, 60);
    if (rest.length) groups.push(this.group("Other columns", rest.map((name) => this.row(name, name)), !tree));
    return h("div", { class: "groups" }, groups);
  }

  group(title, rows, open) {
    const details = h("details", { class: "question", open }, h("summary", {}, title), h("div", { class: "options" }, rows));
    details.addEventListener("toggle", (event) => {
      if (event.target === details) this.refreshSoon();
    });
    return details;
  }

  row(column, text, question, depth = 0) {
    const usual = question && !question.quantity ? (question.asked_of ? USUAL.below : USUAL.top) : null;
    const row = new Row(column, text, usual);
    this.rows.set(column, row);
    return row.element;
  }

  // ---- counts

  async refresh() {
    const columns = [...this.rows.values()].filter((row) => row.isSeen()).map((row) => row.column);
    if (!columns.length) return;
    this.abort?.abort();
    this.abort = new AbortController();
    const query = selection({ sort: false });
    for (const column of columns.slice(0, 50)) query.append("column", column);
    try {
      const found = await get(`histograms?${query}`, this.abort.signal);
      for (const [column, histogram] of Object.entries(found)) this.rows.get(column).draw(histogram);
    } catch (error) {
      if (error.name !== "AbortError") this.chipList.title = error.message;
    }
  }
}

// An end may be left out: ">0.5".
const bare = (end) => Number(end.replace(/^[<>]/, ""));
const short = (end) => String(Number(bare(end).toPrecision(6)));

function between(low, high) {
  if (high === "") return `${low.startsWith(">") ? ">" : "≥"} ${short(low)}`;
  if (low === "") return `${high.startsWith("<") ? "<" : "≤"} ${short(high)}`;
  return `${short(low)}–${short(high)}`;
}

class Row {
  constructor(column, text, usual) {
    this.column = column;
    this.usual = usual;
    this.low = 0;
    this.high = 1;
    this.bars = svg("svg", { class: "histogram", viewBox: "0 0 40 20", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.value = h("output", { class: "range" });
    this.name = h("button", { type: "button", class: "name", "aria-pressed": "false", title: column, onclick: () => this.toggle() }, text);
    this.from = this.slider("at least", () => this.moved());
    this.to = this.slider("at most", () => this.moved());
    this.element = h(
      "div",
      { class: "answer" },
      h("div", { class: "line" }, this.name, this.value),
      h("div", { class: "between" }, this.bars, this.from, this.to),
    );
    this.from.setAttribute("aria-label", `${text}: at least`);
    this.to.setAttribute("aria-label", `${text}: at most`);
    this.moved = this.moved.bind(this);
    this.follow();
  }

  slider(_, moved) {
    return h("input", { type: "range", min: "0", max: "100", step: "1", oninput: moved, onchange: moved });
  }

  isSeen() {
    return this.element.checkVisibility ? this.element.checkVisibility() : this.element.offsetParent !== null;
  }

  toggle() {
    const there = view.filters.has(this.column);
    if (there) setFilter(this.column, "", "");
    else if (this.usual !== null) setFilter(this.column, String(this.usual), "");
    else this.from.focus();
  }

  moved() {
    let [from, to] = [Number(this.from.value), Number(this.to.value)];
    if (from > to) [from, to] = [to, from];
    const at = (part) => String(Number((this.low + ((this.high - this.low) * part) / 100).toPrecision(3)));
    setFilter(this.column, from === 0 ? "" : at(from), to === 100 ? "" : at(to), true);
  }

  // The thresholds of the view.
  follow() {
    const [low, high] = view.filters.get(this.column) ?? ["", ""];
    const part = (value) => (100 * (bare(value) - this.low)) / (this.high - this.low || 1);
    const [from, to] = [low === "" ? 0 : part(low), high === "" ? 100 : part(high)];
    if (document.activeElement !== this.from || Number(this.from.value) <= to) this.from.value = from;
    if (document.activeElement !== this.to || Number(this.to.value) >= from) this.to.value = to;
    const used = low !== "" || high !== "";
    this.element.classList.toggle("used", used);
    this.name.setAttribute("aria-pressed", String(used));
    this.value.textContent = used ? between(low, high) : "";
    this.shade(from, to);
  }

  shade(from, to) {
    [...this.bars.children].forEach((bar, number) => {
      const middle = ((number + 0.5) * 100) / this.bars.children.length;
      bar.classList.toggle("in", middle >= from && middle <= to);
    });
  }

  draw({ low, high, counts }) {
    [this.low, this.high] = [low, high > low ? high : low + 1];
    const most = Math.max(1, ...counts.map(Math.sqrt)); // a square root: rare values still show
    this.bars.replaceChildren(
      ...counts.map((number, bin) => {
        const tall = number ? Math.max(0.8, (20 * Math.sqrt(number)) / most) : 0;
        return svg("rect", { x: bin + 0.08, y: 20 - tall, width: 0.84, height: tall });
      }),
    );
    this.follow();
  }
}
