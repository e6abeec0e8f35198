"use strict";

// Keeps the page up to date. All HTML that it shows was made by the server, which escapes what the exchange sent; what
// it shows of messages are texts.

const SECONDS = 5;
const MOST_MESSAGES = 40;
const LONG = 300;
const element = (id) => document.getElementById(id);

/** Replace the parts of the page that have changed. `parts`: HTML by name. */
function show(parts) {
  for (const [name, html] of Object.entries(parts)) {
    const part = document.querySelector(`[data-part="${name}"]`);
    if (part) part.innerHTML = html;
  }
}

/** Say the state to screen readers, but only when it is another one. */
function announce(brief) {
  if (element("brief").textContent === brief) return;
  element("brief").textContent = brief;
  document.title = document.title.replace(/^[^·]*/, `${brief} `);
}

/** Say how far what is shown can be trusted. */
function say(text) {
  if (element("live").textContent !== text) element("live").textContent = text;
}

// When there is no answer, that is the verdict.

let answered = Date.now(); // When the last answer came, or the page began to ask.
let before = null; // The parts with their last HTML, while there is no answer.

function clock(ms) {
  const [day, time] = new Date(ms).toISOString().split("T");
  return `${day === new Date().toISOString().slice(0, 10) ? "" : `${day} `}${time.slice(0, 8)}`;
}

function text(name, className, content) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = content;
  return made;
}

/** Say that there is no answer, since when, and what the last one was. */
function lose() {
  const part = element("verdict");
  if (before === null) {
    before = [...document.querySelectorAll("[data-part]")].map((each) => [each, each.innerHTML]);
    const brief = `No answer from ${document.body.dataset.who}`;
    const last = `The values below are from the last answer, which was: ${part.querySelector("h1").textContent}`;
    const words = document.createElement("div");
    words.append(text("h1", "", brief), text("p", "", ""), text("p", "note", last));
    const card = text("div", "verdict bad", "");
    card.append(text("span", "sign", ""), words);
    part.replaceChildren(card);
    document.body.classList.add("old");
    // Meanwhile more may have come: how long ago the last one did is not known.
    for (const age of document.querySelectorAll("[data-age]")) age.textContent = "?";
    say("Not live");
    announce(brief);
  }
  const seconds = Math.round((Date.now() - answered) / 1000);
  const [amount, unit] = seconds < 180 ? [seconds, "s"] : [Math.floor(seconds / 60), "min"];
  part.querySelector("p").textContent = `Since ${clock(answered)} UTC, for ${amount} ${unit}`;
}

/** Note that there is an answer. */
function hear(how) {
  answered = Date.now();
  if (before !== null) {
    for (const [part, html] of before) part.innerHTML = html;
    before = null;
    document.body.classList.remove("old");
  }
  say(how);
}

setInterval(() => {
  if (before !== null) lose();
}, 1000);

// The stream.

let stream = null;
let watch = 0;
let isPaused = false;

function connect() {
  if (stream) stream.close();
  stream = null;
  clearTimeout(watch);
  if (document.hidden) return; // A browser has few connections to one server: another tab may need them.
  if (before === null) answered = Date.now();
  watch = setTimeout(lose, SECONDS * 1000);
  const wish = new URLSearchParams();
  for (const name of ["type", "market"]) {
    const value = element(`tail-${name}`)?.value.trim();
    if (value) wish.set(name, value);
  }
  stream = new EventSource(`live?${wish}`);
  stream.onmessage = (event) => take(JSON.parse(event.data));
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) {
      stream = null; // Refused, because there are too many: this page loads itself instead.
      clearTimeout(watch);
      load();
    } else {
      lose();
    }
  };
}

function take({ brief, parts, tail }) {
  hear("Live");
  show(parts);
  announce(brief);
  clearTimeout(watch);
  watch = setTimeout(lose, SECONDS * 1000);
  if (element("tail-list") && !isPaused) add(tail);
}

/** Load the whole page, and take its parts. */
async function load() {
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(SECONDS * 1000) });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const parts = [...page.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part.innerHTML]);
    hear(`Too many pages are open: this one is up to date every ${SECONDS} s`);
    show(Object.fromEntries(parts));
    announce(page.getElementById("brief").textContent);
  } catch {
    lose();
  }
}

setInterval(() => {
  if (!stream && !document.hidden) load();
}, SECONDS * 1000);
setInterval(() => {
  if (!stream && !document.hidden) connect();
}, SECONDS * 6000);
document.addEventListener("visibilitychange", connect);
connect();

// The messages.

function add(tail) {
  const list = element("tail-list");
  for (const { time, type, market, text: content, size } of tail) {
    const item = document.createElement("li");
    item.append(text("span", "time", time), text("span", "type", type || "?"), text("span", "market", market));
    const rest = size > content.length ? ` … ${size.toLocaleString("en")} bytes in all` : "";
    if (content.length > LONG) {
      const long = document.createElement("details");
      long.append(text("summary", "", `${content.slice(0, LONG)} …`), text("code", "", content + rest));
      item.append(long);
    } else {
      item.append(text("code", "", content + rest));
    }
    list.prepend(item);
  }
  while (list.children.length > MOST_MESSAGES) list.lastChild.remove();
  if (tail.length) element("tail-note").textContent = "A sample: most messages are not shown";
}

function filter() {
  element("tail-list").replaceChildren();
  element("tail-note").textContent = "Waiting for messages";
  connect();
}

if (element("tail-live")) {
  element("tail-live").hidden = false;
  element("tail-type").addEventListener("change", filter);
  element("tail-market").addEventListener("change", filter);
  element("tail-pause").addEventListener("click", ({ currentTarget: button }) => {
    isPaused = !isPaused;
    button.setAttribute("aria-pressed", String(isPaused));
    button.textContent = isPaused ? "Go on" : "Pause";
    element("tail-note").textContent = isPaused ? "Paused: messages that come now are not shown" : "";
  });
}
