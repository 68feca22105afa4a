"""A replay as moving pictures: animated WebP or GIF by Pillow, and MP4 where the package imageio-ffmpeg is installed.

Frames are drawn here, from the same numbers that the player draws in a browser, twice as large as they are written, so
that lines are smooth. A film has at most ``MOST_FRAMES`` frames: of more moments every second, third, ..., and always
the ends of the rounds, which stay for ``HOLD_MS``. Frames are drawn as they are written: memory holds a few, not all
(of a GIF all, in 256 colours).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tidal_core.figures.palettes import DARK, GROUP_COLOURS, LIGHT
from tidal_core.figures.replay import LABELLED, NEW, POOL, STEPS, Moment, ReplayInfo, ReplayRound
from tidal_core.records import Progress

WIDTH, HEIGHT = 960, 540  # pixels
MOST_FRAMES = 400
HOLD_MS = 1_200  # at the end of a round
HOLD_SUMMARY_MS = 400  # of one that has only its end
CURVES_DRAWN = 160
TILES = 16  # images of a queue that fit
MANY_CLASSES = 10  # from here on colours repeat, and say labelled or not instead
_TWICE = 2
STATE_COLOURS = {
    POOL: GROUP_COLOURS["remaining"],
    LABELLED: GROUP_COLOURS["labelled"],
    NEW: GROUP_COLOURS["asked"],
}
STATE_NAMES = {POOL: "not labelled", LABELLED: "labelled", NEW: "new in this round"}
_FONTS = ("DejaVuSans.ttf", "Arial.ttf", "Helvetica.ttc", "LiberationSans-Regular.ttf")

Draw = ImageDraw.ImageDraw


@dataclass(frozen=True)
class FilmPlan:
    """Which moments a film shows, and for how long each: row-aligned."""

    moments: tuple[Moment, ...]
    milliseconds: tuple[int, ...]

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return sum(self.milliseconds) / 1000


def plan(info: ReplayInfo, *, epochs_per_second: float = 20.0, most_frames: int = MOST_FRAMES) -> FilmPlan:
    """The frames of a film."""
    moments = info.moments
    ends = {place for place, moment in enumerate(moments) if info.ended(moment) > moment.round}
    step = 1
    while len(shown := sorted({*range(0, len(moments), step), *ends})) > max(most_frames, len(ends)):
        step += 1
    usual = max(round(1000 / epochs_per_second), 20)  # browsers slow down what is faster

    def stays(place: int) -> int:
        if place not in ends:
            return usual
        return HOLD_MS if len(info.rounds[moments[place].round].epochs) > 1 else HOLD_SUMMARY_MS

    return FilmPlan(tuple(moments[place] for place in shown), tuple(stays(place) for place in shown))


class _Axes:
    """A part of a frame, with a scale; sizes are of the enlarged frame."""

    def __init__(self, box: tuple[int, int, int, int], x: tuple[float, float]) -> None:
        left, top, width, height = (_TWICE * side for side in box)
        self.left, self.top, self.right, self.bottom = left, top, left + width, top + height
        self.low, self.span = x[0], (x[1] - x[0]) or 1.0

    def at(self, x: Any, y: Any) -> Any:
        """Places (..., 2) in pixels; y is a share."""
        along = self.left + (np.asarray(x) - self.low) / self.span * (self.right - self.left)
        up = self.bottom - np.asarray(y) * (self.bottom - self.top)
        return np.stack(np.broadcast_arrays(along, up), axis=-1)


class FilmFrames:
    """Draws the frames of a film; ``pictures`` by image id are encoded thumbnails."""

    def __init__(self, info: ReplayInfo, pictures: dict[int, bytes], *, dark: bool = False) -> None:
        self.info, self.theme = info, DARK if dark else LIGHT
        self._by_class = len(info.classes) <= MANY_CLASSES and all(each.kind != "exact" for each in info.rounds)
        self._tiles = {image_id: _tile(body) for image_id, body in pictures.items()}
        self._map = _Axes((56, 104, 424, 326), (0, info.reach))
        self._curves = _Axes((548, 104, 396, 150), (0, 1))
        labels = [each.labels for each in info.rounds]
        self._accuracy = _Axes((548, 316, 396, 114), (min(labels), max(labels)))

    def draw(self, moment: Moment) -> Image.Image:
        """One frame, RGB."""
        theme, of = self.theme, self.info.rounds[moment.round]
        frame = Image.new("RGB", (_TWICE * WIDTH, _TWICE * HEIGHT), theme.background)
        draw = ImageDraw.Draw(frame)
        self._heading(draw, of, moment)
        self._draw_map(draw, of, moment)
        self._draw_curves(draw, of, moment)
        self._draw_accuracy(draw, of, moment)
        self._draw_queue(frame, draw, moment)
        return frame.resize((WIDTH, HEIGHT), Image.Resampling.BOX)

    def _heading(self, draw: Draw, of: ReplayRound, moment: Moment) -> None:
        when = "its end" if of.is_summary else f"epoch {of.epochs[moment.epoch]} of {of.of_epochs}"
        title = self.info.title if len(self.info.title) <= 40 else self.info.title[:39] + "…"
        self._text(draw, (16, 14), f"{title}: round {of.id} of {self.info.rounds[-1].id}, {when}", 20)
        facts = [f"{of.labels:,} labels"]
        if not of.is_summary:
            right = of.right[moment.epoch][of.labelled]
            facts.append(f"right about {int(right.sum()):,} of {len(right):,} labelled images shown")
        ended = self.info.ended(moment)
        accuracy = self.info.rounds[ended - 1].accuracy if ended else None
        if accuracy:
            facts.append(f"accuracy {accuracy.value:.1%} after round {self.info.rounds[ended - 1].id}")
        self._text(draw, (16, 44), " · ".join(facts), 14, self.theme.muted)

    def _colours(self, of: ReplayRound) -> list[str]:
        if self._by_class:
            return [of.named.get(int(group), self.info.classes[group]).colour for group in of.groups]
        return [STATE_COLOURS[int(state)] for state in of.states]

    def _draw_map(self, draw: Draw, of: ReplayRound, moment: Moment) -> None:
        axes = self._map
        self._frame_of(draw, axes, "Data map: up, a high probability of its class; right, it moved a lot")
        confidence, variability, _ = of.running[:, moment.epoch]
        radius = _TWICE * (2.2 if len(confidence) > 600 else 3.4)
        points, colours = axes.at(variability, confidence), self._colours(of)
        for i in np.argsort(of.states != POOL, kind="stable"):
            x, y = points[i]
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colours[i])

    def _draw_curves(self, draw: Draw, of: ReplayRound, moment: Moment) -> None:
        last = max(int(of.epochs[-1]), int(of.epochs[0]) + 1)
        axes = _Axes((548, 104, 396, 150), (int(of.epochs[0]), last))
        self._frame_of(draw, axes, f"Curves of its class, epochs {of.epochs[0]} to {of.epochs[-1]}")
        if of.is_summary:
            self._text(draw, (640, 168), "The curves of this round were not kept.", 14, self.theme.muted)
            return
        p, epochs = of.p[: moment.epoch + 1] / STEPS, of.epochs[: moment.epoch + 1]
        colours = self._colours(of)
        for i in range(0, p.shape[1], max(p.shape[1] // CURVES_DRAWN, 1)):
            self._line(draw, axes.at(epochs, p[:, i]), _mixed(self.theme.background, colours[i], 0.5), 1)
        if of.labelled.any():
            self._line(draw, axes.at(epochs, np.median(p[:, of.labelled], axis=1)), self.theme.text, 3)

    def _draw_accuracy(self, draw: Draw, of: ReplayRound, moment: Moment) -> None:
        axes = self._accuracy
        self._frame_of(draw, axes, "Accuracy by number of labels")
        known = [each for each in self.info.rounds[: self.info.ended(moment)] if each.accuracy]
        values = np.array([each.accuracy[:3] for each in known if each.accuracy]).reshape(-1, 3)
        labels = np.array([each.labels for each in known])
        line = self.theme.primary
        for n, (_, low, high) in zip(labels, values, strict=True):
            self._line(draw, axes.at([n, n], [low, high]), _mixed(self.theme.background, line, 0.6), 2)
        self._line(draw, axes.at(labels, values[:, 0]), line, 2)
        for x, y in axes.at(labels, values[:, 0]):
            draw.ellipse((x - 6, y - 6, x + 6, y + 6), fill=line)

    def _draw_queue(self, frame: Image.Image, draw: Draw, moment: Moment) -> None:
        by, queue = self.info.queue(moment)
        title = f"Asked after round {by}" if by else "Labelled before the first round"
        self._text(draw, (16, 448), title, 13, self.theme.muted)
        self._legend(draw, self.info.rounds[moment.round])
        for place, asked in enumerate(queue[:TILES]):
            left, top = _TWICE * (16 + 58 * place), _TWICE * 470
            tile = self._tiles.get(asked.image)
            if tile is None:
                draw.rectangle((left, top, left + 103, top + 103), outline=self.theme.grid, width=2)
            else:
                frame.paste(tile, (left + (104 - tile.width) // 2, top + (104 - tile.height) // 2))
            if asked.group >= 0:
                colour = self.info.classes[asked.group].colour
                draw.rectangle((left, top + 108, left + 103, top + 115), fill=colour)

    def _legend(self, draw: Draw, of: ReplayRound) -> None:
        """What the colours mean, as much of it as fits."""
        if self._by_class:
            styles = [of.named.get(group, style) for group, style in enumerate(self.info.classes)]
            entries = [(style.colour, style.name) for style in styles]
        else:
            entries = [(STATE_COLOURS[state], name) for state, name in STATE_NAMES.items()]
        left = 260.0
        for colour, name in entries:
            text = name if len(name) <= 20 else name[:19] + "…"
            width = 22 + _font(_TWICE * 12).getlength(text) / _TWICE
            if left + width > WIDTH - 30:
                self._text(draw, (left, 449), "…", 12, self.theme.muted)
                return
            x, y = _TWICE * left, _TWICE * 456
            draw.ellipse((x, y - 9, x + 18, y + 9), fill=colour)
            self._text(draw, (left + 13, 449), text, 12, self.theme.muted)
            left += width

    def _frame_of(self, draw: Draw, axes: _Axes, title: str) -> None:
        left, top = axes.left // _TWICE, axes.top // _TWICE
        self._text(draw, (left, top - 24), title, 13, self.theme.muted)
        for share in (0.0, 0.5, 1.0):
            (x0, y), (x1, _) = axes.at([axes.low, axes.low + axes.span], share)
            draw.line((x0, y, x1, y), fill=self.theme.grid, width=_TWICE)
            self._text(draw, (left - 6, y / _TWICE), f"{share:.0%}", 11, self.theme.muted, anchor="rm")

    def _line(self, draw: Draw, points: Any, colour: str, width: int) -> None:
        if len(points) > 1:
            draw.line([(float(x), float(y)) for x, y in points], fill=colour, width=_TWICE * width, joint="curve")

    def _text(
        self, draw: Draw, at: tuple[float, float], text: str, size: int, colour: str = "", anchor: str = "la"
    ) -> None:
        place = (_TWICE * at[0], _TWICE * at[1])
        draw.text(place, text, fill=colour or self.theme.text, font=_font(_TWICE * size), anchor=anchor)


class _Reel(Image.Image):
    """An animation for Pillow's writers whose frames are drawn when they are sought."""

    def __init__(
        self, frames: FilmFrames, shown: FilmPlan, progress: Progress, palette: Image.Image | None = None
    ) -> None:
        super().__init__()
        self._palette = palette
        self._frames, self._shown, self._progress, self._place = frames, shown, progress, -1
        self._told = 0
        self.n_frames = len(shown.moments)
        self.seek(0)

    def tell(self) -> int:
        """The place of the frame that is drawn."""
        return self._place

    def seek(self, frame: int) -> None:
        """Draw a frame, unless it is the one that is there. Raises EOFError behind the last."""
        if not 0 <= frame < self.n_frames:
            raise EOFError("There is no such frame.")
        if frame == self._place:
            return
        drawn = self._frames.draw(self._shown.moments[frame])
        if self._palette is not None:
            drawn = drawn.quantize(palette=self._palette, dither=Image.Dither.NONE)
            self.palette = drawn.palette
        self.im, self._mode, self._size, self._place = drawn.im, drawn.mode, drawn.size, frame
        if frame + 1 > self._told:  # a writer goes back to the first when it is done
            self._told = frame + 1
            self._progress(self._told, self.n_frames)


def write_animation(target: Path, frames: FilmFrames, shown: FilmPlan, kind: str, progress: Progress) -> None:
    """Write ``kind`` "webp" or "gif"."""
    reel = _Reel(frames, shown, progress, _palette(frames, shown) if kind == "gif" else None)
    options = {"quality": 82, "method": 2} if kind == "webp" else {}
    reel.save(target, format=kind.upper(), save_all=True, duration=list(shown.milliseconds), loop=0, **options)


def _palette(frames: FilmFrames, shown: FilmPlan) -> Image.Image:
    """255 colours for all frames of a GIF, from four of them: a third of the size of a palette for each frame."""
    last = len(shown.moments) - 1
    sheet = Image.new("RGB", (WIDTH, 4 * HEIGHT))
    for part in range(4):
        sheet.paste(frames.draw(shown.moments[(part + 1) * last // 4]), (0, part * HEIGHT))
    return sheet.quantize(255)


def write_mp4(target: Path, frames: FilmFrames, shown: FilmPlan, progress: Progress) -> None:
    """Write H.264 in MP4 at 25 frames a second; a moment is repeated for as long as it stays."""
    import imageio_ffmpeg

    per_second = 25
    writer = imageio_ffmpeg.write_frames(
        str(target), (WIDTH, HEIGHT), fps=per_second, macro_block_size=2, output_params=["-f", "mp4"]
    )
    writer.send(None)
    try:
        for image, times in _timed(frames, shown, per_second, progress):
            for _ in range(times):
                writer.send(image)
    finally:
        writer.close()


def _timed(frames: FilmFrames, shown: FilmPlan, per_second: int, progress: Progress) -> Iterator[tuple[bytes, int]]:
    """Each moment's pixels, and for how many frames it stays, so that no time is lost to rounding."""
    due = 0.0
    for place, (moment, milliseconds) in enumerate(zip(shown.moments, shown.milliseconds, strict=True)):
        before, due = round(due), due + milliseconds * per_second / 1000
        if times := round(due) - before:
            yield frames.draw(moment).tobytes(), times
        progress(place + 1, len(shown.moments))


def _tile(body: bytes) -> Image.Image:
    """A thumbnail as a film shows it; small ones are enlarged pixel by pixel."""
    side = 52 * _TWICE
    with Image.open(io.BytesIO(body)) as opened:
        image = opened.convert("RGB")
    scale = side / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    return image.resize(size, Image.Resampling.NEAREST if scale > 2 else Image.Resampling.BICUBIC)


def _mixed(under: str, over: str, share: float) -> str:
    """The colour of ``over`` at an opacity on ``under``."""
    a, b = ([int(colour[start : start + 2], 16) for start in (1, 3, 5)] for colour in (under, over))
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in zip(a, b, strict=True))


@lru_cache(maxsize=16)
def _font(size: int) -> Any:
    """A font of this system with many scripts, else the one that Pillow brings, which has Latin letters only."""
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
