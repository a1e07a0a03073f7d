// Buttons with `data-copy` copy the text of the element they name.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a secure connection there is no clipboard: a selected field still can be copied.
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "visually-hidden";
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await copy(document.querySelector(button.dataset.copy).textContent.trim());
  const text = button.querySelector("span");
  const usual = (button.dataset.usual ??= text.textContent);
  text.textContent = button.dataset.copied;
  const live = document.querySelector("[data-live]");
  if (live) live.textContent = button.dataset.copied;
  clearTimeout(button.timer);
  button.timer = setTimeout(() => { text.textContent = usual; }, 2000);
});
