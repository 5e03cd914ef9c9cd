"use strict";
// Follows a job by server-sent events; `whenChanged` is told of each message, by whoever wants to know.
const followers = [];
const MB = 1e6;

function follow() {
  const box = byId("progress");
  if (!box) { for (const follower of followers) follower({ state: "finished", done: -1 }); return; }
  const source = new EventSource(`/api/runs/${box.dataset.name}/events`);
  source.addEventListener("message", (event) => {
    const told = JSON.parse(event.data);
    byId("state").textContent = told.state;
    box.dataset.state = told.state;
    byId("bar").max = told.total || 1;
    byId("bar").value = told.done;
    const parts = [`${told.done.toLocaleString("en")} of ${told.total.toLocaleString("en")} done`];
    if (told.refused) parts.push(`${told.refused} refused`);
    if (told.failed) parts.push(`${told.failed} failed`);
    if (told.within) parts.push(`${Math.round((100 * told.within) / told.judged)} % within 2 Å so far`);
    if (told.memory.tree && told.state === "running") parts.push(`${Math.round(told.memory.tree / MB).toLocaleString("en")} MB in ${told.memory.workers} ${told.memory.workers === 1 ? "worker" : "workers"}`);
    byId("told").textContent = told.total ? parts.join(", ") : told.state === "waiting" ? "begins in a moment" : "";
    byId("message").textContent = told.message;
    byId("stop").classList.toggle("hidden", !["waiting", "running"].includes(told.state));
    byId("resume").classList.toggle("hidden", !["stopped", "failed"].includes(told.state));
    byId("bar").classList.toggle("hidden", told.state === "finished");
    if (["finished", "failed", "stopped"].includes(told.state)) source.close();
    for (const follower of followers) follower(told);
  });
}

for (const name of ["stop", "resume"]) {
  byId(name)?.addEventListener("click", async () => {
    try {
      await send(`/api/runs/${byId("progress").dataset.name}/${name}`, {});
      if (name === "resume") follow();
    } catch (error) {
      say(error.message);
    }
  });
}
addEventListener("DOMContentLoaded", follow);
