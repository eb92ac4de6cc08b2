"""Conversations about drawn pictures: what the model learns from and is judged by."""

import io
from dataclasses import dataclass, field, replace
from random import Random

from PIL import Image

from phrases import LANGUAGES, Speaker
from preprocess import SliceSettings, plan_slices
from prompt import Message, Options
from questions import (ABOUT_GROUPS, ABOUT_SMALL_TEXT, ABOUT_TEXT, ABOUT_THINGS, Group, Turn, compare, description, difference,
                       movement, no_picture, pick, read, read_small, talk)
from scenes import (COLOURS, SHAPES, Fonts, Line, Scene, Thing, colours_on, distance, draw, film, random_size, random_text,
                    replace_line_text, shade, small_text_scene, text_scene, things_scene)

VIDEO_OPTIONS = Options(max_slice_nums=2, use_image_id=False)


@dataclass
class Sample:
    """Pictures, what they show and what is asked about them, group by group."""

    pictures: list[Image.Image]
    scenes: list[Scene]
    groups: list[Group]
    options: Options = field(default_factory=Options)

    def turns(self) -> list[Turn]:
        return [turn for group in self.groups for turn in group]

    def messages(self, turns: list[Turn]) -> list[Message]:
        """A conversation. The first question brings all pictures that no other turn brings along."""
        claimed = {index for turn in turns for index in turn.pictures}
        messages = []
        for number, turn in enumerate(turns):
            brought = [index for index in range(len(self.pictures)) if index not in claimed] if number == 0 else turn.pictures
            messages.append(Message("user", [*(self.pictures[index] for index in brought), turn.question]))
            messages.append(Message("assistant", [turn.answer]))
        return messages


class SampleMaker:
    """Makes samples of every kind. Deterministic given the random generator and the fonts."""

    def __init__(self, fonts: Fonts, settings: SliceSettings, for_evaluation: bool):
        self.fonts = fonts
        self.settings = settings
        self.for_evaluation = for_evaluation

    def make(self, rng: Random, kind: str, groups: int, level: float = 1.0) -> Sample:
        """One sample of a kind (things, groups, text, small_text, pair, large_pair, video, talk) with about that many groups of questions.
        The level, 0 to 1, is how hard it may be."""
        return getattr(self, f"_{kind}")(rng, groups, level)

    def speaker(self, rng: Random) -> Speaker:
        return Speaker(rng.choice(LANGUAGES), rng)

    def size(self, rng: Random, level: float) -> tuple[int, int]:
        """Mostly pictures of one slice, some of two to five, some of up to nine."""
        draw_from = rng.random()
        if draw_from > 1 - .14 * level:
            return random_size(rng, self.settings.scale_resolution, 5, 14)
        if draw_from > 1 - .40 * level:
            return random_size(rng, self.settings.scale_resolution, 1.02, 5)
        return random_size(rng, self.settings.scale_resolution, .25, 1)

    def picture(self, rng: Random, scene: Scene) -> Image.Image:
        picture = draw(scene, self.fonts)
        if rng.random() < .08 and picture.width * picture.height < 200_000:
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=rng.randint(60, 95))
            picture = Image.open(file).convert("RGB")
        return picture

    def _ask(self, rng: Random, scene: Scene, makers: list, groups: int) -> list[Group]:
        speaker = self.speaker(rng)
        return [pick(makers, scene, speaker if rng.random() < .9 else self.speaker(rng), rng) for _ in range(groups)]

    def _things(self, rng: Random, groups: int, level: float) -> Sample:
        scene = things_scene(rng, self.fonts, self.size(rng, level), self.for_evaluation,
                             most=6 if rng.random() < level else rng.choice([1, 1, 2, 3]), text_share=.15 * level)
        return Sample([self.picture(rng, scene)], [scene], self._ask(rng, scene, ABOUT_THINGS, groups))

    def _groups(self, rng: Random, groups: int, level: float) -> Sample:
        """Several things of one kind beside several of another."""
        scene = things_scene(rng, self.fonts, self.size(rng, level), self.for_evaluation, text_share=.05 * level,
                             least=rng.choice([3, 4, 5, 6]), variety="groups")
        return Sample([self.picture(rng, scene)], [scene], self._ask(rng, scene, ABOUT_GROUPS, groups))

    def _text(self, rng: Random, groups: int, level: float) -> Sample:
        longest = 6 if rng.random() < level + .2 else 3
        scene = text_scene(rng, self.fonts, self.size(rng, level), self.for_evaluation, longest=longest)
        asked = self._ask(rng, scene, ABOUT_TEXT, max(1, groups - 2))
        if rng.random() < .4:  # the whole text first: the most letters for one picture
            asked.insert(0, read(scene, self.speaker(rng), rng))
        return Sample([self.picture(rng, scene)], [scene], asked)

    def _small_text(self, rng: Random, groups: int, level: float) -> Sample:
        size = random_size(rng, self.settings.scale_resolution, 6, rng.choice([12, 12, 30, 70]), widest=1.8)
        plan = plan_slices(*size, self.settings)
        scene = small_text_scene(rng, self.fonts, size, plan.grid, plan.refined[0] / size[0], self.for_evaluation)
        asked = self._ask(rng, scene, ABOUT_SMALL_TEXT, max(1, groups - 2))
        if rng.random() < .7:
            asked.insert(0, read_small(scene, self.speaker(rng), rng))
        return Sample([self.picture(rng, scene)], [scene], asked)

    def _large_pair(self, rng: Random, groups: int, level: float) -> Sample:
        """Two pictures of several slices each."""
        return self._pair(rng, groups, level, random_size(rng, self.settings.scale_resolution, 1.02, 5))

    def _pair(self, rng: Random, groups: int, level: float, given: tuple[int, int] | None = None) -> Sample:
        size = given or self.size(rng, .25 * level)  # drawn anew at each try: the held-out set depends on it
        speaker = self.speaker(rng)
        choice = rng.random()
        if choice < .45:
            scenes, before, after = self._changed(rng, size)
            asked = [difference(before, after, speaker, rng)]
        elif choice < .55:
            scenes = self._two(rng, size)
            texts = [description(scene, speaker) for scene in scenes]
            if None in texts:
                return self._pair(rng, groups, level, given)
            asked = [[Turn("describe", speaker.ask("describe"), texts[0]),
                      Turn("two_pictures", speaker.ask("and_this"), texts[1], pictures=(1,))]]
        else:
            scenes = self._two(rng, size)
            asked = []
        for _ in range(groups - len(asked)):
            group = compare(scenes, speaker, rng)
            asked += [group] if group else []
        if not asked:
            return self._pair(rng, groups, level, given)
        return Sample([self.picture(rng, scene) for scene in scenes], list(scenes), asked)

    def _two(self, rng: Random, size: tuple[int, int]) -> tuple[Scene, Scene]:
        """Two independent pictures, often about the same colours and shapes."""
        first = things_scene(rng, self.fonts, size, self.for_evaluation, most=5, text_share=.05)
        second = things_scene(rng, self.fonts, size if rng.random() < .7 else self.size(rng, 0), self.for_evaluation,
                              most=5, text_share=.05)
        if first.things and rng.random() < .6:
            palette = set(colours_on(second.background, 115))
            things = [replace(thing, shape=rng.choice(first.things).shape if rng.random() < .6 else thing.shape)
                      for thing in second.things]
            shared = rng.choice(first.things).colour
            if shared in palette:
                things = [replace(thing, colour=shared, rgb=shade(rng, shared)) if rng.random() < .4 else thing
                          for thing in things]
            second = replace(second, things=tuple(things))
        return first, second

    def _changed(self, rng: Random, size: tuple[int, int]) -> tuple[tuple[Scene, Scene], Thing | Line | None, Thing | Line | None]:
        """Two pictures alike but for one part, that part before and after. Both are None when nothing differs."""
        scene = things_scene(rng, self.fonts, size, self.for_evaluation, most=4, text_share=.15)
        choice = rng.random()
        if scene.lines and choice < .6:
            line = scene.lines[0]
            other = replace_line_text(line, random_text(rng, self.for_evaluation, len(line.text)), self.fonts)
            if other.text != line.text and other.width < size[0]:
                return (scene, replace(scene, lines=(other,))), line, other
        if not scene.things or choice < .15:
            return (scene, scene), None, None
        index = rng.randrange(len(scene.things))
        before = scene.things[index]
        rest = scene.things[:index] + scene.things[index + 1:]
        if choice < .3:
            after = None
        elif choice < .7:
            palette = [name for name in colours_on(scene.background, 115) if distance(COLOURS[name], before.rgb) > 60
                       and name != before.colour]
            if not palette:
                return (scene, scene), None, None
            colour = rng.choice(palette)
            after = replace(before, colour=colour, rgb=shade(rng, colour))
        else:
            after = replace(before, shape=rng.choice([name for name in SHAPES if name != before.shape]), upright=False)
        unlike = any((thing.colour, thing.shape) in [(part.colour, part.shape) for part in (before, after) if part]
                     for thing in rest)
        if unlike:  # another thing of that kind would make the answer ambiguous
            return (scene, scene), None, None
        changed = replace(scene, things=rest + ((after,) if after else ()))
        if rng.random() < .5:
            return (changed, scene), after, before
        return (scene, changed), before, after

    def _video(self, rng: Random, groups: int, level: float) -> Sample:
        one_slice = rng.random() < .75
        size = random_size(rng, self.settings.scale_resolution, .25 if one_slice else 1.05, 1 if one_slice else 3, widest=1.8)
        scenes, mover, direction = film(rng, size, rng.choice([4, 4, 5, 6, 6, 7, 8]))
        speaker = self.speaker(rng)
        asked = []
        while len(asked) < min(groups, 3):
            group = movement(scenes[0], mover, direction, speaker, rng)
            asked += [group] if group else []
        return Sample([draw(scene, self.fonts) for scene in scenes], scenes, asked, VIDEO_OPTIONS)

    def _talk(self, rng: Random, groups: int, level: float) -> Sample:
        speaker = self.speaker(rng)
        asked = [talk(None, speaker, rng) if rng.random() < .75 else no_picture(speaker, rng) for _ in range(min(groups, 3))]
        return Sample([], [], asked)
