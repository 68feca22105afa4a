// The gallery: one object per mounted component. Streamlit calls the default export again whenever its data changes.

const KEYS_OF_FIELDS = 'input:not([type="checkbox"]), textarea, select, [contenteditable]:not([contenteditable="false"]), [role="textbox"], [role="combobox"]';
const MOVES = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"]);
const NAME = "tidal:name"; // written by ui/remembered.py
const LONGEST_NAME = 60;
const GONE = 410; // a list that the studio no longer has
const LOOK_MS = 3000; // between two looks whether anybody has changed what is shown

class Gallery {
  constructor(shadow, component) {
    this.shadow = shadow;
    this.root = shadow.querySelector(".gallery");
    this.data = component.data;
    this.classes = [];
    this.byId = new Map();
    this.byKey = new Map();
    this.closed = false;
    this.list = new Listing(this);
    this.place = new Place(component.data.slug);
    this.selection = new Selection(0);
    this.filters = new Filters(this);
    this.grid = new Grid(this);
    this.plane = new Plane(this);
    this.acts = new Acts(this);
    this.onKey = (event) => this.key(event);
    window.addEventListener("keydown", this.onKey, true);
    this.onToken = ({ detail }) => this.connect({ ...this.data, token: detail });
    window.addEventListener("tidal:token", this.onToken);
    this.listen();
    this.take(component);
    this.connect(component.data);
    this.filters.take(component.data.filter);
    this.acts.show();
    this.open();
  }

  take(component) {
    this.component = component;
  }

  connect(data) {
    this.data = data;
    this.api = new Api(data);
    this.api.who = () => this.annotator;
    this.grid.pictures.api = this.api;
  }

  // The page is drawn again: with another token after a restart, other predictions, a filter that the address led to.
  renew(component) {
    this.take(component);
    const { data } = this;
    this.connect(component.data);
    const isLed = component.data.led !== data.led;
    if (isLed) this.filters.take(component.data.filter);
    if (data.features !== component.data.features) this.acts.show();
    if (isLed) this.load();
    else if (component.data.version !== data.version || component.data.token !== data.token) this.stale = true;
    this.freshen();
  }

  // Other predictions may sort the images anew: not while some are selected.
  freshen() {
    if (this.stale && !this.selection.count) this.load({ stay: true });
  }

  tell(name, value) {
    if (name === "opened") this.component.setTriggerValue(name, value);
    else this.component.setStateValue(name, value);
  }

  // See Labeller.annotator: typed in this visit, else in an earlier one, else what the project proposes.
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
      await this.fetchClasses();
    } catch (error) {
      this.say(`The studio does not answer (${error.message}). Trying again.`);
      if (!this.closed) setTimeout(() => this.open(), 1000);
      return;
    }
    await this.load();
    this.watch();
  }

  // What others do shows here: another tab labels, a round ends, a class gets another name.
  watch() {
    this.watching = setTimeout(async () => {
      if (!document.hidden && this.root.dataset.ready === "yes" && !this.acts.busy) await this.look().catch(() => {});
      if (!this.closed) this.watch();
    }, LOOK_MS);
  }

  async look() {
    const { version } = await this.api.json("collection/version");
    if (version === this.version || this.closed || this.acts.busy) return;
    if (version.split("-").at(-1) !== this.version.split("-").at(-1)) await this.fetchClasses();
    if (this.selection.count) await this.follow();
    else await this.load({ stay: true });
  }

  // While images are selected each stays where it is, with the labels and marks of now.
  async follow() {
    const { list, grid } = this;
    try {
      const { version } = await list.refresh(grid.around());
      if (list !== this.list) return;
      Object.assign(this, { version, stale: true });
    } catch (error) {
      if (!(error instanceof Refused && error.status === GONE)) throw error;
      await this.load({ stay: true });
      return;
    }
    grid.filled();
    if (this.plane.isShown) this.plane.recolour();
    this.filters.count();
  }

  async fetchClasses() {
    const { classes } = await this.api.json("classes");
    this.classes = classes;
    this.byId = new Map(classes.map((each) => [each.id, each]));
    this.byKey = new Map(classes.filter((each) => each.key).map((each) => [each.key, each]));
    this.filters.show();
    this.acts.show();
  }

  className(id) {
    return this.byId.get(id)?.name ?? "another class";
  }

  // --- which images

  async load({ stay = false } = {}) {
    this.stale = false;
    this.loading?.abort();
    const loading = (this.loading = new AbortController());
    const began = performance.now();
    this.root.dataset.ready = "no";
    try {
      const { from, rows } = this.grid.around(stay);
      const image = stay ? this.list.image(this.grid.current) : this.place.recall(this.filters.address());
      const parameters = new URLSearchParams({ from, rows, ...(image ? { image } : {}) });
      const response = await this.api.request(`${this.filters.address()}&${parameters}`, undefined, 60000, loading.signal);
      const made = readRows(await response.arrayBuffer());
      const list = new Listing(this, made);
      const selection = stay ? await this.carried(list, loading.signal) : new Selection(list.n);
      if (this.closed || loading.signal.aborted) return;
      this.filters.complain("");
      this.filters.counting += 1; // of the images before
      const isThere = !stay || this.list.image(this.grid.current) === image; // nobody has gone on meanwhile
      this.show(list, selection, isThere ? made.head : { ...made.head, at: null }, stay, began);
    } catch (error) {
      if (loading.signal.aborted || this.closed) return;
      if (error instanceof Refused && error.status === 400) this.filters.explain(error.message);
      else this.failed(error);
    }
  }

  failed(error) {
    window.dispatchEvent(new CustomEvent("tidal:unreachable"));
    this.say(`The images could not be loaded (${error.message}). Trying again.`);
    setTimeout(() => !this.closed && this.load({ stay: true }), 2000);
  }

  get isDragging() {
    return this.grid.isDragging || this.plane.hand.isDragging;
  }

  // The selected images in a list that takes the place of this one. Nothing changes while somebody drags.
  async carried(list, signal) {
    for (;;) {
      while (this.isDragging && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 50));
      const { selection } = this;
      if (signal.aborted || !selection.count) return new Selection(list.n);
      if (list.name === this.list.name) return selection;
      const { changes } = selection;
      const told = await this.api.json("collection/follow", { list: this.list.name, runs: selection.runs, to: list.name }, 60000).catch((error) => {
        if (error instanceof Refused && error.status === GONE) return null;
        throw error;
      });
      if (told === null) {
        this.acts.say("Nothing is selected any more: the list had to be read anew, and the studio no longer has the one before.", "bad");
        return new Selection(list.n);
      }
      if (selection === this.selection && selection.changes === changes && !this.isDragging) return new Selection(list.n, told.runs);
    }
  }

  show(list, selection, { version, at }, stay, began) {
    this.list.close();
    Object.assign(this, { list, selection, version, began });
    const nothing = this.root.querySelector(".nothing");
    nothing.hidden = list.n > 0;
    nothing.textContent = "No image is like that.";
    this.grid.show(stay, at);
    if (!list.n) this.painted();
    this.describe();
  }

  // As a grid or as a map: the same images, the same selection.
  showView() {
    const isMap = this.filters.chosen.as === "map";
    const n = this.list.n;
    this.grid.scroller.hidden = isMap || !n;
    this.root.querySelector(".sized").hidden = isMap;
    for (const button of this.root.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === this.filters.chosen.as));
    if (isMap && n) this.plane.show();
    else this.plane.hide();
    this.grid.fit();
    if (!isMap) this.grid.layout();
  }

  // The pictures on screen have come: noted once for each set of images, when the browser has painted them.
  painted() {
    if (this.began === undefined) return;
    if (this.list.n && !this.plane.isShown && (!this.grid.columns || !this.grid.isWhole)) return;
    const { began } = this;
    this.began = undefined;
    requestAnimationFrame(() =>
      setTimeout(() => {
        this.root.dataset.ms = Math.round(performance.now() - began);
        this.root.dataset.shown = this.list.n;
        this.root.dataset.ready = "yes";
        this.filters.count();
      }),
    );
  }

  describe() {
    const { count } = this.selection;
    const n = this.list.n;
    this.say(`${several(n, "image", "images")}${count ? ` · ${count.toLocaleString("en")} selected` : ""}`);
    this.root.querySelector('[data-do="all"]').disabled = count === n;
    this.root.querySelector('[data-do="none"]').disabled = !count;
    this.root.dataset.selected = count;
    this.acts.refresh();
    this.freshen();
  }

  say(text) {
    const node = this.root.querySelector(".count");
    if (node.textContent !== text) node.textContent = text;
  }

  openLife(image) {
    if (!image) return;
    this.place.remember(this.filters.address(), image);
    this.tell("opened", image);
  }

  // --- keys and buttons

  do(name) {
    const { selection, grid, filters } = this;
    if (name === "all") selection.all();
    if (name === "none") selection.clear();
    if (name === "all" || name === "none") grid.repaintSelection();
    if (name === "undo") this.acts.undo();
    if (name === "reset") filters.choose({ where: "", is: "", label: "", predicted: "", by: "" });
    if (name === "help") {
      const box = this.root.querySelector(".keys");
      box.hidden = !box.hidden;
      this.root.querySelector('.acts [data-do="help"]').setAttribute("aria-expanded", String(!box.hidden));
      if (!box.hidden) box.querySelector("button").focus();
      else grid.focus();
    }
  }

  listen() {
    const { root } = this;
    for (const button of root.querySelectorAll("[data-do]")) button.addEventListener("click", () => this.do(button.dataset.do));
    for (const button of root.querySelectorAll("[data-view]")) button.addEventListener("click", () => this.filters.choose({ as: button.dataset.view }));
    const size = root.querySelector('[name="size"]');
    const narrow = window.innerWidth <= 640;
    this.grid.size = narrow ? 100 : 124;
    size.value = "124";
    size.addEventListener("change", () => {
      this.grid.size = Number(size.value);
      this.grid.layout();
    });
    // A click with the mouse on a button leaves the focus where it is: keys go on working on the images.
    root.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button") && event.pointerType === "mouse") event.preventDefault();
    });
  }

  key(event) {
    if (this.closed || event.isComposing || !this.root.isConnected || !this.root.offsetParent) return;
    const target = event.composedPath()[0];
    const inside = target instanceof Element;
    if (inside && target.closest(KEYS_OF_FIELDS)) return;
    if (document.querySelector('[role="dialog"]')) return;
    const act = this.meaning(event, inside ? target : null);
    // Streamlit's own r (run again) and c (clear the cache) must not fire beside the images.
    if (!act && !(["r", "c"].includes(event.key) && !event.ctrlKey && !event.metaKey)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (act && (!event.repeat || MOVES.has(event.key))) act();
  }

  // What a key does now, or null.
  meaning(event, target) {
    const { grid, acts } = this;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const command = event.ctrlKey || event.metaKey;
    const onGrid = target === grid.scroller;
    const onMap = target?.classList.contains("stage") && this.plane.isShown;
    const elsewhere = target?.closest("button, a, summary, input, [role=button], [role=tab], [role=slider]");
    if (event.altKey) return null;
    if (command) {
      if (key === "z" && !event.shiftKey) return () => acts.undo();
      if (key === "a") return () => this.do("all");
      return null;
    }
    const keys = this.root.querySelector(".keys");
    if (!keys.hidden) return key === "Escape" || key === "?" ? () => this.do("help") : null;
    if (onMap) {
      const onThePlane = this.plane.hand.meaning(key, event.shiftKey);
      if (onThePlane) return onThePlane;
    }
    if (MOVES.has(key)) return onGrid ? () => grid.move(key, event.shiftKey) : null;
    if (key === " ") return onGrid ? () => grid.toggleCurrent() : null;
    if (key === "Enter") return elsewhere ? null : () => acts.perform("model");
    if (key === "Escape") return () => this.do("none");
    if (event.shiftKey && key !== event.key) return null; // a capital letter is not a class's key
    const chosen = this.byKey.get(key);
    if (chosen) return () => acts.label(chosen.id);
    if (key === "u") return () => acts.undo();
    if (key === "Backspace") return () => acts.perform("unlabel");
    if (key === "/") return () => this.filters.words.focus();
    if (key === "?") return () => this.do("help");
    const act = acts.shownActs.find((name) => acts.keyOf(name) === key);
    return act ? () => acts.perform(act) : null;
  }

  close() {
    this.closed = true;
    this.loading?.abort();
    this.list.close();
    clearTimeout(this.watching);
    window.removeEventListener("keydown", this.onKey, true);
    window.removeEventListener("tidal:token", this.onToken);
    this.grid.close();
    this.plane.close();
  }
}

// Streamlit's entry point.
export default function (component) {
  const { parentElement, data } = component;
  const known = parentElement.__tidalGallery;
  if (known && !known.closed && known.data.project === data.project) {
    known.renew(component);
  } else {
    known?.close();
    parentElement.__tidalGallery = new Gallery(parentElement, component);
  }
  return () => parentElement.__tidalGallery?.close();
}
