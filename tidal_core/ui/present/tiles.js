// Images in a grid that fills the screen. A tile that stays is not made anew: nothing flickers while tiles are added.
export default function ({ parentElement, data }) {
  const grid = parentElement.querySelector(".tiles");
  grid.style.setProperty("--columns", data.columns);
  grid.style.setProperty("--rows", data.rows);
  grid.style.setProperty("--room", data.room);
  grid.dataset.tiles = data.items.length;
  const before = new Map([...grid.children].map((tile) => [tile.dataset.key, tile]));
  const now = data.items.map((item) => {
    const key = `${item.id}|${item.caption}|${item.colour}`;
    const kept = before.get(key);
    if (kept) return kept;
    const tile = document.createElement("figure");
    tile.dataset.key = key;
    const picture = document.createElement(item.src ? "img" : "div");
    if (item.src) {
      picture.src = item.src;
      picture.alt = item.title;
    } else {
      picture.className = "gone";
      picture.textContent = item.title;
    }
    tile.append(picture);
    if (data.captioned) {
      const caption = document.createElement("figcaption");
      caption.textContent = item.caption || "\u00a0";
      if (item.colour) caption.style.borderColor = item.colour;
      tile.append(caption);
    }
    return tile;
  });
  now.forEach((tile, place) => {
    if (grid.children[place] !== tile) grid.insertBefore(tile, grid.children[place] ?? null);
  });
  while (grid.children.length > now.length) grid.lastChild.remove();
}
