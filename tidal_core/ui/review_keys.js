// Keys of the page Review. A key answers the image that is painted, once: until the page shows another one, no key
// does anything. A class's own key comes before those of the page. The attribute data-listens-for has the text of the
// image whose keys are heard, and is empty once it is answered.

const TEXT_FIELDS =
  "input:not([type=range], [type=checkbox], [type=radio], [type=button]), textarea, select, " +
  "[contenteditable]:not([contenteditable=false]), [role=textbox], [role=combobox], [role=listbox]";
const PRESSABLE = "button, a, summary, input, [role=button], [role=tab]";

function isPainted(alt) {
  if (!alt) return true;
  const image = [...document.querySelectorAll("img")].find((each) => each.alt === alt);
  return Boolean(image && image.complete && image.naturalWidth);
}

function heard(state, event) {
  const { data } = state;
  const target = event.composedPath()[0];
  const inside = target instanceof Element;
  if (event.isComposing || (inside && target.closest(TEXT_FIELDS)) || document.querySelector('[role="dialog"]')) return;
  const isUndo = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key === "z";
  if (!isUndo && (event.ctrlKey || event.metaKey || event.altKey)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // Digits need Shift on some keyboards; a capital letter is not a class's key.
  if (event.shiftKey && key !== event.key) return;
  if ((key === "Enter" || key === " ") && inside && target.closest(PRESSABLE)) return;
  const act = isUndo ? data.undo : data.keys[key];
  // Streamlit's own r (run again) and c (clear the cache) must not fire beside these.
  if (!act && key !== "r" && key !== "c") return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (!act || event.repeat || state.answered === data.event) return;
  if (act !== "undo" && !isPainted(data.alt)) return;
  state.answered = data.event;
  state.sign.dataset.listensFor = "";
  state.send("act", { act, event: data.event });
}

export default function ({ parentElement, data, setTriggerValue }) {
  const state = (parentElement.__tidalReview ??= {});
  const sign = parentElement.querySelector("[data-listens-for]");
  Object.assign(state, { data, send: setTriggerValue, sign });
  if (state.answered !== data.event) sign.dataset.listensFor = data.alt;
  if (!state.listener) {
    state.listener = (event) => heard(state, event);
    window.addEventListener("keydown", state.listener, true);
  }
  return () => {
    window.removeEventListener("keydown", state.listener, true);
    state.listener = null;
  };
}
