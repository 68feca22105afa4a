// Images decoded ahead, and the stage that paints one of them.

const MEGAPIXELS_KEPT = 48; // decoded, about 4 bytes a pixel
const FETCHES_AT_ONCE = 4;
const PREVIEW_SIZES = [256, 512, 1024, 2048, 4096];

class Pictures {
  constructor() {
    this.api = null;
    this.kept = new Map(); // address -> ImageBitmap, least recently used first
    this.coming = new Map(); // address -> promise
    this.waiting = [];
    this.running = 0;
  }

  address(item, size) {
    return `image/${item.image}?v=${item.version}&size=${size}`;
  }

  ready(item, size) {
    const address = this.address(item, size);
    const bitmap = this.kept.get(address);
    if (bitmap) {
      this.kept.delete(address);
      this.kept.set(address, bitmap);
    }
    return bitmap || null;
  }

  // The decoded image; urgent ones overtake those that are only fetched ahead.
  get(item, size, urgent = false) {
    const address = this.address(item, size);
    const bitmap = this.ready(item, size);
    if (bitmap) return Promise.resolve(bitmap);
    if (this.coming.has(address)) return this.coming.get(address);
    const promise = new Promise((resolve, reject) => {
      const job = { address, resolve, reject };
      if (urgent) this.waiting.unshift(job);
      else this.waiting.push(job);
    });
    this.coming.set(address, promise);
    this.work();
    return promise;
  }

  async work() {
    if (this.running >= FETCHES_AT_ONCE || !this.waiting.length) return;
    const job = this.waiting.shift();
    this.running += 1;
    try {
      const response = await this.api.request(job.address, undefined, 30000);
      const bitmap = await createImageBitmap(await response.blob());
      this.keep(job.address, bitmap);
      job.resolve(bitmap);
    } catch (error) {
      job.reject(error);
    } finally {
      this.coming.delete(job.address);
      this.running -= 1;
      this.work();
    }
  }

  keep(address, bitmap) {
    this.kept.set(address, bitmap);
    let pixels = 0;
    for (const each of this.kept.values()) pixels += each.width * each.height;
    for (const [old, each] of this.kept) {
      if (pixels <= MEGAPIXELS_KEPT * 1e6 || old === address) break;
      pixels -= each.width * each.height;
      this.kept.delete(old);
      each.close();
    }
  }

  // Forget what waits in line (not what is on its way): the queue has changed.
  dropWaiting() {
    for (const job of this.waiting) {
      this.coming.delete(job.address);
      job.reject(new Error("no longer wanted"));
    }
    this.waiting = [];
  }
}

// Runs `then` after the frame that shows what was drawn just now: an animation frame comes before its paint, a message
// posted in it after.
function afterPaint(then) {
  requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      then(performance.now());
    };
    channel.port2.postMessage(null);
  });
}

const TINY = 96; // pixels: below this an image is enlarged with sharp pixels, and not to the whole page
const TINY_SHOWN = 440;
const TINY_ENLARGED = 40; // times at most: a digit of 8 pixels is read more easily when it is not huge
const ZOOM_STEP = 1.25;

class Stage {
  constructor(root, settings) {
    this.figure = root.querySelector(".stage");
    this.canvas = this.figure.querySelector("canvas");
    this.zoomText = this.figure.querySelector(".zoom");
    this.settings = settings; // brightness, contrast, pixelated (null: by size)
    this.zoom = null; // null fits; else screen pixels per image pixel
    this.pan = [0, 0];
    this.item = null;
    this.onCloser = null;
    this.onResize = null;
    this.observer = new ResizeObserver(() => {
      this.layout();
      this.onResize?.();
    });
    this.observer.observe(this.figure);
    this.figure.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.figure.addEventListener("pointerdown", (event) => this.drag(event));
  }

  previewSize() {
    const wanted = Math.max(this.figure.clientWidth, this.figure.clientHeight, 256) * (window.devicePixelRatio || 1);
    return PREVIEW_SIZES.find((size) => size >= wanted * 0.85) || PREVIEW_SIZES.at(-1);
  }

  show(item, bitmap) {
    this.item = item;
    this.zoom = null;
    this.pan = [0, 0];
    this.draw(bitmap);
  }

  draw(bitmap) {
    // Setting the size clears the canvas; the drawing follows in the same task, so that no empty frame is ever shown.
    this.canvas.width = bitmap.width;
    this.canvas.height = bitmap.height;
    this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
    this.canvas.hidden = false;
    this.layout();
  }

  clear() {
    this.item = null;
    this.canvas.hidden = true;
  }

  fitScale() {
    const { width, height } = this.item;
    let scale = Math.min(this.figure.clientWidth / width, this.figure.clientHeight / height);
    if (Math.max(width, height) <= TINY) scale = Math.min(scale, TINY_SHOWN / Math.max(width, height), TINY_ENLARGED);
    return scale;
  }

  layout() {
    if (!this.item || !this.figure.clientWidth) return;
    const scale = this.zoom ?? this.fitScale();
    const { width, height } = this.item;
    const [x, y] = this.pan;
    const style = this.canvas.style;
    style.width = `${width * scale}px`;
    style.height = `${height * scale}px`;
    style.transform = `translate(calc(-50% + ${x}px), calc(-50% + ${y}px))`;
    const { brightness, contrast, pixelated } = this.settings;
    style.filter = brightness === 1 && contrast === 1 ? "" : `brightness(${brightness}) contrast(${contrast})`;
    style.imageRendering = (pixelated ?? Math.max(width, height) <= TINY) ? "pixelated" : "auto";
    this.zoomText.textContent = this.zoom === null ? "fit" : `${Math.round(scale * 100)} %`;
    if (scale * width > this.canvas.width * 1.05 && this.canvas.width < width) this.onCloser?.(this.item);
  }

  setZoom(zoom, at = [0, 0]) {
    if (!this.item) return;
    const before = this.zoom ?? this.fitScale();
    const after = Math.min(Math.max(zoom, this.fitScale() / 2), 64);
    // The point under the pointer stays where it is.
    this.pan = this.pan.map((value, axis) => at[axis] - ((at[axis] - value) * after) / before);
    this.zoom = after;
    this.layout();
  }

  zoomBy(steps, at) {
    if (this.item) this.setZoom((this.zoom ?? this.fitScale()) * ZOOM_STEP ** steps, at);
  }

  fitOrActual() {
    if (!this.item) return;
    const actual = 1 / (window.devicePixelRatio || 1);
    this.pan = [0, 0];
    this.zoom = this.zoom === null && Math.abs(this.fitScale() - actual) > 1e-6 ? actual : null;
    this.layout();
  }

  wheel(event) {
    if (!this.item) return;
    event.preventDefault();
    const box = this.figure.getBoundingClientRect();
    const at = [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
    this.zoomBy(-Math.sign(event.deltaY), at);
  }

  drag(event) {
    if (!this.item || this.zoom === null || event.button !== 0 || event.target !== this.canvas) return;
    const start = [event.clientX, event.clientY];
    const from = [...this.pan];
    const move = (next) => {
      this.pan = [from[0] + next.clientX - start[0], from[1] + next.clientY - start[1]];
      this.layout();
    };
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.addEventListener("pointermove", move);
    const stop = () => this.canvas.removeEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", stop, { once: true });
    this.canvas.addEventListener("pointercancel", stop, { once: true });
  }

  close() {
    this.observer.disconnect();
  }
}
