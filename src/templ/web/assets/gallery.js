"use strict";
// Cards of results, ten or ten thousand: a hundred to a chunk, and a chunk is filled only near what is seen.
const CHUNK = 100;
const NEAR = "1200px";

class Gallery {
  constructor(box, name) {
    this.box = box;
    this.name = name;
    this.stars = new Set(JSON.parse(localStorage.getItem(`stars-${name}`) ?? "[]"));
    this.drawings = new Map();
    this.filling = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) if (isIntersecting) this.fill(target); else this.empty(target);
    }, { rootMargin: NEAR });
    this.drawing = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) if (isIntersecting) this.draw(target);
    }, { rootMargin: "200px" });
  }

  show(rows) {
    this.filling.disconnect();
    this.drawing.disconnect();
    this.box.replaceChildren();
    for (let start = 0; start < rows.length; start += CHUNK) {
      const chunk = element("ul", { className: "chunk" });
      chunk.rows = rows.slice(start, start + CHUNK);
      const columns = Math.max(1, Math.floor(this.box.clientWidth / 285));
      chunk.style.minHeight = `${Math.ceil(chunk.rows.length / columns) * 15.3}rem`;
      this.box.append(chunk);
      if (start === 0) this.fill(chunk);
      this.filling.observe(chunk);
    }
  }

  fill(chunk) {
    if (chunk.childElementCount) return;
    chunk.append(...chunk.rows.map((row) => this.card(row)));
    chunk.style.minHeight = "";
  }

  empty(chunk) {
    if (!chunk.childElementCount || chunk.contains(document.activeElement)) return;
    chunk.style.minHeight = `${chunk.offsetHeight}px`;
    chunk.replaceChildren();
  }

  card(row) {
    const badge = row.status === "posed"
      ? element("span", { className: `badge ${row.words.split(" ")[0]}`, textContent: row.words })
      : element("span", { className: `badge ${row.status}`, textContent: row.status });
    const star = element("button", { type: "button", className: "star" });
    const setStar = () => {
      star.textContent = this.stars.has(row.id) ? "★" : "☆";
      star.setAttribute("aria-pressed", this.stars.has(row.id));
      star.setAttribute("aria-label", `star ${row.id}`);
    };
    star.addEventListener("click", () => {
      if (!this.stars.delete(row.id)) this.stars.add(row.id);
      localStorage.setItem(`stars-${this.name}`, JSON.stringify([...this.stars]));
      setStar();
    });
    setStar();
    const numbers = [];
    if (row.confidence !== null) numbers.push(row.confidence.toFixed(2));
    if (row.rmsd !== null) numbers.push(`RMSD ${row.rmsd.toFixed(2)} Å`, `best ${row.best.toFixed(2)} Å`);
    const card = element("li", { className: "card result" },
      element("h2", {}, element("a", { href: `/runs/${this.name}/${row.index}`, textContent: row.id })),
      star,
      element("p", {}, badge, ` ${numbers.join(", ")}`, row.missed ? element("span", { className: "badge", textContent: `missed by ${row.missed}` }) : null),
      element("div", { className: "pair" }),
      row.status === "posed"
        ? element("p", { textContent: `${row.core} of ${row.atoms} atoms in common with ${row.template}, nearest template ${row.tanimoto.toFixed(2)}` })
        : element("p", { textContent: `${row.reason}: ${row.detail}` }));
    card.dataset.index = row.index;
    this.drawing.observe(card);
    return card;
  }

  async draw(card) {
    this.drawing.unobserve(card);
    const index = card.dataset.index;
    if (!this.drawings.has(index)) {
      this.drawings.set(index, ask(`/api/runs/${this.name}/${index}/card`).then((told) => told.json()).catch(() => {
        this.drawings.delete(index); // the run is just being put in order: the next time it is there
        return {};
      }));
      if (this.drawings.size > 2000) this.drawings.delete(this.drawings.keys().next().value);
    }
    const found = await this.drawings.get(index);
    const figures = ["query", "template"].filter((what) => found[what]).map((what) => {
      const svg = element("div", { className: "svg", innerHTML: found[what] });
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", `drawing of the ${what}`);
      return element("figure", {}, svg, element("figcaption", { textContent: what }));
    });
    card.querySelector(".pair")?.replaceChildren(...figures);
  }
}

const compareText = new Intl.Collator("en", { numeric: true }).compare;

function toCsv(rows, columns) {
  const cell = (value) => {
    let text = String(Array.isArray(value) ? value.join("; ") : value ?? "");
    if (/^[=+@\t\r-]/.test(text) && typeof value === "string") text = `'${text}`; // no formula for a spreadsheet
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows.map((row) => columns.map((column) => row[column]))].map((cells) => cells.map(cell).join(",")).join("\n") + "\n";
}

function save(name, text, type = "text/csv") {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
