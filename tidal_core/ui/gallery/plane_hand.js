// What the mouse, fingers and keys do on the map: look closer, go from point to point, select by a line or a box.

class PlaneHand {
  constructor(plane) {
    this.plane = plane;
    this.tool = "lasso";
    this.isDragging = false;
    this.listen();
  }

  get selection() {
    return this.plane.gallery.selection;
  }

  // What a key does here, or null.
  meaning(key, extend) {
    const { plane } = this;
    const pan = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
    if (pan) return () => this.step(...pan, extend);
    if (key === "+" || key === "=") return () => plane.zoom(ZOOM_STEP);
    if (key === "-") return () => plane.zoom(1 / ZOOM_STEP);
    if (key === "Home") return () => plane.whole();
    if (key === " ") return () => this.toggle();
    return null;
  }

  // To the nearest point in a direction; from nowhere to the one in the middle.
  step(dx, dy, extend) {
    const { plane } = this;
    const [x0, y0] = plane.current < 0 ? [plane.view.x, plane.view.y] : [plane.places[2 * plane.current], plane.places[2 * plane.current + 1]];
    let [best, nearest] = [-1, Infinity];
    for (let place = 0; place < plane.places.length / 2; place++) {
      const [x, y] = [plane.places[2 * place] - x0, plane.places[2 * place + 1] - y0];
      const along = x * dx + y * dy, aside = Math.abs(x * dy) + Math.abs(y * dx);
      const far = plane.current < 0 ? x * x + y * y : along > 0 && aside <= along ? along * along + 4 * aside * aside : Infinity;
      if (far < nearest) [best, nearest] = [place, far];
    }
    if (best < 0 || !plane.isCurrent) return;
    plane.current = best;
    if (extend) this.selection.set(best, true);
    const [x, y] = plane.at(best);
    const edge = PAN_STEP * plane.density;
    if (x < edge || y < edge || x > plane.canvas.width - edge || y > plane.canvas.height - edge) Object.assign(plane.view, { x: plane.places[2 * best], y: plane.places[2 * best + 1] });
    plane.point(best);
    plane.changed();
  }

  toggle() {
    const { plane } = this;
    if (plane.current < 0 || !plane.isCurrent) return;
    this.selection.set(plane.current, !this.selection.has(plane.current));
    plane.changed();
  }

  use(tool) {
    const { plane } = this;
    this.tool = tool;
    for (const button of plane.box.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    plane.stage.dataset.tool = tool;
  }

  listen() {
    const { plane } = this;
    const { stage } = plane;
    for (const button of plane.box.querySelectorAll("[data-tool]")) button.addEventListener("click", () => this.use(button.dataset.tool));
    const zooms = { in: () => plane.zoom(ZOOM_STEP), out: () => plane.zoom(1 / ZOOM_STEP), whole: () => plane.whole() };
    for (const button of plane.box.querySelectorAll("[data-zoom]")) button.addEventListener("click", zooms[button.dataset.zoom]);
    this.use("lasso");
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      plane.zoom(Math.exp(-event.deltaY / 400), ...this.where(event));
    }, { passive: false });
    stage.addEventListener("pointerdown", (event) => this.press(event));
    stage.addEventListener("pointermove", (event) => !this.isDragging && this.hover(event));
    stage.addEventListener("pointerleave", () => plane.point(-1));
    stage.addEventListener("dblclick", (event) => {
      const place = plane.nearest(...this.where(event));
      if (place >= 0) plane.gallery.openLife(plane.list.image(place));
    });
  }

  where(event) {
    const { plane } = this;
    const bounds = plane.canvas.getBoundingClientRect();
    return [(event.clientX - bounds.left) * plane.density, (event.clientY - bounds.top) * plane.density];
  }

  hover(event) {
    const { plane } = this;
    this.hovering ??= requestAnimationFrame(() => {
      this.hovering = null;
      plane.point(plane.nearest(...this.where(this.hovered)));
    });
    this.hovered = event;
  }

  press(event) {
    const { plane } = this;
    if (event.button !== 0) return;
    const { stage } = plane;
    const begin = this.where(event);
    const path = [...begin];
    const moves = this.tool === "move" || event.pointerType === "touch";
    const adds = event.ctrlKey || event.metaKey || event.shiftKey;
    let last = begin;
    this.isDragging = true;
    let far = false;
    stage.setPointerCapture(event.pointerId);
    const move = (moved) => {
      const now = this.where(moved);
      far ||= Math.hypot(now[0] - begin[0], now[1] - begin[1]) > DRAG * plane.density;
      if (!far) return;
      if (moves) {
        plane.view.x -= (now[0] - last[0]) / plane.scale;
        plane.view.y += (now[1] - last[1]) / plane.scale;
        plane.draw();
      } else {
        if (this.tool === "lasso") path.push(...now);
        else path.splice(2, path.length, now[0], begin[1], now[0], now[1], begin[0], now[1]);
        this.trace(path);
      }
      last = now;
      plane.point(-1);
    };
    const end = (ended) => {
      for (const [name, listener] of Object.entries({ pointermove: move, pointerup: end, pointercancel: end })) stage.removeEventListener(name, listener);
      this.isDragging = false;
      this.trace([]);
      if (ended.type === "pointercancel" || (far && moves)) return;
      if (far) this.take(path, adds);
      else this.click(begin, adds || event.pointerType === "touch");
    };
    for (const [name, listener] of Object.entries({ pointermove: move, pointerup: end, pointercancel: end })) stage.addEventListener(name, listener);
  }

  click(at, adds) {
    const { plane } = this;
    const place = plane.nearest(...at);
    const { selection } = this;
    if (!plane.isCurrent) return;
    if (!adds) selection.clear();
    if (place >= 0) selection.set(place, !adds || !selection.has(place));
    plane.current = place;
    plane.changed();
  }

  trace(path) {
    const { plane } = this;
    const context = plane.over.getContext("2d");
    context.clearRect(0, 0, plane.over.width, plane.over.height);
    if (path.length < 4) return;
    context.beginPath();
    for (let step = 0; step < path.length; step += 2) context.lineTo(path[step], path[step + 1]);
    context.closePath();
    const accent = plane.colourOf("--st-primary-color", "#0b6e8f");
    context.fillStyle = `${accent}2e`;
    context.fill();
    context.lineWidth = 2 * plane.density;
    context.strokeStyle = accent;
    context.stroke();
  }

  // All points within a closed line; even and odd crossings, as the line is filled.
  take(path, adds) {
    const { plane } = this;
    const { selection } = this;
    if (!plane.isCurrent) return;
    if (!adds) selection.clear();
    let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let step = 0; step < path.length; step += 2) {
      [left, right] = [Math.min(left, path[step]), Math.max(right, path[step])];
      [top, bottom] = [Math.min(top, path[step + 1]), Math.max(bottom, path[step + 1])];
    }
    for (let place = 0; place < plane.places.length / 2; place++) {
      const [x, y] = plane.at(place);
      if (!(x >= left && x <= right && y >= top && y <= bottom)) continue;
      let inside = false;
      for (let step = 0, before = path.length - 2; step < path.length; before = step, step += 2) {
        const [x1, y1, x2, y2] = [path[step], path[step + 1], path[before], path[before + 1]];
        if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
      }
      if (inside) selection.set(place, true);
    }
    plane.changed();
  }
}
