// Try: an image is dropped, pasted or chosen, and the tree lights up.

import { send } from "./api.js";
import { drawAnswers, familiarity, inWords } from "./answers.js";
import { $, h, say } from "./dom.js";
import { show, view } from "./view.js";

export class TryPage {
  constructor(about) {
    this.trees = new Map(about.trees.map((tree) => [tree.name, tree]));
    this.results = h("div", { class: "results", "aria-live": "polite" });
    this.file = h("input", { type: "file", multiple: true, id: "file", class: "hidden", accept: "image/*,.fits,.fit,.fz,.gz", onchange: () => this.take(this.file.files) });
    this.tree = h("select", { id: "tree", "aria-label": "Decision tree" }, about.trees.map((tree) => h("option", { value: tree.name }, tree.title)));
    this.element = h(
      "section",
      { class: "try" },
      h(
        "div",
        { class: "dropzone" },
        h("h2", {}, "What would volunteers say?"),
        h("p", {}, "Drop an image of a galaxy anywhere on this page, paste one, or ", h("label", { for: "file", class: "button" }, "choose files"), "."),
        this.file,
        h("p", { class: "small" }, "JPEG, PNG, TIFF or FITS. It stays on this server. ", this.trees.size > 1 ? this.tree : null),
      ),
      this.results,
    );
    this.listen();
  }

  listen() {
    const has = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    let depth = 0;
    const hover = (shown) => $("#drop").classList.toggle("shown", shown);
    addEventListener("dragenter", (event) => has(event) && (event.preventDefault(), depth++, hover(true)));
    addEventListener("dragleave", (event) => has(event) && --depth <= 0 && ((depth = 0), hover(false)));
    addEventListener("dragover", (event) => has(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!has(event)) return;
      event.preventDefault();
      depth = 0;
      hover(false);
      this.take(event.dataTransfer.files);
    });
    addEventListener("paste", (event) => event.clipboardData?.files.length && this.take(event.clipboardData.files));
  }

  take(files) {
    if (!files.length) return;
    if (view.tab !== "try") show({ tab: "try", galaxy: null });
    for (const file of [...files].slice(0, 50)) this.predict(file);
    this.file.value = "";
  }

  async predict(file) {
    const card = h("article", { class: "card waiting", "aria-label": file.name }, h("p", {}, `${file.name} …`));
    this.results.prepend(card);
    const start = performance.now();
    try {
      const [answered, whole] = await this.ask(file);
      this.draw(card, file, answered, whole, performance.now() - start);
    } catch (error) {
      card.classList.remove("waiting");
      card.classList.add("failed");
      card.replaceChildren(h("h3", {}, file.name), h("p", { class: "warning" }, error.message));
      say(error.message);
    }
  }

  // An image that is smaller than the crop is taken whole.
  async ask(file) {
    const form = new FormData();
    form.append("file", file, file.name);
    const query = new URLSearchParams({ tree: this.tree.value, pictures: "true" });
    try {
      return [await send(`predict?${query}`, form), false];
    } catch (error) {
      if (!error.message.includes("smaller than the crop")) throw error;
      query.set("fit", "true");
      return [await send(`predict?${query}`, form), true];
    }
  }

  draw(card, file, answered, whole, milliseconds) {
    const [found] = answered.galaxies;
    const tree = this.trees.get(answered.tree);
    card.classList.remove("waiting");
    card.replaceChildren(
      h(
        "figure",
        {},
        h("img", { src: found.picture, alt: `What the network sees of ${file.name}` }),
        h("figcaption", {}, h("b", {}, file.name), h("small", {}, ` ${(milliseconds / 1000).toFixed(2)} s`)),
      ),
      h(
        "div",
        {},
        inWords(found.words),
        familiarity(found),
        whole ? h("p", { class: "note" }, "The image is smaller than the usual crop, so all of it was taken.") : null,
        drawAnswers(tree, found.answers),
      ),
    );
  }
}
