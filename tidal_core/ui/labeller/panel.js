// What stands around the image: progress, what was saved, the last answer, and why an image is asked.

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s left`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min left`;
  return `${(seconds / 3600).toFixed(1)} h left`;
}

function roundText(round) {
  if (!round) return "";
  const name = `Round ${round.id}`;
  if (round.state === "waiting") return `${name} is about to start`;
  if (round.state === "training") {
    if (!round.epoch) return `${name} is starting`;
    return [`${name}: epoch ${round.epoch} of ${round.epochs}`, duration(round.seconds_left)].filter(Boolean).join(", ");
  }
  if (round.state === "scoring") return `${name}: looking at all images`;
  if (round.state === "ranking") return `${name}: choosing the next images`;
  return "";
}

const STANDS_FOR_MS = 30000; // the features of many labelled images are read

class Panel {
  constructor(lab) {
    this.lab = lab;
    const find = (selector) => lab.root.querySelector(selector);
    this.track = find(".track");
    this.fill = find(".fill");
    this.text = find(".progress-text");
    this.saved = find(".saved");
    this.pace = find(".pace");
    this.name = find(".who");
    this.last = find(".last");
    this.said = null; // {item, event}: the last answer, while it stands
    this.why = find(".why");
    this.times = []; // of the last answers, milliseconds of the page's own clock
    this.whyTimer = null;
  }

  progress() {
    const { status } = this.lab;
    if (!status) return;
    const fresh = status.new_labels + this.lab.unseenLabels();
    const missing = Math.max(0, status.labels_per_round - fresh);
    const active = roundText(status.round);
    let next = "";
    if (status.blocked) next = status.blocked;
    else if (!status.rounds_enabled) next = `${several(status.labelled + this.lab.unseenLabels(), "label", "labels")}, rounds are off`;
    else if (missing && (!status.left || !(status.waiting || this.lab.single.current))) next = "every image is labelled or skipped";
    else if (missing) next = `${several(missing, "more label", "more labels")} until ${active ? "the following round" : `round ${status.next_round}`}`;
    else next = active ? "the next round starts right after" : `round ${status.next_round} is about to start`;
    const text = [active, next].filter(Boolean).join(" · ");
    if (this.text.textContent !== text) this.text.textContent = text;
    const share = Math.min(1, fresh / status.labels_per_round);
    this.fill.style.transform = `scaleX(${share})`;
    this.track.setAttribute("aria-valuemax", status.labels_per_round);
    this.track.setAttribute("aria-valuenow", Math.min(fresh, status.labels_per_round));
  }

  who() {
    this.name.textContent = `Labels by ${this.lab.annotator}`;
  }

  outbox() {
    const { outbox } = this.lab;
    const waiting = outbox.pending.size;
    // A round trip takes some 20 ms: only what has failed once, or piles up, is worth a word.
    const late = outbox.failures > 0 || waiting > 5;
    this.saved.dataset.state = late && waiting ? "waiting" : "saved";
    const text = late && waiting ? `${waiting} not saved yet` : "All saved";
    if (this.saved.textContent !== text) this.saved.textContent = text;
    this.lab.popovers?.showAside();
    this.saved.title = late && waiting ? "These answers are kept in this browser and sent again until the studio has saved them." : "";
  }

  count() {
    this.times.push(performance.now());
    if (this.times.length > 40) this.times.shift();
    if (this.times.length < 6) return;
    let spent = 0;
    for (let i = 1; i < this.times.length; i++) spent += Math.min(this.times[i] - this.times[i - 1], 60000);
    const pace = ((this.times.length - 1) / spent) * 3600e3;
    this.pace.textContent = `${Math.round(pace).toLocaleString("en")} / h`;
  }

  showLast(item, event) {
    this.said = { item, event };
    this.drawLast();
  }

  // An answer was taken back or refused: nothing on screen goes on saying it.
  forget(event) {
    if (this.said?.event.id === event.id) this.said = null;
    this.explain();
    this.drawLast();
  }

  // While a person looks back, another image is on screen: what was said last is not about it.
  drawLast() {
    this.last.hidden = !this.said || this.lab.single.cursor !== null;
    if (this.last.hidden) return;
    const { item, event } = this.said;
    const said =
      event.kind === "label" ? `You said ${this.lab.className(event.class)}` : `Skipped: ${event.reason || "no reason"}`;
    const parts = [element("strong", { textContent: said })];
    if (item.suggestion && this.lab.settings.suggestions !== "never") {
      const [guess, p] = item.suggestion;
      const agrees = guess === event.class;
      parts.push(
        element("span", {
          className: agrees ? "agrees" : "differs",
          textContent: agrees
            ? `✓ the model agrees (${percent(p)})`
            : `≠ the model said ${this.lab.className(guess)} (${percent(p)})`,
        }),
      );
    }
    this.last.replaceChildren(...parts);
  }

  // Why the image on screen is asked. What the model thinks it is would sway the answer, so unless suggestions are shown
  // before the answer that is told of the last image, once it is answered. Fetched when the person has stopped for a
  // moment: it must never cost a key.
  explain(reveal = false) {
    clearTimeout(this.whyTimer);
    const { lab } = this;
    const item = lab.single.current;
    const isOpen = Boolean(lab.preferences.why && (item || this.said));
    lab.root.dataset.why = isOpen ? "yes" : "";
    if (!isOpen) {
      this.why.hidden = true;
      return;
    }
    this.whyTimer = setTimeout(async () => {
      const tellsAll = lab.settings.suggestions === "always" || lab.single.cursor !== null;
      const last = tellsAll || !this.said ? null : this.said.item;
      const [here, before] = await Promise.all([this.reasons(item), this.reasons(last)]);
      if (lab.single.current !== item || !lab.preferences.why) return;
      this.why.hidden = false;
      this.why.replaceChildren(
        ...(item ? this.explanation("Why this image?", item, here, tellsAll) : []),
        ...(last ? this.explanation("The image before", last, before, true) : []),
      );
      if (here?.represents) this.standsFor(item, this.why.querySelector(".stands-for"));
      if (reveal) this.why.scrollIntoView({ block: "nearest" });
    }, 250);
  }

  reasons(item) {
    return item && this.lab.api.json(`why/${item.image}`).catch(() => null);
  }

  explanation(title, item, why, tellsAll) {
    const parts = [element("h2", { textContent: title })];
    if (!why) return [...parts, "The reasons could not be loaded. Press w twice to try again."];
    parts.push(element("p", { textContent: why.reason }));
    if (why.unsettled) parts.push(element("p", { textContent: why.unsettled }));
    // Only of the image on screen: the one before is explained by what the model thinks of it.
    if (why.represents && item === this.lab.single.current) parts.push(element("div", { className: "stands-for" }));
    if (why.facts.length) {
      parts.push(
        element(
          "dl",
          { className: "facts" },
          ...why.facts.map(([name, value]) =>
            element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value })),
          ),
        ),
      );
    }
    if (tellsAll && why.classes.length) parts.push(this.bars(why));
    if (why.age) parts.push(element("p", { className: "age", textContent: why.age }));
    if (tellsAll && why.rivals.length) {
      const names = why.rivals.map((id) => this.lab.className(id)).join(" and ");
      const button = element("button", { type: "button", textContent: `Compare with labelled ${names}` });
      button.addEventListener("click", () => this.neighbours(item, button));
      parts.push(button);
    }
    return parts;
  }

  bars(why) {
    const rows = why.classes.map(({ class: id, p, td }) =>
      element(
        "tr",
        {},
        element("th", { scope: "row", textContent: this.lab.className(id) }),
        ...[td, p].map((value, i) => {
          const bar = element("span", { className: i ? "bar-p" : "bar-td" });
          bar.style.width = `${Math.round(100 * (value ?? 0))}%`;
          return element("td", {}, element("span", { className: "bar-box" }, bar), percent(value));
        }),
      ),
    );
    const heads = ["Class", "Predicted training dynamics", "Final prediction"].map((text) => element("th", { scope: "col", textContent: text }));
    return element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
  }

  // How many images it stands for, some of them, and how unsettled they are. The place for it keeps its size meanwhile.
  async standsFor(item, box) {
    const { api } = this.lab;
    const near = await api.json(`stands-for/${item.image}`, undefined, STANDS_FOR_MS).catch(() => null);
    const texts = [near?.sentence, near?.unsettled].filter(Boolean);
    if (!texts.length) {
      box.remove();
      return;
    }
    const packed = near.items.length
      ? await api
          .request("thumbs", { images: near.items.map(({ image }) => image) })
          .then((response) => response.arrayBuffer())
          .catch(() => null)
      : null;
    const thumbnails = packed ? readPack(packed, 0) : new Map();
    const shown = await Promise.all(
      near.items.map(async ({ image, name }) => {
        const bitmap = thumbnails.has(image) ? await createImageBitmap(thumbnails.get(image)).catch(() => null) : null;
        return bitmap && this.small(bitmap, name ? `${name}, without a label` : "Image without a label");
      }),
    );
    box.replaceChildren(
      ...texts.map((textContent) => element("p", { textContent })),
      ...(shown.some(Boolean) ? [element("div", { className: "near" }, ...shown.filter(Boolean))] : []),
    );
    box.dataset.ready = "yes";
  }

  small(bitmap, label) {
    const canvas = element("canvas", { width: bitmap.width, height: bitmap.height, role: "img" });
    canvas.setAttribute("aria-label", label);
    canvas.style.imageRendering = Math.max(bitmap.width, bitmap.height) <= TINY ? "pixelated" : "auto";
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    return canvas;
  }

  async neighbours(item, button) {
    button.disabled = true;
    const answer = await this.lab.api.json(`neighbours/${item.image}`).catch(() => ({ groups: [] }));
    const groups = await Promise.all(
      answer.groups.map(async ({ class: id, items }) => {
        const pictures = await Promise.all(
          items.map(async (near) => {
            const bitmap = await this.lab.pictures.get(near, PREVIEW_SIZES[0]).catch(() => null);
            return bitmap && this.small(bitmap, `${near.name || "Image"}, labelled ${this.lab.className(id)}`);
          }),
        );
        return element(
          "div",
          { className: "rival" },
          element("h3", { textContent: this.lab.className(id) }),
          element("div", { className: "near" }, ...pictures.filter(Boolean)),
        );
      }),
    );
    button.replaceWith(
      ...(groups.length ? groups : [element("p", { textContent: "There is no labelled image of these classes to compare with yet." })]),
    );
  }
}
