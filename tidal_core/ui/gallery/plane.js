// The map of all images: those that look alike lie close together. The same selection as the grid has, by lasso or box.
// Points are written into the pixels of one canvas: 200,000 of them in some milliseconds, with or without a graphics card.

const REACH = 9; // pixels around a point in which the mouse means it
const LEGEND_AT_MOST = 12; // classes in the legend
const ZOOM_STEP = 1.4, ZOOM_MOST = 400;
const PAN_STEP = 60; // pixels by an arrow key
const MARGIN = 24; // pixels between the outermost points and the edge
const LOOK_AGAIN_MS = 4000; // while the better map is computed
const NONE = "#9aa4ab"; // of what has no class, or no prediction
const SURE = [22, 120, 150], UNSURE = [235, 120, 20];
const COLOURINGS = {
  label: { text: "their label", none: "no label" },
  predicted: { text: "what the model says", none: "no prediction" },
  p: { text: "how sure the model is", none: "no prediction" },
};

const rgb = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
const packed = ([red, green, blue], alpha = 255) => ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;

const GREY = packed(rgb(NONE), 150);

class Plane {
  constructor(gallery) {
    this.gallery = gallery;
    const find = (selector) => gallery.root.querySelector(selector);
    this.box = find(".plane");
    this.canvas = find(".plane canvas.points");
    this.over = find(".plane canvas.over");
    this.legend = find(".legend");
    this.note = find(".plane-note");
    this.card = find(".plane-card");
    this.colouring = find('[name="colouring"]');
    this.colouring.append(...Object.entries(COLOURINGS).map(([value, { text }]) => element("option", { value, textContent: text })));
    this.colouring.addEventListener("change", () => this.recolour());
    this.view = { x: 0, y: 0, zoom: 1 };
    this.current = -1; // the point that keys are on
    this.list = null; // whose images the points are
    this.places = new Float32Array(0); // 2 per image of the list; NaN for one without a place
    this.hand = new PlaneHand(this);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.stage);
  }

  get stage() {
    return this.canvas.parentElement;
  }

  // Whether the points are those of the list that is shown: another one may be on its way.
  get isCurrent() {
    return this.list !== null && this.list === this.gallery.list;
  }

  changed() {
    this.draw();
    this.gallery.describe();
  }

  get isShown() {
    return !this.box.hidden;
  }

  // --- what is drawn

  async show() {
    this.box.hidden = false;
    if (this.fetched?.version !== this.gallery.version || !this.gallery.list.all) await this.fetch();
    else this.join();
  }

  hide() {
    this.box.hidden = true;
    this.card.hidden = true;
    this.gallery.list.all = null;
    clearTimeout(this.again);
  }

  async fetch() {
    clearTimeout(this.again);
    if (!this.fetched) this.tell("Laying out the map");
    const { list } = this.gallery;
    try {
      const [response] = await Promise.all([this.gallery.api.request("collection/map", undefined, 120000), list.all ?? list.fetchAll()]);
      const bytes = await response.arrayBuffer();
      const { value: head, end } = readJson(bytes, 0);
      // The points stay where they are while a line is drawn around them.
      while (this.hand.isDragging) await new Promise((resolve) => setTimeout(resolve, 100));
      const row = (place, Kind) => new Kind(bytes, end + 4 * head.n * place, head.n);
      this.fetched = { ...head, images: row(0, Int32Array), x: row(1, Float32Array), y: row(2, Float32Array), p: row(3, Float32Array) };
      if (!this.gallery.closed && list === this.gallery.list) this.join();
    } catch (error) {
      if (list !== this.gallery.list) return; // another one is shown
      if (error instanceof Refused && error.status === GONE) {
        this.gallery.load({ stay: true });
        return;
      }
      this.fetched = null;
      this.places = new Float32Array(0);
      this.draw();
      this.box.dataset.empty = "yes";
      this.tell(error instanceof Refused && error.status === 400 ? error.message : `There is no map: ${error.message}. It is tried again.`);
      this.look();
      this.gallery.painted();
    }
  }

  look() {
    clearTimeout(this.again);
    this.again = setTimeout(() => this.isShown && !this.gallery.closed && this.fetch(), LOOK_AGAIN_MS);
  }

  // Where the images of the list lie, in its order.
  join() {
    const { list } = this.gallery;
    if (!this.fetched || !list.all) return;
    this.list = list;
    delete this.box.dataset.empty;
    const { images: known, x, y, p } = this.fetched;
    const { images } = list.all;
    let largest = 0;
    for (const image of known) if (image > largest) largest = image;
    const at = new Int32Array(largest + 1).fill(-1);
    for (let place = 0; place < known.length; place++) at[known[place]] = place;
    this.places = new Float32Array(2 * images.length).fill(NaN);
    this.p = new Float32Array(images.length).fill(NaN);
    this.placed = 0;
    for (let place = 0; place < images.length; place++) {
      const found = images[place] <= largest ? at[images[place]] : -1;
      if (found < 0) continue;
      this.places[2 * place] = x[found];
      this.places[2 * place + 1] = y[found];
      this.p[place] = p[found];
      this.placed += 1;
    }
    const without = images.length - this.placed;
    const parts = [`${several(this.placed, "image", "images")}: those that look alike lie close together.`];
    if (without) parts.push(`${several(without, "image has", "images have")} no place yet.`);
    if (this.fetched.kind === "principal") {
      const { share } = this.fetched;
      parts.push(share === null ? "A finer map is computed when the studio has time." : `A finer map is being computed: ${percent(share)}.`);
      this.look();
    }
    this.tell(parts.join(" "));
    this.current = -1;
    this.recolour();
    this.gallery.painted();
  }

  tell(text) {
    if (this.note.textContent !== text) this.note.textContent = text;
  }

  recolour() {
    if (!this.list?.all) return;
    const { gallery } = this;
    const { labels, predicted } = this.list.all;
    const n = this.places.length / 2;
    this.colours = new Uint32Array(n);
    const counts = new Map();
    const by = this.colouring.value;
    if (by === "p") {
      const ramp = Array.from({ length: 101 }, (_, step) => packed(SURE.map((channel, place) => Math.round(channel + (UNSURE[place] - channel) * (step / 100)))));
      for (let place = 0; place < n; place++) this.colours[place] = Number.isNaN(this.p[place]) ? GREY : ramp[Math.round(100 * (1 - this.p[place]))];
    } else {
      const classes = by === "label" ? labels : predicted;
      const of = new Map(gallery.classes.map((each) => [each.id, packed(rgb(each.colour))]));
      for (let place = 0; place < n; place++) {
        if (Number.isNaN(this.places[2 * place])) continue;
        this.colours[place] = of.get(classes[place]) ?? GREY;
        counts.set(classes[place], (counts.get(classes[place]) ?? 0) + 1);
      }
    }
    this.drawLegend(by, counts);
    this.draw();
  }

  drawLegend(by, counts) {
    const { none } = COLOURINGS[by];
    const entry = (colour, text) => {
      const dot = element("span", { className: "dot" });
      dot.style.background = colour;
      return element("li", {}, dot, element("span", { textContent: text }));
    };
    if (by === "p") {
      const css = (colour) => `rgb(${colour.join(" ")})`;
      this.legend.replaceChildren(entry(css(SURE), "sure"), entry(css(UNSURE), "unsure"), entry(NONE, none));
      return;
    }
    const known = this.gallery.classes.filter((each) => counts.get(each.id)).sort((a, b) => counts.get(b.id) - counts.get(a.id));
    const parts = known.slice(0, LEGEND_AT_MOST).map((each) => entry(each.colour, `${each.name} (${counts.get(each.id).toLocaleString("en")})`));
    if (known.length > LEGEND_AT_MOST) parts.push(element("li", { textContent: `and ${several(known.length - LEGEND_AT_MOST, "more class", "more classes")}` }));
    if (counts.get(0)) parts.push(entry(NONE, `${none} (${counts.get(0).toLocaleString("en")})`));
    this.legend.replaceChildren(...parts);
  }

  get scale() {
    const { width, height } = this.canvas;
    return ((Math.min(width, height) - 2 * MARGIN * this.density) / 2) * this.view.zoom;
  }

  // From the plane to pixels of the canvas.
  at(place) {
    const { width, height } = this.canvas;
    const { x, y } = this.view;
    return [width / 2 + (this.places[2 * place] - x) * this.scale, height / 2 - (this.places[2 * place + 1] - y) * this.scale];
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.isShown && !this.gallery.closed) this.paint();
    });
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    const density = Math.min(2, window.devicePixelRatio || 1);
    if (!width || !height) return;
    this.density = density;
    for (const canvas of [this.canvas, this.over]) {
      if (canvas.width === Math.round(width * density) && canvas.height === Math.round(height * density)) continue;
      canvas.width = Math.round(width * density);
      canvas.height = Math.round(height * density);
      this.pixels = null;
    }
  }

  paint() {
    this.fit();
    const { width, height } = this.canvas;
    if (!this.density) return;
    const context = this.canvas.getContext("2d");
    if (!this.pixels) {
      this.data = context.createImageData(width, height);
      this.pixels = new Uint32Array(this.data.data.buffer);
    }
    const { pixels, places, colours } = this;
    pixels.fill(0);
    const { scale } = this;
    const left = width / 2 - this.view.x * scale;
    const top = height / 2 + this.view.y * scale;
    const n = places.length / 2;
    // As large as there is room for them: few points, or a close look, make large dots.
    const radius = Math.max(1, Math.min(5, Math.sqrt((width * height) / Math.max(1, n)) / 7) * Math.min(2.2, Math.sqrt(this.view.zoom))) * (n ? 1 : 0);
    const dot = this.dot(Math.max(1, radius));
    const ring = this.dot(Math.max(2, radius) + 2 * this.density);
    const ink = packed(rgb(this.colourOf("--st-text-color", "#14212b")));
    const { selection } = this.gallery;
    const areChosen = this.isCurrent && selection.count > 0;
    const put = (x, y, shape, colour) => {
      for (let step = 0; step < shape.length; step += 2) {
        const column = x + shape[step], line = y + shape[step + 1];
        if (column >= 0 && column < width && line >= 0 && line < height) pixels[line * width + column] = colour;
      }
    };
    // What has no colour lies below what has one, and what is selected above both.
    const chosen = [], coloured = [];
    for (let place = 0; place < n; place++) {
      const x = Math.round(left + places[2 * place] * scale), y = Math.round(top - places[2 * place + 1] * scale);
      if (!(x > -9 && x < width + 9 && y > -9 && y < height + 9)) continue; // and what has no place
      if (areChosen && selection.has(place)) chosen.push(x, y, colours[place]);
      else if (colours[place] === GREY) put(x, y, dot, GREY);
      else coloured.push(x, y, colours[place]);
    }
    for (let step = 0; step < coloured.length; step += 3) put(coloured[step], coloured[step + 1], dot, coloured[step + 2]);
    for (let step = 0; step < chosen.length; step += 3) put(chosen[step], chosen[step + 1], ring, ink);
    for (let step = 0; step < chosen.length; step += 3) put(chosen[step], chosen[step + 1], dot, chosen[step + 2]);
    if (this.current >= 0) {
      const [x, y] = this.at(this.current).map(Math.round);
      put(x, y, this.dot(radius + 5 * this.density), ink);
      put(x, y, this.dot(Math.max(2, radius) + 2 * this.density), colours[this.current]);
    }
    context.putImageData(this.data, 0, 0);
    this.describe();
  }

  // The pixels of a disc around its middle.
  dot(radius) {
    this.dots ??= new Map();
    const key = Math.round(2 * radius);
    if (!this.dots.has(key)) {
      const [r, shape] = [key / 2, []];
      for (let y = -Math.floor(r); y <= r; y++) for (let x = -Math.floor(r); x <= r; x++) if (x * x + y * y <= r * r + 0.2) shape.push(x, y);
      this.dots.set(key, Int16Array.from(shape));
    }
    return this.dots.get(key);
  }

  colourOf(name, otherwise) {
    const value = getComputedStyle(this.box).getPropertyValue(name).trim();
    return /^#[0-9a-f]{6}$/i.test(value) ? value : otherwise;
  }

  describe() {
    const { count } = this.gallery.selection;
    const text = `Map of ${several(this.placed ?? 0, "image", "images")}, coloured by ${COLOURINGS[this.colouring.value].text}; ${count.toLocaleString("en")} selected`;
    if (this.stage.getAttribute("aria-label") !== text) this.stage.setAttribute("aria-label", text);
  }

  focus() {
    this.stage.focus({ preventScroll: true });
  }

  whole() {
    this.view = { x: 0, y: 0, zoom: 1 };
    this.draw();
  }

  zoom(by, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    const before = this.scale;
    this.view.zoom = Math.max(0.5, Math.min(ZOOM_MOST, this.view.zoom * by));
    const now = this.scale;
    this.view.x += (x - this.canvas.width / 2) * (1 / before - 1 / now);
    this.view.y -= (y - this.canvas.height / 2) * (1 / before - 1 / now);
    this.draw();
  }

  nearest(x, y) {
    const { scale, places } = this;
    const reach = (REACH * this.density) / scale;
    const [px, py] = [this.view.x + (x - this.canvas.width / 2) / scale, this.view.y - (y - this.canvas.height / 2) / scale];
    let [best, least] = [-1, reach * reach];
    for (let place = 0; place < places.length / 2; place++) {
      const [dx, dy] = [places[2 * place] - px, places[2 * place + 1] - py];
      const far = dx * dx + dy * dy;
      if (far <= least) [best, least] = [place, far];
    }
    return best;
  }

  // The picture of a point, beside it.
  point(place) {
    this.pointed = place;
    this.card.hidden = place < 0;
    if (place < 0) return;
    const { grid } = this.gallery;
    const row = this.list?.row(place);
    if (!row) return;
    const { image, label, guess } = row;
    const kept = grid.pictures.of(image);
    if (!kept) grid.pictures.want([image]);
    const said = label ? this.gallery.className(label) : guess ? `no label; the model says ${this.gallery.className(guess)}` : "no label";
    const picture = kept?.address ? element("img", { src: kept.address, alt: "" }) : element("span", { className: "blank" });
    this.card.replaceChildren(picture, element("span", { className: "text", textContent: [kept?.name || `Image ${image}`, said].join(": ") }));
    const [x, y] = this.at(place).map((pixels) => pixels / this.density);
    const { clientWidth, clientHeight } = this.canvas;
    this.card.style.left = `${Math.max(4, Math.min(x + 14, clientWidth - this.card.offsetWidth - 4))}px`;
    this.card.style.top = `${Math.max(4, y + 14 + this.card.offsetHeight > clientHeight ? y - 14 - this.card.offsetHeight : y + 14)}px`;
  }

  arrived(images) {
    if (this.isShown && this.pointed >= 0 && images.includes(this.list?.image(this.pointed))) this.point(this.pointed);
  }

  close() {
    clearTimeout(this.again);
    this.observer.disconnect();
  }
}
