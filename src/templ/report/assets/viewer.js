"use strict";
// The 3D view of a pose, which all pages share. It draws with 3Dmol.js ($3Dmol) into an element that has a size.
// Colours are those of the page (viewer.css); what is drawn differs in thickness too, for readers who do not
// tell the colours apart.
const ELEMENT_COLOURS = { N: "#4a66d8", O: "#d8434c", S: "#b39700", P: "#d9822b", F: "#3a9a55", Cl: "#3a9a55", Br: "#8f4a32", I: "#7b3fa0" };
const RADII = { selected: 0.21, crystal: 0.14, template: 0.1, rank: 0.055, pocket: 0.06, "run-a": 0.2, "run-b": 0.11 };
const SUPPORT_COLOURS = ["#00204d", "#414d6b", "#7c7b78", "#bcae6c", "#ffea46"];
const BEYOND = 8; // Angstrom from the pose within which the surface of the receptor is drawn

function pageColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// Colour of a share between 0 and 1: dark to bright, and readable without colour vision (cividis).
function supportColour(share) {
  const at = Math.min(Math.max(share, 0), 1) * (SUPPORT_COLOURS.length - 1);
  const low = Math.min(Math.floor(at), SUPPORT_COLOURS.length - 2);
  const parts = [1, 3, 5].map((start) => {
    const [from, to] = [low, low + 1].map((index) => parseInt(SUPPORT_COLOURS[index].slice(start, start + 2), 16));
    return Math.round(from + (to - from) * (at - low)).toString(16).padStart(2, "0");
  });
  return `#${parts.join("")}`;
}

class PoseViewer {
  // `told` has functions that are told what happens: hover(kind, index), measure(list), turn().
  constructor(stage, told = {}) {
    this.stage = stage;
    this.told = told;
    this.viewer = $3Dmol.createViewer(stage, { backgroundAlpha: 0, antialias: true, cartoonQuality: 6 });
    this.models = [];
    this.shown = new Set();
    this.rank = 1;
    this.support = null;
    this.interactions = [];
    this.labels = [];
    this.measured = [];
    this.picked = null;
    this.receptor = null;
    this.surface = null;
    this.mark = null;
    this.waiting = null;
    this.written = [];
    this.names = document.createElement("div");
    this.names.className = "names";
    this.names.setAttribute("aria-hidden", "true");
    stage.append(this.names);
    this.viewer.setViewChangeCallback(() => {
      this.moveNames();
      this.told.turn?.();
    });
    this.resizing = new ResizeObserver(() => this.fit());
    this.resizing.observe(stage);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  fit() {
    const size = `${this.stage.clientWidth} x ${this.stage.clientHeight}`;
    if (size === this.size || !this.stage.clientWidth || !this.stage.clientHeight) return;
    if (this.size) this.viewer.resize();
    this.size = size;
  }

  // Draws once, however much was changed before the browser shows it.
  render() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      this.viewer.render();
    });
  }

  // Each model: name, kind (rank, template, crystal, pocket), format (sdf, pdb), text.
  load(models, shown) {
    this.viewer.removeAllModels();
    this.receptor = null;
    this.models = models.map((model) => ({ ...model, model: this.viewer.addModel(model.text, model.format) }));
    this.shown = new Set(shown);
    this.listen();
  }

  find(name) {
    return this.models.find((model) => model.name === name);
  }

  get selected() {
    return this.find(`rank ${this.rank}`);
  }

  isShown(entry) {
    if (entry === this.selected) return this.shown.has("pose");
    if (entry.kind === "template") return this.shown.has("template") && (entry.template === undefined || entry.template === this.template);
    if (entry.kind === "rank") return this.shown.has("ranks") || this.shown.has(entry.name);
    return this.shown.has(entry.kind);
  }

  thick(entry) {
    return entry === this.selected ? "selected" : entry.kind;
  }

  // Colour of the carbons of a model.
  inkOf(entry) {
    return pageColour(entry.colour ?? (entry === this.selected ? "pose" : entry.kind));
  }

  draw() {
    for (const entry of this.models) {
      if (!this.isShown(entry)) {
        entry.model.setStyle({}, {});
        entry.model.hide();
        continue;
      }
      entry.model.show();
      const kind = this.thick(entry);
      const radius = RADII[kind] ?? RADII.rank;
      let colouring = { colorscheme: { prop: "elem", map: { ...ELEMENT_COLOURS, C: this.inkOf(entry) } } };
      if (kind === "selected" && this.shown.has("support") && this.support?.length) {
        colouring = { colorfunc: (atom) => supportColour(this.support[atom.index] ?? 0) };
      }
      const style = { stick: { radius, ...colouring } };
      if (kind === "crystal") style.sphere = { radius: radius * 1.9, ...colouring };
      if (kind === "pocket") style.sphere = { radius, ...colouring };
      if (kind === "selected" && this.shown.has("support")) style.sphere = { radius: radius * 1.7, ...colouring };
      entry.model.setStyle({}, style);
    }
    this.receptor?.setStyle({}, this.shown.has("cartoon") ? { cartoon: { color: pageColour("pocket"), opacity: 0.85, thickness: 0.3 } } : {});
    this.viewer.removeAllShapes();
    this.names.replaceChildren();
    this.written = [];
    this.mark = null;
    if (this.shown.has("interactions") && this.shown.has("pose")) for (const pair of this.interactions) this.drawPair(pair);
    if (this.shown.has("labels") && this.shown.has("pocket")) {
      for (const label of this.labels) this.write(label.name.replace(/^.*:/, ""), label.at);
    }
    for (const { start, end, distance } of this.measured) {
      this.line(start, end, pageColour("label"), 0.035, true);
      this.write(`${distance.toFixed(2)} Å`, middle(start, end), "measured");
    }
    this.render();
  }

  drawPair(pair) {
    if (pair.kind === "covalent bond") return this.line(pair.start, pair.end, pageColour("pose"), RADII.selected, false);
    const clash = pair.kind === "clash";
    this.line(pair.start, pair.end, pageColour(clash ? "clash" : "hydrogen-bond"), clash ? 0.12 : 0.06, !clash);
    this.write(pair.distance.toFixed(1), middle(pair.start, pair.end), clash ? "clash" : "hydrogen-bond");
  }

  line(start, end, color, radius, dashed) {
    const [from, to] = [start, end].map(([x, y, z]) => ({ x, y, z }));
    this.viewer.addCylinder({ start: from, end: to, color, radius, dashed, dashLength: 0.18, gapLength: 0.14, fromCap: 1, toCap: 1 });
  }

  // Names are HTML over the picture: sharp, in the colours of the page, and cheap where there is no graphics card.
  write(text, at, ink = "label") {
    const name = document.createElement("span");
    name.className = `name-${ink}`;
    name.textContent = text;
    this.names.append(name);
    this.written.push({ name, at: { x: at[0], y: at[1], z: at[2] } });
  }

  moveNames() {
    const box = this.stage.getBoundingClientRect();
    const points = this.viewer.modelToScreen(this.written.map(({ at }) => at));
    this.written.forEach(({ name }, index) => {
      const x = points[index].x - box.left - scrollX;
      const y = points[index].y - box.top - scrollY;
      name.style.transform = `translate(-50%, -50%) translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
      name.hidden = x < 0 || y < 0 || x > box.width || y > box.height;
    });
  }

  // What of the models is drawn: pose, ranks, template, crystal, pocket, labels, interactions, support, cartoon, surface.
  async show(name, wanted) {
    if (wanted) this.shown.add(name);
    else this.shown.delete(name);
    if (wanted && (name === "cartoon" || name === "surface")) await this.loadReceptor();
    if (name === "surface") await this.drawSurface();
    this.draw();
  }

  async loadReceptor() {
    if (this.receptor || !this.receptorUrl) return;
    this.loading ??= fetch(this.receptorUrl).then((answered) => answered.text());
    const text = await this.loading;
    this.receptor ??= this.viewer.addModel(text, "pdb");
  }

  async drawSurface() {
    if (this.surface !== null) this.viewer.removeSurface(this.surface);
    this.surface = null;
    if (!this.shown.has("surface") || !this.receptor) return;
    // By number: of a model itself 3Dmol would copy everything, and never end.
    const all = { model: this.receptor.getID() };
    const pose = { model: (this.selected ?? this.models[0]).model.getID() };
    const near = { ...all, within: { distance: BEYOND, sel: pose } };
    this.surface = await this.viewer.addSurface($3Dmol.SurfaceType.VDW, { opacity: 0.5, color: pageColour("pocket") }, near, all);
  }

  choose(rank, { template, support, interactions } = {}) {
    this.rank = rank;
    this.template = template;
    this.support = support ?? null;
    this.interactions = interactions ?? [];
    this.draw();
  }

  listen() {
    for (const entry of this.models) {
      entry.model.setHoverable({}, true,
        (atom) => this.told.hover?.(entry, atom.index),
        () => this.told.hover?.(entry, null));
      entry.model.setClickable({}, true, (atom) => this.pick(entry, atom));
    }
  }

  pick(entry, atom) {
    const at = [atom.x, atom.y, atom.z];
    const name = entry.kind === "pocket" ? `${atom.resn}${atom.resi} ${atom.atom}` : `${entry.name} ${atom.elem}${atom.index + 1}`;
    if (!this.picked) {
      this.picked = { at, name };
      this.sphere(at);
    } else {
      const distance = Math.hypot(...at.map((value, axis) => value - this.picked.at[axis]));
      if (distance > 0.01) this.measured.push({ start: this.picked.at, end: at, distance, names: [this.picked.name, name] });
      this.picked = null;
      this.draw();
    }
    this.told.measure?.(this.measured, this.picked);
  }

  forget() {
    this.measured = [];
    this.picked = null;
    this.draw();
    this.told.measure?.(this.measured, this.picked);
  }

  // Rings an atom of the selected pose; null: none.
  highlight(index) {
    if (!this.mark && index === null) return;
    if (this.mark) this.viewer.removeShape(this.mark);
    this.mark = null;
    const atom = index === null ? null : this.selected?.model.selectedAtoms({ index })[0];
    if (atom) this.mark = this.sphere([atom.x, atom.y, atom.z]);
    this.render();
  }

  sphere([x, y, z]) {
    const made = this.viewer.addSphere({ center: { x, y, z }, radius: 0.55, color: pageColour("label"), opacity: 0.45 });
    this.render();
    return made;
  }

  centre() {
    const about = this.models.filter((entry) => entry.kind !== "pocket" && this.isShown(entry)).map((entry) => entry.model.getID());
    if (about.length) this.viewer.zoomTo({ model: about });
    else this.viewer.zoomTo();
    this.viewer.zoom(0.8);
    this.render();
  }

  turn(key) {
    const turns = { ArrowLeft: [-8, "y"], ArrowRight: [8, "y"], ArrowUp: [-8, "x"], ArrowDown: [8, "x"] };
    const zooms = { "+": 1.15, "=": 1.15, "-": 1 / 1.15 };
    if (key in turns) this.viewer.rotate(...turns[key]);
    else if (key in zooms) this.viewer.zoom(zooms[key]);
    else if (key === "0") this.centre();
    else return false;
    return true;
  }

  get view() {
    return this.viewer.getView().map((value) => Number(value.toFixed(3)));
  }

  set view(values) {
    this.viewer.setView(values);
    this.render();
  }
}

function middle(start, end) {
  return start.map((value, axis) => (value + end[axis]) / 2);
}
