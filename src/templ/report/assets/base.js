"use strict";
// Text that templ.report.html_page.pack compressed.
async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

// A table that is wider than its frame says so, and by how much is left on which side its edges tell.
function hint(frame) {
  const line = document.createElement("p");
  line.className = "sideways screen";
  line.textContent = "The table is wider than this window: scroll it sideways →";
  frame.before(line);
  frame.tabIndex = 0;
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", "table, scrolls sideways");
  const look = () => {
    const hidden = frame.scrollWidth - frame.clientWidth;
    line.hidden = hidden < 2;
    frame.classList.toggle("more-left", frame.scrollLeft > 1);
    frame.classList.toggle("more-right", frame.scrollLeft < hidden - 1);
  };
  frame.addEventListener("scroll", look, { passive: true });
  const watcher = new ResizeObserver(look);
  watcher.observe(frame);
  for (const child of frame.children) watcher.observe(child);
}
for (const frame of document.querySelectorAll(".scroll")) hint(frame);
