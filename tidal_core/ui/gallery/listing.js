// The list of images that the gallery shows. A "place" is where an image stands in it; only the rows on and around the
// screen are in the browser, the others come by the list's name: the same images in the same order, whatever was answered
// since (store/listings.py). Whatever is done to places goes to the server as places of this list.

const PAGE = 256; // rows in a request while one scrolls
const FIRST_PAGES = 2; // with a new list, at least
const PAGES_AT_ONCE = 3;
const PAGES_KEPT = 64;
const COLUMNS = ["images", "labels", "predicted", "marks"];

// A head, then four columns of numbers; see server/collection_api.py.
function readRows(bytes) {
  const { value: head, end } = readJson(bytes, 0);
  return { head, columns: COLUMNS.map((_, column) => new Int32Array(bytes, end + 4 * head.rows * column, head.rows)) };
}

class Listing {
  constructor(gallery, { head = { list: "", n: 0, seq: 0 }, columns = [] } = {}) {
    this.gallery = gallery;
    this.name = head.list;
    this.n = head.n;
    this.made = head.seq; // the last answer that was known when it was made
    this.pages = new Map(); // number -> columns and the last answer that they know, least recently used first
    this.all = null; // the same of all places, while the map shows them
    this.wanted = []; // numbers of pages, the most urgent first
    this.coming = new Map(); // number of a page -> controller
    this.closed = false;
    if (columns.length) this.take({ head, columns });
  }

  // What is known of the image at a place; null while it is not here.
  row(place) {
    const page = this.pages.get(Math.floor(place / PAGE));
    if (page) return this.rowOf(page, place % PAGE);
    return this.all ? this.rowOf(this.all, place) : null;
  }

  rowOf({ images, labels, predicted, marks }, at) {
    return { image: images[at], label: labels[at], guess: predicted[at], marks: marks[at] };
  }

  // 0 while it is not here.
  image(place) {
    return this.row(place)?.image ?? 0;
  }

  // Those that are here of the places from one to another, which is left out.
  images(from, to) {
    const found = [];
    for (let place = Math.max(0, from); place < Math.min(to, this.n); place++) {
      const image = this.image(place);
      if (image) found.push(image);
    }
    return found;
  }

  take({ head, columns }) {
    for (let first = 0; first < head.rows; first += PAGE) {
      const page = Object.fromEntries(COLUMNS.map((name, column) => [name, columns[column].slice(first, first + PAGE)]));
      const number = (head.from + first) / PAGE;
      this.pages.delete(number);
      this.pages.set(number, { ...page, seq: head.seq });
    }
    for (const number of this.pages.keys()) {
      if (this.pages.size <= PAGES_KEPT) return;
      if (!this.wanted.includes(number)) this.pages.delete(number);
    }
  }

  async request(from, rows, signal) {
    const parameters = new URLSearchParams({ list: this.name, from, ...(rows === null ? {} : { rows }) });
    const response = await this.gallery.api.request(`collection?${parameters}`, undefined, 60000, signal);
    return readRows(await response.arrayBuffer());
  }

  // The places on the screen, from one to another, which is left out: their rows, then those below and above.
  want(from, to) {
    const [first, last] = [Math.floor(from / PAGE), Math.floor(Math.max(from, to - 1) / PAGE)];
    const end = Math.ceil(this.n / PAGE);
    const numbers = Array.from({ length: last - first + 1 }, (_, step) => first + step);
    this.wanted = [...numbers, last + 1, first - 1].filter((number) => number >= 0 && number < end);
    for (const [number, controller] of this.coming) if (!this.wanted.includes(number)) controller.abort();
    this.work();
  }

  work() {
    while (!this.closed && this.coming.size < PAGES_AT_ONCE) {
      const number = this.wanted.find((each) => !this.pages.has(each) && !this.coming.has(each));
      if (number === undefined) return;
      this.fetch(number);
    }
  }

  async fetch(number) {
    const controller = new AbortController();
    this.coming.set(number, controller);
    try {
      const rows = await this.request(number * PAGE, PAGE, controller.signal);
      if (this.closed) return;
      this.take(rows);
      this.gallery.grid.filled();
    } catch (error) {
      if (this.closed) return;
      if (error instanceof Refused && error.status === GONE) this.gallery.load({ stay: true });
      // Scrolled past, or the connection is lost: what is still on screen is asked for again.
      if (!controller.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 1000));
    } finally {
      this.coming.delete(number);
    }
    this.work();
  }

  // The rows of some places again, with the labels and marks of now; what is known of the others is dropped.
  async refresh({ from, rows }) {
    const again = await this.request(from, rows);
    for (const controller of this.coming.values()) controller.abort(); // they may know less than these
    this.pages.clear();
    this.take(again);
    if (this.all) await this.fetchAll();
    return again.head;
  }

  async fetchAll() {
    const { head, columns } = await this.request(0, null);
    this.all = { ...Object.fromEntries(COLUMNS.map((name, column) => [name, columns[column]])), seq: head.seq };
  }

  // Of an image that may have been scrolled past long ago.
  async imageAt(place) {
    return this.image(place) || (await this.request(place, 1)).columns[0][0];
  }

  // The last answer that the page knew of every selected image: of rows that nobody has looked at, when the list was made.
  seen(selection) {
    const { plane } = this.gallery;
    if (this.all && plane.isShown && plane.isCurrent) return this.all.seq; // the map shows every image
    let [seen, known] = [Infinity, 0];
    for (const [number, { images, seq }] of this.pages) {
      let here = 0;
      for (let at = 0; at < images.length; at++) here += selection.has(number * PAGE + at) ? 1 : 0;
      if (here) seen = Math.min(seen, seq);
      known += here;
    }
    return known === selection.count ? seen : this.made;
  }

  close() {
    this.closed = true;
    for (const controller of this.coming.values()) controller.abort();
  }
}
