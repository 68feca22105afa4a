// The page Replay: fetches the rounds once, then the player works by itself. Streamlit calls the default export again
// whenever its data changes: another theme, a moment that the address led to, a round that ended meanwhile.

const PACK = 32; // thumbnails in a request

class ReplayPage {
  constructor(shadow, component) {
    this.root = shadow.querySelector(".replay");
    this.waiting = [];
    this.take(component);
    this.onToken = ({ detail }) => (this.api = this.api.with(detail));
    window.addEventListener("tidal:token", this.onToken);
    this.open();
  }

  take(component) {
    this.component = component;
    this.data = component.data;
    this.api = new Api(component.data);
  }

  async open() {
    const { version } = this.data;
    try {
      const bytes = await (await this.api.request("replay", undefined, 120000)).arrayBuffer();
      const { value: head, end } = readJson(bytes, 0);
      if (this.closed || version !== this.data.version) return;
      const before = this.player;
      const isPlaying = before?.playing;
      before?.close();
      this.player = new Player(this.root, new Story(head, bytes.slice(end)), {
        start: before ? before.story.named(before.at) : this.data.moment,
        picture: (image) => this.picture(image),
        link: ({ round, epoch }) => {
          const address = new URL(location.href);
          address.search = new URLSearchParams({ project: this.data.slug, round, epoch });
          return address.href;
        },
        life: (image) => `dynamics?${new URLSearchParams({ project: this.data.slug, view: "life", image })}`,
        onRest: (moment) => this.component.setStateValue("moment", { round: String(moment.round), epoch: String(moment.epoch) }),
      });
      if (isPlaying) this.player.play();
    } catch (error) {
      this.root.querySelector(".waiting").textContent = `The rounds could not be read: ${error.message} Reload the page to try again.`;
    }
  }

  // Pictures that are asked for at once come in one answer.
  picture(image) {
    return new Promise((found) => {
      this.waiting.push([image, found]);
      if (this.waiting.length === 1) setTimeout(() => this.fetch());
    });
  }

  async fetch() {
    const asked = this.waiting;
    this.waiting = [];
    for (let start = 0; start < asked.length; start += PACK) {
      const some = asked.slice(start, start + PACK);
      let bodies = new Map();
      try {
        const bytes = await (await this.api.request("tiles", { images: some.map(([image]) => image) }, 60000)).arrayBuffer();
        bodies = readPack(bytes, readJson(bytes, 0).end);
      } catch {
        // The connection is lost: the drawings go on without pictures.
      }
      for (const [image, found] of some) found(bodies.has(image) ? URL.createObjectURL(bodies.get(image)) : null);
    }
  }

  renew(component) {
    const { led, version } = this.data;
    this.take(component);
    if (component.data.version !== version) this.open(); // another round has ended: what plays goes on
    if (!this.player) return;
    if (component.data.led !== led) this.player.go(this.player.story.find(component.data.moment.round, component.data.moment.epoch), { quietly: true });
    else this.player.paint();
  }

  close() {
    this.closed = true;
    this.player?.close();
    window.removeEventListener("tidal:token", this.onToken);
  }
}

export default function (component) {
  const { parentElement, data } = component;
  const known = parentElement.__tidalReplay;
  if (known && !known.closed && known.data.project === data.project) {
    known.renew(component);
  } else {
    known?.close();
    parentElement.__tidalReplay = new ReplayPage(parentElement, component);
  }
  return () => parentElement.__tidalReplay?.close();
}
