// Thumbnails of files not yet sent: drawn when they come into view, two at a time.
const SIDE = 184; // pixels: sharp on a dense screen
const waiting = [];
let drawing = 0;

async function draw(place, file) {
  const picture = await createImageBitmap(file, { resizeWidth: SIDE, resizeHeight: SIDE, resizeQuality: "medium" });
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
  place.replaceChildren(canvas);
}

function next() {
  while (drawing < 2 && waiting.length) {
    const [place, file] = waiting.shift();
    if (!place.isConnected) continue;
    drawing += 1;
    // What the browser cannot decode keeps its name of the format.
    draw(place, file).catch(() => {}).finally(() => { drawing -= 1; next(); });
  }
}

const files = new WeakMap();
const seen = new IntersectionObserver((changes) => {
  for (const { isIntersecting, target } of changes) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    waiting.push(files.get(target));
  }
  next();
}, { rootMargin: "200px" });

/** Draw `file` into `place` as soon as the list's `item` around it can be seen. */
export function thumbnail(item, place, file) {
  files.set(item, [place, file]);
  seen.observe(item); // what lies inside an item that is not drawn yet cannot be observed
}
