// Thumbnails in packs: what is on screen comes first, what was scrolled past is no longer fetched, and only so much is kept.

const PACK = 32; // images in a request
const PACKS_AT_ONCE = 3;
const KEPT_BYTES = 40e6;
const KEPT_IMAGES = 4000;

class Pictures {
  constructor(onArrived) {
    this.onArrived = onArrived;
    this.api = null;
    this.kept = new Map(); // image -> {address, name, bytes}, least recently used first; no address: it cannot be read
    this.bytes = 0;
    this.wanted = []; // images, the most urgent first
    this.coming = new Map(); // controller -> images
  }

  of(image) {
    const picture = this.kept.get(image);
    if (picture) {
      this.kept.delete(image);
      this.kept.set(image, picture);
    }
    return picture;
  }

  want(images) {
    this.wanted = images;
    const wanted = new Set(images);
    for (const [controller, coming] of this.coming) {
      if (!coming.some((image) => wanted.has(image))) controller.abort();
    }
    this.work();
  }

  work() {
    const onTheWay = new Set([...this.coming.values()].flat());
    while (this.coming.size < PACKS_AT_ONCE) {
      const images = this.wanted.filter((image) => !this.kept.has(image) && !onTheWay.has(image)).slice(0, PACK);
      if (!images.length) return;
      for (const image of images) onTheWay.add(image);
      this.fetch(images);
    }
  }

  async fetch(images) {
    const controller = new AbortController();
    this.coming.set(controller, images);
    try {
      const response = await this.api.request("tiles", { images }, 60000, controller.signal);
      const bytes = await response.arrayBuffer();
      const { value: names, end } = readJson(bytes, 0);
      const bodies = readPack(bytes, end);
      for (const image of images) this.keep(image, bodies.get(image), names[image] ?? "");
      this.trim();
      this.onArrived(images);
    } catch (error) {
      // Scrolled past, or the connection is lost: what is still on screen is asked for again.
      if (!controller.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 1000));
    } finally {
      this.coming.delete(controller);
    }
    this.work();
  }

  keep(image, body, name) {
    if (this.kept.has(image)) this.drop(image);
    const bytes = body?.size ?? 0;
    this.kept.set(image, { address: body ? URL.createObjectURL(body) : null, name, bytes });
    this.bytes += bytes;
  }

  trim() {
    const wanted = new Set(this.wanted);
    for (const image of this.kept.keys()) {
      if (this.bytes <= KEPT_BYTES && this.kept.size <= KEPT_IMAGES) return;
      if (!wanted.has(image)) this.drop(image);
    }
  }

  drop(image) {
    const { address, bytes } = this.kept.get(image);
    if (address) URL.revokeObjectURL(address);
    this.bytes -= bytes;
    this.kept.delete(image);
  }

  close() {
    this.wanted = [];
    for (const controller of this.coming.keys()) controller.abort();
    for (const image of [...this.kept.keys()]) this.drop(image);
  }
}
