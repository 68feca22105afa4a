// How the labeller talks to the server: requests with the process's token, and the outbox.
//
// The outbox is what makes an answer safe: it is written to localStorage before it is sent, one entry per answer (so
// that two tabs never overwrite each other), and removed when the server says that it is committed. The server knows
// every id, so sending twice is harmless.

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

class Api {
  constructor(data) {
    this.base = `${data.base}/api/p/${encodeURIComponent(data.slug)}`;
    this.token = data.token;
  }

  async request(path, body, timeout = 10000) {
    const options = { headers: { "X-Tidal-Token": this.token }, signal: AbortSignal.timeout(timeout) };
    if (body !== undefined) {
      options.method = "POST";
      options.headers["Content-Type"] = "application/json";
      options.body = JSON.stringify(body);
    }
    const response = await fetch(`${this.base}/${path}`, options);
    if (!response.ok) {
      const problem = await response.json().catch(() => ({}));
      throw new Refused(response.status, problem.error || `the server answered ${response.status}`);
    }
    return response;
  }

  async json(path, body) {
    return (await this.request(path, body)).json();
  }
}

function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const SEND_AFTER_MS = 12; // the next image is painted first: the answer is safe in localStorage by then
const FIRST_RETRY_MS = 300;
const LAST_RETRY_MS = 5000;
const ANSWERS_PER_POST = 200;
const DISK_FULL = 507;
const BEACON_BYTES = 60000; // browsers refuse beacons above 64 KiB

class Outbox {
  constructor(project) {
    this.prefix = `tidal:outbox:${project}:`;
    this.pending = new Map(); // event id -> event, in the order of answering
    this.listeners = new Set();
    this.api = null;
    this.busy = false;
    this.failures = 0;
    this.timer = null;
    this.load = Date.now();
    this.count = 0;
    this.restore();
    this.retryNow = () => this.flush();
    window.addEventListener("online", this.retryNow);
    window.addEventListener("pagehide", () => this.beacon());
  }

  // What an earlier page could not send. The order number makes new answers sort behind old ones even when the clock
  // was moved back in between.
  restore() {
    const found = [];
    for (const key of Object.keys(localStorage)) {
      if (!key.startsWith(this.prefix)) continue;
      try {
        found.push(JSON.parse(localStorage.getItem(key)));
      } catch {
        localStorage.removeItem(key);
      }
    }
    found.sort((a, b) => a.order[0] - b.order[0] || a.order[1] - b.order[1]);
    for (const entry of found) this.pending.set(entry.event.id, entry.event);
    if (found.length) this.load = Math.max(this.load, found[found.length - 1].order[0] + 1);
  }

  connect(api) {
    this.api = api;
    this.failures = 0;
    this.flush();
  }

  add(event) {
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
      // A body that the server cannot read at all would block everything behind it: send such answers one by one.
      if (error instanceof Refused && error.status === 400) await this.sendSingly(batch);
    } finally {
      this.busy = false;
    }
    this.tell();
    if (this.pending.size) {
      this.schedule(this.failures ? Math.min(FIRST_RETRY_MS * 2 ** (this.failures - 1), LAST_RETRY_MS) : 0);
    }
  }

  async sendSingly(batch) {
    for (const event of batch) {
      try {
        const { results } = await this.api.json("answers", { tab: TAB, answers: [event] });
        results.forEach((result) => this.settle(result));
      } catch (error) {
        if (!(error instanceof Refused && error.status === 400)) return;
        this.settle({ id: event.id, seq: null, refused: error.message });
      }
    }
  }

  settle(result) {
    const event = this.pending.get(result.id);
    if (!event) return;
    this.pending.delete(result.id);
    localStorage.removeItem(this.prefix + result.id);
    for (const listener of this.listeners) listener.settled?.(event, result);
  }

  tell() {
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
