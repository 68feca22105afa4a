// Keys and buttons: what each does, and when a key is none of our business.

const TEXT_FIELDS =
  "input:not([type=range], [type=checkbox], [type=radio], [type=button]), textarea, select, " +
  "[contenteditable]:not([contenteditable=false]), [role=textbox], [role=combobox]";
const MOVES = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]);
const OWN_ARROWS = "input, [role=slider], [role=radiogroup], [role=tablist], [role=menu], [role=grid]";

const ACTIONS = {
  undo: (lab) => lab.single.undo(),
  back: (lab) => lab.single.back(),
  forward: (lab) => lab.single.forward(),
  skip: (lab) => lab.single.current && lab.popovers.toggle("skip"),
  flag: (lab) => lab.single.current && lab.popovers.toggle("flag"),
  find: (lab) => lab.popovers.toggle("find"),
  help: (lab) => lab.popovers.toggle("help"),
  new: (lab) => lab.popovers.toggle("new"),
  about: (lab) => lab.popovers.toggle("about"),
  aside: (lab) => lab.popovers.toggle("aside"),
  why: (lab) => {
    lab.prefer({ why: !lab.preferences.why });
    lab.popovers.showWhyState();
    lab.panel.explain(true);
  },
};

const LETTERS = { u: "undo", s: "skip", f: "flag", w: "why", "/": "find", "?": "help", ".": "new", ",": "about" };
const IN_BOTH_MODES = ["find", "help", "new", "about"];

Labeller.prototype.key = function (event) {
  if (this.closed || event.isComposing || !this.root.isConnected || !this.root.offsetParent) return;
  const target = event.composedPath()[0];
  const inside = target instanceof Element;
  if (inside && target.closest(TEXT_FIELDS)) return;
  if (document.querySelector('[role="dialog"]')) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && key === "z") {
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!event.repeat) ACTIONS.undo(this);
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  // Digits need Shift on some keyboards; a capital letter is not a class's key.
  if (event.shiftKey && key !== event.key) return;
  if ((key === "Enter" || key === " ") && inside && target.closest("button, a, summary, input, [role=button], [role=tab]")) return;
  if (MOVES.has(key) && inside && target.closest(OWN_ARROWS)) return;
  const act = this.meaning(key);
  // Streamlit's own r (run again) and c (clear the cache) must not fire beside a labeller.
  if (!act && key !== "r" && key !== "c") return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (act && !event.repeat) act();
};

// What a key does now, or null.
Labeller.prototype.meaning = function (key) {
  const { popovers, single, grid } = this;
  if (popovers.open) return popovers.meaning(key);
  const chosen = this.byKey.get(key);
  const classes = this.mode === "grid" ? grid : single;
  if (chosen) return () => classes.label(chosen.id);
  if (key === "g") return () => this.setMode(this.mode === "grid" ? "single" : "grid");
  if (key === "u" || key === "Backspace") return () => ACTIONS.undo(this);
  if (LETTERS[key] && (this.mode === "single" || IN_BOTH_MODES.includes(LETTERS[key]))) {
    return () => ACTIONS[LETTERS[key]](this);
  }
  if (this.mode === "grid") {
    if (MOVES.has(key)) return () => grid.move(key);
    if (key === "Enter") return () => grid.confirm();
    if (key === "Escape") return () => grid.leave();
    if (key === " ") return () => grid.leaveOut();
    return null;
  }
  if (key === "ArrowLeft") return () => single.back();
  if (key === "ArrowRight") return () => single.forward();
  if (key === "+" || key === "=") return () => this.stage.zoomBy(1);
  if (key === "-") return () => this.stage.zoomBy(-1);
  if (key === "z") return () => this.stage.fitOrActual();
  if (key === "Enter") {
    const guess = this.settings.suggestions === "always" && single.current?.suggestion;
    return guess ? () => single.label(guess[0]) : null;
  }
  return null;
};

Labeller.prototype.listen = function () {
  const { root } = this;
  for (const button of root.querySelectorAll("[data-do]")) {
    button.addEventListener("click", () => ACTIONS[button.dataset.do](this));
  }
  for (const button of root.querySelectorAll("button[data-mode]")) {
    button.addEventListener("click", () => button.dataset.mode !== this.mode && this.setMode(button.dataset.mode));
  }
  // A click with the mouse leaves the focus where it is: else Enter would press the button again.
  root.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button") && event.pointerType === "mouse") event.preventDefault();
  });
  const { settings } = this.stage;
  const sliders = [...root.querySelectorAll("[data-light]")];
  const fill = () => {
    for (const input of sliders) {
      if (input.type === "checkbox") input.checked = settings.pixelated ?? false;
      else input.value = settings[input.dataset.light];
    }
  };
  fill();
  for (const input of sliders) {
    input.addEventListener("input", () => {
      settings[input.dataset.light] = input.type === "checkbox" ? input.checked : Number(input.value);
      this.prefer({ light: settings });
      this.stage.layout();
    });
  }
  const views = {
    in: () => this.stage.zoomBy(1),
    out: () => this.stage.zoomBy(-1),
    fit: () => this.stage.fitOrActual(),
    light: (button) => {
      const box = root.querySelector(".light");
      box.hidden = !box.hidden;
      button.setAttribute("aria-expanded", String(!box.hidden));
    },
    reset: () => {
      Object.assign(settings, { brightness: 1, contrast: 1, pixelated: null });
      this.prefer({ light: settings });
      fill();
      this.stage.layout();
    },
  };
  for (const button of root.querySelectorAll("[data-view]")) {
    button.addEventListener("click", () => views[button.dataset.view](button));
  }
  this.popovers.listen();
};

// Streamlit's entry point.
export default function (component) {
  const { parentElement, data } = component;
  const known = parentElement.__tidalLabeller;
  if (known && !known.closed && known.data.project === data.project) {
    known.connect(data);
  } else {
    known?.close();
    parentElement.__tidalLabeller = new Labeller(parentElement, data);
  }
  return () => parentElement.__tidalLabeller?.close();
}
