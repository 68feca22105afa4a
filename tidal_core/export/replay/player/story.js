// The numbers of a replay as ``figures/replay.py`` packs them, and what follows from them at a moment. A moment is a number
// from 0 to count - 1, one for each epoch of each round; between two moments the map's points are on their way.

const STEPS = 255; // a probability is kept as round(255 p)
const POOL = 0, LABELLED = 1, NEW = 2;
const ROUNDS_AT_HAND = 3; // of which statistics are kept in memory

class Story {
  // ``bytes``: an ArrayBuffer that begins with the first round's array.
  constructor(head, bytes) {
    Object.assign(this, head);
    this.bytes = bytes;
    this.moments = [];
    this.rounds.forEach((round, place) => {
      round.place = place;
      round.first = this.moments.length;
      round.epochs.forEach((epoch, at) => this.moments.push({ round: place, epoch: at }));
    });
    this.count = this.moments.length;
    this.atHand = new Map(); // place of a round -> its statistics, least recently used first
  }

  // A class as it was called and coloured when a round began.
  classIn(place, group) {
    return this.rounds[place].named?.[group] ?? this.classes[group];
  }

  // The arrays of a round, and for each epoch t and image i at t * n + i: confidence and variability up to there.
  of(place) {
    let found = this.atHand.get(place);
    if (found) this.atHand.delete(place);
    else found = this.read(this.rounds[place]);
    this.atHand.set(place, found);
    if (this.atHand.size > ROUNDS_AT_HAND) this.atHand.delete(this.atHand.keys().next().value);
    return found;
  }

  read({ n, at, kind, epochs }) {
    const take = (Type, start, length) => new Type(this.bytes.slice(start, start + length * Type.BYTES_PER_ELEMENT));
    const T = epochs.length;
    const found = {
      n, T,
      rows: take(Uint16Array, at, n),
      groups: take(Uint16Array, at + 2 * n, n),
      states: take(Uint8Array, at + 4 * n, n),
      confidence: new Float32Array(T * n),
      variability: new Float32Array(T * n),
      correctness: new Float32Array(T * n),
    };
    const body = at + 5 * n;
    if (kind === "summary") {
      const three = take(Uint8Array, body, 3 * n);
      for (let i = 0; i < n; i++) {
        found.confidence[i] = three[i] / STEPS;
        found.variability[i] = three[n + i] / STEPS / 2;
        found.correctness[i] = three[2 * n + i] / STEPS;
      }
    } else {
      found.p = take(Uint8Array, body, T * n);
      found.bits = take(Uint8Array, body + T * n, Math.ceil((T * n) / 8));
      this.run(found);
    }
    found.byImage = new Int32Array(this.ids.length).fill(-1);
    found.rows.forEach((row, i) => (found.byImage[row] = i));
    return found;
  }

  run(found) {
    const { n, T, p } = found;
    found.quartiles = new Uint8Array(3 * T); // of the images that the round trained on
    for (let i = 0; i < n; i++) {
      let sum = 0, squares = 0, right = 0;
      for (let t = 0, at = i; t < T; t++, at += n) {
        const value = p[at] / STEPS;
        sum += value;
        squares += value * value;
        right += this.isRight(found, at);
        const mean = sum / (t + 1);
        found.confidence[at] = mean;
        found.variability[at] = Math.sqrt(Math.max(squares / (t + 1) - mean * mean, 0));
        found.correctness[at] = right / (t + 1);
      }
    }
    const counts = new Uint32Array(STEPS + 1);
    for (let t = 0; t < T; t++) {
      counts.fill(0);
      let all = 0;
      for (let i = 0; i < n; i++) {
        if (found.states[i] === POOL) continue;
        counts[p[t * n + i]] += 1;
        all += 1;
      }
      for (let step = 0, below = 0, quartile = 0; step <= STEPS && quartile < 3; step++) {
        below += counts[step];
        while (quartile < 3 && below >= (all * (quartile + 1)) / 4) found.quartiles[3 * t + quartile++] = step;
      }
    }
  }

  isRight(found, at) {
    return (found.bits[at >> 3] >> (at & 7)) & 1;
  }

  round(at) {
    return this.rounds[this.moments[Math.floor(at)].round];
  }

  // How many rounds have ended at a moment.
  ended(at) {
    const { round, epoch } = this.moments[Math.floor(at)];
    return round + (epoch === this.rounds[round].epochs.length - 1);
  }

  accuracy(at) {
    return this.rounds.slice(0, this.ended(at)).findLast((round) => round.accuracy) ?? null;
  }

  // The queue of that time: who asked for it, and [image, group or -1, whether it was asked].
  queue(at) {
    const ended = this.ended(at);
    return ended ? { by: this.rounds[ended - 1], items: this.rounds[ended - 1].queue } : { by: null, items: this.begunWith };
  }

  // Of the images that the round trained on: how many it is right about, and turned right or wrong since the epoch before that is kept.
  tally(at) {
    const { round, epoch } = this.moments[Math.floor(at)];
    const found = this.of(round);
    if (!found.p) return null;
    const tally = { right: 0, of: 0, turnedRight: 0, turnedWrong: 0, since: this.rounds[round].epochs[epoch - 1] };
    for (let i = 0; i < found.n; i++) {
      if (found.states[i] === POOL) continue;
      const now = this.isRight(found, epoch * found.n + i);
      tally.of += 1;
      tally.right += now;
      if (epoch) {
        const before = this.isRight(found, (epoch - 1) * found.n + i);
        tally.turnedRight += now && !before ? 1 : 0;
        tally.turnedWrong += before && !now ? 1 : 0;
      }
    }
    return tally;
  }

  // The moment that an address names: the nearest epoch that is kept of a round, or the first moment.
  find(id, epoch) {
    const round = this.rounds.find((each) => each.id === Number(id));
    if (!round) return 0;
    const wanted = Number(epoch) || round.epochs[0];
    let nearest = 0;
    round.epochs.forEach((each, place) => {
      if (Math.abs(each - wanted) < Math.abs(round.epochs[nearest] - wanted)) nearest = place;
    });
    return round.first + nearest;
  }

  named(at) {
    const { round, epoch } = this.moments[Math.floor(at)];
    return { round: this.rounds[round].id, epoch: this.rounds[round].epochs[epoch] };
  }

  inWords(at) {
    const { round: place, epoch } = this.moments[Math.floor(at)];
    const round = this.rounds[place];
    const when = round.kind === "summary" ? "its end" : `epoch ${round.epochs[epoch]} of ${round.ofEpochs}`;
    return `Round ${round.id} of ${this.rounds.at(-1).id}, ${when}`;
  }
}
