"use strict";
byId("benchmark").addEventListener("submit", async (event) => {
  event.preventDefault();
  const option = byId("which").selectedOptions[0];
  try {
    const told = await send("/api/jobs", {
      kind: "benchmark", benchmark: option.value, library: option.dataset.library ?? "", limit: Number(byId("limit").value) || null, seed: Number(byId("seed").value),
    });
    location.href = (await told.json()).page;
  } catch (error) {
    byId("wrong").textContent = error.message;
  }
});
