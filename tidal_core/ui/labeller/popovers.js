// Class buttons, and the small boxes: why skip, a note for a flag, find a class, the keys.

const BUTTONS_AT_MOST = 60; // more classes than this are found by typing
const FOUND_AT_MOST = 8;
const REASONS = { 1: "unclear", 2: "not in the list", 3: "bad image" };

class Popovers {
  constructor(lab) {
    this.lab = lab;
    this.open = null;
    const find = (selector) => lab.root.querySelector(selector);
    this.boxes = { skip: find(".skip-box"), flag: find(".flag-box"), find: find(".find-box"), help: find(".help-box"), aside: find(".aside-box"), new: find(".new-box"), about: find(".about-box") };
    this.classForms = new ClassForms(this);
    this.finder = find(".find-box input");
    this.list = find(".find-box ul");
    this.found = [];
    this.active = 0;
    this.asideShown = "";
  }

  listen() {
    const { root, single } = this.lab;
    for (const button of root.querySelectorAll("[data-close]")) button.addEventListener("click", () => this.close());
    for (const button of root.querySelectorAll("[data-reason]")) {
      button.addEventListener("click", () => this.skip(button.dataset.reason));
    }
    this.boxes.flag.addEventListener("submit", (event) => {
      event.preventDefault();
      const { note } = this.boxes.flag.elements;
      const text = note.value.trim().toWellFormed(); // half a pair of surrogates is no text that can be sent
      note.value = "";
      this.close();
      single.flag(text);
    });
    this.classForms.listen();
    for (const box of [this.boxes.flag, this.boxes.find, this.boxes.new]) {
      box.addEventListener("keydown", (event) => {
        event.stopPropagation();
        if (event.key === "Escape") this.close();
      });
    }
    this.finder.addEventListener("input", () => this.filter());
    this.finder.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        this.active += event.key === "ArrowDown" ? 1 : -1;
        this.showFound();
      } else if (event.key === "Enter" && !event.isComposing) {
        event.preventDefault();
        if (this.found[this.active]) this.choose(this.found[this.active]);
        else this.addFound();
      }
    });
    this.boxes.aside.querySelector('[data-aside="download"]').addEventListener("click", () => this.download());
    this.showWhyState();
  }

  // --- answers that could not be saved

  showAside() {
    const { outbox } = this.lab;
    const button = this.lab.root.querySelector(".aside");
    const n = outbox.aside.size;
    button.hidden = !n;
    const text = `${several(n, "answer", "answers")} could not be saved`;
    if (n && button.textContent !== text) button.textContent = text;
    if (!n && this.open === "aside") this.close();
    const entries = [...outbox.aside.values()];
    const shown = entries.map(({ event, reason }) => `${event.id} ${this.inWords(event)} ${reason}`).join("\n");
    if (shown === this.asideShown) return; // a button under the mouse stays
    this.asideShown = shown;
    const rows = entries.map(({ event, reason, at }) => {
      const act = (label, run) => {
        const made = element("button", { type: "button", className: "quiet", textContent: label });
        made.addEventListener("click", run);
        return made;
      };
      const time = at ? ` (${new Date(at).toLocaleString()})` : "";
      return element(
        "li",
        {},
        element("strong", { textContent: this.inWords(event) }),
        element("div", { textContent: `${reason}${time}` }),
        event.kind === "unreadable" ? null : act("Send it again", () => outbox.sendAgain(event.id)),
        act("Drop it", () => outbox.drop(event.id)),
      );
    });
    this.boxes.aside.querySelector("ul").replaceChildren(...rows);
  }

  inWords(event) {
    if (event.kind === "unreadable") return "An answer";
    const image = `image ${event.image}`;
    if (event.kind === "label") return `${this.lab.className(event.class)} for ${image}`;
    if (event.kind === "skip") return `Skip of ${image}: ${event.reason || "no reason"}`;
    if (event.kind === "flag") return `Flag of ${image}: ${event.note || "no note"}`;
    return `Undo of an answer to ${image}`;
  }

  download() {
    const text = JSON.stringify([...this.lab.outbox.aside.values()], null, 2);
    const link = element("a", { download: "answers-not-saved.json" });
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  toggle(name) {
    if (this.open === name) {
      this.close();
      return;
    }
    this.close();
    this.open = name;
    this.lab.root.dataset.box = name;
    this.boxes[name].hidden = false;
    this.lab.root.querySelector(`[data-do="${name}"]`).setAttribute("aria-expanded", "true");
    if (name === "find") {
      this.finder.value = "";
      this.filter();
    }
    if (name === "new") this.classForms.begin();
    if (name === "about") this.classForms.ask();
    this.boxes[name].querySelector("input")?.focus();
  }

  close() {
    if (!this.open) return;
    const box = this.boxes[this.open];
    const inside = box.contains(box.getRootNode().activeElement);
    box.hidden = true;
    this.lab.root.dataset.box = "";
    this.lab.root.querySelector(`[data-do="${this.open}"]`).setAttribute("aria-expanded", "false");
    this.open = null;
    if (inside) this.lab.root.focus({ preventScroll: true });
  }

  // What a key does while a box is open; nothing is answered behind it.
  meaning(key) {
    if (key === "Escape") return () => this.close();
    if (this.open === "skip" && REASONS[key]) return () => this.skip(REASONS[key]);
    if (this.open === "skip" && key === "s") return () => this.close();
    if (this.open === "help" && key === "?") return () => this.close();
    if (this.open === "about" && key === ",") return () => this.close();
    const chosen = this.open === "about" && this.lab.byKey.get(key);
    if (chosen) return () => this.classForms.show(chosen.id);
    return key.length === 1 ? () => {} : null;
  }

  skip(reason) {
    this.close();
    this.lab.single.skip(reason);
  }

  // --- classes

  showClasses() {
    const { lab } = this;
    const few = lab.classes.length <= BUTTONS_AT_MOST;
    for (const group of lab.root.querySelectorAll(".classes")) {
      const grid = group.classList.contains("small");
      const shown = few ? lab.classes : lab.classes.filter((each) => each.key);
      group.replaceChildren(...shown.map((each) => this.classButton(each, grid)));
      if (!lab.classes.length) group.append(element("p", { textContent: "There are no classes yet. " }, lab.link(["project", "Add classes on the Project page"])));
      if (!grid) this.arrange();
      if (!few) group.append(element("p", { className: "more", textContent: `${several(lab.classes.length, "class", "classes")}: press / and type a few letters.` }));
    }
  }

  // Rows of equal length: ten classes stand in one row of ten or two of five, never eight and two.
  arrange() {
    const group = this.lab.root.querySelector(".single .classes");
    const buttons = group.querySelectorAll("button").length;
    const letters = Math.max(1, ...this.lab.classes.slice(0, BUTTONS_AT_MOST).map((each) => each.name.length));
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const narrowest = Math.min(12, 4.9 + 0.55 * letters) * rem;
    const most = Math.max(1, Math.floor(group.clientWidth / narrowest));
    const rows = Math.ceil(buttons / most) || 1;
    group.style.setProperty("--columns", Math.ceil(buttons / rows) || 1);
    this.lab.root.style.setProperty("--rows", rows);
  }

  classButton(each, grid) {
    const dot = element("span", { className: "dot" });
    dot.style.background = each.colour;
    const button = element(
      "button",
      { type: "button", data: { class: each.id } },
      each.key ? element("kbd", { textContent: each.key }) : null,
      dot,
      element("span", { className: "name", textContent: each.name }),
    );
    button.title = each.name;
    button.setAttribute("aria-label", each.key ? `${each.name}, key ${each.key}` : each.name);
    button.addEventListener("click", () => (grid ? this.lab.grid : this.lab.single).label(each.id));
    return button;
  }

  filter() {
    const text = this.finder.value.trim().toLowerCase();
    const starts = [];
    const words = [];
    const within = [];
    for (const each of this.lab.classes) {
      const name = each.name.toLowerCase();
      const place = name.indexOf(text);
      if (place === 0) starts.push(each);
      else if (place > 0) (/[\s_\-./]/.test(name[place - 1]) ? words : within).push(each);
    }
    this.found = [...starts, ...words, ...within].slice(0, FOUND_AT_MOST);
    this.active = 0;
    this.showFound();
  }

  showFound() {
    this.active = Math.max(0, Math.min(this.active, this.found.length - 1));
    this.list.replaceChildren(
      ...this.found.map((each, place) => {
        const row = element("li", { id: `tidal-found-${place}`, role: "option", textContent: each.name });
        row.setAttribute("aria-selected", String(place === this.active));
        row.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          this.choose(each);
        });
        return row;
      }),
    );
    if (!this.found.length) {
      const name = this.finder.value.trim();
      const text = name ? `No class has these letters. Enter adds the class “${name}” and answers with it.` : "There are no classes yet.";
      this.list.append(element("li", { className: "none", textContent: text }));
    }
    this.finder.setAttribute("aria-activedescendant", this.found.length ? `tidal-found-${this.active}` : "");
  }

  // A name that no class has is that of a new one.
  addFound() {
    const name = this.finder.value;
    if (!name.trim()) return;
    this.toggle("new");
    this.classForms.name.value = name;
    this.classForms.add();
  }

  choose(each) {
    this.close();
    (this.lab.mode === "grid" ? this.lab.grid : this.lab.single).label(each.id);
  }

  showWhyState() {
    this.lab.root.querySelector('[data-do="why"]').setAttribute("aria-expanded", String(Boolean(this.lab.preferences.why)));
  }
}
