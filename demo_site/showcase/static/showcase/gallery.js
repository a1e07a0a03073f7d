// The gallery's filters: on a wide screen they are open; defaults stay out of the address.
const details = document.querySelector("[data-wide-open]");
const wide = matchMedia("(min-width: 62rem)");
const unfold = () => { if (wide.matches) details.open = true; };
unfold();
wide.addEventListener("change", unfold);

const USUAL = { match: "all", weather: "", least: "0", most: "100", since: "", until: "", batch: "", q: "", sort: "newest" };

document.body.addEventListener("htmx:configRequest", (event) => {
  const { parameters } = event.detail;
  for (const [name, value] of Object.entries(USUAL)) {
    if (parameters[name] === value) delete parameters[name];
  }
});
