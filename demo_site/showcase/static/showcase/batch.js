// The waiting page: htmx brings the changing part; this says aloud what changed, now and then,
// and says so where the site does not answer.
import "./copy.js";

const live = document.querySelector("[data-live]");
const usual = document.title;
let said = "";
let opened = true; // nothing has been brought yet
let missed = 0; // requests in a row without an answer
let gone = false;

function report() {
  const progress = document.getElementById("progress");
  const { state, title, done, all, percent, finished } = progress.dataset;
  const trouble = [...progress.querySelectorAll(".note")].map((note) => note.textContent.trim());
  const over = finished !== undefined;
  document.title = over || percent === "" ? usual : `${percent} % · ${usual}`;
  // A screen reader hears each new state, each quarter and each trouble, not every second.
  const mark = [state, Math.floor((percent || 0) / 25), ...trouble].join(" ");
  if (mark === said) return;
  said = mark;
  if (opened && over) return; // a batch that was done when the page was opened
  const counts = live.dataset.t
    .replace("{state}", title).replace("{done}", done).replace("{n}", all);
  live.textContent = [counts, ...trouble].join(". ");
}

/** The numbers on the page are old: say why, in the place kept for that, and stand still. */
function stale(text) {
  const note = document.querySelector("template[data-note]").content.cloneNode(true);
  note.querySelector("span span").textContent = text;
  document.querySelector("#progress .says").replaceChildren(note);
  document.querySelector(".waits").classList.add("stale");
  document.title = usual;
  said = live.textContent = text;
}

function unanswered() {
  missed += 1;
  // One lost request may happen on any line; the next comes a second later.
  if (missed === 2 && !gone) stale(live.dataset.tSilent);
}

report();
// What the site has not drawn again (304) need not be here either, unless the page says it is old.
let mark = "";
document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.isError) return;
  const now = detail.xhr.getResponseHeader("ETag");
  if (now && now === mark && missed < 2) detail.shouldSwap = false;
  if (missed < 2) missed = 0;
  mark = now;
});
document.body.addEventListener("htmx:afterSwap", () => {
  opened = false;
  missed = 0;
  document.querySelector(".waits").classList.remove("stale");
  report();
});
for (const fault of ["htmx:sendError", "htmx:timeout"]) {
  document.body.addEventListener(fault, unanswered);
}
document.body.addEventListener("htmx:responseError", ({ detail }) => {
  if (![404, 410].includes(detail.xhr.status)) return unanswered();
  gone = true;
  stale(live.dataset.tGone);
});
// There is nothing left to ask for.
document.body.addEventListener("htmx:beforeRequest", (event) => { if (gone) event.preventDefault(); });
