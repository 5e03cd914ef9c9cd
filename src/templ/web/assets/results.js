"use strict";
const COLUMNS = ["id", "status", "reason", "detail", "confidence", "words", "template", "method", "core", "atoms", "tanimoto", "prior", "smiles", "notes"];
const name = byId("controls").dataset.name;
const gallery = new Gallery(byId("results"), name);
let all = [];
let known = "";
let asked = 0;

function chosen() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const filter = byId("filter").value;
  const sort = byId("sort").value;
  const rows = all.filter((row) => {
    const kind = row.status === "posed" ? row.words : row.status;
    const text = `${row.id} ${row.template} ${row.reason} ${row.detail}`.toLowerCase();
    return words.every((word) => text.includes(word)) && (!filter || (filter === "star" ? gallery.stars.has(row.id) : kind === filter));
  });
  rows.sort((a, b) => a.index - b.index);
  if (sort === "id") rows.sort((a, b) => compareText(a.id, b.id));
  else if (sort) rows.sort((a, b) => (b[sort] ?? -1) - (a[sort] ?? -1));
  return rows;
}

function draw() {
  const rows = chosen();
  gallery.show(rows);
  byId("count").textContent = `${rows.length.toLocaleString("en")} of ${all.length.toLocaleString("en")}`;
}

async function refresh(told) {
  const now = `${told.done} ${told.state}`;
  if (now === known) return;
  known = now;
  const mine = ++asked;
  const rows = await (await ask(`/api/runs/${name}/rows`)).json();
  if (mine !== asked) return; // what was asked for later is newer, whichever comes first
  all = rows;
  draw();
}

for (const id of ["search", "sort", "filter"]) byId(id).addEventListener("input", draw);
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("export").addEventListener("click", () => save(`${name}.csv`, toCsv(chosen(), COLUMNS)));
byId("poses").addEventListener("click", async () => {
  const indices = chosen().filter((row) => row.status === "posed").map((row) => row.index);
  try {
    save(`${name}.sdf`, await (await send(`/api/runs/${name}/poses`, { indices })).text(), "chemical/x-mdl-sdfile");
  } catch (error) {
    say(error.message);
  }
});
followers.push((told) => refresh(told).catch((error) => say(error.message)));
