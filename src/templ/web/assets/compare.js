"use strict";
// Both poses of a target that changed sides, in one view beside the table that it was chosen from.
let viewer = null;

async function look(button) {
  const { a, b, i, j } = button.dataset;
  const found = await (await ask(`/api/overlay?${new URLSearchParams({ a, b, i, j })}`)).json();
  for (const other of document.querySelectorAll(".look")) other.setAttribute("aria-pressed", other === button);
  button.closest(".flips").querySelector(".beside").replaceChildren(byId("overlay"));
  byId("overlay").classList.remove("hidden");
  byId("overlaid").textContent = found.id;
  const rmsd = (value) => (value === null ? "no pose" : `${value.toFixed(2)} Å from the crystal`);
  byId("told").textContent = `Run A: ${rmsd(found.rmsd[0])}; run B: ${rmsd(found.rmsd[1])}.${found.same_frame ? "" : " The two lie in different receptors: each is shown as it lies in its own."}`;
  viewer ??= new PoseViewer(byId("stage"));
  viewer.labels = found.labels;
  viewer.load(found.models, ["run-a", "run-b", "crystal", "pocket", "labels"]);
  viewer.draw();
  viewer.centre();
  byId("stage").dataset.ready = found.id;
  byId("overlay").scrollIntoView({ block: "nearest" });
}

for (const button of document.querySelectorAll(".look")) {
  button.addEventListener("click", () => look(button).catch((error) => say(error.message)));
}
byId("stage").addEventListener("keydown", (event) => { if (viewer?.turn(event.key)) event.preventDefault(); });
