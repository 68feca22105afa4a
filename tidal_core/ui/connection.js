// Says on every page that the studio has stopped, or that the sign-in has ended, in a bar above the page: with what is kept, and how to start it again.
//
// It asks the server itself and knows nothing of Streamlit's connection. One for the life of the page: the labelling
// component tells it of each answer that it keeps ("tidal:outbox"), and of a request that failed ("tidal:unreachable").

const ASK_MS = 3000;
const ASK_STOPPED_MS = 1000;
const PATIENCE_MS = 10000; // a server that computes answers late, but it answers
const BLINK_MS = 300; // one request that fails may be a page that goes away
const KEPT = "tidal:outbox:"; // entries of ui/labeller/outbox.js

const BAR = `
<style>
  .bar { position: fixed; z-index: 1000000; inset: 0 0 auto 0; padding: 0.7rem 1rem; background: #7a3d00; color: #fff;
    font: 1rem/1.45 system-ui, sans-serif; box-shadow: 0 4px 18px rgb(0 0 0 / 0.3); }
  .bar[hidden] { display: none; }
  p { max-width: 60rem; margin: 0.15rem auto; overflow-wrap: anywhere; }
  code { padding: 0.1rem 0.4rem; border-radius: 0.3rem; background: #3d1e00; font-size: 0.95em; user-select: all; }
</style>
<div class="bar" role="alert" hidden></div>`;

class Connection {
  constructor() {
    this.stopped = false;
    this.failures = 0;
    const host = document.createElement("div");
    host.id = "tidal-connection";
    this.bar = host.attachShadow({ mode: "open" });
    this.bar.innerHTML = BAR;
    this.bar = this.bar.querySelector(".bar");
    document.body.append(host);
    this.room = document.createElement("style"); // the page moves down: nothing of it is covered
    document.head.append(this.room);
    window.addEventListener("tidal:outbox", () => this.draw());
    window.addEventListener("tidal:unreachable", () => this.ask());
    window.addEventListener("resize", () => this.draw());
  }

  async ask() {
    if (this.asking) return;
    this.asking = true;
    clearTimeout(this.timer);
    const status = await fetch("/_stcore/health", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) }).then(
      (response) => response.status,
      () => 0,
    );
    this.asking = false;
    this.isOut = status === 401; // access/door.py: the studio runs, and this browser's sign-in has ended
    this.failures = status === 200 ? 0 : this.failures + 1;
    this.stopped = this.failures > 1;
    this.draw();
    const pause = this.stopped ? ASK_STOPPED_MS : this.failures ? BLINK_MS : ASK_MS;
    this.timer = setTimeout(() => this.ask(), document.hidden ? 2 * pause : pause);
  }

  kept() {
    try {
      return Object.keys(localStorage).filter((key) => key.startsWith(KEPT)).length;
    } catch {
      return 0;
    }
  }

  draw() {
    const lines = this.stopped ? this.lines() : [];
    const said = JSON.stringify(lines);
    if (said !== this.said) {
      this.said = said;
      this.bar.hidden = !lines.length;
      this.bar.replaceChildren(
        ...lines.map((parts) => {
          const line = document.createElement("p");
          line.append(...parts.map((part) => (typeof part === "string" ? part : Object.assign(document.createElement("code"), part))));
          return line;
        }),
      );
    }
    const space = this.stopped ? `.stApp { top: ${Math.ceil(this.bar.getBoundingClientRect().height)}px !important; }` : "";
    if (this.room.textContent !== space) this.room.textContent = space;
  }

  lines() {
    const kept = this.kept();
    const labels = document.body.dataset.tidalLabelling === "yes";
    const lines = [[this.isOut ? "Your sign-in has ended. Nothing that is saved is lost." : "The studio has stopped. Nothing that it has saved is lost."]];
    if (kept) {
      const answers = kept === 1 ? "1 answer is" : `${kept.toLocaleString("en")} answers are`;
      const when = this.isOut ? "you have signed in again by the same name." : "the studio runs again. Leave this page open.";
      lines.push([`${answers} kept in this browser, and saved once ${when}`]);
    }
    if (this.isOut) return [...lines, ["Reload this page to sign in."]];
    if (labels) lines.push(["You can go on labelling the images that are loaded already."]);
    lines.push([`To start it again, type this in a terminal${this.folder ? ", in the folder " : ": "}`]);
    const last = lines.at(-1);
    if (this.folder) last.push({ textContent: this.folder }, ": ");
    last.push({ textContent: this.command }, " This page goes on by itself then.");
    return lines;
  }
}

export default function ({ data }) {
  const connection = (window.tidalConnection ??= new Connection());
  connection.folder = data.folder;
  connection.command = data.command;
  connection.draw();
  if (connection.timer === undefined) connection.ask();
  if (data.token !== connection.token) window.dispatchEvent(new CustomEvent("tidal:token", { detail: data.token }));
  connection.token = data.token;
}
