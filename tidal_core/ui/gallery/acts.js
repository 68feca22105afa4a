// What is done to the selected images: one act for all of them, one message that says what was done, one undo.

const ACTS = {
  model: { key: "Enter", text: "As the model says", title: "Their label becomes what the model says" },
  skip: { key: "s", text: "Skip", title: "They are not asked again" },
  flag: { key: "f", text: "Flag", title: "Mark them for discussion" },
  unlabel: { key: "Delete", shown: "Del", text: "Unlabel", title: "Take their labels or skips away" },
  queue: { key: "q", text: "Ask next", title: "Put them at the front of the images to label" },
  exclude: { key: "x", text: "Exclude", title: "Take them out of the project: not asked, trained on, measured or exported" },
  include: { key: "x", text: "Take back in", title: "They belong to the project again" },
  export: { key: "e", text: "Export", title: "Save their labels as a table (CSV)" },
  alike: { key: "l", text: "Alike", title: "Sort all images by how much they look like the selected one" },
  open: { key: "o", text: "Life", title: "Show the life of the selected image" },
};
const OF_ONE = new Set(["alike", "open"]);
const BULK_MS = 120000;
const TRIES = 3;
const ROWS_HEADER = "X-Tidal-Rows"; // see server/owner_client.py

const DONE = {
  model: (n) => `${n} now what the model says`,
  skip: (n) => `${n} skipped`,
  flag: (n) => `${n} flagged`,
  unlabel: (n) => `${n} without a label again`,
  queue: (n) => `${n} asked next`,
  exclude: (n) => `${n} excluded from the project`,
  include: (n) => `${n} part of the project again`,
};

class Acts {
  constructor(gallery) {
    this.gallery = gallery;
    const find = (selector) => gallery.root.querySelector(selector);
    this.bar = find(".to-selection");
    this.result = find(".result");
    this.undoable = []; // {act, text}, the newest last
    this.busy = false;
    this.bar.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.class) this.label(Number(button.dataset.class));
      else if (button?.dataset.act) this.perform(button.dataset.act);
    });
  }

  // A letter that is the key of a class is that class's.
  keyOf(act) {
    const { key } = ACTS[act];
    return this.gallery.byKey.has(key) ? "" : key;
  }

  get shownActs() {
    const left = this.gallery.filters.states.has("excluded") ? "exclude" : "include";
    const { acts, features } = this.gallery.data; // what this person's role may do: the server asks again
    return Object.keys(ACTS).filter((act) => act !== left && (OF_ONE.has(act) || acts.includes(act)) && (act !== "alike" || features));
  }

  show() {
    const { classes } = this.gallery;
    const cap = (key) => (key ? element("kbd", { textContent: key }) : null);
    const parts = [];
    if (classes.length > FEW_CLASSES) {
      const { field, list } = searchField(
        { placeholder: "Label as…", className: "search", "aria-label": "Label the selected images as" },
        (name) => {
          field.value = "";
          if (name) this.label(classes.find((each) => each.name === name).id);
        },
        (typed) => this.say(`There is no class “${typed}”; choose one of the list.`, "bad"),
      );
      list.append(...classes.map((each) => element("option", { value: each.name, textContent: each.key ? `key ${each.key}` : "" })));
      parts.push(field, list);
    } else {
      for (const each of classes) {
        const dot = element("span", { className: "dot" });
        dot.style.background = each.colour;
        const text = element("span", { className: "text", textContent: each.name });
        const button = element("button", { type: "button", title: `Their label becomes ${each.name}`, data: { class: each.id } }, cap(each.key), dot, text);
        parts.push(button);
      }
    }
    parts.push(element("span", { className: "apart" }));
    for (const act of this.shownActs) {
      const { text, title, shown } = ACTS[act];
      const key = this.keyOf(act);
      parts.push(element("button", { type: "button", title, data: { act } }, cap(key && (shown ?? key)), text));
    }
    this.bar.replaceChildren(...parts);
    this.refresh();
  }

  refresh() {
    const { count } = this.gallery.selection;
    for (const control of this.bar.querySelectorAll("button, input")) {
      control.disabled = OF_ONE.has(control.dataset.act) ? count !== 1 : !count;
    }
    this.gallery.root.querySelector('[data-do="undo"]').disabled = !this.undoable.length;
  }

  perform(act) {
    if (!this.shownActs.includes(act)) return;
    if (act === "open" || act === "alike") this.ofOne(act);
    else if (act === "export") this.export();
    else this.send({ act }, DONE[act]);
  }

  label(classId) {
    const name = this.gallery.className(classId);
    this.send({ act: "label", class: classId }, (n) => `${n} now ${name}`);
  }

  async ofOne(act) {
    if (!this.hasChosen()) return;
    const { selection, list, filters } = this.gallery;
    if (selection.count !== 1) {
      this.say("Select one image for this.", "bad");
      return;
    }
    try {
      const image = await list.imageAt(selection.first);
      if (act === "open") this.gallery.openLife(image);
      else filters.choose({ sort: `like:${image}` });
    } catch (error) {
      this.say(`The image could not be asked for: ${error.message}. Try again.`, "bad");
    }
  }

  hasChosen() {
    if (this.gallery.selection.count) return true;
    this.say("Select images first: click them, or go to them with the arrow keys and the space bar.", "bad");
    return false;
  }

  // The selected images, as places in the list that is shown.
  chosen() {
    const { selection, list } = this.gallery;
    return { list: list.name, runs: selection.runs };
  }

  async send(act, words) {
    if (!this.hasChosen() || this.busy) return;
    const { gallery } = this;
    this.busy = true;
    this.say(`Working on ${several(gallery.selection.count, "image", "images")}`);
    try {
      const done = await this.post({ ...act, ...this.chosen(), seen: gallery.list.seen(gallery.selection) });
      const text = done.changed ? words(several(done.changed, "image is", "images are")) : "Nothing was changed";
      if (done.changed) this.undoable.push({ act: done.act, text });
      this.say(`${text}. ${done.why}`.trim(), done.changed ? "good" : "bad", done.changed > 0);
      await gallery.load({ stay: true });
    } catch (error) {
      const isGone = error instanceof Refused && error.status === GONE;
      if (isGone) await gallery.load({ stay: true });
      this.say(isGone ? "Nothing was changed: the list had to be read anew. Look at what is selected, and try again." : `Nothing was changed: ${error.message}. Try again.`, "bad");
    } finally {
      this.busy = false;
      this.refresh();
    }
  }

  // What is sent again after a lost connection has the same key: it is done once.
  async post(act) {
    const body = { ...act, annotator: this.gallery.annotator, key: randomId().slice(0, 16) };
    for (let tries = 1; ; tries++) {
      try {
        return await this.gallery.api.json("bulk", body, BULK_MS);
      } catch (error) {
        if (error instanceof Refused || tries === TRIES) throw error;
        window.dispatchEvent(new CustomEvent("tidal:unreachable"));
        await new Promise((resolve) => setTimeout(resolve, 1000 * tries));
      }
    }
  }

  async undo() {
    const last = this.undoable.at(-1);
    if (!last || this.busy) {
      if (!this.busy) this.say("There is nothing to take back.", "bad");
      return;
    }
    this.busy = true;
    try {
      const done = await this.post({ act: "undo", undo: last.act });
      this.undoable.pop();
      this.say(`Taken back: “${last.text}”. ${done.why}`.trim());
      await this.gallery.load({ stay: true });
    } catch (error) {
      this.say(`It could not be taken back: ${error.message}. Try again.`, "bad");
    } finally {
      this.busy = false;
      this.refresh();
    }
  }

  async export() {
    if (!this.hasChosen()) return;
    try {
      const response = await this.gallery.api.request("collection/table", this.chosen(), BULK_MS);
      const address = URL.createObjectURL(await response.blob());
      const link = element("a", { href: address, download: `${this.gallery.data.slug}-labels.csv` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(address), 60000);
      const rows = Number(response.headers.get(ROWS_HEADER));
      this.say(`The table has ${several(rows, "label", "labels")}: images without a label are not in it.`);
    } catch (error) {
      this.say(`There is no table: ${error.message}. Try again.`, "bad");
    }
  }

  say(text, tone = "good", undo = false) {
    this.result.hidden = false;
    this.result.dataset.tone = tone;
    const parts = [element("span", { textContent: text })];
    if (undo) {
      const button = element("button", { type: "button", textContent: "Undo" });
      button.addEventListener("click", () => this.undo());
      parts.push(button);
    }
    this.result.replaceChildren(...parts);
  }
}
