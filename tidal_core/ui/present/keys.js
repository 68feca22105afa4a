// Keys of the presenter's view, as remote controls send them too. A key steps at once, also while the screen before is
// still being drawn: the next screen is counted here, and told. The attribute data-listens-for has the screen shown.

const TEXT_FIELDS =
  "input:not([type=range], [type=checkbox], [type=radio], [type=button]), textarea, select, " +
  "[contenteditable]:not([contenteditable=false]), [role=textbox], [role=combobox], [role=listbox]";
const PRESSABLE = "button, a, summary, input, [role=button], [role=tab]";
const STEPS = {
  ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, n: 1,
  ArrowLeft: -1, ArrowUp: -1, PageUp: -1, Backspace: -1, p: -1,
};

function step(state, to) {
  const { screens } = state.data;
  const wanted = Math.min(Math.max(to, 0), screens.length - 1);
  if (wanted === state.at) return;
  state.at = wanted;
  state.send("went", screens[wanted]);
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.().catch(() => {});
}

function heard(state, event) {
  const target = event.composedPath()[0];
  const inside = target instanceof Element;
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if ((inside && target.closest(TEXT_FIELDS)) || document.querySelector('[role="dialog"]')) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if ((key === "Enter" || key === " ") && inside && target.closest(PRESSABLE)) return;
  const forward = key === " " && event.shiftKey ? -1 : STEPS[key];
  const act = state.data.acts[key];
  const known = forward || act || ["Home", "End", "f", "Escape"].includes(key);
  // Streamlit's own r (run again) and c (clear the cache) must not fire beside these.
  if (!known && key !== "r" && key !== "c") return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (event.repeat) return;
  if (act) {
    if (state.acted === state.data.event) return; // once for what is on the screen
    // What judges an image waits until that image is drawn.
    if (act !== "Enter" && document.querySelector('.st-key-present [data-stale="true"]')) return;
    state.acted = state.data.event;
    state.send("act", { act, event: state.data.event });
  } else if (forward) step(state, state.at + forward);
  else if (key === "Home") step(state, 0);
  else if (key === "End") step(state, state.data.screens.length - 1);
  else if (key === "f") fullScreen();
  else if (document.fullscreenElement) fullScreen(); // Escape; most browsers do that by themselves
  else state.send("left", Date.now());
}

// The height of the window, for figures that fill it: told when it has settled.
function measure(state) {
  clearTimeout(state.timer);
  state.timer = setTimeout(() => {
    const height = window.innerHeight;
    if (height !== state.data.height) state.send("height", height);
  }, 120);
}

export default function ({ parentElement, data, setTriggerValue }) {
  const state = (parentElement.__tidalPresent ??= { at: null });
  Object.assign(state, { data, send: setTriggerValue });
  const shown = data.screens.indexOf(data.screen);
  // An older screen may still arrive after the key for the next one was pressed.
  if (state.at === null || state.told !== data.told) state.at = shown;
  state.told = data.told;
  parentElement.querySelector("[data-listens-for]").dataset.listensFor = data.screen;
  if (!state.key) {
    state.key = (event) => heard(state, event);
    state.size = () => measure(state);
    window.addEventListener("keydown", state.key, true);
    window.addEventListener("resize", state.size);
  }
  measure(state);
  return () => {
    clearTimeout(state.timer);
    window.removeEventListener("keydown", state.key, true);
    window.removeEventListener("resize", state.size);
    state.key = null;
  };
}
