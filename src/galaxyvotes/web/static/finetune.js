// Fine-tune: the network learns from the votes, in the background, and is judged before and after.

import { get, send } from "./api.js";
import { count, h } from "./dom.js";

const EVERY = 1500; // milliseconds between two looks at what runs
const STEPS = ["pack", "evaluate", "finetune", "calibrate", "evaluate"];
const NAMES = ["Images and votes are packed", "The network is judged as it is", "It is fine-tuned", "It is calibrated", "It is judged again"];
const STATES = {
  never: "",
  running: "Running",
  finished: "Finished",
  failed: "It failed: the last line says why.",
  stopped: "Stopped. What was made stays in its folder.",
};

export class FineTune {
  constructor() {
    this.text = h("p", {});
    this.begin = h("button", { type: "button", class: "button primary", onclick: () => this.ask("finetune") }, "Fine-tune");
    this.end = h("button", { type: "button", class: "button", onclick: () => this.ask("finetune/stop") }, "Stop");
    this.bar = h("progress", { max: "1", "aria-label": "Fine-tuning" });
    this.state = h("p", { class: "small", "aria-live": "polite" });
    this.found = h("div", {});
    this.log = h("pre", { tabindex: "0", "aria-label": "What the commands print" });
    this.more = h("details", {}, h("summary", {}, "What the commands print"), this.log);
    this.element = h(
      "details",
      { class: "finetune", ontoggle: () => this.element.open && this.look() },
      h("summary", {}, "Fine-tune the network on these votes"),
      this.text,
      h("div", { class: "label-keys" }, this.begin, this.end, this.bar),
      this.state,
      this.found,
      this.more,
    );
  }

  async ask(address) {
    try {
      this.show(await send(address));
    } catch (error) {
      this.state.textContent = error.message;
    }
  }

  async look() {
    try {
      this.show(await get("finetune"));
    } catch (error) {
      this.state.textContent = error.message;
    }
  }

  show({ state, galaxies, needed, folder, commands, lines, reports, summary }) {
    const running = state === "running";
    const enough = galaxies >= needed;
    this.text.textContent = `${count(galaxies)} galaxies have answers${enough ? "; a fifth of them judges the network." : `; ${count(needed)} are needed.`}`;
    this.begin.disabled = running || !enough;
    this.end.hidden = this.bar.hidden = !running;
    this.more.hidden = !lines.length;
    this.state.textContent = running ? stepOf(commands) : STATES[state];
    this.bar.value = shareOf(commands, lines);
    const atEnd = this.log.scrollTop + this.log.clientHeight >= this.log.scrollHeight - 4;
    this.log.textContent = lines.join("\n");
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
    const links = reports.map((when) =>
      h("a", { class: "button", href: `finetune/${when}`, target: "_blank", rel: "noopener" }, when === "before" ? "Report before" : "Report after"),
    );
    const use = state === "finished" ? h("p", { class: "small" }, "Predict with it: ", h("code", {}, `galaxyvotes predict IMAGES --run ${folder}/run --out answers.parquet`)) : null;
    this.found.replaceChildren(...[summary ? h("p", {}, summary) : null, h("div", { class: "label-keys" }, links), use].filter(Boolean));
    clearTimeout(this.timer);
    if (running) this.timer = setTimeout(() => this.look(), EVERY);
  }
}

// The step of the last command; the first evaluation is left out where the network is new to the tree.
function stepAt(commands) {
  const name = commands.at(-1)?.split(" ")[1];
  return name === "evaluate" && commands.length > 2 ? STEPS.length - 1 : Math.max(0, STEPS.indexOf(name));
}

const stepOf = (commands) => `${NAMES[stepAt(commands)]} …`;

function shareOf(commands, lines) {
  const epoch = lines.findLast((line) => line.startsWith("epoch "))?.match(/^epoch (\d+) of (\d+)/);
  const within = commands.at(-1)?.includes(" finetune ") && epoch ? epoch[1] / epoch[2] : 0;
  return (stepAt(commands) + within) / STEPS.length;
}
