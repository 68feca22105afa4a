// A class that is missing is added here, and answered with; and what the classes are is shown beside the image.

class ClassForms {
  constructor(popovers) {
    this.popovers = popovers;
    this.lab = popovers.lab;
    this.newBox = popovers.boxes.new;
    this.aboutBox = popovers.boxes.about;
    this.name = this.newBox.elements.name;
    this.refused = this.newBox.querySelector(".refused");
    this.select = this.aboutBox.querySelector("select");
    this.adding = false;
    this.asked = 0; // counts what was asked, so that a late answer is not shown in the place of a newer one
  }

  listen() {
    this.newBox.addEventListener("submit", (event) => {
      event.preventDefault();
      this.add();
    });
    this.select.addEventListener("change", () => this.show(Number(this.select.value)));
  }

  // --- a new class

  begin() {
    this.name.value = "";
    this.refused.hidden = true;
    this.forItem = this.target();
  }

  // What the new class will answer: the image on screen, or the marked one of a sheet.
  target() {
    const { lab } = this;
    return lab.mode === "grid" ? lab.grid.page?.cells[lab.grid.marked]?.item : lab.single.current;
  }

  async add() {
    const name = this.name.value.trim().toWellFormed();
    if (!name || this.adding) return;
    const { lab, forItem } = this;
    this.adding = true;
    try {
      const answer = await lab.api.json("classes/add", { name, annotator: lab.annotator });
      lab.setClasses(answer.classes, answer.version);
      const item = this.target();
      this.popovers.close();
      if (!item || item !== forItem) lab.notify(`The class ${lab.className(answer.class)} was added. Another image is on screen by now, so nothing was answered.`);
      else (lab.mode === "grid" ? lab.grid : lab.single).label(answer.class);
    } catch (error) {
      this.refused.textContent = error.message;
      this.refused.hidden = false;
    } finally {
      this.adding = false;
    }
  }

  // --- what a class is

  ask() {
    const { classes } = this.lab;
    this.select.replaceChildren(
      ...classes.map((each) => element("option", { value: each.id, textContent: each.key ? `${each.key} · ${each.name}` : each.name })),
    );
    const before = classes.find((each) => each.id === this.shown) ?? classes[0];
    if (before) this.show(before.id);
  }

  async show(id) {
    const asked = ++this.asked;
    this.shown = id;
    this.select.value = String(id);
    const { api } = this.lab;
    const [described, near, how] = [".described", ".near", ".how"].map((each) => this.aboutBox.querySelector(each));
    near.replaceChildren();
    [described.textContent, how.textContent] = ["", "Loading"];
    // Images that are fetched ahead may stand in its way: it has the time that they take.
    const about = await api
      .json(`about-class?id=${id}`, undefined, STANDS_FOR_MS)
      .catch((error) => ({ description: " ", how: `Press its key again: this could not be loaded (${error.message}).`, items: [] }));
    const packed = about.items.length
      ? await api
          .request("thumbs", { images: about.items.map(({ image }) => image) })
          .then((response) => response.arrayBuffer())
          .catch(() => null)
      : null;
    const thumbnails = packed ? readPack(packed, 0) : new Map();
    const pictures = await Promise.all(
      about.items.map(async ({ image, name }) => {
        const bitmap = thumbnails.has(image) ? await createImageBitmap(thumbnails.get(image)).catch(() => null) : null;
        return bitmap && this.lab.panel.small(bitmap, name ? `${name}, an example` : "An example");
      }),
    );
    if (asked !== this.asked) return;
    described.textContent = about.description || "Nobody has described this class yet: owners do it on the Project page.";
    near.replaceChildren(...pictures.filter(Boolean));
    how.textContent = about.how;
    this.aboutBox.dataset.shown = id;
  }
}
