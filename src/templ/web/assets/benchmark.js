"use strict";
// A benchmark's run: its figures, a plot to choose targets on, and the cards of those chosen, the worst first.
const COLUMNS = ["id", "group", "status", "reason", "rmsd", "best", "missed", "confidence", "tanimoto", "template", "method", "core", "atoms", "seconds", "memory", "smiles"];
const FRAME = { left: 46, right: 630, top: 10, bottom: 262 };
const LIMITS = { rmsd: [0.1, 20] };
const REFRESH_MS = 8000;
const SVG = "http://www.w3.org/2000/svg";
const name = byId("controls").dataset.name;
const gallery = new Gallery(byId("results"), name);
let all = [];
let known = -2;
let drawnAt = 0;
let asked = 0;

const scaleX = (tanimoto) => FRAME.left + tanimoto * (FRAME.right - FRAME.left);
const logShare = (rmsd) => (Math.log(Math.min(Math.max(rmsd, LIMITS.rmsd[0]), LIMITS.rmsd[1])) - Math.log(LIMITS.rmsd[0])) / (Math.log(LIMITS.rmsd[1]) - Math.log(LIMITS.rmsd[0]));
const scaleY = (rmsd) => FRAME.bottom - logShare(rmsd) * (FRAME.bottom - FRAME.top);
const unscaleX = (x) => Math.min(Math.max((x - FRAME.left) / (FRAME.right - FRAME.left), 0), 1);
const unscaleY = (y) => LIMITS.rmsd[0] * (LIMITS.rmsd[1] / LIMITS.rmsd[0]) ** Math.min(Math.max((FRAME.bottom - y) / (FRAME.bottom - FRAME.top), 0), 1);

function shape(kind, attributes, text) {
  const made = document.createElementNS(SVG, kind);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function isChosen(row) {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const filter = byId("filter").value;
  const kind = row.missed || (row.status === "posed" ? "within" : row.status);
  const far = byId("far").value === "" ? Infinity : Number(byId("far").value);
  const rmsd = row.rmsd ?? Infinity;
  return words.every((word) => `${row.id} ${row.group} ${row.template} ${row.reason}`.toLowerCase().includes(word))
    && (!filter || (filter === "star" ? gallery.stars.has(row.id) : kind === filter))
    && (!byId("protein").value || row.group === byId("protein").value)
    && row.tanimoto >= Number(byId("low").value) && row.tanimoto <= Number(byId("high").value)
    && rmsd >= Number(byId("near").value) && rmsd <= far;
}

// Failed and refused ones first, then the farthest from the crystal.
const worst = (row) => (row.status === "failed" ? 1e6 : row.status === "refused" ? 1e5 : row.rmsd ?? 0);

function drawPlot() {
  const plot = byId("brush");
  const marks = [shape("rect", { class: "frame", x: FRAME.left, y: FRAME.top, width: FRAME.right - FRAME.left, height: FRAME.bottom - FRAME.top })];
  for (const tick of [0, 0.2, 0.4, 0.6, 0.8, 1]) marks.push(shape("text", { x: scaleX(tick), y: FRAME.bottom + 15, "text-anchor": "middle" }, tick));
  for (const tick of [0.1, 0.5, 1, 2, 5, 10, 20]) marks.push(shape("text", { x: FRAME.left - 6, y: scaleY(tick) + 4, "text-anchor": "end" }, tick));
  marks.push(shape("line", { class: "mark", x1: FRAME.left, x2: FRAME.right, y1: scaleY(2), y2: scaleY(2) }));
  marks.push(shape("text", { x: (FRAME.left + FRAME.right) / 2, y: 294, "text-anchor": "middle" }, "Tanimoto similarity of the nearest template"));
  marks.push(shape("text", { x: 12, y: 136, "text-anchor": "middle", transform: "rotate(-90 12 136)" }, "RMSD (Å)"));
  const dots = all.filter((row) => row.rmsd !== null).map((row) => {
    const [x, y] = [scaleX(row.tanimoto), scaleY(row.rmsd)];
    const common = { class: `dot ${row.missed}` };
    // Told apart by shape as well as by colour.
    const dot = row.missed === "sampling" ? shape("rect", { ...common, x: x - 3.6, y: y - 3.6, width: 7.2, height: 7.2 })
      : row.missed === "ranking" ? shape("path", { ...common, d: `M${x} ${y - 5}L${x + 4.6} ${y + 3.6}H${x - 4.6}Z` })
        : shape("circle", { ...common, cx: x, cy: y, r: 3.6 });
    dot.row = row;
    return dot;
  });
  plot.replaceChildren(...marks, ...dots);
}

function draw() {
  const rows = all.filter(isChosen).sort((a, b) => worst(b) - worst(a));
  for (const dot of byId("brush").querySelectorAll(".dot")) dot.classList.toggle("out", !isChosen(dot.row));
  gallery.show(rows);
  byId("count").textContent = `${rows.length.toLocaleString("en")} of ${all.length.toLocaleString("en")}`;
}

function brush() {
  const plot = byId("brush");
  const at = (event) => {
    const box = plot.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * 640, ((event.clientY - box.top) / box.height) * 300];
  };
  let start = null;
  plot.addEventListener("pointerdown", (event) => { start = at(event); plot.setPointerCapture(event.pointerId); });
  plot.addEventListener("pointermove", (event) => {
    if (!start) return;
    const [x, y] = at(event);
    plot.querySelector(".chosen")?.remove();
    plot.append(shape("rect", { class: "chosen", x: Math.min(x, start[0]), y: Math.min(y, start[1]), width: Math.abs(x - start[0]), height: Math.abs(y - start[1]) }));
  });
  plot.addEventListener("pointerup", (event) => {
    if (!start) return;
    const [x, y] = at(event);
    plot.querySelector(".chosen")?.remove();
    if (Math.abs(x - start[0]) > 4 && Math.abs(y - start[1]) > 4) {
      byId("low").value = unscaleX(Math.min(x, start[0])).toFixed(2);
      byId("high").value = unscaleX(Math.max(x, start[0])).toFixed(2);
      byId("far").value = unscaleY(Math.min(y, start[1])).toFixed(2);
      byId("near").value = Math.max(y, start[1]) >= FRAME.bottom ? 0 : unscaleY(Math.max(y, start[1])).toFixed(2);
      draw();
    }
    start = null;
  });
}

async function refresh(told) {
  const ended = ["finished", "failed", "stopped"].includes(told.state);
  if (told.done === known && !ended) return;
  if (told.done === 0 || (!ended && Date.now() - drawnAt < REFRESH_MS)) return;
  known = told.done;
  drawnAt = Date.now();
  const mine = ++asked;
  const rows = await (await ask(`/api/runs/${name}/rows`)).json();
  if (mine !== asked || !rows.length) return; // what was asked for later is newer, whichever comes first
  all = rows;
  byId("gallery").classList.remove("hidden");
  const groups = [...new Set(all.map((row) => row.group).filter(Boolean))].sort(compareText);
  const chosenGroup = byId("protein").value;
  byId("protein").replaceChildren(element("option", { value: "", textContent: "all" }), ...groups.map((group) => element("option", { value: group, textContent: group })));
  byId("protein").value = chosenGroup;
  drawPlot();
  draw();
  const summary = await (await ask(`/api/runs/${name}/plots`)).text();
  if (mine === asked) byId("summary").innerHTML = summary;
}

for (const id of ["search", "filter", "protein", "low", "high", "near", "far"]) byId(id).addEventListener("input", draw);
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("clear").addEventListener("click", () => { byId("controls").reset(); draw(); });
byId("export").addEventListener("click", () => save(`${name}.csv`, toCsv(all.filter(isChosen), COLUMNS)));
brush();
followers.push((told) => refresh(told).catch((error) => say(error.message)));
