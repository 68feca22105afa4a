// The labeller: one object per mounted component, wiring keys, modes, outbox and status together.
//
// Streamlit calls the default export again whenever its data or the theme changes, without a clean-up in between: the
// object lives on the root and is only told of new data (after a restart of the server, a new token).

const STATUS_MS = 1500;
const STATUS_TRAINING_MS = 700;
const PREFERENCES = "tidal:preferences";
const NAME = "tidal:name"; // written by ui/remembered.py
const LONGEST_NAME = 60;

class Labeller {
  constructor(shadow, data) {
    this.root = shadow.querySelector(".labeller");
    this.data = data;
    this.classes = [];
    this.byKey = new Map();
    this.byId = new Map();
    this.settings = { suggestions: "after" };
    this.status = null;
    this.mode = "single";
    this.popover = null;
    this.unseen = new Map(); // label events that the last status does not count yet -> sequence number or null
    this.closed = false;
    try {
      this.preferences = JSON.parse(localStorage.getItem(PREFERENCES)) || {};
    } catch {
      this.preferences = {};
    }
    this.pictures = new Pictures();
    const light = { brightness: 1, contrast: 1, pixelated: null, ...this.preferences.light };
    this.stage = new Stage(this.root, light);
    this.single = new Single(this);
    this.stage.onCloser = (item) => this.single.sharpen(item);
    this.panel = new Panel(this);
    this.grid = new Grid(this);
    this.popovers = new Popovers(this);
    this.stage.onResize = () => this.popovers.arrange();
    this.outbox = outboxOf(data.project);
    this.listener = {
      changed: () => this.panel.outbox(),
      settled: (event, result) => this.settled(event, result),
      troubled: (message) => this.notify(message),
    };
    this.outbox.listeners.add(this.listener);
    this.onKey = (event) => this.key(event);
    window.addEventListener("keydown", this.onKey, true);
    // A browser lets a hidden page sleep: others may have got its images meanwhile.
    this.onVisible = () => document.hidden || this.poll();
    document.addEventListener("visibilitychange", this.onVisible);
    document.body.dataset.tidalLabelling = "yes"; // read by ui/connection.js
    this.listen();
    this.connect(data);
    this.open();
  }

  connect(data) {
    const renewed = this.api && this.api.token !== data.token;
    this.data = data;
    this.api = new Api(data);
    this.pictures.api = this.api;
    this.outbox.connect(this.api);
    this.panel.who();
    this.root.querySelector("h1").hidden = !data.titled;
    if (renewed) this.poll();
  }

  // Who answers: typed in this visit, else in an earlier one, else what the project proposes.
  get annotator() {
    const { annotator, typed } = this.data;
    if (typed) return annotator;
    try {
      const known = (localStorage.getItem(NAME) || "").split(/\s+/).filter(Boolean).join(" ");
      return [...known].slice(0, LONGEST_NAME).join("") || annotator;
    } catch {
      return annotator;
    }
  }

  async open() {
    try {
      const answer = await this.api.json("open", { tab: TAB, annotator: this.annotator, n: QUEUE_FULL, held: this.outboxImages() });
      if (this.closed) return;
      this.setClasses(answer.classes, answer.status.classes_version);
      this.setStatus(answer.status);
      this.single.ranking = answer.status.ranking;
      this.single.ahead = answer.status.ahead;
      this.root.dataset.ranking = answer.status.ranking ?? "";
      this.single.accept(answer.items);
      this.single.next();
      this.opened = true;
      this.root.dataset.open = "yes";
    } catch (error) {
      if (error.status === DISK_FULL) this.showEmpty("The disk is full", error.message);
      else this.showEmpty("The studio does not answer", `${error.message}. Trying again.`);
      if (!this.closed) setTimeout(() => this.open(), 1000);
      return;
    }
    this.schedule();
  }

  schedule() {
    clearTimeout(this.pollTimer);
    if (this.closed) return;
    const pause = this.status?.round ? STATUS_TRAINING_MS : STATUS_MS;
    this.pollTimer = setTimeout(() => this.poll(), document.hidden ? pause * 2 : pause);
  }

  async poll() {
    if (!this.opened || this.closed) return;
    try {
      const status = await this.api.json("status", { tab: TAB, annotator: this.annotator, held: this.single.held() });
      this.single.giveUp(status.lost);
      this.setStatus(status);
      if (this.outbox.failures) this.outbox.flush();
    } catch {
      window.dispatchEvent(new CustomEvent("tidal:unreachable"));
      this.panel.outbox();
    }
    this.schedule();
  }

  setStatus(status) {
    this.status = status;
    this.settings = status.settings;
    for (const [id, seq] of this.unseen) if (seq !== null && seq <= status.seq) this.unseen.delete(id);
    if (status.classes_version !== this.classesVersion) this.fetchClasses();
    this.panel.progress();
    this.panel.outbox();
    this.showMissingClasses();
    const { ranking, ahead } = this.single;
    if (this.opened && (status.ranking !== ranking || status.ahead !== ahead)) this.single.rerank(status);
    else if (this.opened) this.single.topUp(!this.single.current);
  }

  async fetchClasses() {
    const answer = await this.api.json("classes").catch(() => null);
    if (answer) this.setClasses(answer.classes, answer.version);
  }

  setClasses(classes, version) {
    this.classes = classes;
    this.classesVersion = version;
    this.panel.outbox();
    this.byId = new Map(classes.map((each) => [each.id, each]));
    this.byKey = new Map(classes.filter((each) => each.key).map((each) => [each.key, each]));
    this.popovers.showClasses();
    this.panel.drawLast();
    if (this.single.current) this.showCaption(this.single.current);
  }

  className(id) {
    return this.byId.get(id)?.name ?? "another class";
  }

  // --- answers

  event(kind, item, more) {
    const { suggestions } = this.settings;
    const shown = !item.suggestion || suggestions === "never" ? "never" : suggestions === "always" ? "before" : "after";
    return {
      id: randomId(),
      kind,
      image: item.image,
      annotator: this.annotator,
      mode: "single",
      purpose: item.purpose,
      round: item.round,
      suggestion: item.suggestion || null,
      shown: kind === "label" ? shown : "never",
      ...more,
    };
  }

  answered(item, event) {
    if (event.kind === "label") {
      if (event.purpose !== "audit" && event.purpose !== "again") this.unseen.set(event.id, null);
      this.panel.count();
      this.flash(event.class);
    }
    this.panel.showLast(item, event);
    this.panel.progress();
    this.refresh();
  }

  takenBack(event) {
    this.unseen.delete(event.id);
    this.panel.forget(event);
    this.panel.progress();
  }

  settled(event, result) {
    if (this.unseen.has(event.id)) {
      if (result.seq === null) this.unseen.delete(event.id);
      else this.unseen.set(event.id, result.seq);
    }
    if (result.refused) this.panel.forget(event);
    if (result.refused) this.notify(`An answer could not be saved: ${result.refused}`);
  }

  unseenLabels() {
    return this.unseen.size;
  }

  outboxImages() {
    return [...this.outbox.pending.values()].filter((event) => event.kind !== "undo").map((event) => event.image);
  }

  // --- what is on screen

  showCaption(item) {
    const find = (selector) => this.root.querySelector(selector);
    find(".empty").hidden = true;
    find(".caption .file").textContent = item.name;
    const chip = (node, text) => {
      node.hidden = !text;
      node.textContent = text || "";
    };
    const { cursor } = this.single;
    const was = item.prior ? this.className(item.prior) : null;
    chip(find(".prior"), was ? (cursor === null ? `Was ${was}` : `Your answer: ${was}`) : cursor === null ? null : "Skipped");
    chip(find(".flagged"), item.flag ? `⚑ ${item.flag}` : null);
    const guess = this.settings.suggestions === "always" && item.suggestion;
    chip(find(".guess"), guess ? `${this.className(guess[0])}? ${percent(guess[1])} · Enter accepts` : null);
    this.panel.drawLast();
    find("canvas").setAttribute("aria-label", item.name ? `Image ${item.name}` : "Image to label");
    for (const button of this.root.querySelectorAll(".single .classes button")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.class) === item.prior));
    }
  }

  // Nothing of an image that is not on screen any more stays below the stage.
  clearCaption() {
    const find = (selector) => this.root.querySelector(selector);
    find(".caption .file").textContent = "";
    this.panel.drawLast();
    for (const chip of this.root.querySelectorAll(".caption .chip")) chip.hidden = true;
    find("canvas").setAttribute("aria-label", "No image");
    for (const button of this.root.querySelectorAll(".single .classes button")) button.setAttribute("aria-pressed", "false");
  }

  afterShown() {
    this.panel.explain();
  }

  showWaiting() {
    if (!this.stage.item) this.showEmpty("Loading the image", "");
  }

  showEmpty(title, text, links = []) {
    const empty = this.root.querySelector(".empty");
    if (title === undefined) {
      if (!this.opened && !this.status) return;
      [title, text, links = []] = this.emptyText();
    }
    empty.hidden = false;
    empty.querySelector(".empty-title").textContent = title;
    empty.querySelector(".empty-text").textContent = text;
    empty.querySelector(".empty-links").replaceChildren(...links.map((page) => this.link(page)));
  }

  // A way to another page of the studio, with this project.
  link([page, label]) {
    const made = element("a", { textContent: label });
    made.href = `${page}?project=${encodeURIComponent(this.data.slug)}`;
    return made;
  }

  emptyText() {
    if (this.status && !this.status.images) return ["There are no images yet", "Import a folder on the Project page.", [["project", "Add images"]]];
    if (this.single.cut) return ["All loaded images are answered", "The next ones come when the studio runs again."];
    if (this.single.fetching) return ["Loading the next images", ""];
    if (this.status?.waiting) {
      const { waiting } = this.status;
      const title = waiting === 1 ? "The last image is open in another tab" : `The last ${waiting} images are open in other tabs`;
      return [title, "They come here when such a tab is closed, or has not been heard of for two minutes; this page goes on by itself."];
    }
    const after = [["progress", "See the accuracy"], ["project", "Take the labels with you"]];
    const training = this.status?.round ? [["training", "Watch the model train"]] : [];
    return ["Every image is labelled or skipped", "Press ← to go through your answers.", [...training, ...after]];
  }

  showMissingClasses() {
    const { without_label: without, labelled } = this.status;
    const node = this.root.querySelector(".without");
    if (node) node.remove();
    if (!without || !without.length || labelled + this.unseenLabels() < 5) return;
    const names = without.slice(0, 4).map((id) => this.className(id));
    const more = without.length > 4 ? ` and ${without.length - 4} more` : "";
    const text = `No label yet for ${names.join(", ")}${more}: the model cannot learn ${without.length === 1 ? "it" : "them"}.`;
    this.root.querySelector(".after").prepend(element("p", { className: "without", textContent: text }));
  }

  notify(text, tone = "warn") {
    const notice = this.root.querySelector(".notice");
    notice.textContent = text;
    notice.dataset.tone = tone;
    notice.hidden = false;
    clearTimeout(this.noticeTimer);
    this.noticeTimer = setTimeout(() => (notice.hidden = true), tone === "good" ? 1800 : 7000);
  }

  flash(classId) {
    const button = this.root.querySelector(`.single .classes [data-class="${classId}"]`);
    if (!button) return;
    this.flashed?.classList.remove("hit");
    this.flashed = button;
    button.classList.add("hit");
    clearTimeout(this.flashTimer);
    this.flashTimer = setTimeout(() => button.classList.remove("hit"), 220);
  }

  refresh() {
    const find = (name) => this.root.querySelector(`[data-do="${name}"]`);
    find("forward").disabled = this.single.cursor === null;
  }

  setMode(mode, page = null) {
    this.mode = mode;
    this.root.dataset.mode = mode;
    this.root.querySelector(".single").hidden = mode !== "single";
    this.root.querySelector(".grid").hidden = mode !== "grid";
    for (const button of this.root.querySelectorAll("[data-mode]")) {
      button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    }
    if (mode === "grid") {
      if (page) this.grid.show(page);
      else this.grid.load();
    } else {
      this.root.dataset.sheet = "";
      if (!this.single.current) this.single.next();
      else this.single.show(this.single.current);
    }
  }

  prefer(values) {
    Object.assign(this.preferences, values);
    try {
      localStorage.setItem(PREFERENCES, JSON.stringify(this.preferences));
    } catch {
      // Preferences last for this page only.
    }
  }

  close() {
    this.closed = true;
    delete document.body.dataset.tidalLabelling;
    clearTimeout(this.pollTimer);
    window.removeEventListener("keydown", this.onKey, true);
    document.removeEventListener("visibilitychange", this.onVisible);
    this.outbox.listeners.delete(this.listener);
    this.stage.close();
    this.grid.observer.disconnect();
    this.api.json("release", { tab: TAB }).catch(() => {});
  }
}
