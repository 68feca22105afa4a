// The outbox is what makes an answer safe: it is written to localStorage before it is sent, one entry per answer (so
// that two tabs never overwrite each other), and removed when the server says that it is committed. The server knows
// every id, so sending twice is harmless. An answer that the server refuses is set aside, where the person sees it.

const SEND_AFTER_MS = 12; // the next image is painted first: the answer is safe in localStorage by then
const FIRST_RETRY_MS = 300;
const LAST_RETRY_MS = 5000;
const ANSWERS_PER_POST = 200;
const SINGLY_AFTER = 3; // failures in a row
const FOR_GOOD = new Set([400, 413, 422]); // what the server says of an answer that it will never take as it is
const DISK_FULL = 507; // no answer's fault: all of them wait for room
const WAITS = new Set([401, 403, DISK_FULL]); // signed out, a new token, no room: no answer's fault
const BEACON_BYTES = 60000; // browsers refuse beacons above 64 KiB

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

class Outbox {
  constructor(project) {
    this.prefix = `tidal:outbox:${project}:`;
    this.asidePrefix = `tidal:aside:${project}:`;
    this.pending = new Map(); // event id -> event, in the order of answering
    this.aside = new Map(); // event id -> {event, reason, at}: what cannot be saved as it is
    this.listeners = new Set();
    this.api = null;
    this.busy = false;
    this.failures = 0;
    this.timer = null;
    this.load = Date.now();
    this.count = 0;
    this.restore();
    window.addEventListener("storage", (change) => {
      if (change.key?.startsWith(this.asidePrefix)) this.restoreAside(); // another tab set an answer aside, or took it up
    });
    this.retryNow = () => this.flush();
    window.addEventListener("online", this.retryNow);
    window.addEventListener("pagehide", () => this.beacon());
    // The studio was started again while another page is shown (ui/connection.js).
    window.addEventListener("tidal:token", ({ detail }) => this.api && this.api.token !== detail && this.connect(this.api.with(detail)));
  }

  // What an earlier page could not send. The order number makes new answers sort behind old ones even when the clock
  // was moved back in between.
  restore() {
    this.restoreAside();
    const entries = [];
    for (const key of Object.keys(localStorage)) {
      if (!key.startsWith(this.prefix)) continue;
      const text = localStorage.getItem(key);
      const entry = parsed(text);
      const id = key.slice(this.prefix.length);
      if (this.aside.has(id)) localStorage.removeItem(key);
      else if (entry?.event?.id === id && Array.isArray(entry.order)) entries.push(entry);
      else this.setAside({ id, kind: "unreadable", text }, "this browser kept it damaged");
    }
    entries.sort((a, b) => a.order[0] - b.order[0] || a.order[1] - b.order[1]);
    for (const entry of entries) this.pending.set(entry.event.id, entry.event);
    if (entries.length) this.load = Math.max(this.load, entries[entries.length - 1].order[0] + 1);
  }

  restoreAside() {
    for (const [id, entry] of this.aside) if (entry.kept !== false) this.aside.delete(id);
    for (const key of Object.keys(localStorage)) {
      if (!key.startsWith(this.asidePrefix)) continue;
      const text = localStorage.getItem(key);
      const id = key.slice(this.asidePrefix.length);
      const entry = parsed(text);
      this.aside.set(id, entry?.event ? entry : { event: { id, kind: "unreadable", text }, reason: "this browser kept it damaged", at: "" });
    }
    this.tell();
  }

  connect(api) {
    this.api = api;
    this.failures = 0;
    this.flush();
  }

  add(event) {
    if (event.kind === "undo" && this.aside.has(event.undoes)) {
      this.drop(event.undoes); // it was never saved: there is nothing to undo
      return;
    }
    this.pending.set(event.id, event);
    try {
      localStorage.setItem(this.prefix + event.id, JSON.stringify({ order: [this.load, this.count++], event }));
    } catch {
      // Full or forbidden: the answer is still sent from memory.
    }
    if (!this.failures) this.schedule(SEND_AFTER_MS);
    this.tell();
  }

  schedule(milliseconds) {
    if (this.timer !== null && milliseconds > 0) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = null;
      this.flush();
    }, milliseconds);
  }

  async flush() {
    if (this.busy || !this.api || !this.pending.size) return;
    this.busy = true;
    const batch = [...this.pending.values()].slice(0, ANSWERS_PER_POST);
    try {
      const { results } = await this.api.json("answers", { tab: TAB, answers: batch });
      this.failures = 0;
      for (const result of results) this.settle(result);
    } catch (error) {
      this.failures += 1;
      if (error instanceof Refused && error.status === DISK_FULL) {
        for (const listener of this.listeners) listener.troubled?.(error.message);
      }
      // One answer that the server cannot take would block all behind it: they go one by one, and it is set aside.
      const isRefused = error instanceof Refused && !WAITS.has(error.status);
      if (isRefused && (FOR_GOOD.has(error.status) || this.failures >= SINGLY_AFTER)) await this.sendSingly(batch);
    } finally {
      this.busy = false;
    }
    this.tell();
    if (this.pending.size) {
      this.schedule(this.failures ? Math.min(FIRST_RETRY_MS * 2 ** (this.failures - 1), LAST_RETRY_MS) : 0);
    }
  }

  async sendSingly(batch) {
    const failed = [];
    let works = false; // whether the server has taken an answer in this pass
    for (const event of batch) {
      try {
        const { results } = await this.api.json("answers", { tab: TAB, answers: [event] });
        results.forEach((result) => this.settle(result));
        works = true;
      } catch (error) {
        if (!(error instanceof Refused) || WAITS.has(error.status)) return; // or no connection: no answer's fault
        if (FOR_GOOD.has(error.status)) this.setAside(event, error.message);
        else failed.push([event, error]);
      }
    }
    // Where every answer fails it is the server that cannot (a full disk): all of them wait. A single one is told by
    // whether the server can do anything at all.
    if (!works && failed.length === 1 && failed[0][1].status === 500) works = await this.takesNothing();
    if (works) for (const [event, error] of failed) this.setAside(event, error.message);
    if (works || !failed.length) this.failures = 0;
  }

  async takesNothing() {
    return this.api.json("answers", { tab: TAB, answers: [] }).then(
      () => true,
      () => false,
    );
  }

  settle(result) {
    const event = this.pending.get(result.id);
    if (!event) return;
    if (result.refused) {
      this.setAside(event, result.refused);
      return;
    }
    this.forget(event.id);
    for (const listener of this.listeners) listener.settled?.(event, result);
  }

  forget(id) {
    this.pending.delete(id);
    localStorage.removeItem(this.prefix + id);
  }

  // --- what cannot be saved: kept in this browser until a person has decided what becomes of it

  setAside(event, reason) {
    const entry = { event, reason, at: new Date().toISOString() };
    const other = event.undoes ?? [...this.aside.values()].find((each) => each.event.undoes === event.id)?.event.id;
    if (this.aside.has(other)) {
      this.drop(other); // an answer and its undo: neither was saved, and none is missing
      this.forget(event.id);
    } else {
      this.aside.set(event.id, entry);
      try {
        localStorage.setItem(this.asidePrefix + event.id, JSON.stringify(entry)); // first here, then no longer there
        this.forget(event.id);
      } catch {
        entry.kept = false; // full or forbidden: what is kept in the outbox stays there, for the next page to set aside
        this.pending.delete(event.id);
      }
    }
    for (const listener of this.listeners) listener.settled?.(event, { id: event.id, seq: null, refused: reason });
    this.tell();
  }

  drop(id) {
    this.aside.delete(id);
    localStorage.removeItem(this.asidePrefix + id);
    localStorage.removeItem(this.prefix + id);
    this.tell();
  }

  sendAgain(id) {
    const { event } = this.aside.get(id);
    this.aside.delete(id);
    this.add(event);
    localStorage.removeItem(this.asidePrefix + id);
    this.flush();
  }

  tell() {
    window.dispatchEvent(new CustomEvent("tidal:outbox"));
    for (const listener of this.listeners) listener.changed?.();
  }

  // The page goes away: one last try that the browser finishes for us. What fails is still in localStorage.
  beacon() {
    if (!this.api) return;
    const url = `${this.api.base}/answers`;
    let answers = [];
    let bytes = 0;
    const send = (release) => {
      const body = JSON.stringify({ token: this.api.token, answers, release });
      navigator.sendBeacon(url, new Blob([body], { type: "application/json" }));
      answers = [];
      bytes = 0;
    };
    for (const event of this.pending.values()) {
      const size = JSON.stringify(event).length * 2;
      if (bytes + size > BEACON_BYTES) send(null);
      answers.push(event);
      bytes += size;
    }
    send(TAB);
  }
}

// One outbox per project for the life of the page: it goes on sending when the person looks at another page.
const TAB = randomId();
const outboxes = new Map();

function outboxOf(project) {
  if (!outboxes.has(project)) outboxes.set(project, new Outbox(project));
  return outboxes.get(project);
}
