"""Questions about scenes, with the answers that the scenes' descriptions give."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from phrases import NO_PICTURE, TALK, Speaker
from scenes import COLOURS, SHAPES, Line, Scene, Thing


@dataclass(frozen=True)
class Turn:
    """A question, its answer and the category it is judged in. `pictures` are the numbers of pictures it brings along."""

    category: str
    question: str
    answer: str
    pictures: tuple[int, ...] = ()


Group = list[Turn]  # turns that belong together, in order
Maker = Callable[[Scene, Speaker, Random], Group | None]


# What can be said about a scene


def count_of(scene: Scene, colour: str | None, shape: str | None) -> int:
    return sum((colour is None or thing.colour == colour) and (shape is None or thing.shape == shape)
               for thing in scene.things)


def reference(scene: Scene, thing: Thing, rng: Random) -> tuple[str | None, str | None] | None:
    """(colour, shape) that point at this thing alone, one of the two perhaps None."""
    options = [(colour, shape) for colour, shape in ((None, thing.shape), (thing.colour, thing.shape), (thing.colour, None))
               if count_of(scene, colour, shape) == 1]
    if not options:
        return None
    return options[0] if rng.random() < .5 else rng.choice(options)


def spaced(values: list[float], gap: float) -> bool:
    ordered = sorted(values)
    return all(b - a > gap for a, b in zip(ordered, ordered[1:]))


def in_order(scene: Scene) -> tuple[str, list[Thing]] | None:
    """`across` or `downwards` and the things in that order, if the order is plain."""
    if spaced([thing.x for thing in scene.things], .05 * scene.width):
        return "across", sorted(scene.things, key=lambda thing: thing.x)
    if spaced([thing.y for thing in scene.things], .05 * scene.height):
        xs = [thing.x for thing in scene.things]
        if max(xs) - min(xs) < .3 * scene.width:
            return "downwards", sorted(scene.things, key=lambda thing: thing.y)
    return None


def is_beside(scene: Scene, thing: Thing, other: Thing, side: str) -> bool | None:
    """Whether `thing` lies on that side of `other`; None where opinions may differ."""
    delta = {"left": (other.x - thing.x) / scene.width, "right": (thing.x - other.x) / scene.width,
             "above": (other.y - thing.y) / scene.height, "below": (thing.y - other.y) / scene.height}[side]
    return True if delta > .14 else False if delta < .07 else None


def region(scene: Scene, thing: Thing) -> str | None:
    """The ninth of the picture in which the thing's centre clearly lies."""
    def third(value: float) -> int | None:
        return 0 if value < .29 else 2 if value > .71 else 1 if .39 < value < .61 else None

    column, row = third(thing.x / scene.width), third(thing.y / scene.height)
    if column is None or row is None:
        return None
    return [["top left", "top", "top right"], ["left", "middle", "right"],
            ["bottom left", "bottom", "bottom right"]][row][column]


def description(scene: Scene, speaker: Speaker) -> str | None:
    texts = [describe_line(line, speaker) for line in scene.lines]
    if not scene.things:
        return speaker.answer("only", list=speaker.join(texts)) if texts else speaker.answer("nothing")
    order = in_order(scene)
    if order is None or len(texts) > 1:
        return None
    things = [speaker.a_noun(thing.colour, thing.shape) for thing in order[1]]
    key = order[0] if len(things) > 1 else "only"
    if texts and len(things) == 1:
        return speaker.answer("only", list=speaker.join(things + texts))
    text = speaker.answer(key, list=speaker.join(things))
    if texts:
        text += (" And " + texts[0] + ".") if speaker.english else f"还有{texts[0]}。"
    return text


def describe_line(line: Line, speaker: Speaker) -> str:
    if speaker.english:
        return ("the number " if line.text.isdigit() else "the word ") + speaker.quote(line.text)
    return ("数字" if line.text.isdigit() else "文字") + speaker.quote(line.text)


# One maker per kind of question. Each returns None where the scene does not allow it.


def describe(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    text = description(scene, speaker)
    if text is None:
        return None
    group = [Turn("describe", speaker.ask("describe"), text)]
    if len(scene.things) == 1 and not scene.lines:
        thing = scene.things[0]
        follow = rng.random()
        if follow < .2:
            group.append(Turn("follow_up", speaker.ask("colour_it"), speaker.answer("colour_it", colour=speaker.colour(thing.colour))))
        elif follow < .4 and region(scene, thing):
            group.append(Turn("follow_up", speaker.ask("where_it"),
                              speaker.answer("where_it", place=speaker.place(region(scene, thing)))))
    return group


def colour_answer(speaker: Speaker, what: str, thing: Thing) -> str:
    return speaker.answer("colour", what=what, colour=speaker.colour(thing.colour))


def colour(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    things = [thing for thing in scene.things if count_of(scene, None, thing.shape) == 1]
    if not things:
        return None
    rng.shuffle(things)
    what = speaker.noun(None, things[0].shape)
    group = [Turn("colour_shape", speaker.ask("colour", what=what), colour_answer(speaker, what, things[0]))]
    if len(things) > 1 and rng.random() < .5:
        other = speaker.noun(None, things[1].shape)
        question = (speaker.ask("and_other") if len(scene.things) == 2 and rng.random() < .6
                    else speaker.ask("and_what", what=other))
        group.append(Turn("follow_up", question, colour_answer(speaker, other, things[1])))
    return group


def shape(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    things = [thing for thing in scene.things if count_of(scene, thing.colour, None) == 1]
    if not things:
        return None
    rng.shuffle(things)

    def said(thing: Thing) -> str:
        return speaker.answer("shape", a_shape=speaker.a_noun(None, thing.shape), shape=speaker.noun(None, thing.shape))

    question = speaker.ask("shape", what=speaker.noun(things[0].colour, None))
    group = [Turn("colour_shape", question, said(things[0]))]
    if len(things) > 1 and rng.random() < .4:
        question = (speaker.ask("and_other") if len(scene.things) == 2 and rng.random() < .6
                    else speaker.ask("and_what", what=speaker.noun(things[1].colour, None)))
        group.append(Turn("follow_up", question, said(things[1])))
    return group


def single(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    if len(scene.things) != 1:
        return None
    thing = scene.things[0]
    if rng.random() < .5:
        return [Turn("colour_shape", speaker.ask("colour_it"), speaker.answer("colour_it", colour=speaker.colour(thing.colour)))]
    return [Turn("colour_shape", speaker.ask("shape_it"),
                 speaker.answer("shape", a_shape=speaker.a_noun(None, thing.shape), shape=speaker.noun(None, thing.shape)))]


def is_colour(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    things = [thing for thing in scene.things if count_of(scene, None, thing.shape) == 1]
    if not things:
        return None
    thing = rng.choice(things)
    asked = thing.colour if rng.random() < .5 else rng.choice(list(COLOURS))
    what = speaker.noun(None, thing.shape)
    key = "yes_colour" if asked == thing.colour else "no_colour"
    return [Turn("colour_shape", speaker.ask("is_colour", what=what, colour=speaker.colour(asked)),
                 speaker.answer(key, what=what, colour=speaker.colour(thing.colour)))]


def random_kind(scene: Scene, rng: Random, present: bool) -> tuple[str | None, str | None]:
    """(colour, shape) of something in the scene, or of something likely to be confused with it."""
    if scene.things and (present or rng.random() < .5):
        thing = rng.choice(scene.things)
        pair = [thing.colour, thing.shape]
        if not present:
            pair[rng.randrange(2)] = None
    else:
        pair = [None, None]
    return (pair[0] or rng.choice(list(COLOURS)), pair[1] or rng.choice(SHAPES))


def is_there(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    kind = random_kind(scene, rng, rng.random() < .5)
    asked = kind if rng.random() < .6 else (None, kind[1])
    there = count_of(scene, *asked) > 0
    what = {"what": speaker.noun(*asked), "a_what": speaker.a_noun(*asked)}
    return [Turn("colour_shape" if there else "absent", speaker.ask("is_there", **what),
                 speaker.answer("yes_there" if there else "no_there", **what))]


def background(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    name = scene.background.name
    if name is None:
        return None
    return [Turn("colour_shape", speaker.ask("background"), speaker.answer("background", colour=speaker.colour(name)))]


def count_answer(speaker: Speaker, number: int, asked: tuple[str | None, str | None]) -> str:
    if number == 1:
        return speaker.answer("count_one", what=speaker.noun(*asked))
    return speaker.answer("count" if number else "count_none", what=speaker.nouns(*asked), count=str(number))


def count(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    def choose() -> tuple[str | None, str | None]:
        kind = random_kind(scene, rng, rng.random() < .85)
        return rng.choice([(None, kind[1]), (None, kind[1]), (kind[0], None), kind, (None, None)])

    asked = choose()
    group = [Turn("counting", speaker.ask("count", what=speaker.nouns(*asked)),
                  count_answer(speaker, count_of(scene, *asked), asked))]
    if rng.random() < .35:
        other = choose()
        if other != asked:
            group.append(Turn("follow_up", speaker.ask("and_count", what=speaker.nouns(*other)),
                              count_answer(speaker, count_of(scene, *other), other)))
    return group


def where(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    clear = [thing for thing in scene.things if region(scene, thing) and reference(scene, thing, rng)]
    if not clear:
        return None
    rng.shuffle(clear)

    def said(thing: Thing) -> tuple[str, str]:
        what = speaker.noun(*reference(scene, thing, rng))
        return what, speaker.answer("where", what=what, place=speaker.place(region(scene, thing)))

    what, answer = said(clear[0])
    group = [Turn("position", speaker.ask("where", what=what), answer)]
    if len(clear) > 1 and rng.random() < .4:
        other, answer = said(clear[1])
        group.append(Turn("follow_up", speaker.ask("and_what", what=other), answer))
    return group


def beside(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    if not 2 <= len(scene.things) <= 5:
        return None
    other = rng.choice(scene.things)
    named = reference(scene, other, rng)
    side = rng.choice(["left", "right", "above", "below"])
    relations = [is_beside(scene, thing, other, side) for thing in scene.things if thing is not other]
    if named is None or None in relations or sum(relations) > 1:
        return None
    words = {"what": speaker.noun(*named), "side": speaker.side(side)}
    found = next((thing for thing in scene.things if thing is not other and is_beside(scene, thing, other, side)), None)
    answer = (speaker.answer("nothing_beside", **words) if found is None
              else speaker.answer("only", list=speaker.a_noun(found.colour, found.shape)))
    return [Turn("position", speaker.ask("beside", **words), answer)]


def which_side(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    """What is furthest left, right, up or down, and then at the other end."""
    if not 2 <= len(scene.things) <= 4:
        return None
    across = rng.random() < .65
    key = (lambda thing: thing.x / scene.width) if across else (lambda thing: thing.y / scene.height)
    ordered = sorted(scene.things, key=key)
    if key(ordered[1]) - key(ordered[0]) < .14 or key(ordered[-1]) - key(ordered[-2]) < .14:
        return None
    ends = [("left", ordered[0]), ("right", ordered[-1])] if across else [("top", ordered[0]), ("bottom", ordered[-1])]
    rng.shuffle(ends)
    chinese = {"left": "左边", "right": "右边", "top": "上面", "bottom": "下面"}
    names = [name if speaker.english else chinese[name] for name, _ in ends]
    answers = [speaker.answer("only", list=speaker.a_noun(thing.colour, thing.shape)) for _, thing in ends]
    group = [Turn("position", speaker.ask("which_side" if across else "which_height", side=names[0]), answers[0])]
    if across and rng.random() < .5:
        group.append(Turn("follow_up", speaker.ask("and_side", side=names[1]), answers[1]))
    return group


OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}


def relation(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    if len(scene.things) < 2:
        return None
    thing, other = rng.sample(scene.things, 2)
    first, second = reference(scene, thing, rng), reference(scene, other, rng)
    sides = [side for side in OPPOSITE if is_beside(scene, thing, other, side)]
    if first is None or second is None or not sides:
        return None
    side = rng.choice(sides)
    words = {"what": speaker.noun(*first), "other": speaker.noun(*second)}
    if rng.random() < .55:
        asked = side if rng.random() < .5 else OPPOSITE[side]
        answer = speaker.answer("yes_beside" if asked == side else "no_beside", side=speaker.side(side), **words)
        return [Turn("position", speaker.ask("is_beside", side=speaker.side(asked), **words), answer)]
    if len(sides) > 1:
        return None
    ends = [side, OPPOSITE[side]]
    rng.shuffle(ends)
    shown = speaker.side(ends[0]).removesuffix(" of") if speaker.english else speaker.side(ends[0])
    return [Turn("position", speaker.ask("relation", side=shown, opposite=speaker.side(ends[1]), **words),
                 speaker.answer("relation", side=speaker.side(side), **words))]


def read(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    if not scene.lines:
        return None
    return [Turn("reading", speaker.ask("read"),
                 speaker.answer("read", list=speaker.join([speaker.quote(line.text) for line in scene.lines])))]


def read_number(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    numbers = [line for line in scene.lines if line.text.isdigit()]
    if len(numbers) != 1:
        return None
    return [Turn("reading", speaker.ask("read_number"), speaker.answer("read_number", text=numbers[0].text))]


def read_line(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    names = {2: ["top", "bottom"], 3: ["top", "middle", "bottom"]}.get(len(scene.lines))
    if names is None:
        return None
    places = rng.sample(range(len(names)), 2)
    answers = [speaker.answer("read", list=speaker.quote(scene.lines[place].text)) for place in places]
    group = [Turn("reading", speaker.ask("read_line", line=speaker.line(names[places[0]])), answers[0])]
    if rng.random() < .5:
        group.append(Turn("follow_up", speaker.ask("and_line", line=speaker.line(names[places[1]])), answers[1]))
    return group


def read_small(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    """For scenes with one small line."""
    line = scene.lines[0]
    if line.text.isdigit() and rng.random() < .4:
        return [Turn("small_text", speaker.ask("read_number"), speaker.answer("read_number", text=line.text))]
    return [Turn("small_text", speaker.ask(rng.choice(["read", "read_small"])),
                 speaker.answer("read", list=speaker.quote(line.text)))]


def text_colour(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    if len(scene.lines) != 1:
        return None
    return [Turn("colour_shape", speaker.ask("text_colour"), speaker.answer("text_colour", colour=speaker.colour(scene.lines[0].colour)))]


def absent(scene: Scene, speaker: Speaker, rng: Random) -> Group | None:
    """A question about something that is not there."""
    if not scene.lines and rng.random() < .25:
        if rng.random() < .7:
            return [Turn("absent", speaker.ask(rng.choice(["read", "read", "read_small", "text_colour"])), speaker.answer("no_text"))]
        return [Turn("absent", speaker.ask("read_number"), speaker.answer("no_number"))]
    kind = random_kind(scene, rng, False)
    choice = rng.random()
    asked, key = (((None, kind[1]), "colour") if choice < .45 else ((kind[0], None), "shape") if choice < .6
                  else ((None, kind[1]), "where") if choice < .8 else (kind, "where"))
    if count_of(scene, *asked):
        return None
    what = speaker.noun(*asked)
    return [Turn("absent", speaker.ask(key, what=what), speaker.answer("absent", what=what))]


def talk(scene: Scene | None, speaker: Speaker, rng: Random) -> Group:
    english, english_answer, chinese, chinese_answer = rng.choice(TALK)
    if speaker.english:
        return [Turn("greeting", speaker.vary(rng.choice(english)), english_answer)]
    return [Turn("greeting", speaker.vary(rng.choice(chinese)), chinese_answer)]


def no_picture(speaker: Speaker, rng: Random) -> Group:
    """A question about a picture where none was sent."""
    shape_name = speaker.noun(None, rng.choice(SHAPES))
    key = rng.choice(["describe", "describe", "colour", "count", "read", "where"])
    question = speaker.ask(key, what=shape_name if key != "count" or not speaker.english else shape_name + "s")
    return [Turn("absent", question, NO_PICTURE[speaker.language])]


ABOUT_THINGS: list[tuple[Maker, float]] = [
    (describe, 3), (colour, 3), (shape, 2), (single, 2), (is_colour, 1), (is_there, 1.2), (background, .6), (count, 4),
    (where, 2), (beside, 2.5), (which_side, 2), (relation, 2), (read, 1), (read_number, .5), (text_colour, .3),
    (absent, 1.3), (talk, .1)]
ABOUT_GROUPS: list[tuple[Maker, float]] = [(count, 6), (is_there, .5), (is_colour, .3), (absent, .5), (background, .2)]
ABOUT_TEXT: list[tuple[Maker, float]] = [
    (read, 4), (read_number, 2), (read_line, 4), (describe, 1.5), (text_colour, .5), (background, .3), (absent, .5), (talk, .05)]
ABOUT_SMALL_TEXT: list[tuple[Maker, float]] = [
    (read_small, 5), (describe, 1), (colour, .7), (count, .7), (where, .4), (beside, .3), (text_colour, .3), (absent, .4)]


# Two pictures


def compare(scenes: tuple[Scene, Scene], speaker: Speaker, rng: Random) -> Group | None:
    """A question about two pictures that differ anyhow."""
    choice = rng.random()
    kind = random_kind(rng.choice(scenes), rng, rng.random() < .8)
    if choice < .4:
        asked = rng.choice([(None, kind[1]), (None, kind[1]), (kind[0], None), (None, None)])
        counts = [count_of(scene, *asked) for scene in scenes]
        what = speaker.nouns(*asked)
        answer = (speaker.answer("equal", what=what) if counts[0] == counts[1]
                  else speaker.answer("which", which=speaker.which(counts[1] > counts[0])))
        return [Turn("two_pictures", speaker.ask("more", what=what), answer)]
    if choice < .7:
        asked = rng.choice([(None, kind[1]), kind])
        has = [count_of(scene, *asked) > 0 for scene in scenes]
        words = {"what": speaker.noun(*asked), "a_what": speaker.a_noun(*asked)}
        answer = (speaker.answer("both", **words) if all(has) else speaker.answer("neither", **words) if not any(has)
                  else speaker.answer("which", which=speaker.which(has[1])))
        return [Turn("two_pictures", speaker.ask("which_has", **words), answer)]
    first = rng.randrange(2)
    if choice < .88:
        texts = [description(scene, speaker) for scene in scenes]
        if texts[first] is None:
            return None
        group = [Turn("two_pictures", speaker.ask("describe_one", which=speaker.which(first)), texts[first])]
        if texts[1 - first] and rng.random() < .6:
            group.append(Turn("two_pictures", speaker.ask("and_one", which=speaker.which(1 - first)), texts[1 - first]))
        return group
    shapes = [name for name in SHAPES if count_of(scenes[first], None, name) == 1]
    if not shapes:
        return None
    asked_shape = rng.choice(shapes)
    thing = next(thing for thing in scenes[first].things if thing.shape == asked_shape)
    what = speaker.noun(None, asked_shape)
    return [Turn("two_pictures", speaker.ask("colour_one", what=what, which=speaker.which(first)),
                 colour_answer(speaker, what, thing))]


def difference(before: Thing | Line | None, after: Thing | Line | None, speaker: Speaker, rng: Random) -> Group:
    """Questions about two pictures of which one part differs (or none, when both are None)."""
    if before is None and after is None:
        told, same = speaker.answer("same"), speaker.answer("yes_same")
    else:
        same = speaker.answer("no_same")
        names = [_name(part, speaker) if part else None for part in (before, after)]
        if None in names:
            index = 0 if before else 1
            told = speaker.answer("only_one", which=speaker.which(index), what=names[index], a_what=names[index])
        else:
            told = speaker.answer("difference", first=names[0], second=names[1])
    group = [Turn("two_pictures", speaker.ask("difference"), told), Turn("two_pictures", speaker.ask("same"), same)]
    rng.shuffle(group)
    return group[:rng.choice([1, 2])]


def _name(part: Thing | Line, speaker: Speaker) -> str:
    return describe_line(part, speaker) if isinstance(part, Line) else speaker.a_noun(part.colour, part.shape)


# Films


def movement(scene: Scene, mover: Thing | None, direction: str | None, speaker: Speaker, rng: Random) -> Group | None:
    """A question about a film that begins with `scene`, whose last thing is the mover."""
    choice = rng.random()
    way = speaker.direction(direction) if direction else ""
    name = speaker.noun(mover.colour, mover.shape) if mover else ""
    if choice < .5:
        answer = speaker.answer("moves", what=name, direction=way) if mover else speaker.answer("no_move")
        return [Turn("video", speaker.ask("moves"), answer)]
    thing = rng.choice(scene.things)
    asked = speaker.noun(*(reference(scene, thing, rng) or (thing.colour, thing.shape)))
    moves = mover is not None and thing is scene.things[-1]
    if choice < .75:
        answer = speaker.answer("moves" if moves else "still", what=asked, direction=way)
        return [Turn("video", speaker.ask("moves_way", what=asked), answer)]
    if choice < .9:
        answer = speaker.answer("yes_moves" if moves else "not_moves", what=asked, direction=way)
        return [Turn("video", speaker.ask("does_move", what=asked), answer)]
    if mover is None or len(scene.things) != 2:
        return None
    rest = scene.things[0]
    return [Turn("video", speaker.ask("still"), speaker.answer("still", what=speaker.noun(rest.colour, rest.shape)))]


def pick(makers: list[tuple[Maker, float]], scene: Scene, speaker: Speaker, rng: Random) -> Group:
    """A group of turns that the scene allows, by the makers' weights."""
    names, weights = zip(*makers)
    while True:
        group = rng.choices(names, weights)[0](scene, speaker, rng)
        if group is not None:
            return group
