// Single mode: the queue, the painted image, what was answered and the way back.

const QUEUE_FULL = 24;
const QUEUE_LOW = 14;

class Single {
  constructor(lab) {
    this.lab = lab;
    this.items = []; // what comes next; never the current one
    this.current = null;
    this.painted = false; // whether the current image has been on screen: only then can it be answered
    this.paintedAt = 0;
    this.showing = 0;
    this.ranking = null;
    this.ahead = QUEUE_FULL; // images in hand beside the current one: fewer while the autopilot answers what is asked first
    this.trail = []; // answered images in order: {item, event}
    this.undoable = []; // {entries: [{item, event, earlier}]}, newest last
    this.cursor = null; // place in the trail while looking back
    this.gone = new Set(); // images answered here, until undone
    this.broken = new Set();
    this.fetching = false;
    this.exhausted = false;
    this.cut = false; // whether the last request for images reached no studio
    this.oldest = null; // sequence number of the oldest entry fetched from the server
  }

  get size() {
    return this.lab.stage.previewSize();
  }

  held() {
    return [...(this.current ? [this.current.image] : []), ...this.items.map((item) => item.image)];
  }

  accept(batch) {
    const held = new Set(this.held());
    for (const item of batch) {
      if (held.has(item.image) || this.gone.has(item.image) || this.broken.has(item.image)) continue;
      this.items.push(item);
      this.lab.pictures.get(item, this.size).catch(() => {});
    }
  }

  // Images that others hold by now (this tab was silent for too long), or that one act on many images answered.
  giveUp(lost) {
    const gone = new Set(lost);
    if (!gone.size) return;
    this.items = this.items.filter((item) => item.front || !gone.has(item.image));
    if (this.current && !this.current.front && this.cursor === null && gone.has(this.current.image)) {
      this.lab.notify(`${this.current.name || "This image"} is answered, or open in another tab, by now; the next image follows.`);
      this.next();
    }
  }

  async topUp(force = false) {
    if (this.fetching || (!force && this.items.length >= Math.min(QUEUE_LOW, this.ahead))) return;
    this.fetching = true;
    try {
      const answer = await this.lab.api.json("queue", {
        tab: TAB,
        annotator: this.lab.annotator,
        n: Math.max(1, this.ahead - this.items.length),
        held: [...this.held(), ...this.lab.outboxImages(), ...this.broken],
      });
      this.exhausted = !answer.items.length;
      this.cut = false;
      this.accept(answer.items);
    } catch (error) {
      this.cut = !(error instanceof Refused); // the status poll tries again
    } finally {
      this.fetching = false;
    }
    if (!this.current && this.items.length) this.next();
    else if (!this.current) this.lab.showEmpty();
  }

  // A new ranking replaces everything but the image on screen. The old queue serves until the first new image has been
  // decoded, so that a person who is quick never waits.
  async rerank({ ranking, ahead }) {
    if (this.fetching) return;
    this.fetching = true;
    try {
      const keep = this.current ? [this.current.image] : [];
      const answer = await this.lab.api.json("queue", {
        tab: TAB,
        annotator: this.lab.annotator,
        n: ahead,
        held: [...keep, ...this.lab.outboxImages(), ...this.broken],
        fresh: true,
      });
      const first = answer.items.find((item) => !this.gone.has(item.image) && !keep.includes(item.image));
      this.lab.pictures.dropWaiting();
      if (first) await this.lab.pictures.get(first, this.size, true).catch(() => {});
      const undone = this.items.filter((item) => item.front);
      this.items = [];
      this.accept([...undone, ...answer.items]);
      this.ranking = ranking;
      this.ahead = ahead;
      this.lab.root.dataset.ranking = ranking ?? "";
    } catch {
      // The next poll sees the same difference and comes back.
    } finally {
      this.fetching = false;
    }
    if (!this.current && this.items.length) this.next();
  }

  next() {
    // The order stands; only when its first image is not decoded yet does one that is go before it.
    const size = this.size;
    let place = this.items.findIndex((item) => this.lab.pictures.ready(item, size));
    if (place < 0) place = 0;
    const item = this.items.splice(place, 1)[0] || null;
    this.cursor = null;
    if (item) this.show(item);
    else this.showNothing();
    this.topUp();
  }

  showNothing() {
    this.current = null;
    this.painted = false;
    this.lab.root.dataset.painted = "";
    this.lab.stage.clear();
    this.lab.clearCaption();
    this.lab.showEmpty();
    this.lab.panel.explain();
  }

  show(item) {
    const showing = ++this.showing;
    const lab = this.lab;
    this.current = item;
    this.painted = false;
    lab.root.dataset.painted = "";
    const draw = (bitmap) => {
      if (showing !== this.showing) return;
      lab.stage.show(item, bitmap);
      lab.showCaption(item);
      afterPaint((at) => {
        if (showing !== this.showing) return;
        this.painted = true;
        this.paintedAt = at;
        lab.root.dataset.painted = item.image;
        lab.afterShown(item);
      });
    };
    const bitmap = lab.pictures.ready(item, this.size);
    if (bitmap) {
      draw(bitmap);
      return;
    }
    lab.showWaiting();
    lab.pictures.get(item, this.size, true).then(draw, (error) => {
      if (showing !== this.showing) return;
      if (error instanceof Refused && [404, 410, 422].includes(error.status)) {
        this.broken.add(item.image);
        lab.notify(`${item.name || "An image"} cannot be shown (${error.message}). Skipped; the next image follows.`);
        this.next();
      } else {
        setTimeout(() => showing === this.showing && this.show(item), 1000);
      }
    });
  }

  // The larger picture, once someone has zoomed in so far that it matters.
  async sharpen(item) {
    const bitmap = await this.lab.pictures.get(item, PREVIEW_SIZES.at(-1), true).catch(() => null);
    if (bitmap && this.current === item) this.lab.stage.draw(bitmap);
  }

  label(classId) {
    const item = this.current;
    if (!item || !this.painted) return false;
    const event = this.lab.event("label", item, {
      class: classId,
      ms: Math.round(performance.now() - this.paintedAt),
    });
    this.commit(item, event);
    return true;
  }

  skip(reason) {
    if (!this.current || !this.painted) return;
    this.commit(this.current, this.lab.event("skip", this.current, { reason }));
  }

  flag(note) {
    if (!this.current || !this.painted) return;
    const item = this.current;
    const event = this.lab.event("flag", item, { note });
    this.undoable.push({ entries: [{ item, event, earlier: null, flag: item.flag }] });
    item.flag = note || "flagged";
    this.lab.outbox.add(event);
    this.lab.showCaption(item);
    this.lab.refresh();
  }

  commit(item, event) {
    const earlier = this.cursor === null ? null : this.trail[this.cursor].event;
    if (earlier) this.trail[this.cursor].event = event;
    else this.trail.push({ item, event });
    this.undoable.push({ entries: [{ item, event, earlier }] });
    this.gone.add(item.image);
    item.front = false;
    if (earlier) this.forward();
    else this.next();
    this.lab.answered(item, event);
    this.lab.outbox.add(event);
  }

  undo() {
    const last = this.undoable.pop();
    if (!last) {
      this.undoOlder();
      return;
    }
    for (const entry of last.entries) {
      this.lab.outbox.add(this.lab.event("undo", entry.item, { undoes: entry.event.id, mode: entry.event.mode }));
      this.takeBack(entry);
    }
    if (last.page) {
      this.lab.grid.restore(last.page);
      return;
    }
    const { item, event, earlier, flag } = last.entries[0];
    const place = this.trail.findIndex((entry) => entry.item === item);
    if (event.kind === "flag") {
      item.flag = flag;
      if (this.current === item) {
        this.lab.showCaption(item);
        this.lab.refresh();
        return;
      }
    } else if (!earlier) {
      item.prior = event.kind === "label" ? event.class : null;
    }
    // The answer before a change, or beside a flag, stands: the image is looked at and not asked anew.
    if (place >= 0) this.lookAt(place);
    else this.toFront(item);
    this.lab.refresh();
  }

  takeBack({ item, event, earlier }) {
    if (!earlier && event.kind !== "flag") this.gone.delete(item.image);
    const place = this.trail.findIndex((entry) => entry.event === event);
    if (place >= 0) {
      if (earlier) this.trail[place].event = earlier;
      else this.trail.splice(place, 1);
    }
    this.lab.takenBack(event);
  }

  toFront(item) {
    if (this.current && this.cursor === null && this.current !== item) this.items.unshift(this.current);
    this.items = this.items.filter((other) => other.image !== item.image);
    this.cursor = null;
    item.front = true;
    this.show(item);
  }

  // What was answered before this page was loaded can be taken back as well.
  async undoOlder() {
    await this.fetchOlder();
    const entry = this.trail.length ? this.trail[this.trail.length - 1] : null;
    if (!entry) {
      this.lab.notify("There is nothing to undo.");
      return;
    }
    this.undoable.push({ entries: [{ ...entry, earlier: entry.event.earlier }] });
    this.undo();
  }

  async fetchOlder() {
    const answer = await this.lab.api
      .json("history", { annotator: this.lab.annotator, before: this.oldest, limit: 50 })
      .catch(() => ({ entries: [] }));
    const known = new Set(this.trail.map((entry) => entry.item.image));
    const found = answer.entries.filter((entry) => !known.has(entry.item.image)).reverse();
    if (answer.entries.length) this.oldest = answer.entries.at(-1).seq;
    // An image has one place, by its last answer; the answers that it changed stand again when that is taken back.
    const older = new Map();
    for (const { item, event } of found) {
      // An old sweep's answers are looked at, and taken back, one by one.
      const entry = { item: older.get(item.image)?.item ?? item, event: { ...event, mode: "single" } };
      entry.event.earlier = older.get(item.image)?.event ?? null;
      older.delete(item.image);
      older.set(item.image, entry);
    }
    this.trail.unshift(...older.values());
    for (const { item } of found) this.gone.add(item.image);
    return older.size;
  }

  async back() {
    let place = this.cursor === null ? this.trail.length - 1 : this.cursor - 1;
    if (place < 0) {
      const found = await this.fetchOlder();
      if (!found) {
        this.lab.notify("You have no earlier answers.");
        return;
      }
      place += found;
    }
    this.lookAt(place);
    this.lab.refresh();
  }

  lookAt(place) {
    const { item, event } = this.trail[place];
    if (this.cursor === null && this.current && this.current !== item) this.items.unshift(this.current);
    this.cursor = place;
    item.prior = event.kind === "label" ? event.class : null;
    this.show(item);
  }

  forward() {
    if (this.cursor === null) return;
    if (this.cursor + 1 >= this.trail.length) {
      this.next();
    } else {
      this.lookAt(this.cursor + 1);
    }
    this.lab.refresh();
  }
}
