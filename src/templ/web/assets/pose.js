"use strict";
// The page of a pose: its view, its ranks, and a link that opens it as it is now.
const TURN_MS = 300;
const page = { view: null, viewer: null, rank: 1 };
const boxes = () => [...document.querySelectorAll("#tools input")];
const section = () => document.querySelector(`.rank[data-rank="${page.rank}"]`);

// The link: rank, what is shown, and from where; after the #, so that no server sees it.
function remember() {
  const state = new URLSearchParams({
    rank: page.rank, show: boxes().filter((box) => box.checked).map((box) => box.value).join(","), view: page.viewer.view.join(","),
  });
  history.replaceState(null, "", `#${decodeURIComponent(state.toString())}`);
}

let later;
function rememberSoon() {
  clearTimeout(later);
  later = setTimeout(remember, TURN_MS);
}

function fromLink() {
  const state = new URLSearchParams(location.hash.slice(1));
  const view = (state.get("view") ?? "").split(",").map(Number);
  return {
    rank: Number(state.get("rank")) || 1,
    show: state.has("show") ? state.get("show").split(",") : null,
    view: view.length === 8 && view.every(Number.isFinite) ? view : null,
  };
}

function choose(rank) {
  const ranks = page.view.ranks;
  if (!ranks.length) return;
  page.rank = Math.min(Math.max(rank, 1), ranks.length);
  for (const part of document.querySelectorAll(".rank")) part.classList.toggle("hidden", Number(part.dataset.rank) !== page.rank);
  document.querySelector(`#ranks input[value="${page.rank}"]`).checked = true;
  page.viewer.choose(page.rank, ranks[page.rank - 1]);
  mark(null);
  rememberSoon();
}

// An atom in 2D and in 3D.
function mark(index) {
  for (const spot of document.querySelectorAll(".spot.on")) spot.classList.remove("on");
  if (index !== null) section()?.querySelector(`.query .spot[data-atom="${index}"]`)?.classList.add("on");
  page.viewer.highlight(index);
}

function hovered(entry, index) {
  if (entry === page.viewer.selected) mark(index);
}

function measured(list, picked) {
  const lines = list.map(({ names, distance }) => element("li", { textContent: `${names[0]} to ${names[1]}: ${distance.toFixed(2)} Å` }));
  const forget = element("button", { type: "button", textContent: "remove" });
  forget.addEventListener("click", () => page.viewer.forget());
  byId("measured").replaceChildren(...(lines.length ? [element("ul", {}, ...lines), forget] : []),
    ...(picked ? [element("p", { className: "small", textContent: `from ${picked.name}: click a second atom` })] : []));
}

function listen() {
  for (const box of boxes()) {
    box.addEventListener("change", async () => {
      await page.viewer.show(box.value, box.checked);
      byId("scale").classList.toggle("hidden", !page.viewer.shown.has("support"));
      rememberSoon();
    });
  }
  byId("ranks")?.addEventListener("change", (event) => choose(Number(event.target.value)));
  for (const query of document.querySelectorAll(".query")) {
    query.addEventListener("pointerover", (event) => { if (event.target.dataset.atom) mark(Number(event.target.dataset.atom)); });
    query.addEventListener("pointerout", (event) => { if (event.target.dataset.atom) mark(null); });
  }
  for (const button of document.querySelectorAll(".pairs button")) {
    button.addEventListener("focus", () => mark(Number(button.dataset.atom)));
    button.addEventListener("click", () => mark(Number(button.dataset.atom)));
    button.addEventListener("blur", () => mark(null));
  }
  byId("centre").addEventListener("click", () => page.viewer.centre());
  byId("link").addEventListener("click", async () => {
    remember();
    try {
      await navigator.clipboard.writeText(location.href);
      say("The link is copied.");
    } catch {
      say(`Copy it from the address bar: ${location.href}`);
    }
  });
  addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const typing = event.target.matches("input:not([type=checkbox]):not([type=radio]), textarea, select");
    if (typing) return;
    if (!event.shiftKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) choose(page.rank + (event.key === "ArrowRight" ? 1 : -1));
    else if (event.target !== byId("stage") || !page.viewer.turn(event.key)) return;
    rememberSoon();
    event.preventDefault();
  });
  addEventListener("hashchange", () => open(fromLink()));
}

function open(state) {
  if (state.show) for (const box of boxes()) box.checked = state.show.includes(box.value);
  page.viewer.shown = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  byId("scale").classList.toggle("hidden", !page.viewer.shown.has("support"));
  choose(state.rank);
  if (state.view) page.viewer.view = state.view;
  else page.viewer.centre();
  for (const name of ["cartoon", "surface"]) if (page.viewer.shown.has(name)) page.viewer.show(name, true);
}

async function start() {
  const address = `/api${location.pathname}`;
  page.view = await (await ask(address)).json();
  const state = fromLink();
  page.viewer = new PoseViewer(byId("stage"), { hover: hovered, measure: measured, turn: rememberSoon });
  page.viewer.receptorUrl = `${location.pathname}/1/receptor`;
  page.viewer.labels = page.view.labels;
  page.viewer.load(page.view.models, boxes().filter((box) => box.checked).map((box) => box.value));
  listen();
  open(state);
  byId("stage").dataset.ready = "yes";
}

start().catch((error) => byId("stage").replaceChildren(element("p", { className: "fault", textContent: `The 3D view cannot be shown: ${error.message}. It needs WebGL.` })));
