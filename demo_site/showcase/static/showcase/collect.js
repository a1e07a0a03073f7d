// Files out of a drop, folders included.
const entries = (reader) => new Promise((done, failed) => reader.readEntries(done, failed));
const file = (entry) => new Promise((done, failed) => entry.file(done, failed));

async function walk(entry, found) {
  if (entry.isFile) {
    found.push(await file(entry));
  } else if (entry.isDirectory) {
    const reader = entry.createReader();
    // A reader hands out a folder in parts, until a part is empty.
    for (let part = await entries(reader); part.length; part = await entries(reader)) {
      for (const inner of part) await walk(inner, found);
    }
  }
}

/** All files of a DataTransfer, in the order of their names within each folder. */
export async function dropped(transfer) {
  // The items are gone after the first wait: take the entries at once.
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const taken = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = [];
  for (const one of taken) {
    if (!one) continue;
    if (one instanceof File) {
      found.push(one);
    } else {
      const inside = [];
      await walk(one, inside);
      if (one.isDirectory) inside.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
      found.push(...inside);
    }
  }
  return found;
}

const SUFFIX = /\.(jpe?g|png|tiff?|zip)$/i;
const TYPES = new Set(["image/jpeg", "image/png", "image/tiff", "application/zip", "application/x-zip-compressed"]);

/** Whether a file looks like one the site reads; the site itself decides by content. */
export const readable = (one) => SUFFIX.test(one.name) || TYPES.has(one.type);

/** JPEG, PNG, TIFF or ZIP: what is written where no thumbnail can be drawn. */
export function kind(one) {
  const suffix = SUFFIX.exec(one.name)?.[1].toUpperCase() ?? one.type.split("/").pop().toUpperCase();
  return suffix.startsWith("TIF") ? "TIFF" : suffix.startsWith("JP") ? "JPEG" : suffix;
}
