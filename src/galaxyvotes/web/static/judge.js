// How good the predictions of an evaluated run are: galaxies first, then numbers, and behind each
// number the galaxies that it counts.

import { get, pictureOf } from "./api.js";
import { drawGrid, drawReliability, RocChart } from "./charts.js";
import { count, h, percent } from "./dom.js";
import { galaxiesLink } from "./links.js";
import { ALL, address, onChange, show, view } from "./view.js";

const GROUPS = {
  worst: ["Largest errors", "error"],
  best: ["Smallest errors", "error"],
  least_familiar: ["Least familiar", "familiarity"],
  most_uncertain: ["Most uncertain", "uncertainty"],
};
const FRACTIONS = new Set(["accuracy", "balanced_accuracy", "mean_question_accuracy", "coverage", "coverage_per_answer"]);
const rounded = (value) => (value === null || value === undefined ? "–" : String(Number(value.toPrecision(3))));
const written = (name, value) => (FRACTIONS.has(name) && value !== null ? `${(100 * value).toFixed(1)} %` : rounded(value));

export class JudgePage {
  constructor(about, gallery) {
    this.about = about;
    this.gallery = gallery;
    this.element = h("section", { class: "judge", tabindex: "-1", "aria-label": "Judge" }, h("p", { class: "empty" }, "Counting …"));
    onChange((changes) => {
      if ("tab" in changes) this.load();
      if ("answer" in changes && this.found) this.follow();
    });
    this.load();
  }

  async load() {
    if (view.tab !== "judge" || this.asked) return;
    this.asked = true;
    try {
      this.found = await get("judge");
      this.draw();
    } catch (error) {
      this.asked = false;
      this.element.replaceChildren(h("p", { class: "empty" }, error.message));
    }
  }

  draw() {
    const { groups, confusions } = this.found;
    this.charts = h("div", { class: "charts" });
    this.element.replaceChildren(
      ...groups.filter((group) => group.galaxies.length).map((group) => this.group(group)),
      this.measures(),
      h("section", { class: "judged-answer" }, this.chosen(), this.charts),
      this.answers(),
      ...(confusions.length ? [h("section", {}, h("h2", {}, "Who is taken for whom"), this.confusions(confusions))] : []),
    );
    this.follow();
  }

  // ---- galaxies

  group({ name, sort, galaxies }) {
    const [title, what] = GROUPS[name];
    return h(
      "section",
      {},
      h("div", { class: "judge-head" }, h("h2", {}, title), galaxiesLink([], "All in this order", { sort })),
      h("ul", { class: "strip", "aria-label": title }, galaxies.map((one, index) => h("li", {}, this.picture(one, index, sort, what)))),
    );
  }

  picture(galaxy, index, sort, what) {
    const open = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      show({ ...ALL(), sort, galaxy: galaxy.id }); // next and previous are those of this order
      this.gallery.moveTo(index);
    };
    const none = () => h("span", { class: "nopicture" }, "no image");
    const image = this.about.pictures ? h("img", { src: pictureOf(galaxy.id), alt: "", loading: "lazy", draggable: "false" }) : none();
    image.addEventListener("error", () => image.replaceWith(none()));
    return h(
      "a",
      { href: address({ ...ALL(), sort, galaxy: galaxy.id }), title: this.comparison(galaxy), onclick: open },
      h("span", { class: "frame" }, image),
      h("b", {}, this.comparison(galaxy)),
      h("small", {}, `${what} ${rounded(galaxy.value)}`),
      h("small", {}, galaxy.id),
    );
  }

  comparison({ label, predicted }) {
    const text = (one) => (typeof one === "number" ? rounded(one) : this.textOf(one));
    if (label === null || label === undefined) return text(predicted ?? "");
    return text(label) === text(predicted) ? text(label) : `${text(label)} → ${text(predicted)}`;
  }

  textOf(column) {
    return this.found.answers.find((one) => one.answer === column)?.text ?? column;
  }

  // ---- numbers

  measures() {
    const { measures, galaxies, nominal_coverage: nominal } = this.found;
    const promised = (name) => (name === "coverage" && nominal !== null ? ` of ${percent(nominal)} promised` : "");
    return h(
      "section",
      {},
      h("h2", {}, `${count(galaxies)} galaxies`),
      h(
        "dl",
        { class: "measures" },
        measures.map(({ name, title, value, low, high }) =>
          h("div", {}, h("dt", {}, title), h("dd", {}, h("b", {}, written(name, value)), h("small", {}, `${written(name, low)} to ${written(name, high)}${promised(name)}`))),
        ),
      ),
    );
  }

  answers() {
    const { columns, answers } = this.found;
    const choose = (answer) => (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      show({ answer });
      this.select.focus();
    };
    return h(
      "section",
      {},
      h("h2", {}, this.found.kind === "quantities" ? "Each quantity" : this.found.kind === "classes" ? "Each class" : "Each answer"),
      scrolled(
        "Each answer",
        h("thead", {}, h("tr", {}, ["Answer", "Galaxies", ...columns.map((one) => one.title)].map((text) => h("th", { scope: "col" }, text)))),
        h(
          "tbody",
          {},
          answers.map((one) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, h("a", { href: address({ answer: one.answer }), onclick: choose(one.answer) }, one.unit ? `${one.text} (${one.unit})` : one.text), one.text === one.question ? null : h("small", {}, one.question)),
              h("td", {}, count(one.galaxies)),
              columns.map(({ name }) => h("td", {}, written(name, one[name]))),
            ),
          ),
        ),
      ),
    );
  }

  // ---- one answer

  chosen() {
    const groups = Map.groupBy ? Map.groupBy(this.found.answers, (one) => one.question) : new Map([["Answers", this.found.answers]]);
    const option = (one) => h("option", { value: one.answer }, one.text);
    this.select = h(
      "select",
      { "aria-label": "Answer", onchange: () => show({ answer: this.select.value }) },
      groups.size > 1 && this.found.kind === "fractions" ? [...groups].map(([title, list]) => h("optgroup", { label: title }, list.map(option))) : this.found.answers.map(option),
    );
    return h("div", { class: "judge-head" }, h("h2", {}, "Curves"), this.select);
  }

  async follow() {
    const { answers } = this.found;
    const answer = answers.some((one) => one.answer === view.answer) ? view.answer : answers[0].answer;
    this.select.value = answer;
    try {
      const { roc, reliability, grid } = await get(`judge/answer?answer=${encodeURIComponent(answer)}`);
      if (this.select.value !== answer) return;
      this.charts.replaceChildren(
        ...[roc ? new RocChart(roc).element : null, reliability && drawReliability(reliability), grid && drawGrid(grid)].filter(Boolean),
      );
    } catch (error) {
      this.charts.replaceChildren(h("p", { class: "empty" }, error.message));
    }
  }

  // ---- confusion

  confusions(confusions) {
    if (confusions.length === 1) return confusion(confusions[0]);
    return confusions.map((one, index) => h("details", { class: "rest", open: index === 0 }, h("summary", {}, one.text), confusion(one)));
  }
}

function confusion({ text, answers, cells }) {
  const column = (one) => h("th", { scope: "col" }, one.text);
  return scrolled(
    text,
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Label, and predicted:"), answers.map(column))),
    h(
      "tbody",
      {},
      cells.map((row, own) => {
        const all = row.reduce((sum, cell) => sum + cell.galaxies, 0);
        return h(
          "tr",
          {},
          h("th", { scope: "row" }, answers[own].text),
          row.map((cell, given) => {
            const name = `${count(cell.galaxies)} ${answers[own].text}, predicted ${answers[given].text}`;
            const element = h("td", { class: own === given ? "right" : "" }, cell.galaxies ? galaxiesLink(cell.filter, count(cell.galaxies), { name }) : "0");
            element.style.setProperty("--share", all ? cell.galaxies / all : 0);
            return element;
          }),
        );
      }),
    ),
  );
}

const scrolled = (name, ...rows) =>
  h("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": name }, h("table", { class: "judged" }, rows));
