// The grid of all images, of which only the rows on screen are in the page.

const GAP = 8; // pixels
const CAPTION = 24; // pixels below a picture
const ROWS_AHEAD = 2; // above and below the screen
const SETTLE_MS = 60; // without scrolling, before thumbnails are asked for
const PATIENCE_MS = 200; // of a person who goes on scrolling
const DRAG = 6; // pixels: less is a click
const EDGE = 40; // pixels within which a dragged box scrolls the grid
const TINY = 64; // pixels: smaller pictures are enlarged pixel by pixel
const SKIPPED = 1, FLAGGED = 2, EXCLUDED = 4; // of an image's marks, see server/collection_api.py

class Grid {
  constructor(gallery) {
    this.gallery = gallery;
    const find = (selector) => gallery.root.querySelector(selector);
    this.scroller = find(".scroller");
    this.space = find(".space");
    this.scroll = new Scroll(this.scroller, this.space);
    this.box = find(".box");
    this.rows = new Map(); // row -> node
    this.spare = [];
    this.current = 0; // the place that keys start from
    this.anchor = 0;
    this.size = 124;
    this.pictures = new Pictures((images) => this.arrived(images));
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.observer = new ResizeObserver(() => this.layout());
    this.observer.observe(this.scroller);
    this.onResize = () => this.fit();
    window.addEventListener("resize", this.onResize);
    this.scroller.addEventListener("pointerdown", (event) => this.press(event));
    this.scroller.addEventListener("click", (event) => this.click(event));
    this.scroller.addEventListener("dblclick", (event) => {
      const place = this.placeAt(event);
      if (place !== null) gallery.openLife(this.list.image(place));
    });
  }

  get list() {
    return this.gallery.list;
  }

  // Another list is there. ``at``: where in it the image is that keys start from, or null.
  show(stay, at) {
    this.current = at ?? (stay ? Math.max(0, Math.min(this.current, this.list.n - 1)) : 0);
    this.anchor = this.current;
    if (!stay) this.scroll.to(0);
    this.gallery.showView();
    this.fit();
    this.layout(true);
    if (!stay && at !== null) this.reveal(at);
  }

  // The rows to ask for with a new list that is to stand where this one does, or with its beginning: whole pages.
  around(stay = true) {
    const least = FIRST_PAGES * PAGE;
    if (!stay || !this.columns) return { from: 0, rows: least };
    const [top, bottom] = this.onScreen();
    const from = PAGE * Math.floor(Math.max(0, top * this.columns) / PAGE);
    return { from, rows: Math.max(least, PAGE * Math.ceil(((bottom + 1) * this.columns - from) / PAGE)) };
  }

  // As high as the screen has room below what stands above.
  fit() {
    const { plane } = this.gallery;
    const shown = plane.isShown ? plane.box : this.scroller;
    const top = shown.getBoundingClientRect().top + (document.querySelector('[data-testid="stMain"]')?.scrollTop ?? 0);
    shown.style.height = `${Math.max(320, Math.floor(window.innerHeight - top - 16))}px`;
  }

  layout(anew = false) {
    const width = this.scroller.clientWidth - 2 * GAP;
    if (width <= 0) return;
    const columns = Math.max(3, Math.floor((width + GAP) / (this.size + GAP)));
    const cell = (width - GAP * (columns - 1)) / columns;
    const height = Math.round(cell) + CAPTION + GAP;
    if (columns !== this.columns || height !== this.height) {
      const top = this.columns ? Math.floor(this.scroll.top / this.height) * this.columns : 0;
      Object.assign(this, { columns, height });
      this.scroller.style.setProperty("--columns", columns);
      this.scroller.style.setProperty("--cell", `${Math.round(cell)}px`);
      this.scroll.setHeight(this.rowCount * height + GAP);
      this.scroll.to(Math.floor(top / columns) * height);
      anew = true;
    }
    if (anew) {
      this.scroll.setHeight(this.rowCount * height + GAP);
      for (const node of this.rows.values()) node.remove();
      this.rows.clear();
      this.spare = [];
      this.scroller.setAttribute("aria-rowcount", this.rowCount);
      this.scroller.setAttribute("aria-colcount", columns);
    }
    this.draw();
    this.ask();
  }

  get rowCount() {
    return Math.ceil(this.list.n / this.columns);
  }

  scrolled() {
    if (!this.frame) {
      this.frame = requestAnimationFrame(() => {
        this.frame = null;
        this.draw();
      });
    }
    const now = performance.now();
    this.since ??= now;
    clearTimeout(this.settling);
    const left = Math.max(0, Math.min(SETTLE_MS, this.since + PATIENCE_MS - now));
    this.settling = setTimeout(() => {
      this.since = null;
      if (!this.isDragging) this.scroll.settle();
      this.ask();
    }, left);
  }

  // First and last row that there is room for.
  onScreen() {
    const { top } = this.scroll;
    return [Math.floor(top / this.height), Math.floor((top + this.scroller.clientHeight) / this.height)];
  }

  // First and last row on screen.
  visible() {
    const [top, bottom] = this.onScreen();
    return [Math.max(0, top), Math.min(this.rowCount - 1, bottom)];
  }

  draw() {
    if (!this.columns) return;
    const [top, bottom] = this.visible();
    const [from, to] = [Math.max(0, top - ROWS_AHEAD), Math.min(this.rowCount - 1, bottom + ROWS_AHEAD)];
    for (const [row, node] of this.rows) {
      if (row >= from && row <= to) continue;
      this.rows.delete(row);
      this.spare.push(node);
    }
    if (this.drawnAt !== this.scroll.offset) for (const [row, node] of this.rows) this.lay(node, row);
    this.drawnAt = this.scroll.offset;
    for (let row = from; row <= to; row++) {
      if (this.rows.has(row)) continue;
      const node = this.spare.pop() ?? this.makeRow();
      this.rows.set(row, node);
      this.fill(node, row);
    }
    for (const node of this.spare) node.hidden = true;
    this.drawCurrent();
  }

  makeRow() {
    const row = element("div", { className: "row", role: "row" });
    for (let column = 0; column < this.columns; column++) {
      const picture = element("img", { alt: "", draggable: false, decoding: "async" });
      picture.addEventListener("load", () => picture.classList.toggle("tiny", Math.max(picture.naturalWidth, picture.naturalHeight) <= TINY));
      const tile = element("div", { className: "tile", role: "gridcell", "aria-colindex": column + 1 });
      const [says, mark, caption] = ["says", "mark", "caption"].map((className) => element("span", { className }));
      const dot = element("span", { className: "dot" });
      const text = element("span", { className: "text" });
      caption.append(dot, text);
      tile.append(element("div", { className: "picture" }, picture, says, mark), caption);
      Object.assign(tile, { parts: { picture, says, mark, caption, dot, text } });
      row.append(tile);
    }
    this.space.append(row);
    return row;
  }

  lay(node, row) {
    node.style.transform = `translateY(${row * this.height + GAP - this.scroll.offset}px)`;
  }

  fill(node, row) {
    node.hidden = false;
    this.lay(node, row);
    node.setAttribute("aria-rowindex", row + 1);
    let place = row * this.columns;
    for (const tile of node.children) {
      tile.hidden = place >= this.list.n;
      if (!tile.hidden) this.paint(tile, place);
      place += 1;
    }
  }

  paint(tile, place) {
    const { gallery } = this;
    const { says, mark, dot, text } = tile.parts;
    const row = this.list.row(place);
    const { image, label, guess, marks } = row ?? { image: 0, label: 0, guess: 0, marks: 0 };
    const named = gallery.byId.get(label || guess);
    tile.place = place;
    tile.id = `tidal-tile-${place}`;
    tile.dataset.image = image || "";
    this.paintPicture(tile, image);
    text.textContent = label ? named?.name ?? "another class" : guess ? `${named?.name ?? "another class"}?` : "";
    tile.classList.toggle("guessed", !label);
    dot.style.background = named?.colour ?? "transparent";
    dot.hidden = !label && !guess;
    const differs = label && guess && label !== guess ? gallery.className(guess) : "";
    says.textContent = differs ? `≠ ${differs}` : "";
    const words = [marks & SKIPPED && "skipped", marks & FLAGGED && "flagged", marks & EXCLUDED && "excluded"].filter(Boolean);
    mark.textContent = words.map((word) => ({ skipped: "⤼", flagged: "⚑", excluded: "⊘" })[word]).join(" ");
    tile.classList.toggle("excluded", Boolean(marks & EXCLUDED));
    const known = label ? `label ${text.textContent}` : guess ? `no label, the model says ${named?.name ?? "another class"}` : "no label";
    tile.said = row ? [known, differs && `the model says ${differs}`, ...words].filter(Boolean).join(", ") : "not loaded yet";
    this.describe(tile, image);
    tile.setAttribute("aria-selected", String(gallery.selection.has(place)));
  }

  describe(tile, image) {
    const name = this.pictures.kept.get(image)?.name || (image ? `Image ${image}` : `Row ${(tile.place + 1).toLocaleString("en")} of the list`);
    tile.title = `${name}: ${tile.said}`;
    tile.setAttribute("aria-label", tile.title);
  }

  paintPicture(tile, image) {
    const kept = this.pictures.of(image);
    const { picture } = tile.parts;
    tile.classList.toggle("gone", Boolean(kept) && !kept.address);
    if (kept?.address) {
      if (picture.getAttribute("src") !== kept.address) picture.src = kept.address;
    } else {
      picture.removeAttribute("src");
    }
  }

  *tiles() {
    for (const row of this.rows.values()) for (const tile of row.children) if (!tile.hidden) yield tile;
  }

  arrived(images) {
    const now = new Set(images);
    for (const tile of this.tiles()) {
      const image = this.list.image(tile.place);
      if (!now.has(image)) continue;
      this.paintPicture(tile, image);
      this.describe(tile, image);
    }
    this.gallery.plane.arrived(images);
    this.gallery.painted();
  }

  // More rows of the list are there.
  filled() {
    this.repaint();
    this.ask();
  }

  // Whether every picture on screen has come (or cannot).
  get isWhole() {
    const [top, bottom] = this.visible();
    const end = Math.min(this.list.n, (bottom + 1) * this.columns);
    for (let place = top * this.columns; place < end; place++) {
      const image = this.list.image(place);
      if (!image || !this.pictures.kept.has(image)) return false;
    }
    return true;
  }

  ask() {
    if (!this.columns) return;
    const [top, bottom] = this.visible();
    const part = (from, to) => this.list.images(from * this.columns, to * this.columns);
    if (!this.gallery.plane.isShown) this.list.want((top - ROWS_AHEAD) * this.columns, (bottom + 1 + ROWS_AHEAD) * this.columns);
    this.pictures.want([...part(top, bottom + 1), ...part(bottom + 1, bottom + 1 + ROWS_AHEAD), ...part(top - ROWS_AHEAD, top)]);
    this.gallery.painted();
  }

  repaint() {
    for (const tile of this.tiles()) this.paint(tile, tile.place);
    this.drawCurrent();
  }

  repaintSelection() {
    const { selection } = this.gallery;
    for (const tile of this.tiles()) tile.setAttribute("aria-selected", String(selection.has(tile.place)));
    this.drawCurrent();
    if (this.gallery.plane.isShown) this.gallery.plane.draw();
    this.gallery.describe();
  }

  drawCurrent() {
    let there = false;
    for (const tile of this.tiles()) {
      const is = tile.place === this.current;
      tile.classList.toggle("current", is);
      there ||= is;
    }
    if (there) this.scroller.setAttribute("aria-activedescendant", `tidal-tile-${this.current}`);
    else this.scroller.removeAttribute("aria-activedescendant");
  }

  focus() {
    if (this.gallery.plane.isShown) this.gallery.plane.focus();
    else this.scroller.focus({ preventScroll: true });
  }

  // --- by keyboard

  move(key, extend) {
    const { n } = this.list;
    if (!n) return;
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.height) - 1) * this.columns;
    const by = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns,
      PageUp: -page, PageDown: page, Home: -n, End: n,
    }[key];
    const last = n - 1;
    const rows = Math.abs(by) >= this.columns && Math.abs(by) <= page;
    const target = this.current + by;
    const place = rows && target < 0 ? this.current : Math.max(0, Math.min(target, last));
    if (extend) this.extendTo(place);
    else this.anchor = place;
    this.current = place;
    this.reveal(place);
    this.repaintSelection();
  }

  extendTo(place) {
    const { selection } = this.gallery;
    selection.clear();
    selection.range(this.anchor, place);
  }

  reveal(place) {
    const top = Math.floor(place / this.columns) * this.height;
    const { clientHeight } = this.scroller;
    if (top < this.scroll.top) this.scroll.to(top);
    else if (top + this.height + GAP > this.scroll.top + clientHeight) this.scroll.to(top + this.height + GAP - clientHeight);
    this.draw();
  }

  toggleCurrent() {
    if (!this.list.image(this.current)) return; // only what is seen is chosen
    const { selection } = this.gallery;
    selection.set(this.current, !selection.has(this.current));
    this.anchor = this.current;
    this.repaintSelection();
  }

  // --- by mouse and touch

  placeAt(event) {
    const tile = event.composedPath().find((node) => node.classList?.contains("tile"));
    return tile ? tile.place : null;
  }

  click(event) {
    if (this.dragged) return;
    const { selection } = this.gallery;
    const place = this.placeAt(event);
    if (place !== null && !this.list.image(place)) return; // only what is seen is chosen
    const adds = event.ctrlKey || event.metaKey;
    if (place === null) {
      if (!adds && !event.shiftKey) selection.clear();
    } else if (event.shiftKey) {
      if (!adds) selection.clear();
      selection.range(this.anchor, place);
    } else {
      const toggles = adds || event.pointerType === "touch" || event.pointerType === "pen";
      const on = !toggles || !selection.has(place);
      if (!toggles) selection.clear();
      selection.set(place, on);
      this.anchor = place;
    }
    if (place !== null) this.current = place;
    this.repaintSelection();
  }

  // A box is dragged with the mouse; a finger scrolls.
  press(event) {
    this.dragged = false;
    if (event.pointerType !== "mouse" || event.button !== 0) return;
    const bounds = this.scroller.getBoundingClientRect();
    if (event.clientX - bounds.left > this.scroller.clientWidth) return; // the scroll bar
    const at = ({ clientX, clientY }) => {
      const now = this.scroller.getBoundingClientRect();
      return [clientX - now.left, clientY - now.top + this.scroll.top];
    };
    const begin = at(event);
    const { selection } = this.gallery;
    const before = event.ctrlKey || event.metaKey || event.shiftKey ? selection.copy() : null;
    let pointer = event;
    let frame = null;
    const step = () => {
      frame = requestAnimationFrame(step);
      const now = this.scroller.getBoundingClientRect();
      const over = Math.min(0, pointer.clientY - now.top - EDGE) + Math.max(0, pointer.clientY - now.bottom + EDGE);
      if (over) this.scroll.to(this.scroll.top + over / 3);
      this.drawBox(begin, at(pointer), before);
    };
    const move = (moved) => {
      pointer = moved;
      if (this.dragged || Math.hypot(moved.clientX - event.clientX, moved.clientY - event.clientY) < DRAG) return;
      this.dragged = this.isDragging = true;
      this.scroller.setPointerCapture(event.pointerId);
      step();
    };
    const end = () => {
      cancelAnimationFrame(frame);
      this.isDragging = false;
      if (this.dragged) this.drawBox(begin, at(pointer), before);
      this.box.hidden = true;
      this.scroller.removeEventListener("pointermove", move);
      this.scroller.removeEventListener("pointerup", end);
      this.scroller.removeEventListener("pointercancel", end);
    };
    this.scroller.addEventListener("pointermove", move);
    this.scroller.addEventListener("pointerup", end);
    this.scroller.addEventListener("pointercancel", end);
  }

  drawBox(begin, end, before) {
    const [left, right] = [Math.min(begin[0], end[0]), Math.max(begin[0], end[0])];
    const [top, bottom] = [Math.min(begin[1], end[1]), Math.max(begin[1], end[1])];
    this.box.hidden = false;
    Object.assign(this.box.style, { left: `${left}px`, top: `${top - this.scroll.offset}px`, width: `${right - left}px`, height: `${bottom - top}px` });
    const { selection } = this.gallery;
    selection.clear();
    if (before) selection.restore(before);
    const pitch = (this.scroller.clientWidth - 2 * GAP + GAP) / this.columns;
    const column = (x) => (x - GAP) / pitch;
    const first = Math.max(0, Math.floor(column(left + GAP)));
    const last = Math.min(this.columns - 1, Math.floor(column(right)));
    for (let row = Math.max(0, Math.floor(top / this.height)); row <= Math.min(this.rowCount - 1, Math.floor((bottom - GAP) / this.height)); row++) {
      const [from, to] = [row * this.columns + first, Math.min(row * this.columns + last, this.list.n - 1)];
      if (from <= to) selection.range(from, to);
    }
    this.repaintSelection();
  }

  close() {
    this.observer.disconnect();
    window.removeEventListener("resize", this.onResize);
    clearTimeout(this.settling);
    this.pictures.close();
  }
}
