// What the labels would be with other thresholds: all of them moved by so many points.
for (const box of document.querySelectorAll("[data-thresholds]")) {
  const rows = [...box.parentElement.querySelector("table.bars").querySelectorAll("tbody tr")];
  const range = box.querySelector("input");
  const show = () => {
    const titles = [];
    for (const row of rows) {
      const limit = Math.min(Math.max(+row.dataset.threshold + +range.value, 0), 100);
      const on = +row.dataset.percent >= limit;
      row.classList.toggle("on", on);
      const line = row.querySelector("line.limit");
      line.setAttribute("x1", `${limit}%`);
      line.setAttribute("x2", `${limit}%`);
      if (on) titles.push(row.dataset.title);
    }
    const sign = range.value > 0 ? "+" : "";
    const labels = titles.join(", ") || box.dataset.tNone;
    box.querySelector("output").textContent =
      `${sign}${range.value} · ${box.dataset.t.replace("{labels}", labels)}`;
  };
  range.addEventListener("input", show);
  // A reload keeps the range where it was.
  if (range.value !== "0") show();
}
