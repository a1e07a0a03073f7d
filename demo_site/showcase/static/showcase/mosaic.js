// The legend of a mosaic: chips without the pressed labels step back.
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
