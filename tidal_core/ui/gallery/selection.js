// Which images are selected: places in one list (listing.js), whether their rows are in the browser or not.

class Selection {
  // ``runs``: how many places are passed over, how many selected, passed over, and so on; see store/listings.py.
  constructor(n, runs = []) {
    this.n = n;
    this.bits = null; // one a place, from the first selected one on
    this.count = 0;
    this.changes = 0;
    let place = 0;
    runs.forEach((length, turn) => {
      if (turn % 2 && length) this.range(place, place + length - 1);
      place += length;
    });
  }

  has(place) {
    return this.bits !== null && this.bits[place] === 1;
  }

  set(place, on) {
    if (this.has(place) === on || place < 0 || place >= this.n) return;
    this.bits ??= new Uint8Array(this.n);
    this.bits[place] = on ? 1 : 0;
    this.count += on ? 1 : -1;
    this.changes += 1;
  }

  clear() {
    this.bits?.fill(0);
    this.count = 0;
    this.changes += 1;
  }

  all() {
    this.bits = new Uint8Array(this.n).fill(1);
    this.count = this.n;
    this.changes += 1;
  }

  range(from, to) {
    const [first, last] = from < to ? [from, to] : [to, from];
    this.bits ??= new Uint8Array(this.n);
    for (let place = Math.max(0, first); place <= Math.min(last, this.n - 1); place++) {
      this.count += 1 - this.bits[place];
      this.bits[place] = 1;
    }
    this.changes += 1;
  }

  copy() {
    return { bits: this.bits?.slice() ?? null, count: this.count };
  }

  restore({ bits, count }) {
    if (bits) this.bits.set(bits);
    else this.bits?.fill(0);
    this.count = count;
    this.changes += 1;
  }

  get first() {
    return this.bits?.indexOf(1) ?? -1;
  }

  get runs() {
    const runs = [];
    for (let [place, on] = [0, 1]; this.count && place < this.n; on = 1 - on) {
      const turn = this.bits.indexOf(on, place);
      const next = turn < 0 ? this.n : turn;
      runs.push(next - place);
      place = next;
    }
    return runs;
  }
}
