// Three drawings on canvas: the data map, the curves, and accuracy by number of labels. Each draws one moment whole.

const CURVES_DRAWN = 240; // more thin lines are one grey surface; the band is of all images
const MARGIN = { left: 60, right: 14, top: 12, bottom: 36 };
const FADE = 0.16; // of the band
const STATES = ["not labelled", "labelled", "new in this round"];
const STATE_COLOURS = ["#8a959d", "#105bc3", "#ff047e"]; // as GROUP_COLOURS of figures/palettes.py
const ASKED_COLOUR = "#ff047e";
const CORRECT = ["#b56900", "#9f9a8c", "#105bc3"]; // never, half of the epochs, always
const LEVELS = 12; // of correctness

const shareText = (p, digits = 0) => `${(100 * p).toFixed(digits)} %`;

function mixed(from, to, share) {
  const parts = (colour) => [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
  const [a, b] = [parts(from), parts(to)];
  return `#${a.map((x, i) => Math.round(x + (b[i] - x) * share).toString(16).padStart(2, "0")).join("")}`;
}

// A canvas with axes; ``x`` and ``y`` are places in pixels.
class Panel {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.measure();
  }

  measure() {
    const { clientWidth, clientHeight } = this.canvas;
    const scale = Math.min(window.devicePixelRatio || 1, 2);
    [this.width, this.height] = [clientWidth, clientHeight];
    this.canvas.width = Math.round(clientWidth * scale);
    this.canvas.height = Math.round(clientHeight * scale);
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
  }

  scale(xLow, xHigh, yLow, yHigh) {
    const inner = this.width - MARGIN.left - MARGIN.right;
    const tall = this.height - MARGIN.top - MARGIN.bottom;
    this.x = (value) => MARGIN.left + ((value - xLow) / (xHigh - xLow || 1)) * inner;
    this.y = (value) => MARGIN.top + (1 - (value - yLow) / (yHigh - yLow || 1)) * tall;
  }

  axes(look, xTicks, yTicks, xTitle, yTitle) {
    const { context } = this;
    context.clearRect(0, 0, this.width, this.height);
    context.font = `12px ${look.font}`;
    context.lineWidth = 1;
    context.strokeStyle = look.line;
    context.fillStyle = look.quiet;
    context.beginPath();
    for (const [value] of yTicks) {
      context.moveTo(MARGIN.left, this.y(value));
      context.lineTo(this.width - MARGIN.right, this.y(value));
    }
    context.stroke();
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const [value, text] of yTicks) context.fillText(text, MARGIN.left - 7, this.y(value));
    context.textBaseline = "top";
    for (const [value, text] of xTicks) {
      const x = this.x(value);
      context.textAlign = x > this.width - MARGIN.right - 20 ? "right" : "center";
      context.fillText(text, Math.min(x, this.width - MARGIN.right + 4), this.height - MARGIN.bottom + 6);
    }
    context.textAlign = "center";
    context.fillText(xTitle, (MARGIN.left + this.width - MARGIN.right) / 2, this.height - 14);
    context.save();
    context.translate(12, (MARGIN.top + this.height - MARGIN.bottom) / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(yTitle, 0, -6);
    context.restore();
  }
}

const SHARES = [0, 0.25, 0.5, 0.75, 1].map((share) => [share, shareText(share)]);

function ticks(low, high, most) {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000, 1e5, 1e6].find(
    (each) => (high - low) / each <= most,
  );
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push([value, value.toLocaleString("en")]);
  return found;
}

// What colour each image has: ``key`` (N) are places in ``colours``.
function coloursOf(story, place, by) {
  const found = story.of(place);
  if (by === "state") return { key: found.states, colours: STATE_COLOURS };
  if (by === "class") return { key: found.groups, colours: story.classes.map((_, group) => story.classIn(place, group).colour) };
  const half = (LEVELS - 1) / 2;
  const colours = Array.from({ length: LEVELS }, (_, level) =>
    level < half ? mixed(CORRECT[0], CORRECT[1], level / half) : mixed(CORRECT[1], CORRECT[2], (level - half) / half),
  );
  return { key: null, colours };
}

class DataMap extends Panel {
  constructor(canvas, story) {
    super(canvas);
    this.story = story;
    this.dots = new Map();
    this.places = new Float32Array(0);
  }

  measure() {
    super.measure();
    this.dots?.clear();
  }

  // A dot as a picture: 2,000 pictures are drawn in a fraction of the time of 2,000 circles.
  dot(colour, radius) {
    const name = `${colour}${radius}`;
    if (!this.dots.has(name)) {
      const scale = this.canvas.width / this.width || 1;
      const side = Math.ceil(2 * (radius + 1) * scale);
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = side;
      const context = canvas.getContext("2d");
      context.globalAlpha = 0.82;
      context.fillStyle = colour;
      context.beginPath();
      context.arc(side / 2, side / 2, radius * scale, 0, 2 * Math.PI);
      context.fill();
      this.dots.set(name, canvas);
    }
    return this.dots.get(name);
  }

  draw(at, look, by, selected) {
    const { story, context } = this;
    const before = story.moments[Math.floor(at)], after = story.moments[Math.min(Math.ceil(at), story.count - 1)];
    const share = at - Math.floor(at);
    const found = story.of(before.round), next = story.of(after.round);
    this.scale(0, story.reach, 0, 1);
    const step = story.reach > 0.3 ? 0.1 : story.reach > 0.12 ? 0.05 : 0.02;
    const xTicks = [];
    for (let value = 0; value <= story.reach; value += step) xTicks.push([value, value.toFixed(2)]);
    this.axes(look, xTicks, SHARES, "Variability", "Confidence");
    const { key, colours } = coloursOf(story, before.round, by);
    const { n } = found;
    if (this.places.length !== 2 * n) this.places = new Float32Array(2 * n);
    const now = before.epoch * n, then = after.epoch * next.n;
    const radius = n > 1200 ? 2.6 : n > 300 ? 3.4 : 4.6;
    const isSame = before.round === after.round;
    const side = 2 * (radius + 1);
    for (let pass = 0; pass < 2; pass++) {
      for (let i = 0; i < n; i++) {
        if ((found.states[i] === POOL) !== (pass === 0)) continue; // what was trained on lies on top
        let x = found.variability[now + i], y = found.confidence[now + i];
        const j = isSame ? i : next.byImage[found.rows[i]];
        if (share && j >= 0) {
          x += share * (next.variability[then + j] - x);
          y += share * (next.confidence[then + j] - y);
        }
        const left = (this.places[2 * i] = this.x(x)), top = (this.places[2 * i + 1] = this.y(y));
        const colour = colours[key ? key[i] : Math.round(found.correctness[now + i] * (LEVELS - 1))];
        context.drawImage(this.dot(colour, radius), left - side / 2, top - side / 2, side, side);
      }
    }
    this.found = found;
    this.ring(look, selected, radius);
  }

  // The queue's images, where they have a point, and the one that is looked at.
  ring(look, selected, radius) {
    const { context, found } = this;
    const around = (image, colour, width, more) => {
      const i = found.byImage[this.story.rowOf.get(image) ?? -1] ?? -1;
      if (i < 0) return;
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.arc(this.places[2 * i], this.places[2 * i + 1], radius + more, 0, 2 * Math.PI);
      context.stroke();
    };
    for (const image of this.asked ?? []) around(image, look.ink, 1.6, 2.5);
    if (selected !== null) around(selected, look.accent, 3, 4);
  }

  // The image nearest to a place on the canvas, or null.
  nearest(x, y) {
    let best = 14 * 14, image = null;
    for (let i = 0; i < (this.found?.n ?? 0); i++) {
      const far = (this.places[2 * i] - x) ** 2 + (this.places[2 * i + 1] - y) ** 2;
      if (far < best) [best, image] = [far, this.story.ids[this.found.rows[i]]];
    }
    return image;
  }
}

class CurvePanel extends Panel {
  constructor(canvas, story) {
    super(canvas);
    this.story = story;
  }

  draw(at, look, by, selected) {
    const { story, context } = this;
    const { round: place, epoch } = story.moments[Math.floor(at)];
    const round = story.rounds[place], found = story.of(place), { n } = found;
    const share = Math.min(at - Math.floor(at), epoch + 1 < round.epochs.length ? 1 : 0);
    const [first, last] = found.p ? [round.epochs[0], round.epochs.at(-1)] : [1, round.ofEpochs];
    this.scale(first, Math.max(last, first + 1), 0, 1);
    this.axes(look, ticks(first, last, this.width > 360 ? 8 : 4), SHARES, "Epoch", "Probability of its class");
    if (!found.p) return this.say(look, ["The curves of this round were not kept.", "The map shows where its images ended."]);
    const { key, colours } = coloursOf(story, place, by);
    const of = (i, t) => found.p[t * n + i] / STEPS;
    const path = (value) => {
      for (let t = 0; t <= epoch; t++) context.lineTo(this.x(round.epochs[t]), this.y(value(t)));
      if (share) {
        const x = round.epochs[epoch] + share * (round.epochs[epoch + 1] - round.epochs[epoch]);
        context.lineTo(this.x(x), this.y(value(epoch) + share * (value(epoch + 1) - value(epoch))));
      }
    };
    const groups = new Map();
    for (const i of this.some(place)) {
      const colour = colours[key ? key[i] : Math.round(found.correctness[epoch * n + i] * (LEVELS - 1))];
      if (!groups.has(colour)) groups.set(colour, []);
      groups.get(colour).push(i);
    }
    context.lineWidth = 1;
    context.lineJoin = "round";
    context.globalAlpha = n > 60 ? 0.32 : 0.6;
    for (const [colour, members] of groups) {
      context.strokeStyle = colour;
      for (const i of members) {
        context.beginPath();
        path((t) => of(i, t));
        context.stroke();
      }
    }
    this.band(look, path, found, round, epoch, share);
    const chosen = found.byImage[story.rowOf.get(selected) ?? -1] ?? -1;
    if (chosen >= 0) {
      context.strokeStyle = look.accent;
      context.lineWidth = 3;
      context.beginPath();
      path((t) => of(chosen, t));
      context.stroke();
    }
    return undefined;
  }

  // The middle half of the images that the round trained on, and their median.
  band(look, path, found, round, epoch, share) {
    const { context } = this;
    const at = (quartile) => (t) => found.quartiles[3 * t + quartile] / STEPS;
    context.globalAlpha = FADE;
    context.fillStyle = look.ink;
    context.beginPath();
    path(at(2));
    const low = at(0);
    if (share) {
      const x = round.epochs[epoch] + share * (round.epochs[epoch + 1] - round.epochs[epoch]);
      context.lineTo(this.x(x), this.y(low(epoch) + share * (low(epoch + 1) - low(epoch))));
    }
    for (let t = epoch; t >= 0; t--) context.lineTo(this.x(round.epochs[t]), this.y(low(t)));
    context.fill();
    context.globalAlpha = 1;
    context.strokeStyle = look.ink;
    context.lineWidth = 2.6;
    context.beginPath();
    path(at(1));
    context.stroke();
    if (epoch === 0 && !share) {
      context.fillStyle = look.ink;
      context.beginPath();
      context.arc(this.x(round.epochs[0]), this.y(at(1)(0)), 3, 0, 2 * Math.PI);
      context.fill();
    }
  }

  // The curves that are drawn: as many from each part of the images.
  some(place) {
    if (this.drawn?.place === place) return this.drawn.images;
    const { n } = this.story.of(place);
    const drawn = Math.min(n, CURVES_DRAWN);
    const images = Array.from({ length: drawn }, (_, k) => Math.floor((k * n) / drawn));
    this.drawn = { place, images };
    return images;
  }

  say(look, lines) {
    const { context } = this;
    context.fillStyle = look.quiet;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const middle = (MARGIN.left + this.width - MARGIN.right) / 2;
    lines.forEach((line, place) => context.fillText(line, middle, this.height / 2 + 18 * (place - 1)));
  }
}

class AccuracyPanel extends Panel {
  constructor(canvas, story) {
    super(canvas);
    this.story = story;
  }

  draw(at, look) {
    const { story, context } = this;
    const labels = story.rounds.map((round) => round.labels);
    const low = Math.min(...labels), high = Math.max(...labels);
    this.scale(low, Math.max(high, low + 1), 0, 1);
    this.axes(look, ticks(low, high, this.width > 360 ? 6 : 3), SHARES, "Labels", "Accuracy");
    const known = story.rounds.slice(0, story.ended(at)).filter((round) => round.accuracy);
    context.strokeStyle = look.line;
    context.setLineDash([4, 4]);
    context.beginPath();
    const x = this.x(story.round(at).labels);
    context.moveTo(x, MARGIN.top);
    context.lineTo(x, this.height - MARGIN.bottom);
    context.stroke();
    context.setLineDash([]);
    if (!known.length) return;
    context.strokeStyle = context.fillStyle = look.accent;
    context.globalAlpha = FADE + 0.06;
    context.beginPath();
    for (const { labels: n, accuracy } of known) context.lineTo(this.x(n), this.y(accuracy[2]));
    for (const { labels: n, accuracy } of [...known].reverse()) context.lineTo(this.x(n), this.y(accuracy[1]));
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 2.4;
    context.beginPath();
    for (const { labels: n, accuracy } of known) context.lineTo(this.x(n), this.y(accuracy[0]));
    context.stroke();
    context.lineWidth = 1.4;
    for (const { labels: n, accuracy } of known) {
      context.beginPath();
      context.moveTo(this.x(n), this.y(accuracy[1]));
      context.lineTo(this.x(n), this.y(accuracy[2]));
      context.stroke();
      context.beginPath();
      context.arc(this.x(n), this.y(accuracy[0]), 3.6, 0, 2 * Math.PI);
      context.fill();
    }
  }
}
