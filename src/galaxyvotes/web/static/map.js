// The map: every galaxy a dot, those that look alike near each other. One draw call draws them all;
// zoomed in, dots turn into pictures.

import { get, pictureOf } from "./api.js";
import { count, debounce, h, say, svg } from "./dom.js";
import { onChange, selection, show, view } from "./view.js";

const PICTURE = 64; // pixels; a cell of the screen shows one at most
const NEAR = 9; // pixels from a dot that a click still means
const CELL = 1.2 * PICTURE;
const MOST = 6; // dots a cell, up to which there are pictures
const CLOSE = 1.5; // of the scale that shows all, from which on there are pictures

const VERTEX = `#version 300 es
uniform vec2 middle, zoom;
uniform float size, low, high;
uniform vec3 colours[6];
in vec2 place;
in float value, chosen;
out vec4 colour;
void main() {
  gl_Position = vec4((place - middle) * zoom, 0.0, 1.0);
  gl_PointSize = size;
  float part = clamp((value - low) / max(high - low, 1e-9), 0.0, 1.0) * 4.0;
  int at = int(min(part, 3.0));
  vec3 ink = value == value ? mix(colours[at], colours[at + 1], part - float(at)) : colours[5];
  colour = vec4(ink, chosen > 0.5 ? 1.0 : 0.07);
  if (place.x != place.x) gl_Position = vec4(9.0, 9.0, 9.0, 1.0);
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
uniform float opacity;
in vec4 colour;
out vec4 pixel;
void main() {
  float edge = smoothstep(1.0, 0.7, 2.0 * length(gl_PointCoord - 0.5));
  float alpha = colour.a * opacity * edge;
  pixel = vec4(colour.rgb * alpha, alpha);
}`;
const RAMP = ["#3b4cc0", "#2a9bd1", "#3fc48c", "#c9d23b", "#f6803a"];

export class MapPage {
  constructor(about) {
    this.about = about;
    this.canvas = h("canvas", { class: "points", tabindex: "0", role: "application", "aria-label": "Map of galaxies: arrows move, + and − zoom, 0 shows all" });
    this.pictures = h("ul", { class: "pictures", "aria-label": "Galaxies in sight" });
    this.outline = svg("svg", { class: "outline", "aria-hidden": "true" }, svg("polygon", {}));
    this.counter = h("p", { class: "counter", "aria-live": "polite" });
    this.legend = h("div", { class: "legend", hidden: true }, h("span"), h("i"), h("span"));
    this.stage = h("div", { class: "map-stage" }, this.canvas, this.pictures, this.outline, this.legend);
    this.element = h("section", { class: "map" }, this.toolbar(), this.stage);
    this.thumbs = new Map();
    this.names = new Map();
    this.picturesSoon = debounce(() => this.showPictures(), 120);
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.down(event));
    this.stage.addEventListener("pointermove", (event) => this.move(event));
    this.stage.addEventListener("pointerup", (event) => this.up(event));
    this.stage.addEventListener("pointercancel", () => (this.from = null));
    new ResizeObserver(() => this.resize()).observe(this.stage);
    new MutationObserver(() => this.draw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    onChange((changes) => {
      if ("filters" in changes || "q" in changes || "cone" in changes || "lasso" in changes) this.follow();
    });
  }

  toolbar() {
    const answers = this.about.tree?.questions.flatMap((one) => one.answers.map((answer) => [answer.column, answer.text])) ?? [];
    const named = new Set(answers.map(([column]) => this.about.answers?.[column]));
    const others = this.about.numbers.filter((name) => !named.has(name) && !/_(low|high)$/.test(name)).map((name) => [name, name]);
    const known = [...this.about.sorts.map((name) => [name, name]), ...answers.filter(([column]) => column in (this.about.answers ?? {})), ...others];
    this.colour = h(
      "select",
      { "aria-label": "Colour by", onchange: () => this.paint() },
      h("option", { value: "" }, "One colour"),
      known.map(([column, text]) => h("option", { value: column }, text)),
    );
    this.lassoButton = h("button", { type: "button", class: "button", "aria-pressed": "false", title: "Draw around galaxies (or hold Shift)", onclick: () => this.arm() }, "Lasso");
    const all = h("button", { type: "button", class: "button", onclick: () => this.fit() }, "Show all");
    this.toGallery = h("button", { type: "button", class: "button", onclick: () => show({ tab: "gallery" }) }, "In the gallery");
    this.clear = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => show({ lasso: "" }) }, "Remove the lasso");
    return h("div", { class: "toolbar" }, this.counter, this.colour, this.lassoButton, this.clear, all, this.toGallery);
  }

  // ---- what is drawn

  async start() {
    const gl = this.canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
    if (!gl) {
      this.stage.replaceChildren(h("p", { class: "empty" }, "The map needs WebGL 2, which this browser does not offer."));
      return;
    }
    this.gl = gl;
    this.program = program(gl);
    gl.useProgram(this.program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.at = (name) => gl.getUniformLocation(this.program, name);
    this.buffers = Object.fromEntries(["place", "value", "chosen"].map((name) => [name, gl.createBuffer()]));
    try {
      const numbers = await floats("points");
      this.total = numbers.length / 2;
      this.x = numbers.subarray(0, this.total);
      this.y = numbers.subarray(this.total);
      const pairs = new Float32Array(2 * this.total);
      for (let row = 0; row < this.total; row++) [pairs[2 * row], pairs[2 * row + 1]] = [this.x[row], this.y[row]];
      this.fill("place", pairs, 2, gl.FLOAT);
    } catch (error) {
      this.counter.textContent = error.message;
      return;
    }
    this.fill("value", new Float32Array(this.total).fill(NaN), 1, gl.FLOAT);
    this.chosen = new Uint8Array(this.total).fill(1);
    this.fill("chosen", this.chosen, 1, gl.UNSIGNED_BYTE);
    this.fit();
    this.follow();
  }

  fill(name, numbers, size, type) {
    const gl = this.gl;
    const place = gl.getAttribLocation(this.program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, numbers, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, size, type, false, 0, 0);
  }

  async paint() {
    const column = this.colour.value;
    let values = new Float32Array(this.total).fill(NaN);
    try {
      if (column) values = await floats(`points/values?column=${encodeURIComponent(column)}`);
    } catch (error) {
      say(error.message);
    }
    if (this.colour.value !== column) return;
    [this.low, this.high] = ends(values);
    this.fill("value", values, 1, this.gl.FLOAT);
    this.legend.hidden = !column;
    this.legend.firstChild.textContent = String(Number(this.low.toPrecision(3)));
    this.legend.lastChild.textContent = String(Number(this.high.toPrecision(3)));
    this.draw();
  }

  // The selection: its galaxies are bright, the others faint.
  async follow() {
    if (!this.chosen) return;
    const query = selection({ sort: false });
    this.clear.hidden = !view.lasso;
    try {
      const response = await fetch(`points/selected?${query}`);
      if (!response.ok) throw new Error((await response.json()).error);
      this.chosen = new Uint8Array(await response.arrayBuffer());
    } catch (error) {
      say(error.message);
      return;
    }
    const number = this.chosen.reduce((sum, one) => sum + one, 0);
    this.counter.textContent = number === this.total ? `${count(number)} galaxies` : `${count(number)} of ${count(this.total)} galaxies`;
    this.fill("chosen", this.chosen, 1, this.gl.UNSIGNED_BYTE);
    this.draw();
  }

  fit() {
    if (!this.total) return;
    const [left, right] = ends(this.x, 0);
    const [bottom, top] = ends(this.y, 0);
    this.middle = [(left + right) / 2, (bottom + top) / 2];
    const { clientWidth: wide, clientHeight: tall } = this.stage;
    this.whole = 0.94 * Math.min(wide / (right - left || 1), tall / (top - bottom || 1)); // pixels a unit
    this.scale = this.whole;
    this.draw();
  }

  resize() {
    if (!this.stage.clientWidth) return;
    if (!this.started) this.started = this.start();
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.max(1, this.stage.clientWidth * ratio);
    this.canvas.height = Math.max(1, this.stage.clientHeight * ratio);
    if (this.scale > 0 && this.scale !== this.whole) this.draw();
    else this.fit();
  }

  draw() {
    if (!this.scale || this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.drawNow();
    });
  }

  drawNow() {
    const { gl, canvas } = this;
    const { clientWidth: wide, clientHeight: tall } = this.stage;
    if (!wide || !this.chosen) return;
    const ratio = canvas.width / wide;
    const css = getComputedStyle(this.stage);
    const plain = rgb(css.color);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(this.at("middle"), ...this.middle);
    gl.uniform2f(this.at("zoom"), (2 * this.scale) / wide, (2 * this.scale) / tall);
    const density = (wide * tall) / this.total; // pixels a dot
    const size = Math.max(2, Math.min(9, Math.sqrt(density) / 4)) * Math.min(2.5, Math.max(1, this.zoomed() ** 0.25));
    gl.uniform1f(this.at("size"), size * ratio);
    gl.uniform1f(this.at("opacity"), Math.max(0.15, Math.min(0.85, density / 8)));
    gl.uniform1f(this.at("low"), this.low ?? 0);
    gl.uniform1f(this.at("high"), this.high ?? 1);
    gl.uniform3fv(this.at("colours"), [...RAMP.flatMap(rgb), ...plain]);
    gl.drawArrays(gl.POINTS, 0, this.total);
    this.drawOutline(this.path ?? parsed(view.lasso));
    this.placePictures();
    this.picturesSoon();
  }

  zoomed() {
    return this.scale / this.whole;
  }

  drawOutline(points) {
    this.outline.firstChild.setAttribute("points", points.map((point) => this.toScreen(point).join(",")).join(" "));
  }

  toScreen([x, y]) {
    const { clientWidth: wide, clientHeight: tall } = this.stage;
    return [wide / 2 + (x - this.middle[0]) * this.scale, tall / 2 - (y - this.middle[1]) * this.scale];
  }

  toMap(px, py) {
    const { clientWidth: wide, clientHeight: tall } = this.stage;
    return [this.middle[0] + (px - wide / 2) / this.scale, this.middle[1] - (py - tall / 2) / this.scale];
  }

  // ---- pictures

  // One galaxy for each cell of the screen, if few enough are in sight.
  inCells() {
    const { clientWidth: wide, clientHeight: tall } = this.stage;
    const cells = new Map();
    if (this.zoomed() < CLOSE) return cells;
    const [left, top] = this.toMap(0, 0);
    const [right, bottom] = this.toMap(wide, tall);
    const most = MOST * Math.ceil(wide / CELL) * Math.ceil(tall / CELL);
    let seen = 0;
    for (let row = 0; row < this.total; row++) {
      const [x, y] = [this.x[row], this.y[row]];
      if (!this.chosen[row] || !(x >= left && x <= right && y <= top && y >= bottom)) continue;
      if (++seen > most) return new Map();
      // Cells lie on the map, not on the screen, so pictures stay while it moves; each shows the
      // galaxy nearest to its middle.
      const [across, up] = [(x * this.scale) / CELL, (y * this.scale) / CELL];
      const cell = `${Math.floor(across)},${Math.floor(up)}`;
      const apart = Math.max(Math.abs((across % 1 + 1) % 1 - 0.5), Math.abs((up % 1 + 1) % 1 - 0.5));
      if (apart < (cells.get(cell)?.apart ?? 1)) cells.set(cell, { row, apart });
    }
    return cells;
  }

  async showPictures() {
    if (!this.about.pictures || !this.element.isConnected || !this.chosen) return;
    const rows = [...this.inCells().values()].map((one) => one.row).slice(0, 400);
    const wanted = new Set(rows);
    const unknown = rows.filter((row) => !this.names.has(row));
    for (const [row, element] of this.thumbs)
      if (!wanted.has(row)) {
        element.remove();
        this.thumbs.delete(row);
      }
    if (unknown.length) {
      try {
        const found = await get(`points/names?${unknown.map((row) => `row=${row}`).join("&")}`);
        for (const { row, id } of found) this.names.set(row, id);
      } catch (error) {
        say(error.message);
        return;
      }
    }
    for (const row of rows) {
      const id = this.names.get(row);
      if (id === undefined || this.thumbs.has(row)) continue;
      const image = h("img", { src: pictureOf(id), alt: id, title: id, width: PICTURE, height: PICTURE, draggable: "false", decoding: "async" });
      const element = h("li", {}, image);
      image.addEventListener("error", () => element.remove());
      image.addEventListener("load", () => image.classList.add("there"));
      this.thumbs.set(row, element);
      this.pictures.append(element);
    }
    this.placePictures();
  }

  placePictures() {
    for (const [row, element] of this.thumbs) {
      const [px, py] = this.toScreen([this.x[row], this.y[row]]);
      element.style.transform = `translate(${px - PICTURE / 2}px, ${py - PICTURE / 2}px)`;
    }
  }

  // ---- moving, clicking, drawing around

  wheel(event) {
    event.preventDefault();
    const box = this.stage.getBoundingClientRect();
    const line = event.deltaMode === 1 ? 16 : 1;
    this.zoom(Math.exp((-event.deltaY * line) / 500), event.clientX - box.left, event.clientY - box.top);
  }

  zoom(by, px = this.stage.clientWidth / 2, py = this.stage.clientHeight / 2) {
    if (!this.scale) return;
    const [x, y] = this.toMap(px, py);
    this.scale = Math.max(this.whole / 2, Math.min(this.whole * 2000, this.scale * by));
    const [nx, ny] = this.toMap(px, py);
    this.middle = [this.middle[0] + x - nx, this.middle[1] + y - ny];
    this.draw();
  }

  arm() {
    this.armed = !this.armed;
    this.lassoButton.setAttribute("aria-pressed", String(this.armed));
    this.stage.classList.toggle("armed", this.armed);
    this.canvas.focus();
  }

  point(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  down(event) {
    if (event.button || !this.scale) return;
    const [px, py] = this.point(event);
    this.from = { px, py, middle: this.middle, moved: false };
    if (this.armed || event.shiftKey) this.path = [this.toMap(px, py)];
    this.stage.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.from) return;
    const [px, py] = this.point(event);
    this.from.moved ||= Math.hypot(px - this.from.px, py - this.from.py) > 4;
    if (this.path) {
      const [lastX, lastY] = this.toScreen(this.path.at(-1));
      if (Math.hypot(px - lastX, py - lastY) > 5) this.path.push(this.toMap(px, py));
    } else {
      const [x, y] = this.from.middle;
      this.middle = [x - (px - this.from.px) / this.scale, y + (py - this.from.py) / this.scale];
    }
    this.draw();
  }

  up(event) {
    const [from, path] = [this.from, this.path];
    [this.from, this.path] = [null, null];
    if (!from) return;
    if (path?.length > 2) {
      const step = Math.ceil(path.length / 100);
      const kept = path.filter((_, number) => number % step === 0);
      if (this.armed) this.arm();
      show({ lasso: kept.map((point) => point.map((one) => Number(one.toPrecision(5))).join(",")).join(";") });
    } else if (!from.moved) this.openNear(...this.point(event));
    this.draw();
  }

  async openNear(px, py) {
    const picture = document.elementsFromPoint(px + this.stage.getBoundingClientRect().left, py + this.stage.getBoundingClientRect().top).find((one) => one.matches(".pictures img"));
    let near = picture ? [...this.thumbs].find(([, element]) => element.contains(picture))?.[0] : undefined;
    if (near === undefined) {
      const [x, y] = this.toMap(px, py);
      let least = (NEAR / this.scale) ** 2;
      for (let row = 0; row < this.total; row++) {
        const apart = (this.x[row] - x) ** 2 + (this.y[row] - y) ** 2;
        if (this.chosen[row] && apart < least) [least, near] = [apart, row];
      }
    }
    if (near === undefined) return;
    if (!this.names.has(near)) {
      const [{ id }] = await get(`points/names?row=${near}`);
      this.names.set(near, id);
    }
    show({ galaxy: this.names.get(near) });
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 60 / (this.scale || 1);
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (event.key in moves) {
      this.middle = this.middle.map((one, axis) => one + moves[event.key][axis]);
      this.draw();
    } else if (event.key === "+" || event.key === "=") this.zoom(1.3);
    else if (event.key === "-") this.zoom(1 / 1.3);
    else if (event.key === "0") this.fit();
    else if (event.key === "l") this.arm();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

// ---- numbers, colours, programs

async function floats(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error((await response.json().catch(() => ({}))).error || `the server answered ${response.status}`);
  return new Float32Array(await response.arrayBuffer());
}

// The range of values without the most extreme `cut` at each end; of many, of a sample.
function ends(values, cut = 0.01) {
  const step = Math.ceil(values.length / 50000);
  const known = values.filter((one, row) => row % step === 0 && Number.isFinite(one)).sort();
  if (!known.length) return [0, 1];
  const at = Math.floor(cut * (known.length - 1));
  return [known[at], known[known.length - 1 - at]];
}

function parsed(lasso) {
  return lasso ? lasso.split(";").map((point) => point.split(",").map(Number)) : [];
}

function rgb(colour) {
  const hex = colour.match(/^#(..)(..)(..)$/)?.slice(1).map((part) => parseInt(part, 16));
  return (hex ?? colour.match(/[\d.]+/g).slice(0, 3).map(Number)).map((one) => one / 255);
}

function program(gl) {
  const made = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
  return made;
}
