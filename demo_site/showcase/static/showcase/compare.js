// Original against dehazed: the range moves the edge, a finger or the mouse on the picture too.
for (const figure of document.querySelectorAll("[data-compare]")) {
  const layers = figure.querySelector(".layers");
  const range = figure.querySelector("input[type=range]");
  const show = () => layers.style.setProperty("--split", range.value);
  const follow = (event) => {
    const box = layers.getBoundingClientRect();
    range.value = Math.round((100 * (event.clientX - box.left)) / box.width);
    show();
  };
  range.addEventListener("input", show);
  layers.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    layers.setPointerCapture(event.pointerId);
    follow(event);
  });
  layers.addEventListener("pointermove", (event) => {
    if (layers.hasPointerCapture(event.pointerId)) follow(event);
  });
  show();
}
