// One galaxy: its picture, its path through the tree, its row, and where else to look.

import { get, pictureOf } from "./api.js";
import { drawAnswers, familiarity, inWords } from "./answers.js";
import { $, h, say } from "./dom.js";
import { give, onStars, starButton } from "./stars.js";
import { onChange, show, view } from "./view.js";

export class GalaxyPage {
  constructor(about, gallery) {
    this.about = about;
    this.gallery = gallery;
    this.dialog = $("#galaxy");
    this.dialog.addEventListener("close", () => view.galaxy && show({ galaxy: null }));
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    onStars((id, stars) => id === this.star?.id && this.star.button.follow(stars));
    onChange((changes) => "galaxy" in changes && this.follow());
    this.follow();
  }

  follow() {
    if (view.galaxy) this.open(view.galaxy);
    else if (this.dialog.open) {
      this.dialog.close();
      this.gallery.focus(this.gallery.at);
    }
  }

  async open(id) {
    try {
      const found = await get(`galaxies/${encodeURIComponent(id)}`);
      if (view.galaxy !== id) return;
      this.draw(found);
      if (!this.dialog.open) this.dialog.showModal();
      if (this.about.interest && found.stars === null) give(id, 0); // seen, and not starred
    } catch (error) {
      say(error.message);
      show({ galaxy: null }, true);
    }
  }

  draw(found) {
    const button = (text, label, work) =>
      h("button", { type: "button", class: "icon", "aria-label": label, title: label, onclick: work }, text);
    this.star = { id: found.id, button: starButton(found.id, found.stars) };
    const head = h(
      "header",
      { class: "galaxy-head" },
      h("h2", { title: found.id }, found.id),
      this.star.button,
      button("‹", "Previous galaxy (←)", () => this.step(-1)),
      button("›", "Next galaxy (→)", () => this.step(1)),
      button("×", "Close (Esc)", () => this.dialog.close()),
    );
    const side = h(
      "div",
      { class: "galaxy-side", tabindex: "0", autofocus: true, role: "region", "aria-label": "Predictions" },
      found.words ? inWords(found.words) : null,
      familiarity(found),
      found.answers ? drawAnswers(this.about.tree, found.answers) : null,
      this.about.similar ? this.alike(found) : null,
      this.links(found),
      this.row(found),
    );
    this.dialog.setAttribute("aria-label", `Galaxy ${found.id}`);
    const keep = this.dialog.open && this.dialog.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
    this.dialog.replaceChildren(head, h("div", { class: "galaxy-body" }, this.picture(found), side));
    if (keep) [...this.dialog.querySelectorAll("[aria-label]")].find((one) => one.getAttribute("aria-label") === keep)?.focus();
  }

  picture(found) {
    if (!this.about.pictures) return h("figure", { class: "large" }, h("span", { class: "nopicture" }, "no image"));
    const image = h("img", { src: pictureOf(found.id, "image"), alt: `The galaxy ${found.id}`, draggable: "false" });
    const figure = h("figure", { class: "large", title: "Click to zoom" }, image);
    image.addEventListener("error", () => image.replaceWith(h("span", { class: "nopicture" }, "no image")));
    zoomable(figure, image);
    return figure;
  }

  alike({ id }) {
    const list = h("ul", { class: "alike", "aria-label": "Galaxies that look alike" });
    get(`similar?id=${encodeURIComponent(id)}&count=14`).then(
      ({ galaxies }) =>
        list.append(
          ...galaxies.map((one) =>
            h("li", {}, h("button", { type: "button", title: `${one.id}, distance ${one.distance.toFixed(3)}`, "aria-label": `Open ${one.id}`, onclick: () => show({ galaxy: one.id }) },
              this.about.pictures ? h("img", { src: pictureOf(one.id), alt: "", loading: "lazy" }) : one.id)),
          ),
        ),
      (error) => list.replaceWith(h("p", {}, h("small", {}, error.message))),
    );
    return h("section", {}, h("h3", {}, "Look alike"), list);
  }

  links({ sky }) {
    if (!sky) return null;
    const [ra, dec] = [Number(sky.ra).toFixed(6), Number(sky.dec).toFixed(6)];
    const places = {
      "Legacy Surveys": `https://www.legacysurvey.org/viewer?ra=${ra}&dec=${dec}&layer=ls-dr10&zoom=15`,
      SIMBAD: `https://simbad.cds.unistra.fr/simbad/sim-coo?Coord=${ra}+${dec}&Radius=15&Radius.unit=arcsec`,
      "Aladin Lite": `https://aladin.cds.unistra.fr/AladinLite/?target=${ra}%20${dec}&fov=0.03`,
      NED: `https://ned.ipac.caltech.edu/conesearch?coordinates=${ra}d%20${dec}d&radius=0.25`,
    };
    return h(
      "p",
      { class: "links" },
      h("span", {}, `${ra}, ${dec} `),
      Object.entries(places).map(([name, href]) => h("a", { href, target: "_blank", rel: "noopener noreferrer" }, name)),
    );
  }

  row(found) {
    const cells = Object.entries(found.columns).map(([name, value]) =>
      h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value === null ? "–" : String(value))),
    );
    return h("details", { class: "rest" }, h("summary", {}, `All ${cells.length} columns`), h("table", { class: "row" }, h("tbody", {}, cells)));
  }

  async step(by) {
    const index = this.gallery.at + by;
    const id = await this.gallery.idAt(index);
    if (id === null) return;
    this.gallery.moveTo(index);
    show({ galaxy: id }, true);
  }

  key(event) {
    if (event.key === "s" && !event.ctrlKey && !event.metaKey && !event.altKey) return this.star?.button.click();
    const steps = { ArrowLeft: -1, ArrowRight: 1, j: 1, k: -1 };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.step(steps[event.key]);
  }
}

// A click zooms to where it was, the wheel zooms, a zoomed picture is dragged.
export function zoomable(frame, image) {
  let [scale, x, y] = [1, 0, 0];
  let from = null;
  const apply = () => {
    const most = (scale - 1) / 2;
    x = Math.max(-most, Math.min(most, x));
    y = Math.max(-most, Math.min(most, y));
    image.style.transform = `translate(${100 * x}%, ${100 * y}%) scale(${scale})`;
    frame.classList.toggle("zoomed", scale > 1);
  };
  const zoom = (to, event) => {
    const box = frame.getBoundingClientRect();
    const [px, py] = [(event.clientX - box.left) / box.width - 0.5, (event.clientY - box.top) / box.height - 0.5];
    to = Math.max(1, Math.min(8, to));
    [x, y] = [px - ((px - x) * to) / scale, py - ((py - y) * to) / scale];
    scale = to;
    apply();
  };
  frame.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(scale * Math.exp(-event.deltaY / 300), event);
  }, { passive: false });
  frame.addEventListener("pointerdown", (event) => {
    from = { px: event.clientX, py: event.clientY, x, y, moved: false };
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    if (!from) return;
    const box = frame.getBoundingClientRect();
    const [dx, dy] = [event.clientX - from.px, event.clientY - from.py];
    from.moved ||= Math.hypot(dx, dy) > 4;
    if (scale === 1) return;
    [x, y] = [from.x + dx / box.width, from.y + dy / box.height];
    apply();
  });
  frame.addEventListener("pointerup", (event) => {
    if (from && !from.moved) zoom(scale > 1 ? 1 : 2.5, event);
    from = null;
  });
}
