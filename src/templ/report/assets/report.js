const PAGE = 100;
const SHOWN = new Set(["rank 1", "template", "crystal", "pocket"]);

const byId = (id) => document.getElementById(id);
const text = (value) => String(value).replaceAll(" A", " Å");

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const table = {
  columns: [], rows: [], details: [], search: [],
  sort: null, descending: false, page: 0, open: null,

  async load() {
    Object.assign(this, JSON.parse(await unpack(byId("packed-table").textContent)));
    this.outcome = this.columns.findIndex((column) => column.name === "outcome");
    this.search = this.rows.map((row, index) =>
      [...row.filter((value) => typeof value === "string"), this.details[index].detail ?? ""].join("\n").toLowerCase());
    byId("table").tHead.append(element("tr", {}, ...this.columns.map((column, index) => this.head(column, index))));
    byId("columns").append(...this.columns.flatMap(({ name, about }) =>
      [element("dt", { textContent: name }), element("dd", { textContent: about })]));
    this.draw();
  },

  head(column, index) {
    const button = element("button", { type: "button", textContent: column.name, title: column.about });
    button.addEventListener("click", () => {
      this.descending = this.sort === index && !this.descending;
      this.sort = index;
      this.page = 0;
      this.draw();
    });
    return element("th", { scope: "col", className: column.decimals === null ? "" : "number" }, button);
  },

  chosen() {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const outcome = byId("outcome").value;
    const indices = [...this.rows.keys()].filter((index) =>
      (!outcome || this.rows[index][this.outcome] === outcome) && words.every((word) => this.search[index].includes(word)));
    if (this.sort !== null) {
      const sign = this.descending ? -1 : 1;
      const value = (index) => this.rows[index][this.sort];
      const known = indices.filter((index) => value(index) !== null);
      const compare = new Intl.Collator("en", { numeric: true }).compare;
      known.sort((a, b) => sign * (typeof value(a) === "number" ? value(a) - value(b) : compare(value(a), value(b))));
      return [...known, ...indices.filter((index) => value(index) === null)];
    }
    return indices;
  },

  draw() {
    const indices = this.chosen();
    const pages = Math.max(1, Math.ceil(indices.length / PAGE));
    this.page = Math.min(this.page, pages - 1);
    const from = this.page * PAGE;
    const shown = indices.slice(from, from + PAGE);
    if (this.open !== null) this.close();
    byId("table").tBodies[0].replaceChildren(...(shown.length ? shown.map((index) => this.row(index)) : [this.none()]));
    [...byId("table").tHead.rows[0].cells].forEach((cell, index) => {
      if (index === this.sort) cell.setAttribute("aria-sort", this.descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    const rows = pages > 1 ? `; rows ${from + 1} to ${from + shown.length} are shown` : "";
    byId("count").textContent = `${indices.length.toLocaleString("en")} of ${this.rows.length.toLocaleString("en")} ${molecules()}${rows}`;
    byId("page").textContent = indices.length ? `${from + 1} to ${from + shown.length}` : "";
    byId("before").disabled = this.page === 0;
    byId("after").disabled = this.page === pages - 1;
  },

  row(index) {
    const cells = this.rows[index].map((value, column) => this.cell(value, column));
    const link = element("a", { href: `#t${index}`, textContent: cells[0].textContent });
    link.setAttribute("aria-expanded", "false");
    cells[0].className = "target";
    cells[0].replaceChildren(link);
    const row = element("tr", { className: "target", id: `t${index}` }, ...cells);
    row.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // the browser's own: a new tab, a selection
      event.preventDefault();
      if (this.open === index) this.leave();
      else this.show(index);
    });
    return row;
  },

  // In place of rows where there are none.
  none() {
    const again = element("button", { type: "button", textContent: "Show all" });
    again.addEventListener("click", () => { clear(); this.page = 0; this.draw(); });
    const asked = [byId("search").value.trim() && `“${byId("search").value.trim()}”`, text(byId("outcome").value)].filter(Boolean).join(" and ");
    const cell = element("td", { colSpan: this.columns.length }, `No ${molecules().replace(/s$/, "")} matches ${asked}. `, again);
    return element("tr", { className: "none" }, cell);
  },

  cell(value, column) {
    const { decimals } = this.columns[column];
    if (decimals !== null) {
      return element("td", { className: "number", textContent: value === null ? "–" : value.toFixed(decimals) });
    }
    const cell = element("td", { textContent: value ?? "", title: value ?? "" });
    if (column === this.outcome) {
      const kind = { within: "good", farther: "missed", "refused:": "refused", "failed:": "failed" };
      cell.className = kind[value.split(" ")[0]] ?? "";
      cell.textContent = text(value);
    }
    return cell;
  },

  // Opens a target whose row is in the table, and lets the address of the page follow.
  async show(index) {
    if (this.open !== null) this.close();
    this.open = index;
    if (location.hash !== `#t${index}`) history.pushState(null, "", `#t${index}`);
    const row = byId(`t${index}`);
    row.classList.add("open");
    row.querySelector("a").setAttribute("aria-expanded", "true");
    const sheet = element("div", { className: "sheet" });
    row.after(element("tr", { className: "detail" }, element("td", { colSpan: this.columns.length }, sheet)));
    fit();
    await fillSheet(sheet, index);
  },

  close() {
    byId("parked").append(stage);
    const row = byId(`t${this.open}`);
    row.classList.remove("open");
    row.querySelector("a").setAttribute("aria-expanded", "false");
    row.nextElementSibling.remove();
    this.open = null;
  },

  // Closes what is open because its reader wants to: back to its row, and to the address of the whole page.
  leave() {
    if (this.open === null) return;
    const link = byId(`t${this.open}`).querySelector("a");
    this.close();
    history.pushState(null, "", location.pathname + location.search);
    link.focus();
  },

  // Opens a target wherever it is: on another page, or hidden by a filter.
  async reveal(index, focused = "a") {
    if (!(index >= 0 && index < this.rows.length)) return;
    if (!this.chosen().includes(index)) clear();
    this.page = Math.floor(this.chosen().indexOf(index) / PAGE);
    this.draw();
    await this.show(index);
    const row = byId(`t${index}`);
    row.scrollIntoView({ block: "start" });
    (row.nextElementSibling.querySelector(focused) ?? row.querySelector("a")).focus({ preventScroll: true });
  },
};

const molecules = () => byId("targets").textContent.toLowerCase();

// The sheet of a target is as wide as what is seen of the table, not as the table.
function fit() {
  const sheet = document.querySelector(".sheet");
  if (sheet) sheet.style.width = `${byId("frame").clientWidth}px`;
}

async function fillSheet(sheet, index) {
  const details = table.details[index];
  const told = [steps(index)];
  if (details.detail) told.push(element("p", { className: "long", textContent: details.detail }));
  for (const note of details.notes ?? []) told.push(element("p", { className: "quiet long", textContent: note }));
  const packed = byId(`packed-${index}`);
  const structures = packed ? JSON.parse(await unpack(packed.textContent)) : { models: [] };
  if (structures.query) told.push(drawings(structures));
  const numbers = element("div", {}, ...numbersOf(details));
  const columns = element("div", { className: "columns" });
  if (structures.models.length) columns.append(viewerOf(structures.models));
  else numbers.prepend(element("p", { className: "quiet", textContent: "Its poses in 3D are not in this page, which has no room for all, or it has none: templ export -f complex writes them to files." }));
  columns.append(numbers);
  const smiles = structures.smiles ?? details.smiles;
  if (smiles) numbers.append(element("h3", { textContent: "SMILES" }), element("p", { className: "mono long", textContent: smiles }));
  sheet.append(...told, columns);
}

// Head of a sheet: which target it is, and the ones before and after it in the table as it is sorted and filtered.
function steps(index) {
  const indices = table.chosen();
  const at = indices.indexOf(index);
  const step = (name, to) => {
    const button = element("button", { type: "button", className: name.toLowerCase(), textContent: name, disabled: to === undefined });
    button.addEventListener("click", () => table.reveal(to, `button.${name.toLowerCase()}:enabled`));
    return button;
  };
  const close = element("button", { type: "button", textContent: "Close", title: "Escape closes too" });
  close.addEventListener("click", () => table.leave());
  return element("div", { className: "steps" }, element("h3", { textContent: table.rows[index][0] }),
    element("span", { className: "quiet small", textContent: `${at + 1} of ${indices.length}` }),
    step("Previous", indices[at - 1]), step("Next", indices[at + 1]), close);
}

const SUPERPOSITION = {
  identity: "sequence identity of the template's receptor", pairs: "residues superposed",
  pocket_identity: "identity of the pocket's residues", pocket_rmsd: "RMSD of the pocket's C-alphas (Å)",
};

function drawings(structures) {
  const pictures = element("div", { className: "drawings" });
  const copied = structures.query.includes("--core") ? ", copied atoms marked" : ", no atoms were copied";
  for (const [name, svg] of [["query", structures.query], ["template", structures.template]]) {
    if (!svg) continue;
    const picture = element("figure", {}, element("figcaption", { textContent: name + (structures.template ? copied : "") }), element("div", { innerHTML: svg }));
    picture.lastChild.setAttribute("role", "img");
    picture.lastChild.setAttribute("aria-label", `drawing of the ${name}`);
    pictures.append(picture);
  }
  return pictures;
}

function numbersOf(details) {
  const made = [];
  const scores = details.scores ?? [];
  if (scores.length) {
    const columns = [["rank", scores.map((_, index) => index + 1), 0], ["score", scores, 2]];
    if (details.confidence) columns.push(["confidence", details.confidence, 2]);
    if (details.rmsd) columns.push(["RMSD (Å)", details.rmsd, 2]);
    const head = element("tr", {}, ...columns.map(([name]) => element("th", { scope: "col", className: "number", textContent: name })));
    const rows = scores.map((_, index) => element("tr", {}, ...columns.map(([, values, decimals]) =>
      element("td", { className: "number", textContent: (values[index] ?? NaN).toFixed(decimals) }))));
    made.push(element("h3", { textContent: "Poses" }),
      element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
  }
  const facts = Object.entries(details.superposition ?? {}).map(([name, value]) => [SUPERPOSITION[name] ?? name, Number(value.toPrecision(3))]);
  if (details.pocket) facts.push(["pocket", details.pocket, "residues within 4.5 Å of the first pose"]);
  if (details.templates_allowed) facts.push(["templates allowed", details.templates_allowed.toLocaleString("en"), "crystal ligands that the rule lets it use"]);
  if (details.said) facts.push(["first pose", `${details.confidence[0].toFixed(2)}, ${details.said}`, "its confidence in words"]);
  if (details.prior_confidence) facts.push(["prior confidence", details.prior_confidence.toFixed(2), "from the templates alone, before posing"]);
  if (details.failed_checks) facts.push(["PoseBusters checks failed", details.failed_checks.join(", ")]);
  if (details.stage) facts.push(["ended in", details.stage]);
  if (details.stages) facts.push(["wall seconds", Object.entries(details.stages).map(([name, value]) => `${name} ${value.toFixed(2)}`).join(", ")]);
  if (facts.length) {
    made.push(element("h3", { textContent: "More" }),
      element("dl", {}, ...facts.flatMap(([name, value, about]) => [element("dt", { textContent: about ? `${name}: ${about}` : name }), element("dd", { textContent: value })])));
  }
  return made;
}

// One viewer serves all targets: a browser allows few of them, and each starts slowly. While no target is open
// it is parked out of sight, but in the page: without a size it would complain.
let viewer = null;
const stage = element("div", { className: "viewer", tabIndex: 0 });
stage.setAttribute("role", "application");
stage.setAttribute("aria-label", "3D view: arrow keys turn, plus and minus zoom, 0 shows all");
stage.addEventListener("keydown", (event) => {
  if (viewer?.turn(event.key)) event.preventDefault();
});

const loaded = { script: null };
function loadViewer() {
  loaded.script ??= unpack(byId("packed-viewer").textContent).then((script) => {
    document.head.append(element("script", { textContent: script }));
  });
  return loaded.script;
}

function viewerOf(models) {
  const boxes = element("fieldset", { className: "shown" }, element("legend", { className: "quiet small", textContent: "3D view: drag or arrow keys turn, wheel or + and - zoom" }));
  const panel = element("div", {}, boxes, stage);
  show(models, boxes).catch((error) => {
    stage.replaceChildren(element("p", { className: "quiet", textContent: `The 3D view needs WebGL (${error.message}).` }));
  });
  return panel;
}

async function show(models, boxes) {
  await loadViewer();
  viewer ??= new PoseViewer(stage);
  const kind = (name) => (name.startsWith("rank") ? "rank" : name);
  const key = (name) => (name === "rank 1" ? "pose" : name);
  viewer.load(models.map((model) => ({ ...model, kind: kind(model.name) })),
    models.filter(({ name }) => SHOWN.has(name)).map(({ name }) => key(name)));
  for (const { name } of models) {
    const box = element("input", { type: "checkbox", checked: SHOWN.has(name) });
    box.addEventListener("change", () => viewer.show(key(name), box.checked));
    boxes.append(element("label", {}, box, " ", element("span", { className: `swatch swatch-${key(name) === "pose" ? "pose" : kind(name)}` }), name));
  }
  viewer.fit();
  viewer.draw();
  viewer.centre();
}

function clear() {
  byId("search").value = "";
  byId("outcome").value = "";
}

// What is open is what the address says, also after Back and Forward.
function follow() {
  const found = /^#t(\d+)$/.exec(location.hash);
  if (found && Number(found[1]) !== table.open) table.reveal(Number(found[1]));
  else if (!location.hash && table.open !== null) table.close();
}

byId("search").addEventListener("input", () => { table.page = 0; table.draw(); });
byId("outcome").addEventListener("change", () => { table.page = 0; table.draw(); });
byId("clear").addEventListener("click", () => { clear(); table.page = 0; table.draw(); });
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("before").addEventListener("click", () => { table.page -= 1; table.draw(); });
byId("after").addEventListener("click", () => { table.page += 1; table.draw(); byId("targets").scrollIntoView(); });
for (const link of document.querySelectorAll("[data-outcome]")) {
  link.addEventListener("click", () => { byId("outcome").value = link.dataset.outcome; table.page = 0; table.draw(); });
}
for (const link of document.querySelectorAll(".plot a")) link.setAttribute("tabindex", "-1");
addEventListener("popstate", follow); // a link inside the page is one too
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && table.open !== null && document.activeElement !== byId("search")) table.leave();
});
new ResizeObserver(fit).observe(byId("frame"));
table.load().then(follow);
