// What the labelling component and the gallery both use: elements, words for numbers, packed pictures.

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(made.dataset, value);
    else if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const percent = (p) => (p === null || p === undefined ? "–" : `${(100 * p).toFixed(p > 0 && p < 0.01 ? 1 : 0)} %`);
const several = (n, one, many) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

// Answers of many parts: 4 bytes, big-endian, the length of a JSON head; the head; then what it describes. A pack of
// thumbnails is framed by ``images.previews.pack``.
function readJson(bytes, start) {
  const length = new DataView(bytes).getUint32(start);
  const text = new TextDecoder().decode(new Uint8Array(bytes, start + 4, length));
  return { value: JSON.parse(text), end: start + 4 + length };
}

function readPack(bytes, start) {
  const { value, end } = readJson(bytes, start);
  const pictures = new Map();
  let place = end;
  for (const [id, type, length] of value) {
    pictures.set(id, new Blob([new Uint8Array(bytes, place, length)], { type }));
    place += length;
  }
  return pictures;
}
