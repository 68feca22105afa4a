// Plays a story: the time, the keys, the drawings and what is said of them. The studio's page and the exported page make
// one each; whoever makes it gives pictures and says what a link to a moment is. Needs ui/labeller/shared.js before it.

const SPEEDS = [1, 2, 5, 10, 20, 40, 60]; // epochs a second
const USUAL_SPEED = 10;
const HOLD_MS = 1200; // at the end of a round, to see what it asks for
const HOLD_SUMMARY_MS = 400; // of one that has only its end
const REST_MS = 350; // without a step, then the moment is told
const FRAMES_KEPT = 120; // times between frames that are measured
const LEGEND_AT_MOST = 12;
const COLOURS = { state: "Labelled or not", class: "Class", correctness: "Correct epochs" };

class Player {
  // options: picture(image) -> Promise of an address or null; link({round, epoch}) -> an address; onRest({round, epoch});
  // life(image) -> an address of the image's own page, or null; start: {round, epoch}.
  constructor(root, story, options) {
    Object.assign(this, { root, story, options, at: 0, playing: false, selected: null, shown: "", gaps: [] });
    story.rowOf = new Map(story.ids.map((image, row) => [image, row]));
    this.find = (selector) => root.querySelector(selector);
    this.slider = this.find(".time input");
    this.slider.max = story.count - 1;
    this.motion = matchMedia("(prefers-reduced-motion: reduce)");
    this.pictures = new Map();
    this.fill();
    this.find(".waiting").hidden = true;
    this.find(".stage").hidden = false;
    this.map = new DataMap(this.find(".map canvas"), story);
    this.curves = new CurvePanel(this.find(".curves canvas"), story);
    this.accuracy = new AccuracyPanel(this.find(".accuracy canvas"), story);
    this.listen();
    this.go(story.find(options.start?.round, options.start?.epoch), { quietly: true });
    root.dataset.ready = "yes";
  }

  fill() {
    const { story } = this;
    const choose = (select, options, usual) => {
      const chosen = this.find(select).value || usual;
      this.find(select).replaceChildren(...options.map(([value, textContent]) => element("option", { value, textContent })));
      this.find(select).value = chosen;
    };
    choose(".speed", SPEEDS.map((each) => [each, several(each, "epoch a second", "epochs a second")]), USUAL_SPEED);
    const byClass = story.classes.length <= 10 && story.rounds.every(({ kind }) => kind !== "exact");
    choose(".colour", Object.entries(COLOURS), byClass ? "class" : "state");
    const marks = this.find(".rounds");
    marks.replaceChildren();
    const last = Math.max(story.count - 1, 1);
    let free = -1; // share of the width up to which something is written
    for (const round of story.rounds) {
      const share = round.first / last;
      const mark = element("span", { textContent: share >= free ? `${story.rounds.length > 12 ? "" : "round "}${round.id}` : "" });
      if (share >= free) free = share + 0.045;
      mark.style.left = `${100 * share}%`;
      marks.append(mark);
    }
    this.find(".accuracy figcaption").textContent = story.measuredOn
      ? `Measured on ${story.measuredOn}.`
      : "There is no accuracy yet: too few images measure it.";
    const sampled = story.ids.length < story.images
      ? `${story.ids.length.toLocaleString("en")} of ${story.images.toLocaleString("en")} images are shown: those with a label first, the others drawn at random. `
      : "";
    const thinned = story.rounds.some(({ epochs, kind, ofEpochs }) => kind === "curves" && epochs.length < ofEpochs)
      ? "Of long rounds some epochs are left out. "
      : "";
    this.find(".kept").textContent = `${sampled}${thinned}Probabilities are rounded to 1 in ${STEPS}.`;
  }

  get by() {
    return this.find(".colour").value;
  }

  // The elements outlive a player: another one is made when another round has ended.
  listen() {
    this.listening = new AbortController();
    const { signal } = this.listening;
    const on = (target, name, act) => target.addEventListener(name, act, { signal });
    on(this.root, "click", (event) => {
      const button = event.target.closest("[data-do]");
      if (button) this.do(button.dataset.do);
    });
    on(this.slider, "input", () => this.go(Number(this.slider.value)));
    on(this.find(".colour"), "change", () => this.paint());
    on(this.find(".map canvas"), "click", ({ offsetX, offsetY }) => this.select(this.map.nearest(offsetX, offsetY)));
    on(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.paint());
    window.addEventListener("keydown", (event) => this.key(event), { capture: true, signal });
    this.sizes = new ResizeObserver(() => this.resize());
    for (const box of this.root.querySelectorAll(".canvas")) this.sizes.observe(box);
  }

  close() {
    this.closed = true;
    this.pause({ quietly: true });
    clearTimeout(this.resting);
    this.listening.abort();
    this.sizes.disconnect();
  }

  key(event) {
    if (!this.root.isConnected || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.composedPath()[0];
    const isSlider = target === this.slider;
    if (!isSlider && target.closest?.('input, textarea, select, [contenteditable=""], [contenteditable="true"], [role="combobox"], [role="slider"], [role="tab"], [role="radio"], [role="menuitem"]')) return;
    if (event.key === " " && target.closest?.("button, a, summary, [role=button]")) return;
    const act = {
      " ": "play",
      ArrowLeft: event.shiftKey ? "round-before" : "back",
      ArrowRight: event.shiftKey ? "round-after" : "forward",
      ...(isSlider ? { PageUp: "round-before", PageDown: "round-after", ArrowDown: "back", ArrowUp: "forward" } : {}),
      ...(this.selected === null ? {} : { Escape: "unselect" }),
    }[event.key];
    if (!act || (act === "play" && event.repeat)) return;
    event.preventDefault();
    event.stopPropagation();
    this.do(act);
  }

  do(act) {
    const now = Math.floor(this.at);
    const round = this.story.round(now);
    const { rounds } = this.story;
    if (act === "play") return this.playing ? this.pause() : this.play();
    if (act === "link") return this.copyLink();
    if (act === "unselect") return this.select(null);
    if (act === "back") return this.go(this.at > now ? now : now - 1);
    if (act === "forward") return this.go(now + 1);
    if (act === "round-before") return this.go(now > round.first ? round.first : (rounds[round.place - 1]?.first ?? 0));
    return this.go(rounds[round.place + 1]?.first ?? this.story.count - 1);
  }

  // Show a moment; whatever plays stops.
  go(at, { quietly = false } = {}) {
    this.pause({ quietly: true });
    this.at = Math.min(Math.max(at, 0), this.story.count - 1);
    this.paint();
    if (!quietly) this.rest();
  }

  play() {
    if (this.at >= this.story.count - 1) this.at = 0;
    this.playing = true;
    this.gaps = [];
    this.before = null;
    this.heldUntil = 0;
    this.drawnAt = null;
    this.showPlaying();
    requestAnimationFrame((now) => this.frame(now));
  }

  pause({ quietly = false } = {}) {
    if (!this.playing) return;
    this.playing = false;
    this.at = Math.floor(this.at + 1e-6);
    this.showPlaying();
    if (quietly) return;
    this.paint();
    this.rest();
  }

  showPlaying() {
    this.root.dataset.playing = this.playing ? "yes" : "no";
    this.find('[data-do="play"] span').textContent = this.playing ? "Pause" : "Play";
  }

  // With reduced motion nothing glides: each epoch is shown when its time has come.
  frame(now) {
    if (!this.playing || this.closed) return;
    if (!this.root.isConnected) return this.pause({ quietly: true });
    if (this.before !== null) {
      this.gaps.push(now - this.before);
      if (this.gaps.length > FRAMES_KEPT) this.gaps.shift();
      if (now >= this.heldUntil) this.advance((now - this.before) / 1000, now);
    }
    this.before = now;
    const at = this.motion.matches ? Math.floor(this.at) : this.at;
    if (at !== this.drawnAt) this.paint(at);
    this.drawnAt = at;
    if (this.at >= this.story.count - 1) return this.pause();
    requestAnimationFrame((later) => this.frame(later));
    return undefined;
  }

  advance(seconds, now) {
    const speed = Math.min(Number(this.find(".speed").value), this.motion.matches ? 5 : Infinity);
    const to = Math.min(this.at + Math.min(seconds, 0.25) * speed, this.story.count - 1);
    const round = this.story.rounds.find(({ first, epochs }) => first + epochs.length - 1 > this.at);
    const end = round.first + round.epochs.length - 1;
    if (to >= end) {
      this.at = end;
      this.heldUntil = now + (round.epochs.length > 1 ? HOLD_MS : HOLD_SUMMARY_MS);
    } else this.at = to;
  }

  get framesPerSecond() {
    const total = this.gaps.reduce((sum, gap) => sum + gap, 0);
    return total ? (1000 * this.gaps.length) / total : 0;
  }

  // After a step or a pause: what the address and those who listen are told.
  rest() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      if (this.playing || this.closed) return;
      this.find(".spoken").textContent = `${this.find(".moment").textContent}. ${this.find(".facts").textContent}`;
      this.options.onRest?.(this.story.named(this.at));
    }, REST_MS);
  }

  resize() {
    for (const panel of [this.map, this.curves, this.accuracy]) panel.measure();
    this.paint();
  }

  look() {
    const style = getComputedStyle(this.root);
    const value = (name) => style.getPropertyValue(name).trim();
    const probe = this.find(".facts");
    return { ink: style.color, quiet: getComputedStyle(probe).color, line: value("--line"), accent: value("--accent"), font: style.fontFamily };
  }

  paint(at = this.at) {
    const look = this.look();
    const whole = Math.floor(at);
    this.map.asked = this.story.ended(whole) > this.story.moments[whole].round ? this.story.queue(whole).items.map(([image]) => image) : [];
    this.map.draw(at, look, this.by, this.selected);
    this.curves.draw(at, look, this.by, this.selected);
    this.accuracy.draw(at, look);
    const shown = `${whole} ${this.by} ${this.selected}`;
    if (shown === this.shown) return;
    this.shown = shown;
    this.say(whole);
  }

  say(at) {
    const { story } = this;
    const words = story.inWords(at);
    const round = story.round(at);
    const tally = story.tally(at);
    const accuracy = story.accuracy(at);
    this.slider.value = at;
    this.slider.setAttribute("aria-valuetext", words);
    this.root.dataset.at = at;
    this.find(".moment").textContent = words;
    const facts = [`${several(round.labels, "label", "labels")}.`];
    if (tally) {
      facts.push(`The model is right about ${tally.right.toLocaleString("en")} of ${several(tally.of, "labelled image", "labelled images")} that are shown${tally.since ? "" : "."}`);
      const turned = tally.turnedRight + tally.turnedWrong;
      if (tally.since) facts.push(turned ? `(since epoch ${tally.since}: ${tally.turnedRight} turned right, ${tally.turnedWrong} turned wrong).` : "(none turned).");
    }
    if (accuracy) {
      const [value, low, high] = accuracy.accuracy;
      const between = low < high ? ` (95 % interval ${shareText(low)} to ${shareText(high)})` : "";
      facts.push(`Accuracy after round ${accuracy.id}: ${shareText(value, 1)}${between}.`);
    }
    this.find(".facts").textContent = facts.join(" ");
    this.label(".map", `Data map: ${words}. ${facts.join(" ")}`);
    this.label(".curves", `Curves of ${several(round.n, "image", "images")} up to ${words}.`);
    this.label(".accuracy", accuracy ? `Accuracy up to round ${accuracy.id}: ${shareText(accuracy.accuracy[0], 1)}` : "No round has ended yet.");
    this.legend(round);
    this.queue(at);
    this.one(at);
  }

  label(figure, text) {
    this.find(`${figure} canvas`).setAttribute("aria-label", text);
  }

  legend(round) {
    const key = `${this.by} ${round.id}`;
    if (key === this.legendOf) return;
    this.legendOf = key;
    const entries = [];
    const entry = (colour, text) => {
      const dot = element("i");
      dot.style.background = colour;
      entries.push(element("span", {}, dot, text));
    };
    const found = this.story.of(round.place);
    if (this.by === "state") {
      const counts = [0, 0, 0];
      for (const state of found.states) counts[state] += 1;
      STATES.forEach((name, state) => counts[state] && entry(STATE_COLOURS[state], `${name} (${counts[state].toLocaleString("en")})`));
    } else if (this.by === "class") {
      const present = [...new Set(found.groups)].sort((a, b) => a - b);
      for (const group of present.slice(0, LEGEND_AT_MOST)) {
        const { colour, name } = this.story.classIn(round.place, group);
        entry(colour, name);
      }
      if (present.length > LEGEND_AT_MOST) entries.push(element("span", { textContent: `and ${present.length - LEGEND_AT_MOST} more classes` }));
    } else {
      ["never right", "half of the time", "always right"].forEach((name, place) => entry(CORRECT[place], name));
    }
    if (found.byImage && round.queue.some(([image]) => (found.byImage[this.story.rowOf.get(image) ?? -1] ?? -1) >= 0)) {
      entries.push(element("span", {}, element("i", { className: "ring" }), "asked at the end of the round"));
    }
    this.find(".legend").replaceChildren(...entries);
    const drawn = this.curves.some(round.place).length;
    const few = drawn < round.n ? `${drawn} of ${round.n.toLocaleString("en")} curves are drawn. ` : "";
    const ofOthers = round.kind === "exact" ? " Of images without a label: the class that this round predicts." : "";
    this.find(".curves figcaption").textContent =
      (round.kind === "summary" ? "" : `${few}Thick: the median of the labelled images; the band holds the middle half of them.${ofOthers}`) +
      (round.namesTold ? ` ${round.namesTold}` : "");
  }

  queue(at) {
    const { by, items } = this.story.queue(at);
    const key = `${by?.id ?? 0} ${this.selected}`;
    if (key === this.queueOf) return;
    const isNew = key.split(" ")[0] !== this.queueOf?.split(" ")[0];
    this.queueOf = key;
    const section = this.find(".queue");
    section.querySelector("h2").textContent = by ? `Asked after round ${by.id}` : "Labelled before the first round";
    const waiting = items.filter(([, , asked]) => !asked).length;
    section.querySelector(".note").textContent = [
      by ? `Chosen by ${by.strategy}.` : "",
      items.length ? "" : "None of its images was asked.",
      by && waiting ? `${several(waiting, "image waits", "images wait")} for an answer.` : "",
      "Colour and name: the label it has now.",
    ].filter(Boolean).join(" ");
    const list = section.querySelector("ol");
    if (isNew) list.replaceChildren(...items.map(([image, group]) => element("li", {}, this.tile(image, group))));
    for (const tile of list.querySelectorAll("button")) tile.setAttribute("aria-pressed", String(Number(tile.dataset.image) === this.selected));
  }

  tile(image, group) {
    const style = this.story.classes[group];
    const frame = element("div", { className: "frame" });
    const name = style?.name ?? "no label";
    const title = `Image ${image}, ${name}`;
    const tile = element("button", { type: "button", title, "aria-label": title, data: { image } }, frame, element("span", { textContent: name }));
    if (style) tile.style.borderTopColor = style.colour;
    tile.addEventListener("click", () => this.select(this.selected === image ? null : image));
    this.picture(image, frame);
    return tile;
  }

  async picture(image, frame) {
    if (!this.pictures.has(image)) this.pictures.set(image, this.options.picture(image));
    const address = await this.pictures.get(image);
    if (!address) return frame.replaceChildren("no picture");
    const shown = element("img", { src: address, alt: "" });
    shown.addEventListener("load", () => shown.classList.toggle("tiny", shown.naturalWidth < 40));
    return frame.replaceChildren(shown);
  }

  select(image) {
    this.selected = image;
    this.paint(this.playing ? this.at : Math.floor(this.at));
  }

  // The image that is looked at.
  one(at) {
    const box = this.find(".one");
    box.hidden = this.selected === null;
    if (box.hidden) return;
    const { round, epoch } = this.story.moments[at];
    const found = this.story.of(round);
    const i = found.byImage[this.story.rowOf.get(this.selected) ?? -1] ?? -1;
    box.querySelector("h2").textContent = `Image ${this.selected}`;
    let text = "It has no curve in this round.";
    if (i >= 0) {
      const place = epoch * found.n + i;
      const now = found.p ? `, ${shareText(found.p[place] / STEPS)} at this epoch` : "";
      text = `${this.story.classIn(round, found.groups[i]).name} (${STATES[found.states[i]]})${now}; confidence ${found.confidence[place].toFixed(2)}, variability ${found.variability[place].toFixed(2)}. `;
    }
    const words = box.querySelector("p");
    words.replaceChildren(text);
    const life = this.options.life?.(this.selected);
    if (life) words.append(element("a", { href: life, textContent: "Its whole life" }));
    if (this.pictured !== this.selected) this.picture(this.selected, box.querySelector(".picture"));
    this.pictured = this.selected;
  }

  async copyLink() {
    const address = this.options.link(this.story.named(this.at));
    const said = this.find(".said");
    try {
      await navigator.clipboard.writeText(address);
      said.textContent = `Copied: ${this.story.inWords(this.at)}.`;
    } catch {
      said.textContent = address; // a page without a clipboard: to be copied by hand
    }
  }
}
