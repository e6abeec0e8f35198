"use strict";

// Keeps the page up to date. Everything that it shows was made by the server, which escapes what the exchange sent.

const SECONDS = 5;
let brief = document.getElementById("brief").textContent;

/** Replace the parts of the page that have changed. `parts`: HTML by name. */
function show(parts) {
  for (const [name, html] of Object.entries(parts)) {
    const part = document.querySelector(`[data-part="${name}"]`);
    if (part && part.innerHTML !== html) part.innerHTML = html;
  }
}

/** Say the state to screen readers, but only when it is another one. */
function announce(text) {
  if (text === brief) return;
  brief = text;
  document.getElementById("brief").textContent = text;
  document.title = document.title.replace(/^[^·]*/, `${text} `);
}

function say(text, isBad) {
  const line = document.getElementById("live");
  line.textContent = text;
  line.className = isBad ? "lost" : "soft";
}

/** Load the whole page, and take its parts. */
async function load() {
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(SECONDS * 1000) });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const parts = [...page.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part.innerHTML]);
    show(Object.fromEntries(parts));
    announce(page.getElementById("brief").textContent);
    say(`Up to date every ${SECONDS} s`, false);
  } catch {
    say("The collector does not answer: what this page shows is old", true);
  }
}

setInterval(load, SECONDS * 1000);
