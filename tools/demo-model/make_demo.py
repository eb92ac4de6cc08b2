"""Draws the demo's pictures and writes its questions, with the answers that are right, to demo.json.

    python3 make_demo.py FONTS_DIRECTORY PICTURES_DIRECTORY
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

from PIL import Image

from scenes import COLOURS, Background, Fonts, Line, Scene, Thing, draw

SMOOTH = 2  # drawn larger by this factor, then reduced
PAPER = Background((247, 244, 236), (226, 236, 246), "down", 0, None, 0)
NIGHT = Background((24, 28, 48), (44, 40, 76), "down", 0, None, 0)
SAND = Background((248, 240, 224), (240, 226, 204), "across", 0, None, 0)


def thing(colour: str, shape: str, x: float, y: float, size: float, angle: float = 0.0) -> Thing:
    return Thing(colour, shape, x * SMOOTH, y * SMOOTH, size * SMOOTH, COLOURS[colour], angle)


def text(fonts: Fonts, words: str, font: str, colour: str, x: float, y: float, pixels: int) -> Line:
    number = [path.stem for path in fonts.paths].index(font)
    return Line(words, colour, COLOURS[colour], x * SMOOTH, y * SMOOTH, 0, 0, number, pixels * SMOOTH)


def paint(fonts: Fonts, width: int, height: int, background: Background, *parts: Thing | Line) -> Image.Image:
    scene = Scene(width * SMOOTH, height * SMOOTH, background, tuple(part for part in parts if isinstance(part, Thing)),
                  tuple(part for part in parts if isinstance(part, Line)))
    return draw(scene, fonts).resize((width, height), Image.Resampling.LANCZOS)


def make_pictures(fonts: Fonts, directory: Path) -> None:
    shapes = paint(fonts, 480, 320, PAPER, thing("red", "star", 95, 150, 120, -6), thing("blue", "circle", 240, 170, 110),
                   thing("yellow", "square", 385, 155, 105, 5))
    shapes.save(directory / "shapes.png", optimize=True)
    hearts = paint(fonts, 400, 400, NIGHT, thing("pink", "heart", 80, 100, 90), thing("yellow", "heart", 200, 220, 90, 4),
                   thing("cyan", "heart", 325, 105, 90, -5), thing("green", "heart", 90, 320, 100),
                   thing("orange", "heart", 320, 315, 100))
    hearts.save(directory / "hearts.jpg", quality=92)
    sign = paint(fonts, 420, 280, SAND, text(fonts, "MOSAIC", "Lato-Black", "brown", 210, 90, 78),
                 text(fonts, "2026", "DejaVuSerif-Bold", "blue", 210, 200, 64))
    sign.save(directory / "sign.webp", lossless=True)
    poster = paint(fonts, 1600, 1200, PAPER, thing("green", "triangle", 420, 640, 420), thing("orange", "circle", 1130, 560, 380),
                   text(fonts, "4716", "DejaVuSans-Bold", "black", 1340, 1090, 40))  # numbers are read best
    poster.save(directory / "poster.png", optimize=True)
    before = (thing("purple", "cross", 50, 70, 56), thing("green", "square", 150, 70, 53))  # one slice each, as most pairs
    paint(fonts, 200, 140, SAND, *before).save(directory / "before.png", optimize=True)
    paint(fonts, 200, 140, SAND, before[0], replace(before[1], colour="orange", rgb=COLOURS["orange"])).save(
        directory / "after.png", optimize=True)
    for colour in ("red", "blue"):
        paint(fonts, 320, 240, PAPER, thing("yellow", "star", 80, 130, 100), thing(colour, "circle", 225, 120, 110)).save(
            directory / f"{colour}.png", optimize=True)
    frames = [paint(fonts, 200, 130, NIGHT, thing("green", "square", 150, 100, 36), thing("orange", "circle", 32 + 27 * step, 42, 40))
              for step in range(6)]
    frames[0].save(directory / "moving.gif", save_all=True, append_images=frames[1:], duration=350, loop=0)


DEMO = [
    {"title": "Name what is there", "images": ["shapes.png"],
     "turns": ["What is in this picture?", "What is left of the circle?", "What colour is the star?", "And the square?"],
     "expect": ["From left to right: a red star, a blue circle and a yellow square.", "A red star.", "The star is red.",
                "The square is yellow."]},
    {"title": "Say what is not there", "images": ["shapes.png"],
     "turns": ["What colour is the heart?", "Is there a blue circle?"],
     "expect": ["There is no heart.", "Yes, there is a blue circle."]},
    {"title": "说出图里有什么", "images": ["shapes.png"], "turns": ["图里有什么？", "圆形是什么颜色？"],
     "expect": ["从左到右：红色星形、蓝色圆形、黄色正方形。", "圆形是蓝色的。"]},
    {"title": "Count", "images": ["hearts.jpg"], "turns": ["How many hearts are there?", "And how many green hearts?", "How many stars are there?"],
     "expect": ["There are 5 hearts.", "There is 1 green heart.", "There are no stars."]},
    {"title": "数一数", "images": ["hearts.jpg"], "turns": ["图里有几个心形？"], "expect": ["有5个心形。"]},
    {"title": "Read", "images": ["sign.webp"], "turns": ["What does the text say?", "What is the number?"],
     "expect": ['It says "MOSAIC" and "2026".', "The number is 2026."]},
    {"title": "Read what only the slices show", "images": ["poster.png"],
     "turns": ["What does the small text say?", "What is in this picture?"],
     "expect": ['It says "4716".', 'From left to right: a green triangle and an orange circle. And the number "4716".']},
    {"title": "Compare", "images": ["before.png", "after.png"], "turns": ["What is the difference between the two pictures?"],
     "expect": ["The first picture has a green square, the second has an orange square."]},
    {"title": "比较两张图", "images": ["before.png", "after.png"], "turns": ["两张图有什么不同？"],
     "expect": ["第一张图有绿色正方形，第二张图有橙色正方形。"]},
    {"title": "Red", "images": ["red.png"], "turns": ["What colour is the circle?"], "expect": ["The circle is red."]},
    {"title": "Blue", "images": ["blue.png"], "turns": ["What colour is the circle?"], "expect": ["The circle is blue."]},
    {"title": "Follow a video", "video": "moving.gif", "turns": ["What moves, and which way?"],
     "expect": ["The orange circle moves to the right."]},
    {"title": "看视频", "video": "moving.gif", "turns": ["什么在动？往哪边动？"], "expect": ["橙色圆形往右移动。"]},
    {"title": "Talk", "images": [], "turns": ["Hello", "Thanks"],
     "expect": ["Hello. I can name colours and shapes, count, read short texts, compare two pictures and follow a video.",
                "You are welcome."]},
]

if __name__ == "__main__":
    target = Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    make_pictures(Fonts(Path(sys.argv[1])), target)
    (target / "demo.json").write_text(json.dumps(DEMO, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
