// The answers for one galaxy, drawn down its decision tree.

import { h } from "./dom.js";

// The path that the largest fraction takes, as question names.
export function pathOf(tree, answers) {
  const byName = new Map(tree.questions.map((question) => [question.name, question]));
  const path = [];
  let question = tree.questions[0];
  while (question && !path.includes(question)) {
    const best = likeliest(question, answers);
    if (!best) break;
    path.push(question);
    question = byName.get(best.next);
  }
  return path;
}

export function likeliest(question, answers) {
  const known = question.answers.filter((answer) => valueOf(answers, answer) !== null);
  return known.sort((a, b) => valueOf(answers, b) - valueOf(answers, a))[0];
}

const known = (value) => value !== null && value !== undefined;
const valueOf = (answers, answer) => answers[answer.column]?.value ?? null;

export function drawAnswers(tree, answers) {
  if (tree.kind === "quantities") return quantities(tree, answers);
  const path = pathOf(tree, answers);
  const rest = tree.questions.filter((question) => !path.includes(question));
  const steps = path.map((question, number) => step(question, answers, number));
  const labelled = Object.values(answers).some((answer) => known(answer.label));
  return h(
    "div",
    { class: "answers" },
    labelled ? h("p", { class: "note label-key" }, h("span", { class: "label-mark", "aria-hidden": "true" }), "the label") : null,
    h("ol", { class: "path" }, steps),
    rest.length
      ? h(
          "details",
          { class: "rest" },
          h("summary", {}, `${rest.length} other question${rest.length > 1 ? "s" : ""}`),
          h("ol", { class: "path plain" }, rest.map((question) => step(question, answers, 0))),
        )
      : null,
  );
}

function step(question, answers, number) {
  const best = likeliest(question, answers);
  const item = h(
    "li",
    { class: "step" },
    h("h3", {}, question.text),
    h(
      "dl",
      { class: "bars" },
      question.answers.map((answer) => bar(answer, answers[answer.column], answer === best)),
    ),
  );
  item.style.setProperty("--delay", `${number * 70}ms`);
  return item;
}

function bar(answer, found, best) {
  const value = found?.value ?? null;
  const fill = h("span", { class: "fill" });
  fill.style.width = `${100 * (value ?? 0)}%`;
  const track = h("span", { class: "track" }, fill);
  let interval = "";
  if (found?.low !== null && found?.low !== undefined) {
    const whisker = h("span", { class: "whisker" });
    whisker.style.left = `${100 * found.low}%`;
    whisker.style.width = `${100 * (found.high - found.low)}%`;
    track.append(whisker);
    interval = ` (${Math.round(100 * found.low)}–${Math.round(100 * found.high)})`;
  }
  const labelled = known(found?.label) ? `label ${Math.round(100 * found.label)} %` : "";
  if (labelled) {
    const mark = h("span", { class: "label-mark" });
    mark.style.left = `${100 * found.label}%`;
    track.append(mark);
  }
  const number = value === null ? "not asked" : `${Math.round(100 * value)} %`;
  return h(
    "div",
    { class: best ? "share best" : "share", title: [answer.column, labelled].filter(Boolean).join(", ") },
    h("dt", {}, answer.text),
    h("dd", {}, track, h("span", { class: "number" }, number, h("small", {}, interval), labelled ? h("span", { class: "hidden" }, `, ${labelled}`) : null)),
  );
}

function quantities(tree, answers) {
  return h(
    "dl",
    { class: "quantities" },
    tree.questions.flatMap((question) => {
      const found = answers[question.answers[0].column];
      const text = [found?.value, found?.low, found?.high].map((one) =>
        one === null || one === undefined ? "" : one.toPrecision(3),
      );
      return [
        h("dt", {}, question.text),
        h("dd", {}, `${text[0]} ${question.unit}`, text[1] ? h("small", {}, ` (${text[1]} to ${text[2]})`) : null, known(found?.label) ? h("small", {}, `, label ${found.label.toPrecision(3)}`) : null),
      ];
    }),
  );
}

export function inWords(words) {
  return h(
    "ul",
    { class: "words" },
    words.map((word) => h("li", {}, h("b", {}, word.text), ` ${word.number} `, h("small", {}, word.interval))),
  );
}

// The familiarity of a galaxy in plain words; a warning if it is low.
export function familiarity(found) {
  if (found.familiarity === null || found.familiarity === undefined) return null;
  const share = `${Math.max(Math.round(100 * found.familiarity), 1)} %`;
  if (!found.unfamiliar)
    return h("p", { class: "note" }, `Familiar: ${share} of the model's calibration galaxies look less typical.`);
  return h(
    "p",
    { class: "warning", role: "note" },
    h("b", {}, "Unlike the galaxies the model knows. "),
    `At most ${share} of its calibration galaxies look as unusual as this image: it may be another kind of`
      + " object, an artefact, or another survey, scale or colour. Do not rely on the answers.",
  );
}
