// Corrects the address in its place, without a new entry in the browser's history, and tells when Back or Forward has led
// to another entry of the same page. (To another page Streamlit goes by itself.)

const STREAMLITS_OWN = ["embed", "embed_options"];

class Address {
  constructor() {
    this.page = location.pathname;
    const { pushState } = history;
    history.pushState = (...given) => {
      pushState.apply(history, given);
      this.page = location.pathname;
    };
    // From another page Streamlit goes back by itself, and whatever is told meanwhile would run that other page again.
    window.addEventListener("popstate", () => {
      const isSamePage = this.page === location.pathname;
      this.page = location.pathname;
      if (isSamePage && this.isHere() && location.search !== this.search) this.tell(location.search);
    });
  }

  isHere() {
    const name = location.pathname.split("/").at(-1);
    return this.paths.includes(name);
  }

  correct(wanted) {
    const kept = new URLSearchParams();
    const now = new URLSearchParams(location.search);
    for (const name of STREAMLITS_OWN) for (const value of now.getAll(name)) kept.append(name, value);
    this.search = `?${[wanted, kept.toString()].filter(Boolean).join("&")}`;
    if (!this.isHere() || location.search === this.search) return;
    history.replaceState(history.state, "", location.pathname + this.search + location.hash);
  }
}

export default function ({ data, setTriggerValue }) {
  const address = (window.tidalAddress ??= new Address());
  address.paths = data.paths;
  address.tell = (search) => setTriggerValue("went", search);
  address.correct(data.address);
}
