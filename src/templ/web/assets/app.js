"use strict";
// What all pages of the app need.
const byId = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

let saidUntil;
function say(text) {
  byId("said").textContent = text;
  clearTimeout(saidUntil);
  saidUntil = setTimeout(() => { byId("said").textContent = ""; }, 6000);
}

// Asks the server; what it says is wrong becomes an Error with its sentence.
async function ask(address, options = {}) {
  const told = await fetch(address, options);
  if (told.ok) return told;
  const text = await told.text();
  let sentence = text;
  try { sentence = JSON.parse(text).error; } catch { if (text.startsWith("<")) sentence = `the server says ${told.status}`; }
  throw new Error(sentence);
}

const send = (address, content) =>
  ask(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) });
