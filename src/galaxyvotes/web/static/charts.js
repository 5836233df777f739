// The figures of the judge: a ROC curve, a reliability diagram, and predictions beside labels.

import { count, h, percent, svg } from "./dom.js";
import { galaxiesLink, galaxiesShape } from "./links.js";

const [LEFT, TOP, SIDE] = [38, 8, 250]; // of the square of a figure
const at = (value) => LEFT + SIDE * value;
const up = (value) => TOP + SIDE * (1 - value);
const short = (value) => String(Number(value.toPrecision(3)));

// A square with axes from 0 to 1, whose ends may be called otherwise.
function figure(title, [x, y], content, { name = null, ends = ["0", "1"], diagonal = true } = {}) {
  const drawing = svg(
    "svg",
    { class: "chart", viewBox: "0 0 300 300", ...(name ? { role: "img", "aria-label": name } : { role: "group", "aria-label": title }) },
    svg("rect", { class: "area", x: LEFT, y: TOP, width: SIDE, height: SIDE }),
    diagonal ? svg("line", { class: "diagonal", x1: at(0), y1: up(0), x2: at(1), y2: up(1) }) : [],
    words(at(0), 276, ends[0], "start"),
    words(at(1), 276, ends[1], "end"),
    words(at(0.5), 292, x, "middle"),
    words(LEFT - 6, up(0), ends[0], "end"),
    words(LEFT - 6, up(1) + 9, ends[1], "end"),
    svg("text", { transform: `translate(14 ${up(0.5)}) rotate(-90)`, "text-anchor": "middle" }, y),
    ...content,
  );
  return [h("h3", {}, title), drawing];
}

const words = (x, y, text, anchor) => svg("text", { x, y, "text-anchor": anchor }, text);

export class RocChart {
  constructor(roc) {
    this.roc = roc;
    const { points, curve, auc, positives, negatives } = roc;
    this.dots = points.map((point, index) =>
      svg("circle", { class: "cut", cx: at(point.false_positive_rate), cy: up(point.true_positive_rate), r: 5, onclick: () => this.choose(index) }),
    );
    const line = svg("polyline", { class: "curve", points: curve.map(([x, y]) => `${at(x)},${up(y)}`).join(" ") });
    this.slider = h("input", { type: "range", min: "0", max: String(points.length - 1), "aria-label": "Cut on the prediction", oninput: () => this.choose(Number(this.slider.value)) });
    this.chosen = h("output", {});
    this.groups = h("dl", { class: "cut-groups" });
    const name = `ROC curve of ${count(positives)} galaxies with and ${count(negatives)} without this label`;
    this.element = h(
      "div",
      { class: "figure" },
      figure(`ROC curve, area ${auc.toFixed(3)}`, ["false positive rate", "true positive rate"], [line, ...this.dots], { name }),
      h("label", { class: "cut-line" }, "Predicted ≥ ", this.chosen, this.slider),
      this.groups,
    );
    this.choose(points.findIndex((point) => point.threshold === 0.5));
  }

  choose(index) {
    const point = this.roc.points[index];
    this.slider.value = String(index);
    this.chosen.textContent = String(point.threshold);
    this.dots.forEach((dot, number) => dot.classList.toggle("chosen", number === index));
    this.dots[index].parentNode?.append(this.dots[index]); // above the others
    const group = (key, title) => {
      const { galaxies, filter } = point[key];
      const name = `${count(galaxies)} ${title}`;
      return h("div", {}, h("dt", {}, title), h("dd", {}, galaxies ? galaxiesLink(filter, count(galaxies), { name }) : "0"));
    };
    this.groups.replaceChildren(
      group("found", "rightly selected"),
      group("wrong", "wrongly selected"),
      group("missed", "missed"),
      group("left", "rightly left out"),
    );
  }
}

export function drawReliability(bins) {
  const most = Math.max(...bins.map((bin) => bin.galaxies));
  const shapes = bins
    .filter((bin) => bin.galaxies)
    .map((bin) => {
      const name = `predicted ${bin.low}–${bin.high}: ${percent(bin.mean_label)} on average, ${count(bin.galaxies)} galaxies`;
      return galaxiesShape(
        bin.filter,
        name,
        svg("rect", { class: "bin", x: at(bin.low), y: TOP, width: (bin.high - bin.low) * SIDE, height: SIDE }),
        svg("circle", { class: "mean", cx: at(bin.mean_predicted), cy: up(bin.mean_label), r: 4 + 5 * Math.sqrt(bin.galaxies / most) }),
      );
    });
  return h("div", { class: "figure" }, figure("Reliability", ["mean prediction", "mean label"], shapes), h("p", { class: "small" }, "On the line predictions are what labels are on average. A bin opens its galaxies."));
}

export function drawGrid({ edges, cells }) {
  const bins = edges.length - 1;
  const most = Math.max(...cells.map((cell) => cell.galaxies));
  const between = (i) => `${short(edges[i])} to ${short(edges[i + 1])}`;
  const shapes = cells.map((cell) => {
    const name = `label ${between(cell.label)}, predicted ${between(cell.predicted)}: ${count(cell.galaxies)} galaxies`;
    const rect = svg("rect", { class: "heat", x: at(cell.label / bins), y: up((cell.predicted + 1) / bins), width: SIDE / bins, height: SIDE / bins });
    rect.style.setProperty("--share", 0.12 + 0.88 * Math.sqrt(cell.galaxies / most));
    return galaxiesShape(cell.filter, name, rect);
  });
  const ends = [short(edges[0]), short(edges[bins])];
  return h("div", { class: "figure" }, figure("Prediction and label", ["label", "prediction"], shapes, { ends }), h("p", { class: "small" }, "The darker a cell, the more galaxies; it opens them."));
}
