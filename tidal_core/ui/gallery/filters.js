// Which images are shown, in which order: a condition in words beside chips and menus, which make more of it.

const FILTERS = ["where", "is", "label", "predicted", "by", "sort", "as"];
const STATES = ["labelled", "unlabelled", "skipped", "flagged", "disagrees", "hidden", "excluded"];
const ANSWERED = ["labelled", "unlabelled", "skipped"]; // an image is in one of these: chosen ones are joined by "or"
const RARE = new Set(["hidden", "excluded"]); // shown where there are such images
const ALIKE = /^like:(\d+)$/;
const TYPED_MS = 350;
const COUNT_MS = 250; // after the images: whoever goes on choosing does not wait for counts

// A value of a condition (store/where.py): a quote within quotes stands twice.
const quoted = (text) => `"${text.replaceAll('"', '""')}"`;

const FEW_CLASSES = 12; // more are not looked through but searched

// A text field that finds one of many classes while one types; "chosen" is called with its name, or "" for none.
function searchField(properties, chosen, unknown) {
  const list = element("datalist", { id: `tidal-list-${randomId().slice(0, 8)}` });
  const field = element("input", { type: "text", autocomplete: "off", spellcheck: false, ...properties });
  field.setAttribute("list", list.id);
  field.addEventListener("change", () => {
    const typed = field.value.trim();
    const known = [...list.options].map(({ value }) => value);
    const name = known.includes(typed) ? typed : known.find((each) => each.toLowerCase() === typed.toLowerCase());
    field.setAttribute("aria-invalid", String(Boolean(typed) && name === undefined));
    if (typed && name === undefined) unknown(typed);
    else chosen(name ?? "");
  });
  return { field, list };
}

class Filters {
  constructor(gallery) {
    this.gallery = gallery;
    const find = (selector) => gallery.root.querySelector(selector);
    this.words = find('[name="where"]');
    this.wrong = find(".wrong");
    this.menus = Object.fromEntries(["label", "predicted", "by", "sort"].map((name) => [name, find(`[name="${name}"]`)]));
    this.chips = new Map(
      STATES.map((name) => [name, element("button", { type: "button", className: "chip", data: { state: name } })]),
    );
    find(".chips").append(...this.chips.values());
    this.chosen = Object.fromEntries(FILTERS.map((name) => [name, ""]));
    this.counts = new Map(); // facet -> counts, see counted()
    this.counting = 0;
    for (const [name, chip] of this.chips) chip.addEventListener("click", () => this.toggle(name));
    for (const [name, menu] of Object.entries(this.menus)) menu.addEventListener("change", () => this.choose({ [name]: menu.value }));
    this.words.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.choose({ where: this.words.value.trim() }), TYPED_MS);
    });
    this.words.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.choose({ where: this.words.value.trim() });
      if (event.key === "Enter" || event.key === "Escape") gallery.grid.focus();
    });
  }

  get states() {
    return new Set(this.chosen.is.split(",").filter((name) => STATES.includes(name)));
  }

  toggle(name) {
    const states = this.states;
    if (!states.delete(name)) states.add(name);
    this.choose({ is: STATES.filter((each) => states.has(each)).join(",") });
  }

  // What a person chooses here goes into the address of the page; what the address says is taken as it is.
  choose(values) {
    clearTimeout(this.typing);
    if (Object.entries(values).every(([name, value]) => this.chosen[name] === value)) return;
    Object.assign(this.chosen, values);
    this.gallery.tell("chosen", { ...this.chosen });
    this.show();
    if (Object.keys(values).every((name) => name === "as")) this.gallery.showView();
    else this.gallery.load();
  }

  take(values) {
    for (const name of FILTERS) this.chosen[name] = String(values[name] ?? "");
    this.show();
  }

  // The condition of all that is chosen; without one part of it, to count what another choice there would give.
  condition(without = null) {
    const { where, label, predicted, by } = this.chosen;
    const states = this.states;
    const parts = where ? [`(${where})`] : [];
    const answered = ANSWERED.filter((name) => states.has(name));
    if (answered.length && without !== "answered") parts.push(`(${answered.join(" or ")})`);
    for (const name of ["flagged", "disagrees", "hidden"]) if (states.has(name) && without !== name) parts.push(name);
    if (without !== "excluded") {
      if (states.has("excluded")) parts.push("excluded");
      else if (!/\bexcluded\b/i.test(where)) parts.push("not excluded"); // out of sight
    }
    if (label && without !== "label") parts.push(`label=${quoted(label)}`);
    if (predicted && without !== "predicted") parts.push(`predicted=${quoted(predicted)}`);
    if (by && without !== "by") parts.push(`annotator=${quoted(by)}`);
    return parts.join(" and ");
  }

  // Where these images are asked for.
  address() {
    const { sort } = this.chosen;
    const parameters = new URLSearchParams({ where: this.condition() });
    const alike = sort.match(ALIKE);
    if (alike) return `collection/alike/${alike[1]}?${parameters}`;
    if (sort) parameters.set("sort", sort.replace(/^-/, ""));
    if (sort.startsWith("-")) parameters.set("descending", "1");
    return `collection?${parameters}`;
  }

  // What is wrong is said of what was written, not of what the chips and menus make of it.
  async explain(message) {
    const { where } = this.chosen;
    const own = where ? await this.gallery.api.json(`collection/counts?${new URLSearchParams({ where })}`).catch((error) => error) : null;
    if (where === this.chosen.where) this.complain(own instanceof Refused ? own.message : message);
  }

  complain(message) {
    this.wrong.hidden = !message;
    this.wrong.textContent = message;
    this.words.setAttribute("aria-invalid", String(Boolean(message)));
    this.gallery.grid.fit();
  }

  // How many images each choice would give, one request for each different condition.
  async count() {
    const counting = ++this.counting;
    await new Promise((resolve) => setTimeout(resolve, COUNT_MS));
    const facets = ["answered", "flagged", "disagrees", "hidden", "excluded", "label", "predicted", "by"];
    const conditions = new Map(facets.map((facet) => [facet, this.condition(facet)]));
    for (const condition of new Set(conditions.values())) {
      if (counting !== this.counting || this.gallery.closed) return;
      const counts = await this.gallery.api.json(`collection/counts?${new URLSearchParams({ where: condition })}`).catch(() => null);
      if (counting !== this.counting || !counts) return;
      for (const [facet, of] of conditions) if (of === condition) this.counts.set(facet, counts);
      this.show();
    }
  }

  counted(state) {
    return this.counts.get(ANSWERED.includes(state) ? "answered" : state)?.states[state];
  }

  show() {
    const { chosen, states } = this;
    if (this.gallery.shadow.activeElement !== this.words) this.words.value = chosen.where;
    for (const [name, chip] of this.chips) {
      const n = this.counted(name);
      chip.replaceChildren(name, element("span", { className: "n", textContent: n === undefined ? "" : n.toLocaleString("en") }));
      chip.setAttribute("aria-pressed", String(states.has(name)));
      chip.hidden = RARE.has(name) && !n && !states.has(name);
    }
    const classes = this.gallery.classes.map((each) => [each.name, this.gallery.byId.get(each.id).name, each.id]);
    this.fill("label", "any", classes.map(([value, text, id]) => [value, text, this.counts.get("label")?.labels[id] ?? 0]));
    this.fill("predicted", "anything", classes.map(([value, text, id]) => [value, text, this.counts.get("predicted")?.predicted[id] ?? 0]));
    const people = Object.entries(this.counts.get("by")?.annotators ?? {});
    this.menus.by.parentElement.hidden = people.length < 2 && !chosen.by;
    this.fill("by", "anybody", people.sort(([a], [b]) => a.localeCompare(b)).map(([name, n]) => [name, name, n]));
    this.sorts();
    this.gallery.root.querySelector('[data-do="reset"]').disabled = !FILTERS.some((name) => !["sort", "as"].includes(name) && chosen[name]);
  }

  // With many classes a menu becomes a field to search in.
  search(name, nothing) {
    const menu = this.menus[name];
    if (menu.tagName !== "SELECT") return;
    const { field, list } = searchField(
      { name, placeholder: nothing, className: "search" },
      (value) => this.choose({ [name]: value }),
      (typed) => this.complain(`There is no class “${typed}”; choose one of the list.`),
    );
    menu.replaceWith(field, list);
    this.menus[name] = Object.assign(field, { found: list });
  }

  fill(name, nothing, options) {
    if (name !== "by" && this.gallery.classes.length > FEW_CLASSES) this.search(name, nothing);
    const counted = this.counts.size > 0;
    const made = options.map(([value, text, n]) => [value, counted ? `${text} (${n.toLocaleString("en")})` : text]);
    const chosen = this.chosen[name];
    if (chosen && !made.some(([value]) => value === chosen)) made.push([chosen, chosen]);
    this.options(name, [["", nothing], ...made]);
  }

  sorts() {
    const { sort } = this.chosen;
    const known = this.gallery.data.sorts.map(([value, text]) => [value === "id" ? "" : value, text]);
    if (sort && !known.some(([value]) => value === sort)) {
      const alike = sort.match(ALIKE);
      known.push([sort, alike ? `Most like image ${alike[1]}` : sort]);
    }
    this.options("sort", known);
  }

  options(name, wanted) {
    const menu = this.menus[name];
    const said = JSON.stringify(wanted);
    if (menu.said !== said) {
      menu.said = said;
      const options = wanted.filter(([value]) => value || !menu.found).map(([value, text]) => element("option", { value, textContent: text }));
      (menu.found ?? menu).replaceChildren(...options);
    }
    if (!menu.found || this.gallery.shadow.activeElement !== menu) menu.value = this.chosen[name];
    menu.classList.toggle("set", Boolean(this.chosen[name]));
  }
}
