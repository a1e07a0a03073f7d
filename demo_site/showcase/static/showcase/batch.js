// The waiting page: htmx brings the changing part; this says aloud what changed, now and then.
import "./copy.js";

const live = document.querySelector("[data-live]");
const usual = document.title;
let said = "";

function report() {
  const progress = document.getElementById("progress");
  const { state, title, done, all, percent, finished } = progress.dataset;
  const trouble = [...progress.querySelectorAll(".note")].map((note) => note.textContent.trim());
  const over = finished !== undefined;
  document.title = over || percent === "" ? usual : `${percent} % · ${usual}`;
  // A screen reader hears each new state, each quarter and each trouble, not every second.
  const mark = [state, Math.floor((percent || 0) / 25), ...trouble].join(" ");
  if (mark === said) return;
  const first = said === "";
  said = mark;
  if (first && over) return; // a batch that was done when the page was opened
  const counts = live.dataset.t
    .replace("{state}", title).replace("{done}", done).replace("{n}", all);
  live.textContent = [counts, ...trouble].join(". ");
}

report();
document.body.addEventListener("htmx:afterSwap", report);
