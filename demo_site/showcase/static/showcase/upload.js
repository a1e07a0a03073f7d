// The upload form: choose, drop or paste; look, remove, add; send with progress.
import { dropped, kind, readable } from "./collect.js";
import { Refused, Sending, Stopped } from "./send.js";
import { thumbnail } from "./thumbs.js";

const form = document.getElementById("upload");
const part = (name) => form.querySelector(`[data-${name}]`);
const text = form.dataset;
const MOST = { files: +text.files, file: +text.fileBytes, batch: +text.batchBytes };
const megabytes = (bytes) => {
  const shown = bytes && Math.max(bytes, 1e4); // of a small file something is said
  return (shown / 1e6).toFixed(shown < 1e5 ? 2 : shown < 1e7 ? 1 : 0);
};
const fill = (pattern, values) => pattern.replace(/\{(\w+)\}/g, (_, name) => values[name]);

/** What was chosen: name, size and date of a file -> `{file, item, bad}`. */
const chosen = new Map();
const good = () => [...chosen.values()].filter((one) => !one.bad).map((one) => one.file);
const drawable = (file) => /JPEG|PNG/.test(kind(file)); // what a browser decodes
const total = () => good().reduce((sum, file) => sum + file.size, 0);
const usual = part("send-text").textContent;
let sending = null;
let busy = false;

/** What was sent of another choice is not wanted: without this the site would work on it. */
function forget() {
  sending?.cancel();
  sending = null;
  part("send-text").textContent = usual;
}

function say(message, live = true) {
  part("note").textContent = message;
  part("note").hidden = !message;
  if (live) part("live").textContent = message;
}

function draw() {
  const files = good();
  part("chosen").hidden = !chosen.size;
  part("total").textContent = fill(files.length === 1 ? text.tOne : text.tMany, { n: files.length, mb: megabytes(total()) });
  part("blind").hidden = files.every(drawable);
  part("send").disabled = busy || !files.length;
}

function add(files) {
  if (busy) return;
  forget();
  const left = { full: 0, heavy: 0, other: 0, twice: 0 };
  let count = good().length, bytes = total();
  const items = document.createDocumentFragment();
  for (const file of files) {
    const key = `${file.name}/${file.size}/${file.lastModified}/${file.webkitRelativePath}`;
    const bad = !file.size ? text.tEmpty : file.size > MOST.file ? text.tLarge : "";
    if (chosen.has(key)) left.twice += 1;
    else if (!readable(file)) left.other += 1;
    else if (!bad && count >= MOST.files) left.full += 1;
    else if (!bad && bytes + file.size > MOST.batch) left.heavy += 1;
    else {
      if (!bad) { count += 1; bytes += file.size; }
      chosen.set(key, { file, bad });
      items.append(tile(key, file, bad));
    }
  }
  part("thumbs").append(items);
  draw();
  const notes = Object.entries(left).filter(([, n]) => n)
    .map(([why, n]) => fill(text[`t${why[0].toUpperCase()}${why.slice(1)}${n === 1 ? "One" : ""}`], { left: n }));
  say(notes.join(" "), false);
  part("live").textContent = [part("total").textContent, ...notes].join(". ");
}

function tile(key, file, bad) {
  const item = document.createElement("li");
  item.dataset.key = key;
  item.classList.toggle("refused", Boolean(bad));
  const picture = document.createElement("span");
  picture.className = "picture";
  picture.textContent = kind(file);
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = bad ? `${file.name}: ${bad}` : file.name;
  name.title = name.textContent;
  const remove = document.createElement("button");
  remove.type = "button";
  remove.className = "remove";
  remove.setAttribute("aria-label", fill(text.tRemove, { name: file.name }));
  remove.append(part("clear").querySelector("svg").cloneNode(true));
  item.append(picture, name, remove);
  if (!bad && drawable(file)) thumbnail(item, picture, file);
  return item;
}

function clear() {
  chosen.clear();
  part("thumbs").replaceChildren();
  forget();
  say("");
  draw();
}

function state(on) {
  busy = on;
  part("sending").hidden = !on;
  part("stop").hidden = !on;
  for (const field of form.querySelectorAll("input, select, [data-clear], .remove")) field.disabled = on;
  draw();
}

let heard = -1;
function progress({ done, bytes }) {
  const all = total(), n = good().length;
  const share = all ? Math.min(bytes / all, 1) : 0;
  part("bar").value = 100 * share;
  part("count").textContent = fill(text.tSending, { done, n, mb: megabytes(Math.min(bytes, all)), all: megabytes(all) });
  const quarter = Math.floor(4 * share);
  if (quarter !== heard) part("live").textContent = part("count").textContent;
  heard = quarter;
}

async function send() {
  const files = good();
  if (!files.length || busy) return;
  const fields = [...new FormData(form)].filter(([name]) => ["title", "days", "private"].includes(name));
  sending ??= new Sending(form.csrfmiddlewaretoken.value, {
    onProgress: progress,
    onWait: (s) => { part("count").textContent = fill(text.tWaiting, { s }); },
  });
  sending.stopped = false;
  say("");
  state(true);
  progress({ done: sending.done, bytes: sending.bytes });
  try {
    const address = await sending.send(text.open, fields, files);
    if (address) {
      sending = null; // it is the site's now: coming back to this page does not cancel it
      leaving = true;
      location.assign(address);
      return;
    }
    const why = sending.refused.slice(0, 5).map((one) => `${one.name}: ${one.reason}`);
    forget();
    state(false);
    say([text.tNone, ...why].join(" "));
  } catch (error) {
    state(false);
    if (error instanceof Stopped || error instanceof Refused) {
      forget();
      say(error.message);
      return;
    }
    say(fill(text.tBroken, { why: error.message || text.tOffline }));
    part("send-text").textContent = text.tResume;
  }
}

let leaving = false;
addEventListener("beforeunload", (event) => { if (busy && !leaving) event.preventDefault(); });
// Back to this page from the batch's: the form works again.
addEventListener("pageshow", (event) => { if (event.persisted) { leaving = false; state(false); clear(); } });

form.addEventListener("submit", (event) => { event.preventDefault(); send(); });
for (const input of form.querySelectorAll("input[type=file]")) {
  input.addEventListener("change", () => { add([...input.files]); input.value = ""; });
}
part("clear").addEventListener("click", () => { clear(); form.querySelector("input[type=file]").focus(); });
part("stop").addEventListener("click", () => { sending?.cancel(); });
// Title, days and privacy go with the first part: with others it is another batch.
form.addEventListener("change", (event) => { if (event.target.type !== "file" && !busy) forget(); });
part("thumbs").addEventListener("click", (event) => {
  const button = event.target.closest(".remove");
  if (!button || busy) return;
  const item = button.closest("li");
  const near = item.nextElementSibling ?? item.previousElementSibling;
  chosen.delete(item.dataset.key);
  item.remove();
  forget();
  say("");
  draw();
  (near?.querySelector(".remove") ?? form.querySelector("input[type=file]")).focus();
});

// The whole page takes a drop: nobody aims at a box.
let depth = 0;
const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
const over = (on) => part("drop").classList.toggle("over", on);
addEventListener("dragenter", (event) => { if (carries(event)) { depth += 1; over(true); } });
addEventListener("dragleave", (event) => { if (carries(event)) { depth -= 1; if (depth <= 0) over(false); } });
addEventListener("dragover", (event) => { if (carries(event)) event.preventDefault(); });
addEventListener("drop", async (event) => {
  if (!carries(event)) return;
  event.preventDefault();
  depth = 0;
  over(false);
  add(await dropped(event.dataTransfer));
});
addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) add([...event.clipboardData.files]);
});

for (const input of form.querySelectorAll("input, select")) input.disabled = false; // Firefox remembers
draw();
