// Grid mode: a sheet of one predicted class, most certain first. The odd ones are changed, one key confirms the rest.

const LEAVE_OUT = null;
const SMALLEST_CELL = 68; // pixels

class Grid {
  constructor(lab) {
    this.lab = lab;
    const find = (selector) => lab.root.querySelector(selector);
    this.sheet = find(".sheet");
    this.title = find(".sweep-title");
    this.confirmButton = find('[data-sweep="confirm"]');
    this.page = null; // {class, cells: [{item, bitmap, choice, seen, node}], shownAt}
    this.marked = 0;
    this.left = new Set(); // left unanswered here: not offered again until the page is loaded anew
    this.after = null; // the class of the last sheet: the next one is of another
    this.loading = 0;
    this.ahead = null; // {ranking, size, page: promise}: the sheet after the one on screen
    this.size = lab.preferences.sheet || 24;
    this.observer = new IntersectionObserver((entries) => this.see(entries), { threshold: 0.5 });
    const select = find(".sweep-size select");
    select.value = String(this.size);
    select.addEventListener("change", () => {
      this.size = Number(select.value);
      lab.prefer({ sheet: this.size });
      this.load();
    });
    find('[data-sweep="confirm"]').addEventListener("click", () => this.confirm());
    find('[data-sweep="leave"]').addEventListener("click", () => this.leave());
    this.sheet.addEventListener("click", (event) => {
      const cell = event.target.closest(".cell");
      if (cell) this.mark(Number(cell.dataset.place), true);
    });
  }

  // One packed answer: the length of a JSON head, the head, then the thumbnails as ``images.previews.pack`` frames them.
  async fetchPage(after, without) {
    const response = await this.lab.api.request("sweep", { tab: TAB, n: this.size, after, without });
    const bytes = await response.arrayBuffer();
    const { value: head, end } = readJson(bytes, 0);
    const pictures = readPack(bytes, end);
    const cells = await Promise.all(
      head.items.map(async (item) => {
        const blob = pictures.get(item.image);
        const bitmap = blob ? await createImageBitmap(blob).catch(() => null) : null;
        return { item, bitmap, choice: item.class, seen: false, node: null };
      }),
    );
    return { class: head.class, cells: cells.filter((cell) => cell.bitmap), reason: head.reason };
  }

  // The sheet after the one on screen is fetched and decoded while the person looks: it is there when it is wanted.
  fetchAhead(page) {
    const without = [...this.left, ...this.lab.outboxImages(), ...page.cells.map((cell) => cell.item.image)];
    const { ranking } = this.lab.single;
    this.ahead = { ranking, size: this.size, page: this.fetchPage(page.class, without).catch(() => null) };
  }

  async takeAhead() {
    const { ahead } = this;
    this.ahead = null;
    if (!ahead || ahead.ranking !== this.lab.single.ranking || ahead.size !== this.size) return null;
    const page = await ahead.page;
    const fresh = page?.cells.every(({ item }) => !this.left.has(item.image) && !this.lab.single.gone.has(item.image));
    return fresh && page.cells.length ? page : null;
  }

  async load() {
    const loading = ++this.loading;
    this.lab.root.dataset.sheet = "";
    const started = performance.now();
    this.page = null;
    this.title.textContent = "Looking for the next sheet";
    let page;
    try {
      page =
        (await this.takeAhead()) ??
        (await this.fetchPage(this.after, [...this.left, ...this.lab.outboxImages()]));
    } catch (error) {
      if (loading === this.loading) this.title.textContent = `The sheet could not be loaded (${error.message}). Press g twice to try again.`;
      return;
    }
    if (loading === this.loading) this.show(page, started);
  }

  show(page, started = performance.now()) {
    this.page = page;
    this.marked = 0;
    this.observer.disconnect();
    this.sheet.style.setProperty("--across", this.across(page.cells.length));
    this.sheet.replaceChildren(...page.cells.map((cell, place) => this.cell(cell, place)));
    for (const cell of page.cells) {
      cell.seen = false;
      this.observer.observe(cell.node);
    }
    this.describe();
    page.shownAt = performance.now();
    afterPaint((at) => {
      if (this.page !== page) return;
      this.lab.root.dataset.sheet = page.cells.map((cell) => cell.item.image).join(" ");
      this.lab.root.dataset.sheetMs = Math.round(at - started);
      if (page.cells.length) this.fetchAhead(page);
    });
  }

  // As few columns as let the whole sheet, and the buttons below it, fit on the screen: what is confirmed must be seen.
  across(n) {
    const { width, top } = this.sheet.getBoundingClientRect();
    const height = window.innerHeight - Math.max(top, 0) - 190;
    const most = Math.max(1, Math.floor(width / SMALLEST_CELL));
    for (let columns = 3; columns < most; columns++) {
      if (Math.ceil(n / columns) * (width / columns) <= height) return columns;
    }
    return most;
  }

  cell(cell, place) {
    const { bitmap, item } = cell;
    const canvas = element("canvas", { width: bitmap.width, height: bitmap.height });
    canvas.style.imageRendering = Math.max(bitmap.width, bitmap.height) <= TINY ? "pixelated" : "auto";
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    const name = element("span", { className: "choice" });
    cell.node = element("div", { className: "cell", role: "option", id: `tidal-cell-${place}`, data: { place } }, canvas, name);
    cell.node.setAttribute("aria-label", item.name || `Image ${place + 1} of the sheet`);
    this.paintChoice(cell, place);
    return cell.node;
  }

  paintChoice(cell, place) {
    const out = cell.choice === LEAVE_OUT;
    const changed = !out && cell.choice !== this.page?.class;
    cell.node.dataset.state = out ? "out" : changed ? "changed" : "kept";
    cell.node.dataset.marked = place === this.marked ? "yes" : "no";
    cell.node.setAttribute("aria-selected", String(!out));
    const text = out ? "left out" : this.lab.className(cell.choice);
    cell.node.querySelector(".choice").textContent = changed ? `→ ${text}` : out ? text : "";
  }

  describe() {
    const { page } = this;
    if (!page) return;
    const going = page.cells.filter((cell) => cell.choice !== LEAVE_OUT).length;
    const changed = page.cells.filter((cell) => cell.choice !== LEAVE_OUT && cell.choice !== page.class).length;
    if (!page.cells.length) this.title.textContent = page.reason || "No images are left for a sheet.";
    else {
      const rest = [changed ? `${changed} changed` : "", page.cells.length - going ? `${page.cells.length - going} left out` : ""];
      this.title.textContent = [`${several(page.cells.length, "image", "images")} that look like ${this.lab.className(page.class)}`, ...rest]
        .filter(Boolean)
        .join(" · ");
    }
    this.confirmButton.disabled = !going;
    this.confirmButton.lastChild.textContent = ` Confirm ${going}`;
    page.cells.forEach((cell, place) => this.paintChoice(cell, place));
    this.sheet.setAttribute("aria-activedescendant", `tidal-cell-${this.marked}`);
  }

  see(entries) {
    if (!this.page) return;
    const { page } = this;
    const shown = entries.filter((entry) => entry.isIntersecting).map((entry) => Number(entry.target.dataset.place));
    afterPaint(() => {
      if (this.page === page) for (const place of shown) page.cells[place].seen = true;
    });
  }

  mark(place, toggle = false) {
    if (!this.page?.cells.length) return;
    if (toggle && place === this.marked) {
      this.leaveOut();
      return;
    }
    this.marked = Math.max(0, Math.min(place, this.page.cells.length - 1));
    this.page.cells[this.marked].node.scrollIntoView({ block: "nearest" });
    this.describe();
  }

  move(key) {
    const across = getComputedStyle(this.sheet).gridTemplateColumns.split(" ").length;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[key];
    this.mark(this.marked + by);
  }

  label(classId) {
    const cell = this.page?.cells[this.marked];
    if (!cell || !cell.seen) return;
    cell.choice = classId;
    this.mark(this.marked + 1);
  }

  leaveOut() {
    const cell = this.page?.cells[this.marked];
    if (!cell) return;
    cell.choice = cell.choice === LEAVE_OUT ? cell.item.class : LEAVE_OUT;
    this.describe();
  }

  // Every confirmed image is an answer of its own. None that has not been on screen is among them.
  confirm() {
    const { page, lab } = this;
    if (!page?.cells.length) return;
    const going = page.cells.filter((cell) => cell.choice !== LEAVE_OUT);
    const unseen = going.find((cell) => !cell.seen);
    if (unseen) {
      const n = going.filter((cell) => !cell.seen).length;
      lab.notify(`${several(n, "image has", "images have")} not been on screen yet. Look at them, then confirm.`);
      unseen.node.scrollIntoView({ block: "center" });
      return;
    }
    const ms = Math.round((performance.now() - page.shownAt) / Math.max(1, going.length));
    const entries = going.map((cell) => ({
      item: cell.item,
      earlier: null,
      event: lab.event("label", cell.item, {
        class: cell.choice,
        ms,
        mode: "sweep",
        suggestion: [cell.item.class, cell.item.p],
        shown: "before",
      }),
    }));
    lab.single.undoable.push({ entries, page });
    for (const { item, event } of entries) {
      lab.single.gone.add(item.image);
      lab.single.items = lab.single.items.filter((other) => other.image !== item.image);
      lab.answered(item, event);
      lab.outbox.add(event);
    }
    for (const cell of page.cells) if (cell.choice === LEAVE_OUT) this.left.add(cell.item.image);
    lab.notify(`${several(entries.length, "image", "images")} labelled.`, "good");
    this.after = page.class;
    this.load();
  }

  leave() {
    if (!this.page) return;
    for (const cell of this.page.cells) this.left.add(cell.item.image);
    this.after = this.page.class;
    this.load();
  }

  restore(page) {
    this.loading += 1;
    this.ahead = null;
    this.lab.setMode("grid", page);
    this.lab.notify("The sheet is back and its labels are undone.");
  }
}
