// What the labels would be with other thresholds: those that find rare labels, or all moved by so
// many points.
for (const box of document.querySelectorAll("[data-thresholds]")) {
  const rows = [...box.parentElement.querySelector("table.bars").querySelectorAll("tbody tr")];
  const range = box.querySelector("input[type=range]");
  const rare = box.querySelector("input[type=checkbox]");
  const show = () => {
    const titles = [];
    for (const row of rows) {
      const own = rare?.checked ? row.dataset.rare : row.dataset.threshold;
      const limit = Math.min(Math.max(+own + +range.value, 0), 100);
      const on = +row.dataset.percent >= limit;
      row.classList.toggle("on", on);
      const line = row.querySelector("line.limit");
      line.setAttribute("x1", `${limit}%`);
      line.setAttribute("x2", `${limit}%`);
      row.lastElementChild.textContent = limit.toFixed(1);
      if (on) titles.push(row.dataset.title);
    }
    const sign = range.value > 0 ? "+" : "";
    const labels = titles.join(", ") || box.dataset.tNone;
    box.querySelector("output").textContent =
      `${sign}${range.value} · ${box.dataset.t.replace("{labels}", labels)}`;
  };
  range.addEventListener("input", show);
  rare?.addEventListener("input", show);
  // A reload keeps both as they were.
  if (range.value !== "0" || rare?.checked) show();
}
