"use strict";
// Before posing: what the library knows of the first molecule; then the order.
const chosen = { queries: null, first: "", receptors: [] };
// Whether the server took what was chosen; the order waits for it.
const taken = { queries: true, receptors: true };
const WAIT_MS = 450;
let asked = 0;
let waiting;

function firstSmiles() {
  return chosen.first || byId("smiles").value.trim().split("\n")[0].split(/\s/)[0] || "";
}

function showGroups() {
  const option = byId("library").selectedOptions[0];
  const groups = (option?.dataset.groups ?? "").split("\n").filter(Boolean);
  byId("group").replaceChildren(element("option", { value: "", textContent: "any" }),
    ...groups.map((group) => element("option", { value: group, textContent: group })));
  byId("proteins").classList.toggle("hidden", groups.length < 2);
}

async function lookUp() {
  const smiles = firstSmiles();
  const mine = ++asked;
  if (!smiles) return;
  byId("lookup").setAttribute("aria-busy", "true");
  try {
    const told = await send("/api/look-up", {
      smiles, library: byId("library").value, group: byId("group").value, receptor: chosen.receptors[0]?.id ?? null,
    });
    const page = await told.text();
    if (mine === asked) byId("lookup").innerHTML = page;
  } catch (error) {
    if (mine === asked) byId("lookup").replaceChildren(element("p", { className: "fault", textContent: error.message }));
  }
  if (mine === asked) byId("lookup").removeAttribute("aria-busy");
}

function lookSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(lookUp, WAIT_MS);
}

async function upload(file, what) {
  return (await ask(`/api/uploads/${what}?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file })).json();
}

function removal(remove) {
  const button = element("button", { type: "button", textContent: "remove" });
  button.addEventListener("click", remove);
  return button;
}

function removeQueries() {
  Object.assign(chosen, { queries: null, first: "" });
  taken.queries = true;
  byId("dropped").replaceChildren();
  byId("file").value = "";
  lookSoon();
}

async function takeQueries(file) {
  const told = byId("dropped");
  told.replaceChildren(`reading ${file.name} ...`);
  try {
    const found = await upload(file, "queries");
    chosen.queries = found.id;
    chosen.first = found.first[0]?.smiles ?? "";
    told.replaceChildren(element("p", {}, `${file.name}: ${found.readable.toLocaleString("en")} of ${found.count.toLocaleString("en")} molecules can be read `, removal(removeQueries)),
      ...found.faults.map((fault) => element("p", { className: "small fault", textContent: fault })));
    lookSoon();
    return true;
  } catch (error) {
    chosen.queries = null;
    told.replaceChildren(element("p", { className: "fault" }, `${file.name}: ${error.message} `, removal(removeQueries)));
    return false;
  }
}

function removeReceptors() {
  byId("receptor").value = "";
  taken.receptors = takeReceptors([]);
}

async function takeReceptors(files) {
  let all = true;
  chosen.receptors = [];
  byId("receptors").replaceChildren();
  for (const file of files) {
    let line;
    try {
      const found = await upload(file, "receptor");
      chosen.receptors.push(found);
      line = element("p", { className: "small", textContent: `${file.name}: ${found.residues} residues in ${found.chains} ${found.chains === 1 ? "chain" : "chains"}` });
    } catch (error) {
      line = element("p", { className: "small fault" }, `${file.name}: ${error.message} `, removal(removeReceptors));
      all = false;
    }
    byId("receptors").append(line);
  }
  lookSoon();
  return all;
}

byId("smiles").addEventListener("input", lookSoon);
byId("group").addEventListener("change", lookSoon);
byId("library").addEventListener("change", () => { showGroups(); lookSoon(); });
byId("file").addEventListener("change", (event) => { if (event.target.files[0]) taken.queries = takeQueries(event.target.files[0]); });
byId("receptor").addEventListener("change", (event) => { taken.receptors = takeReceptors([...event.target.files]); });
for (const kind of ["dragover", "dragleave", "drop"]) {
  byId("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    byId("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) taken.queries = takeQueries(event.dataTransfer.files[0]);
  });
}
byId("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("wrong").textContent = "";
  if ((await Promise.all(Object.values(taken))).includes(false)) {
    byId("wrong").textContent = "a file was refused: remove it, or choose another";
    return;
  }
  try {
    const told = await send("/api/jobs", {
      kind: "predict", smiles: chosen.queries ? "" : byId("smiles").value, queries: chosen.queries,
      receptors: chosen.receptors.map((receptor) => receptor.id), library: byId("library").value, group: byId("group").value,
      title: byId("title").value, min_confidence: Number(byId("least").value), seed: Number(byId("seed").value), states: byId("states").checked,
      covalent: byId("covalent").value.trim(),
    });
    location.href = (await told.json()).page;
  } catch (error) {
    byId("wrong").textContent = error.message;
  }
});
showGroups();
lookSoon();
