// The legend of a mosaic: chips without the pressed labels step back. The words of the cell that is
// pointed at, focused or tapped stand below: inside it they may be too small, or only marks.
const mosaic = document.querySelector("[data-mosaic]");
const buttons = [...document.querySelectorAll("[data-legend] button")];
const cells = [...mosaic.querySelectorAll("[data-cell]")].map(
  (cell) => [cell, new Set(cell.dataset.cell.trim().split(" "))],
);

function show() {
  const wanted = buttons.filter((b) => b.getAttribute("aria-pressed") === "true").map((b) => b.dataset.label);
  for (const [cell, labels] of cells) {
    cell.classList.toggle("out", !wanted.every((label) => labels.has(label)));
  }
}

for (const button of buttons) {
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    show();
  });
}
document.querySelector("[data-names]").addEventListener("change", (event) => {
  mosaic.classList.toggle("bare", !event.target.checked);
});

const here = document.querySelector("[data-here]");
let read = null;
function tell(event) {
  const link = event.target.closest("a[aria-label]");
  if (!link || link === read) return;
  read?.classList.remove("read");
  read = link;
  read.classList.add("read");
  here.textContent = link.getAttribute("aria-label");
}
let tapped = null, touch = false;
mosaic.addEventListener("pointerover", tell);
mosaic.addEventListener("focusin", tell);
mosaic.addEventListener("pointerdown", (event) => { touch = event.pointerType === "touch"; });
mosaic.addEventListener("keydown", () => { touch = false; });
// A finger cannot point without pressing: the first tap reads, the second goes.
mosaic.addEventListener("click", (event) => {
  const link = event.target.closest("a[aria-label]");
  if (!link || !touch || link === tapped) return;
  event.preventDefault();
  tapped = link;
  tell(event);
});
