"""Pictures drawn from descriptions: things of a colour and a shape, lines of text, backgrounds, and films of them."""

import math
import string
import zlib
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFont

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "red": (218, 38, 38), "green": (38, 160, 62), "blue": (38, 76, 216), "yellow": (246, 218, 40),
    "orange": (247, 142, 22), "purple": (132, 44, 178), "black": (18, 18, 20), "white": (250, 250, 250),
    "grey": (138, 138, 138), "pink": (251, 152, 194), "brown": (124, 72, 32), "cyan": (52, 212, 226),
}
SHAPES = ("circle", "square", "triangle", "star", "rectangle", "diamond", "cross", "heart")
OUTLINES = {  # corners in a box from -1 to 1, y downwards
    "square": [(-.9, -.9), (.9, -.9), (.9, .9), (-.9, .9)],
    "triangle": [(0, -1), (1, .8), (-1, .8)],
    "rectangle": [(-1, -.5), (1, -.5), (1, .5), (-1, .5)],
    "diamond": [(0, -1), (.68, 0), (0, 1), (-.68, 0)],
    "cross": [(-.34, -1), (.34, -1), (.34, -.34), (1, -.34), (1, .34), (.34, .34),
              (.34, 1), (-.34, 1), (-.34, .34), (-1, .34), (-1, -.34), (-.34, -.34)],
    "star": [(math.sin(math.pi * k / 5) * (1, .42)[k % 2], -math.cos(math.pi * k / 5) * (1, .42)[k % 2] + .08)
             for k in range(10)],
    "heart": [(math.sin(t) ** 3, -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16.5)
              for t in np.linspace(0, 2 * math.pi, 40)],
    "circle": [(math.cos(t), math.sin(t)) for t in np.linspace(0, 2 * math.pi, 60)],
}


@dataclass(frozen=True)
class Thing:
    """A coloured shape; x and y are its centre and size its width, in pixels; turned by `angle` degrees."""

    colour: str
    shape: str
    x: float
    y: float
    size: float
    rgb: Colour = (0, 0, 0)
    angle: float = 0.0
    upright: bool = False  # a rectangle that stands


@dataclass(frozen=True)
class Line:
    """A line of text; x and y are its centre and width and height those of its box, in pixels."""

    text: str
    colour: str
    rgb: Colour
    x: float
    y: float
    width: float
    height: float
    font: int
    pixels: int
    angle: float = 0.0


@dataclass(frozen=True)
class Background:
    """One colour, or a change between two, with noise; `name` is set when the colour has one."""

    first: Colour
    second: Colour
    pattern: str  # plain, across, down, stripes, checks
    noise: int
    name: str | None
    seed: int


@dataclass(frozen=True)
class Scene:
    width: int
    height: int
    background: Background
    things: tuple[Thing, ...] = ()
    lines: tuple[Line, ...] = field(default=())


class Fonts:
    """The TrueType fonts of a directory, by number."""

    def __init__(self, directory: Path):
        self.paths = sorted(directory.glob("*.ttf"))
        if not self.paths:
            raise FileNotFoundError(f"no *.ttf in {directory}")

    def __len__(self) -> int:
        return len(self.paths)

    @lru_cache(maxsize=4000)
    def get(self, number: int, pixels: int) -> ImageFont.FreeTypeFont:
        return ImageFont.truetype(str(self.paths[number]), pixels)


# Colours and backgrounds


def distance(first: Colour, second: Colour) -> float:
    return math.dist(first, second)


def shade(rng: Random, colour: str) -> Colour:
    """A shade that still bears the name."""
    spread = 7 if colour in ("black", "white", "grey") else 14
    return tuple(min(255, max(0, channel + rng.randint(-spread, spread))) for channel in COLOURS[colour])


def random_background(rng: Random) -> Background:
    kind = rng.random()
    name = None
    if kind < .45:
        name = rng.choice(["white", "white", "white", "black", "black", "grey", *COLOURS])
        first = shade(rng, name)
    elif kind < .8:
        first = tuple(rng.randint(205, 250) for _ in range(3))
    else:
        first = tuple(rng.randint(10, 70) for _ in range(3))
    pattern = "plain" if name else rng.choice(["plain", "plain", "across", "down", "stripes", "checks"])
    second = tuple(min(255, max(0, channel + rng.randint(-38, 38))) for channel in first)
    noise = rng.choice([0, 0, 0, 0, 6, 12, 20])
    return Background(first, second, pattern, noise, name, rng.randrange(1 << 30))


def colours_on(background: Background, contrast: float) -> list[str]:
    """The names of the colours that stand out against the background."""
    return [name for name, rgb in COLOURS.items() if distance(rgb, background.first) > contrast
            and (background.pattern == "plain" or distance(rgb, background.second) > contrast)]


@lru_cache(maxsize=8)
def _noise_bank(amplitude: int) -> tuple[Image.Image, Image.Image]:
    """What is added to and what is taken from each pixel, larger than any crop of it."""
    values = np.random.default_rng(amplitude).normal(0, amplitude, (700, 900, 3))
    return (Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)),
            Image.fromarray(np.clip(-values, 0, 255).astype(np.uint8)))


def add_noise(picture: Image.Image, amplitude: int, seed: int) -> Image.Image:
    rng = Random(seed)
    width, height = min(picture.width, 800), min(picture.height, 600)
    left, top = rng.randrange(900 - width + 1), rng.randrange(700 - height + 1)
    grain = [bank.crop((left, top, left + width, top + height)) for bank in _noise_bank(amplitude)]
    if (width, height) != picture.size:  # coarser grain on very large pictures
        grain = [part.resize(picture.size, Image.Resampling.NEAREST) for part in grain]
    return ImageChops.subtract(ImageChops.add(picture, grain[0]), grain[1])


def draw_background(background: Background, width: int, height: int) -> Image.Image:
    first, second, pattern = background.first, background.second, background.pattern
    if pattern in ("across", "down"):
        ramp = np.linspace(first, second, 64).round().astype(np.uint8)[None if pattern == "across" else slice(None)]
        ramp = ramp if pattern == "across" else ramp[:, None]
        picture = Image.fromarray(ramp).resize((width, height), Image.Resampling.BILINEAR)
    else:
        picture = Image.new("RGB", (width, height), first)
        draw = ImageDraw.Draw(picture)
        step = max(8, int(math.sqrt(width * height) / (6 + background.seed % 9)))
        if pattern == "stripes":
            for x in range(0, width, 2 * step):
                draw.rectangle((x, 0, x + step - 1, height), fill=second)
        elif pattern == "checks":
            for y in range(0, height, step):
                for x in range(y // step % 2 * step, width, 2 * step):
                    draw.rectangle((x, y, x + step - 1, y + step - 1), fill=second)
    return picture


# Drawing


def draw_thing(picture: Image.Image, thing: Thing) -> None:
    smooth = 3 if thing.size < 160 else 2
    radius = thing.size / 2
    half = math.ceil(radius * 1.15) + 2
    angle = math.radians(thing.angle)
    cos, sin = math.cos(angle), math.sin(angle)
    corners = [(y, x) for x, y in OUTLINES[thing.shape]] if thing.upright else OUTLINES[thing.shape]
    left, top = math.floor(thing.x) - half, math.floor(thing.y) - half
    mask = Image.new("L", (2 * half * smooth, 2 * half * smooth), 0)
    ImageDraw.Draw(mask).polygon([((thing.x + radius * (x * cos - y * sin) - left) * smooth,
                                   (thing.y + radius * (x * sin + y * cos) - top) * smooth) for x, y in corners], fill=255)
    picture.paste(thing.rgb, (left, top), mask.reduce(smooth))


def draw_line(picture: Image.Image, line: Line, fonts: Fonts) -> None:
    font = fonts.get(line.font, line.pixels)
    box = font.getbbox(line.text)
    mask = Image.new("L", (box[2] - box[0] + 4, box[3] - box[1] + 4), 0)
    ImageDraw.Draw(mask).text((2 - box[0], 2 - box[1]), line.text, fill=255, font=font)
    if line.angle:
        mask = mask.rotate(line.angle, Image.Resampling.BILINEAR, expand=True)
    picture.paste(line.rgb, (round(line.x - mask.width / 2), round(line.y - mask.height / 2)), mask)


def draw(scene: Scene, fonts: Fonts) -> Image.Image:
    picture = draw_background(scene.background, scene.width, scene.height)
    for thing in scene.things:
        draw_thing(picture, thing)
    for line in scene.lines:
        draw_line(picture, line, fonts)
    if scene.background.noise:
        picture = add_noise(picture, scene.background.noise, scene.background.seed)
    return picture


# Choosing what to draw


def random_size(rng: Random, scale: int, low: float, high: float, widest: float = 2.2) -> tuple[int, int]:
    """Width and height with an area of `low` to `high` times scale², as wide as `widest` or as tall."""
    area = rng.uniform(low, high) * scale * scale
    ratio = math.exp(rng.uniform(-1, 1) * math.log(widest))
    return max(1, int(math.sqrt(area * ratio))), max(1, int(math.sqrt(area / ratio)))


def random_kinds(rng: Random, count: int, colours: list[str], variety: str) -> list[tuple[str, str]]:
    """(colour, shape) of each thing. Variety: `distinct` shapes and colours, `few` kinds repeated, `groups` of two or three
    kinds, each of them several times where there are things enough, or `any`."""
    if variety == "groups":
        shapes = rng.sample(SHAPES, min(rng.choice([2, 2, 3]), max(1, count)))
        groups = [(rng.choice(colours), shape) for shape in shapes]
        kinds = [group for group in groups for _ in range(count // len(groups))]
        kinds += rng.choices(groups, k=count - len(kinds))
        rng.shuffle(kinds)
        return kinds
    if variety == "distinct" and count <= min(len(colours), len(SHAPES)):
        return list(zip(rng.sample(colours, count), rng.sample(SHAPES, count)))
    if variety == "few":
        kinds = [(rng.choice(colours), rng.choice(SHAPES)) for _ in range(rng.randint(1, 3))]
        if rng.random() < .5:
            kinds = [(kinds[0][0], shape) for _, shape in kinds]
        elif rng.random() < .5:
            kinds = [(colour, kinds[0][1]) for colour, _ in kinds]
        return [rng.choice(kinds) for _ in range(count)]
    return [(rng.choice(colours), rng.choice(SHAPES)) for _ in range(count)]


def make_thing(rng: Random, kind: tuple[str, str], x: float, y: float, size: float) -> Thing:
    colour, shape = kind
    return Thing(colour, shape, x, y, size, shade(rng, colour), rng.uniform(-9, 9) if rng.random() < .5 else 0.0,
                 shape == "rectangle" and rng.random() < .4)


Box = tuple[float, float, float, float]  # centre x, centre y, half width, half height


def overlaps(box: Box, others: list[Box]) -> bool:
    return any(abs(box[0] - other[0]) < (box[2] + other[2]) * 1.12
               and abs(box[1] - other[1]) < (box[3] + other[3]) * 1.12 for other in others)


def place_boxes(rng: Random, count: int, width: int, height: int, taken: list[Box]) -> list[tuple[float, float, float]]:
    """Centres and sizes of up to `count` things that touch neither each other nor the boxes taken."""
    unit = math.sqrt(width * height)
    short = min(width, height)
    if count == 1 and not taken:
        size = rng.uniform(.22, .85) * short
        return [(rng.uniform(size * .56, width - size * .56), rng.uniform(size * .56, height - size * .56), size)]
    layout = rng.choice(["row", "column", "scatter", "scatter"])
    along, across = (width, height) if layout == "row" else (height, width)
    size = rng.uniform(.55, .85) * min(along / count, across * .9)
    if layout != "scatter" and not taken and count <= 5 and size > .13 * unit:
        places = []
        for index in range(count):
            main = (index + .5) * along / count + rng.uniform(-.1, .1) * (along / count - size)
            cross = across / 2 + rng.uniform(-.3, .3) * (across - size * 1.2)
            places.append((main, cross, size) if layout == "row" else (cross, main, size))
        return places
    places, boxes = [], list(taken)
    largest = min(.34, .62 / math.sqrt(count)) * unit
    for _ in range(count):
        for _ in range(40):
            size = min(rng.uniform(.135 * unit, largest), short * .8)
            x, y = rng.uniform(size * .56, width - size * .56), rng.uniform(size * .56, height - size * .56)
            if not overlaps((x, y, size / 2, size / 2), boxes):
                places.append((x, y, size))
                boxes.append((x, y, size / 2, size / 2))
                break
    return places


# Text


def held_out(text: str) -> bool:
    """One text in ten is kept from training and used in evaluation only."""
    return zlib.crc32(text.encode()) % 10 == 0


def _syllables(rng: Random, length: int) -> str:
    sounds = ("bcdfghjklmnprstvwz", "aeiou")
    start = rng.randrange(2)
    return "".join(rng.choice(sounds[(start + k) % 2]) for k in range(length))


def random_text(rng: Random, for_evaluation: bool, longest: int = 6) -> str:
    """A number or a word of up to six characters, read in one way only (no word of O and I alone, say)."""
    while True:
        kind = rng.random()
        length = rng.choice([1, 2, 3, 3, 4, 4, 5, 5, 6, 6])
        length = min(length, longest)
        if kind < .33:
            text = "".join(rng.choice(string.digits) for _ in range(length)).lstrip("0") or "0"
        elif kind < .55:
            text = "".join(rng.choice(string.ascii_uppercase) for _ in range(length))
        elif kind < .72:
            text = _syllables(rng, max(2, length)).upper()
        elif kind < .80:
            text = _syllables(rng, max(2, length)).capitalize()
        elif kind < .92:
            text = _syllables(rng, max(2, length))
        else:
            text = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(max(3, length)))
        letters_clear = text.isdigit() or not set(text) <= set("OIl")
        case_clear = not text.islower() or bool(set(text) & set("abdefghiklmnrt"))
        if letters_clear and case_clear and (len(text) < 3 or held_out(text) == for_evaluation):
            return text


def make_line(rng: Random, text: str, fonts: Fonts, background: Background, pixels: int) -> Line:
    """A line at the origin."""
    font = rng.randrange(len(fonts))
    colour = rng.choice(colours_on(background, 170) or ["black" if sum(background.first) > 380 else "white"])
    box = fonts.get(font, pixels).getbbox(text)
    angle = rng.uniform(-7, 7) if rng.random() < .15 else 0.0
    width, height = box[2] - box[0], box[3] - box[1]
    lean = abs(math.sin(math.radians(angle)))
    return Line(text, colour, shade(rng, colour), 0, 0, width + height * lean, height + width * lean, font, pixels, angle)


def replace_line_text(line: Line, text: str, fonts: Fonts) -> Line:
    """The same line with another text at the same centre."""
    box = fonts.get(line.font, line.pixels).getbbox(text)
    return replace(line, text=text, width=box[2] - box[0], height=box[3] - box[1])


def put_line(rng: Random, line: Line, width: int, height: int, taken: list[Box]) -> Line | None:
    """The line at a free place, or None."""
    spare_x, spare_y = width - line.width, height - line.height
    if spare_x < 4 or spare_y < 4:
        return None
    for _ in range(20):
        x = line.width / 2 + 2 + rng.random() * (spare_x - 4)
        y = line.height / 2 + 2 + rng.random() * (spare_y - 4)
        if not overlaps((x, y, line.width / 2, line.height / 2), taken):
            return replace(line, x=x, y=y)
    return None


def line_box(line: Line) -> Box:
    return line.x, line.y, line.width / 2, line.height / 2


# Whole scenes


def things_scene(rng: Random, fonts: Fonts, size: tuple[int, int], for_evaluation: bool, most: int = 6,
                 text_share: float = .15, least: int = 0, variety: str | None = None) -> Scene:
    """`least` to `most` things, now and then with a line of text, of the given variety or of any."""
    width, height = size
    background = random_background(rng)
    lines: list[Line] = []
    if rng.random() < text_share:
        pixels = int(rng.uniform(.16, .3) * math.sqrt(width * height))
        line = put_line(rng, make_line(rng, random_text(rng, for_evaluation), fonts, background, pixels), width, height, [])
        lines = [line] if line else []
    count = max(least, min(most, rng.choice([0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 6])))
    places = place_boxes(rng, count, width, height, [line_box(line) for line in lines]) if count else []
    kinds = random_kinds(rng, len(places), colours_on(background, 115),
                         variety or rng.choice(["distinct", "distinct", "few", "any"]))
    things = [make_thing(rng, kind, *place) for kind, place in zip(kinds, places)]
    return Scene(width, height, background, tuple(things), tuple(lines))


def text_scene(rng: Random, fonts: Fonts, size: tuple[int, int], for_evaluation: bool, most: int = 3,
               longest: int = 6) -> Scene:
    """One to `most` lines of text below each other."""
    width, height = size
    background = random_background(rng)
    count = rng.choice([1, 1, 1, 2, 2, 3]) if most > 1 else 1
    lines = []
    for index in range(min(count, most)):
        band = height / count
        text = random_text(rng, for_evaluation, longest)
        limit = min(band * .8, width * 1.3 / max(2, len(text)))
        pixels = int(limit * rng.uniform(.5, 1))
        line = make_line(rng, text, fonts, background, max(8, pixels))
        while line.width > width * .94 or line.height > band * .92:
            pixels = int(pixels * .85)
            line = make_line(rng, text, fonts, background, max(6, pixels))
        x = rng.uniform(line.width / 2 + 2, width - line.width / 2 - 2)
        y = index * band + rng.uniform(line.height / 2 + 1, band - line.height / 2 - 1)
        lines.append(replace(line, x=x, y=y))
    return Scene(width, height, background, (), tuple(lines))


def small_text_scene(rng: Random, fonts: Fonts, size: tuple[int, int], tiles: tuple[int, int], refined: float,
                     for_evaluation: bool) -> Scene:
    """Things and one small line that lies within one tile of the grid (columns, rows). `refined` is the factor by which
    the picture is scaled before it is cut, so that the font is 15 to 21 pixels large in the slice."""
    width, height = size
    background = random_background(rng)
    text = random_text(rng, for_evaluation)
    line = make_line(rng, text, fonts, background, max(8, round(rng.uniform(15, 21) / refined)))
    tile_width, tile_height = width / tiles[0], height / tiles[1]
    column, row = rng.randrange(tiles[0]), rng.randrange(tiles[1])
    margin = 3 / refined
    spare_x = max(0.0, tile_width - line.width - 2 * margin)
    spare_y = max(0.0, tile_height - line.height - 2 * margin)
    line = replace(line, x=column * tile_width + margin + line.width / 2 + rng.random() * spare_x,
                   y=row * tile_height + margin + line.height / 2 + rng.random() * spare_y)
    count = rng.choice([0, 1, 1, 2, 2, 3, 4])
    places = place_boxes(rng, count, width, height, [line_box(line)]) if count else []
    kinds = random_kinds(rng, len(places), colours_on(background, 115), rng.choice(["distinct", "any"]))
    return Scene(width, height, background, tuple(make_thing(rng, kind, *place) for kind, place in zip(kinds, places)),
                 (line,))


MOVES = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


def film(rng: Random, size: tuple[int, int], frames: int) -> tuple[list[Scene], Thing | None, str | None]:
    """Scenes in which one thing, or nothing, moves in a straight line; that thing and the direction."""
    width, height = size
    background = random_background(rng)
    if rng.random() < .7:
        background = replace(background, noise=0)
    count = rng.choice([1, 2, 2, 3])
    direction = rng.choice([*MOVES, *MOVES, None])
    colours = colours_on(background, 115)
    kinds = random_kinds(rng, count, colours, "distinct")
    short = min(width, height)
    size_of_mover = rng.uniform(.18, .32) * short
    dx, dy = MOVES[direction] if direction else (0, 0)
    span = rng.uniform(.35, .8)
    travel = ((width if dx else height) - size_of_mover * 1.15) * span
    margin = size_of_mover * .57
    free_x, free_y = width - 2 * margin - abs(dx) * travel, height - 2 * margin - abs(dy) * travel
    start_x = margin + rng.random() * free_x + (travel if dx < 0 else 0)
    start_y = margin + rng.random() * free_y + (travel if dy < 0 else 0)
    mover = make_thing(rng, kinds[0], start_x, start_y, size_of_mover)
    path: Box = (start_x + dx * travel / 2, start_y + dy * travel / 2,
                 size_of_mover / 2 + abs(dx) * travel / 2, size_of_mover / 2 + abs(dy) * travel / 2)
    still, boxes = [], [path]
    for kind in kinds[1:]:
        for _ in range(20):
            other = rng.uniform(.18, .3) * short
            x, y = rng.uniform(other * .57, width - other * .57), rng.uniform(other * .57, height - other * .57)
            if not overlaps((x, y, other / 2, other / 2), boxes):
                still.append(make_thing(rng, kind, x, y, other))
                boxes.append((x, y, other / 2, other / 2))
                break
    scenes = []
    for index in range(frames):
        along = travel * index / (frames - 1)
        moved = replace(mover, x=start_x + dx * along, y=start_y + dy * along)
        scenes.append(Scene(width, height, background, (*still, moved)))
    return scenes, (mover if direction else None), direction
