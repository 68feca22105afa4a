// Which images are selected: by their numbers, whatever their order on the page.

class Selection {
  constructor() {
    this.bits = new Uint8Array(1);
    this.count = 0;
  }

  // Other images are shown: those that no longer are cannot be selected.
  keepOnly(images) {
    const old = this.bits;
    let largest = 0;
    for (const image of images) if (image > largest) largest = image;
    this.bits = new Uint8Array(largest + 1);
    this.count = 0;
    for (const image of images) if (old[image]) this.set(image, true);
  }

  has(image) {
    return this.bits[image] === 1;
  }

  set(image, on) {
    if (this.has(image) === on) return;
    this.bits[image] = on ? 1 : 0;
    this.count += on ? 1 : -1;
  }

  clear() {
    this.bits.fill(0);
    this.count = 0;
  }

  all(images) {
    for (const image of images) this.set(image, true);
  }

  range(images, from, to) {
    const [first, last] = from < to ? [from, to] : [to, from];
    for (let place = first; place <= last; place++) this.set(images[place], true);
  }

  copy() {
    return { bits: this.bits.slice(), count: this.count };
  }

  restore(copied) {
    this.bits.set(copied.bits);
    this.count = copied.count;
  }

  of(images) {
    return Array.from(images).filter((image) => this.has(image));
  }
}
