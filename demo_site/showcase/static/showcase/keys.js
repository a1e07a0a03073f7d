// The arrow keys follow the links to what is before and behind, where no field wants them.
document.addEventListener("keydown", (event) => {
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  if (!rel || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.target.closest("input, select, textarea, [role=region]")) return;
  document.querySelector(`a[rel=${rel}]`)?.click();
});
