// Runs before the first paint: marks that scripts run, and sets the colours the visitor chose.
(() => {
  "use strict";
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const kept = () => {
    let theme = null;
    try { theme = localStorage.getItem("theme"); } catch { /* storage may be forbidden */ }
    return theme === "light" || theme === "dark" ? theme : null; // the administration keeps "auto"
  };
  const show = () => {
    const theme = kept() ?? (dark.matches ? "dark" : "light");
    root.dataset.theme = theme;
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      button.setAttribute("aria-pressed", String(theme === "dark"));
    }
  };
  root.classList.add("js");
  show();
  dark.addEventListener("change", show);
  addEventListener("storage", show);
  document.addEventListener("DOMContentLoaded", () => {
    show();
    document.addEventListener("click", (event) => {
      if (!event.target.closest("[data-theme-toggle]")) return;
      const theme = root.dataset.theme === "dark" ? "light" : "dark";
      try { localStorage.setItem("theme", theme); } catch { /* then for this page only */ }
      root.dataset.theme = theme;
      event.target.closest("[data-theme-toggle]").setAttribute("aria-pressed", String(theme === "dark"));
    });
  });
})();
