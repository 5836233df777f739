// Label: the questions of the tree for one galaxy after the other, by keys or by hand.

import { get, pictureOf, send } from "./api.js";
import { count, h, percent, say } from "./dom.js";
import { FineTune } from "./finetune.js";
import { zoomable } from "./galaxy.js";
import { onChange, selection, view } from "./view.js";

const INFORMATIVE = "informative"; // found in the background, on demand
const EVERY = 1000; // milliseconds between two looks at how far that is

const ORDERS = [
  ["uncertain", "most uncertain first"],
  ["unfamiliar", "least familiar first"],
  [INFORMATIVE, "most informative first"],
  ["random", "in random order"],
  ["catalogue", "as in the catalogue"],
];

export const labeller = () => localStorage.getItem("galaxyvotes-labeller") || "";

export class LabelPage {
  constructor(about) {
    this.about = about;
    this.tree = about.tree;
    this.byName = new Map(this.tree.questions.map((question) => [question.name, question]));
    this.queue = [];
    this.given = [];
    this.done = 0;
    this.name = h("input", { id: "labeller", value: labeller(), placeholder: "Your name", autocomplete: "nickname", maxlength: "200", onchange: () => this.rename() });
    this.order = h("select", { id: "order", "aria-label": "Which galaxy is next", onchange: () => this.restart() }, ORDERS.filter(([value]) => value !== INFORMATIVE || about.informative).map(([value, text]) => h("option", { value }, text)));
    this.hints = h("input", { type: "checkbox", id: "hints", onchange: () => this.draw() });
    this.stage = h("div", { class: "label-stage" });
    this.progress = h("p", { class: "small", "aria-live": "polite" });
    this.element = h(
      "section",
      { class: "label" },
      h(
        "div",
        { class: "toolbar" },
        h("label", { for: "labeller" }, "Labeller"),
        this.name,
        this.order,
        h("label", { class: "check" }, this.hints, "show predictions"),
        this.progress,
        h("a", { class: "button", href: "votes/export", download: "votes.csv" }, "Export votes"),
      ),
      this.stage,
      about.finetune ? new FineTune().element : null,
    );
    addEventListener("keydown", (event) => this.key(event));
    onChange((changes) => {
      if ("tab" in changes && view.tab === "label") this.restart();
    });
    if (view.tab === "label") this.restart();
  }

  rename() {
    localStorage.setItem("galaxyvotes-labeller", this.name.value.trim());
    this.restart();
  }

  async restart() {
    const turn = (this.turn = {}); // what was asked before a new start comes too late
    this.queue = [];
    this.current = null;
    if (!labeller()) {
      this.stage.replaceChildren(h("p", { class: "empty" }, "Write your name above, and the first galaxy comes. It stands beside your votes."));
      if (this.element.isConnected) this.name.focus();
      return;
    }
    if (this.order.value === INFORMATIVE && !(await this.informed())) return;
    if (this.turn !== turn) return;
    await Promise.all([this.next(), this.count()]);
  }

  // Whether it is known which galaxies are the most informative; until it is, how far that is.
  async informed() {
    const show = (text) => this.stage.replaceChildren(h("p", { class: "empty", "aria-live": "polite" }, text));
    try {
      let found = await get("queue/informative");
      if (found.state === "finished") return true;
      if (found.state !== "running") found = await send("queue/informative");
      while (found.state === "running") {
        if (this.order.value !== INFORMATIVE || !this.element.isConnected) return false;
        const far = found.total ? `: ${count(found.done)} of ${count(found.total)} galaxies` : " …";
        show(`The views of each galaxy are compared, to find those from which the network learns most${far}`);
        await new Promise((resolve) => setTimeout(resolve, EVERY));
        found = await get("queue/informative");
      }
      if (found.state === "finished") return true;
      show(found.reason || "The search was stopped.");
    } catch (error) {
      show(error.message);
    }
    return false;
  }

  async count() {
    const { labellers, agreement } = await get("votes");
    const own = labellers.find((one) => one.labeller === labeller());
    const all = labellers.reduce((sum, one) => sum + one.answered, 0);
    const others = labellers.length > 1 ? `, ${count(all)} by ${labellers.length} people` : "";
    const agreed = agreement === null ? "" : `; two agree in ${percent(agreement)}`;
    this.progress.textContent = `${count(own?.answered ?? 0)} answered by you${others}${agreed}`;
  }

  async next() {
    if (!this.queue.length) {
      const query = selection({ sort: false });
      query.set("labeller", labeller());
      query.set("order", this.order.value);
      const turn = this.turn;
      try {
        const { galaxies } = await get(`queue?${query}`);
        if (this.turn !== turn) return;
        this.queue = galaxies;
      } catch (error) {
        if (this.turn !== turn) return;
        this.stage.replaceChildren(h("p", { class: "empty" }, error.message));
        return;
      }
    }
    this.begin(this.queue.shift() ?? null);
  }

  begin(id) {
    this.current = id;
    this.given = [];
    this.question = this.tree.questions[0];
    this.found = null;
    if (id === null) {
      this.stage.replaceChildren(h("p", { class: "empty" }, "You have seen every galaxy of this selection."));
      return;
    }
    const image = h("img", { src: pictureOf(id, "image"), alt: `The galaxy ${id}`, draggable: "false" });
    this.figure = h("figure", { class: "large" }, image);
    image.addEventListener("error", () => image.replaceWith(h("span", { class: "nopicture" }, "no image")));
    zoomable(this.figure, image);
    this.side = h("div", { class: "label-side" });
    this.stage.replaceChildren(this.figure, this.side);
    if (this.queue[0]) new Image().src = pictureOf(this.queue[0], "image");
    get(`galaxies/${encodeURIComponent(id)}`).then((found) => {
      if (this.current === id) (this.found = found), this.hints.checked && this.draw();
    }, () => {});
    this.draw();
  }

  draw() {
    if (!this.current || !this.side) return;
    const path = this.given.map(({ question, answer }, number) =>
      h("li", {}, h("button", { type: "button", title: question.text, onclick: () => this.backTo(number) }, answer.text)),
    );
    const choices = this.question.answers.map((answer, number) => this.choice(answer, number));
    this.side.replaceChildren(
      h("ol", { class: "crumbs", "aria-label": "Answers so far" }, path),
      h("h2", { id: "asked" }, this.question.text),
      h("div", { class: "choices", role: "group", "aria-labelledby": "asked" }, choices),
      h(
        "p",
        { class: "label-keys" },
        h("button", { type: "button", class: "button", onclick: () => this.skip() }, "Skip (s)"),
        h("button", { type: "button", class: "button", onclick: () => this.undo() }, "Undo (u)"),
        h("span", { class: "small" }, this.current),
      ),
    );
  }

  choice(answer, number) {
    const button = h("button", { type: "button", class: "choice", onclick: () => this.answer(answer) }, h("kbd", {}, number + 1), h("span", {}, answer.text));
    const value = this.hints.checked ? this.found?.answers?.[answer.column]?.value : null;
    if (value !== null && value !== undefined) {
      button.append(h("small", {}, percent(value)));
      button.style.setProperty("--share", `${100 * value}%`);
    }
    return button;
  }

  answer(answer) {
    this.given.push({ question: this.question, answer });
    const next = this.byName.get(answer.next);
    if (next && !this.given.some(({ question }) => question === next)) {
      this.question = next;
      this.draw();
    } else this.keep(this.given.map((one) => one.answer.column));
  }

  backTo(number) {
    this.question = this.given[number].question;
    this.given.length = number;
    this.draw();
  }

  skip() {
    if (this.current) this.keep([]);
  }

  async keep(answers) {
    if (this.saving) return;
    this.saving = true;
    try {
      await send("votes", { labeller: labeller(), galaxies: [this.current], answers });
      await Promise.all([this.next(), this.count()]);
    } catch (error) {
      say(`Not saved: ${error.message}`);
      if (this.given.length) this.backTo(this.given.length - 1);
    } finally {
      this.saving = false;
    }
  }

  async undo() {
    if (this.given.length) {
      this.backTo(this.given.length - 1);
      return;
    }
    try {
      const { galaxies } = await send("votes/undo", { labeller: labeller() });
      if (!galaxies.length) return say("There is nothing to take back");
      say(galaxies.length === 1 ? `Taken back: ${galaxies[0]}` : `Taken back: ${galaxies.length} galaxies`);
      if (this.current) this.queue.unshift(this.current);
      this.begin(galaxies[0]);
      await this.count();
    } catch (error) {
      say(error.message);
    }
  }

  key(event) {
    const typing = event.target.matches?.("input:not([type=checkbox]), textarea, select");
    if (!this.element.isConnected || typing || event.ctrlKey || event.metaKey || event.altKey || !this.current) return;
    const answer = /^[1-9]$/.test(event.key) && this.question.answers[Number(event.key) - 1];
    const work = answer ? () => this.answer(answer) : { s: () => this.skip(), u: () => this.undo(), Backspace: () => this.undo() }[event.key];
    if (!work) return;
    event.preventDefault();
    work();
  }
}

// Galaxies of the grid that are chosen get one answer together.
export class Bulk {
  constructor(about, gallery) {
    this.gallery = gallery;
    this.chosen = gallery.chosen;
    const options = about.tree.questions.map((question) =>
      h("optgroup", { label: question.text }, question.answers.map((answer) => h("option", { value: answer.column }, answer.text))),
    );
    this.parents = new Map(about.tree.questions.flatMap((question) => question.answers.map((answer) => [answer.column, question.asked_of])));
    this.select = h("select", { "aria-label": "Answer for the chosen galaxies" }, options);
    this.name = h("input", { class: "bulk-name", placeholder: "Your name", "aria-label": "Labeller", value: labeller(), maxlength: "200", onchange: () => localStorage.setItem("galaxyvotes-labeller", this.name.value.trim()) });
    this.text = h("b", {});
    this.element = h(
      "div",
      { class: "bulk", role: "region", "aria-label": "Chosen galaxies" },
      this.text,
      this.name,
      this.select,
      h("button", { type: "button", class: "button primary", onclick: () => this.vote() }, "Vote"),
      h("button", { type: "button", class: "button", onclick: () => this.undo() }, "Undo"),
      h("button", { type: "button", class: "button", onclick: () => gallery.choose([]) }, "Clear"),
    );
    gallery.onChoice = () => this.follow();
    this.follow();
  }

  follow() {
    const { size } = this.chosen;
    this.element.classList.toggle("shown", size > 0);
    this.text.textContent = `${count(size)} chosen`;
    this.name.value = labeller();
  }

  async vote() {
    if (!labeller()) {
      say("Write your name first");
      this.name.focus();
      return;
    }
    const answers = [];
    for (let column = this.select.value; column; column = this.parents.get(column)) answers.push(column);
    const galaxies = [...this.chosen];
    try {
      await send("votes", { labeller: labeller(), galaxies, answers });
      const text = this.select.selectedOptions[0].textContent;
      say(`“${text}” is saved for ${galaxies.length} galaxies`);
      this.last = galaxies;
      this.gallery.choose([]);
      this.element.classList.add("shown");
      this.text.textContent = `${galaxies.length} saved`;
    } catch (error) {
      say(`Not saved: ${error.message}`);
    }
  }

  async undo() {
    try {
      const { galaxies } = await send("votes/undo", { labeller: labeller() });
      if (!galaxies.length) return say("There is nothing to take back");
      this.gallery.choose(galaxies);
      say(`Taken back for ${galaxies.length} galaxies`);
    } catch (error) {
      say(error.message);
    }
  }
}
