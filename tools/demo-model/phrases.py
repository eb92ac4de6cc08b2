"""The words of the questions and answers, in English and Chinese."""

from random import Random

LANGUAGES = ("en", "zh")

COLOUR_NAMES = {"red": "红色", "green": "绿色", "blue": "蓝色", "yellow": "黄色", "orange": "橙色", "purple": "紫色",
                "black": "黑色", "white": "白色", "grey": "灰色", "pink": "粉色", "brown": "棕色", "cyan": "青色"}
SHAPE_NAMES = {"circle": "圆形", "square": "正方形", "triangle": "三角形", "star": "星形", "rectangle": "长方形",
               "diamond": "菱形", "cross": "十字形", "heart": "心形"}
SIDES = {"left": "左边", "right": "右边", "above": "上面", "below": "下面"}
PLACES = {"top left": "左上角", "top": "上方", "top right": "右上角", "left": "左边", "middle": "中间", "right": "右边",
          "bottom left": "左下角", "bottom": "下方", "bottom right": "右下角"}
DIRECTIONS = {"left": "左", "right": "右", "up": "上", "down": "下"}
LINES = {"top": "第一行", "middle": "中间一行", "bottom": "最后一行"}
ORDINALS = {"first": "第一张", "second": "第二张"}

QUESTIONS: dict[str, dict[str, list[str]]] = {
    "describe": {
        "en": ["What is in this picture?", "What is in the picture?", "What's in this image?", "What is in the image?",
               "What do you see?", "What can you see?", "Describe the picture.", "Describe this picture in a sentence.",
               "Describe the image in one sentence.", "What does the picture show?", "What do you see in the picture?",
               "Please describe this picture.", "What is this?", "What is shown here?", "Describe the image in detail."],
        "zh": ["图里有什么？", "这张图里有什么？", "图片里有什么？", "描述一下这张图。", "你看到了什么？", "请描述这张图片。",
               "这是什么？", "用一句话描述这张图片。", "图中有什么？", "这张图片里有什么？", "图上有什么？"]},
    "colour": {
        "en": ["What colour is the {what}?", "What color is the {what}?", "Which colour is the {what}?",
               "What is the colour of the {what}?", "What is the color of the {what}?", "The {what} is what colour?",
               "Tell me the colour of the {what}."],
        "zh": ["{what}是什么颜色？", "{what}是什么颜色的？", "{what}的颜色是什么？", "请问{what}是什么颜色？", "图里的{what}是什么颜色？"]},
    "colour_it": {"en": ["What colour is it?", "What color is it?", "Which colour does it have?", "And its colour?"],
                  "zh": ["它是什么颜色？", "它是什么颜色的？", "是什么颜色？"]},
    "shape": {
        "en": ["What shape is the {what}?", "Which shape is the {what}?", "What is the shape of the {what}?",
               "What kind of shape is the {what}?"],
        "zh": ["{what}是什么形状？", "{what}是什么形状的？", "{what}的形状是什么？"]},
    "shape_it": {"en": ["What shape is it?", "Which shape is it?", "What shape is this?", "What shape is in the picture?"],
                 "zh": ["它是什么形状？", "是什么形状？", "这是什么形状？", "图里是什么形状？"]},
    "is_colour": {"en": ["Is the {what} {colour}?", "Is the colour of the {what} {colour}?"],
                  "zh": ["{what}是{colour}的吗？", "{what}是{colour}吗？"]},
    "is_there": {"en": ["Is there {a_what}?", "Is there {a_what} in the picture?", "Do you see {a_what}?",
                        "Can you see {a_what}?", "Does the picture show {a_what}?"],
                 "zh": ["有{what}吗？", "图里有{what}吗？", "你能看到{what}吗？", "这张图里有{what}吗？"]},
    "background": {"en": ["What colour is the background?", "What color is the background?", "What is the background colour?"],
                   "zh": ["背景是什么颜色？", "背景是什么颜色的？"]},
    "count": {"en": ["How many {what} are there?", "How many {what} are in the picture?", "How many {what} do you see?",
                     "How many {what} can you see?", "Count the {what}.", "How many {what}?"],
              "zh": ["有几个{what}？", "图里有几个{what}？", "一共有几个{what}？", "有多少个{what}？", "数一数有几个{what}。",
                     "图中有多少个{what}？"]},
    "and_count": {"en": ["And {what}?", "And how many {what}?", "What about {what}?"], "zh": ["{what}呢？", "那{what}呢？"]},
    "where": {"en": ["Where is the {what}?", "Where is the {what} in the picture?", "In which part of the picture is the {what}?"],
              "zh": ["{what}在哪里？", "{what}在图的什么位置？", "{what}在什么地方？"]},
    "where_it": {"en": ["Where is it?", "And where is it?"], "zh": ["它在哪里？", "在什么位置？"]},
    "beside": {
        "en": ["What is {side} the {what}?", "What do you see {side} the {what}?", "Which object is {side} the {what}?"],
        "zh": ["{what}的{side}是什么？", "{what}的{side}有什么？", "{what}{side}是什么？"]},
    "which_side": {
        "en": ["What is on the {side}?", "What is on the {side} side?", "Which object is on the {side}?", "What do you see on the {side}?"],
        "zh": ["{side}是什么？", "{side}有什么？", "图的{side}是什么？"]},
    "which_height": {"en": ["What is at the {side}?", "Which object is at the {side}?"],
                     "zh": ["最{side}是什么？", "图的最{side}是什么？"]},
    "and_side": {"en": ["And on the {side}?", "What about the {side}?"], "zh": ["{side}呢？", "那{side}呢？"]},
    "is_beside": {"en": ["Is the {what} {side} the {other}?"], "zh": ["{what}在{other}的{side}吗？"]},
    "relation": {"en": ["Is the {what} {side} or {opposite} the {other}?", "Where is the {what}, seen from the {other}?"],
                 "zh": ["{what}在{other}的{side}还是{opposite}？", "{what}在{other}的什么方向？"]},
    "and_what": {"en": ["And the {what}?", "What about the {what}?", "And what about the {what}?"],
                 "zh": ["{what}呢？", "那{what}呢？"]},
    "and_other": {"en": ["And the other one?", "What about the other one?", "And the other?"],
                  "zh": ["另一个呢？", "那另一个呢？", "还有一个呢？"]},
    "read": {"en": ["What does the text say?", "What does it say?", "Read the text.", "What is written in the picture?",
                    "What is written here?", "What word is in the picture?", "Can you read the text?",
                    "What text is in the picture?", "Please read the text."],
             "zh": ["图里写了什么？", "上面写着什么？", "文字是什么？", "读一下文字。", "图上的文字是什么？", "图里的文字是什么？"]},
    "read_number": {"en": ["What is the number?", "Read the number.", "Which number is in the picture?", "What number do you see?",
                           "What number is it?"],
                    "zh": ["数字是多少？", "图里的数字是什么？", "图上的数字是多少？", "读出数字。"]},
    "read_small": {"en": ["What does the small text say?", "Read the small text.", "What is written in small letters?",
                          "Can you read the small print?"],
                   "zh": ["小字写了什么？", "小字是什么？", "读一下小字。"]},
    "read_line": {"en": ["What does the {line} line say?", "Read the {line} line.", "What is on the {line} line?"],
                  "zh": ["{line}写了什么？", "{line}是什么？", "读一下{line}。"]},
    "and_line": {"en": ["And the {line} line?", "And the {line} one?"], "zh": ["{line}呢？", "那{line}呢？"]},
    "text_colour": {"en": ["What colour is the text?", "What color is the text?", "What colour are the letters?"],
                    "zh": ["文字是什么颜色？", "字是什么颜色的？"]},
    "more": {"en": ["Which picture has more {what}?", "Which image has more {what}?", "In which picture are there more {what}?"],
             "zh": ["哪张图的{what}更多？", "哪张图片里的{what}更多？", "哪张图有更多{what}？"]},
    "difference": {"en": ["What is the difference?", "What is the difference between the two pictures?", "What is different?",
                          "What changed?", "Compare the two pictures.", "How do the pictures differ?"],
                   "zh": ["有什么不同？", "两张图有什么不同？", "两张图有什么区别？", "比较这两张图片。", "有什么变化？"]},
    "same": {"en": ["Are the two pictures the same?", "Are the pictures the same?", "Are they the same?"],
             "zh": ["两张图一样吗？", "这两张图片一样吗？", "它们一样吗？"]},
    "which_has": {"en": ["Which picture has {a_what}?", "Which image shows {a_what}?", "In which picture is there {a_what}?"],
                  "zh": ["哪张图有{what}？", "哪张图里有{what}？"]},
    "describe_one": {"en": ["What is in the {which} picture?", "Describe the {which} picture.", "What does the {which} image show?"],
                     "zh": ["{which}图里有什么？", "描述{which}图。", "{which}图片里有什么？"]},
    "colour_one": {"en": ["What colour is the {what} in the {which} picture?", "What color is the {what} in the {which} image?"],
                   "zh": ["{which}图里的{what}是什么颜色？"]},
    "and_one": {"en": ["And in the {which} picture?", "And in the {which} one?"], "zh": ["{which}图呢？", "那{which}图呢？"]},
    "and_this": {"en": ["And in this picture?", "And this one?", "What about this picture?", "And here?"],
                 "zh": ["这张图呢？", "那这张呢？", "这一张呢？"]},
    "moves": {"en": ["What moves, and which way?", "What moves and in which direction?", "What is moving?", "What moves?",
                     "What happens in the video?", "Describe the video.", "Which object moves, and which way?"],
              "zh": ["什么在动？往哪边动？", "什么在移动？", "什么东西在动，往哪个方向？", "视频里发生了什么？", "描述一下视频。", "什么在动？"]},
    "moves_way": {"en": ["Which way does the {what} move?", "Which way does the {what} go?", "In which direction does the {what} move?",
                         "Where does the {what} go?"],
                  "zh": ["{what}往哪边动？", "{what}往哪个方向移动？", "{what}朝哪里移动？"]},
    "does_move": {"en": ["Does the {what} move?", "Is the {what} moving?"], "zh": ["{what}在动吗？", "{what}动了吗？"]},
    "still": {"en": ["What does not move?", "What stays still?", "Which object stands still?"], "zh": ["什么没有动？", "什么不动？"]},
}

ANSWERS: dict[str, dict[str, str]] = {
    "across": {"en": "From left to right: {list}.", "zh": "从左到右：{list}。"},
    "downwards": {"en": "From top to bottom: {list}.", "zh": "从上到下：{list}。"},
    "only": {"en": "{list}.", "zh": "{list}。"},
    "nothing": {"en": "There is nothing in the picture.", "zh": "图里什么也没有。"},
    "colour": {"en": "The {what} is {colour}.", "zh": "{what}是{colour}的。"},
    "colour_it": {"en": "It is {colour}.", "zh": "它是{colour}的。"},
    "shape": {"en": "It is {a_shape}.", "zh": "它是{shape}。"},
    "yes_colour": {"en": "Yes, the {what} is {colour}.", "zh": "是的，{what}是{colour}的。"},
    "no_colour": {"en": "No, the {what} is {colour}.", "zh": "不是，{what}是{colour}的。"},
    "yes_there": {"en": "Yes, there is {a_what}.", "zh": "有，图里有{what}。"},
    "no_there": {"en": "No, there is no {what}.", "zh": "没有，图里没有{what}。"},
    "background": {"en": "The background is {colour}.", "zh": "背景是{colour}的。"},
    "count": {"en": "There are {count} {what}.", "zh": "有{count}个{what}。"},
    "count_one": {"en": "There is 1 {what}.", "zh": "有1个{what}。"},
    "count_none": {"en": "There are no {what}.", "zh": "没有{what}。"},
    "where": {"en": "The {what} is {place}.", "zh": "{what}在{place}。"},
    "where_it": {"en": "It is {place}.", "zh": "它在{place}。"},
    "nothing_beside": {"en": "There is nothing {side} the {what}.", "zh": "{what}的{side}没有东西。"},
    "yes_beside": {"en": "Yes, the {what} is {side} the {other}.", "zh": "是的，{what}在{other}的{side}。"},
    "no_beside": {"en": "No, the {what} is {side} the {other}.", "zh": "不是，{what}在{other}的{side}。"},
    "relation": {"en": "The {what} is {side} the {other}.", "zh": "{what}在{other}的{side}。"},
    "read": {"en": "It says {list}.", "zh": "文字是{list}。"},
    "read_number": {"en": "The number is {text}.", "zh": "数字是{text}。"},
    "text_colour": {"en": "The text is {colour}.", "zh": "文字是{colour}的。"},
    "absent": {"en": "There is no {what}.", "zh": "图里没有{what}。"},
    "no_text": {"en": "There is no text.", "zh": "图里没有文字。"},
    "no_number": {"en": "There is no number.", "zh": "图里没有数字。"},
    "which": {"en": "The {which} picture.", "zh": "{which}图。"},
    "equal": {"en": "Both pictures have the same number of {what}.", "zh": "两张图的{what}一样多。"},
    "neither": {"en": "Neither picture has {a_what}.", "zh": "两张图都没有{what}。"},
    "both": {"en": "Both pictures have {a_what}.", "zh": "两张图都有{what}。"},
    "difference": {"en": "The first picture has {first}, the second has {second}.", "zh": "第一张图有{first}，第二张图有{second}。"},
    "only_one": {"en": "Only the {which} picture has {a_what}.", "zh": "只有{which}图有{what}。"},
    "same": {"en": "The two pictures are the same.", "zh": "两张图一样。"},
    "yes_same": {"en": "Yes, they are the same.", "zh": "是的，它们一样。"},
    "no_same": {"en": "No, they are different.", "zh": "不，它们不一样。"},
    "moves": {"en": "The {what} moves {direction}.", "zh": "{what}往{direction}移动。"},
    "no_move": {"en": "Nothing moves.", "zh": "没有东西在动。"},
    "yes_moves": {"en": "Yes, the {what} moves {direction}.", "zh": "是的，{what}往{direction}移动。"},
    "not_moves": {"en": "No, the {what} does not move.", "zh": "不，{what}没有动。"},
    "still": {"en": "The {what} does not move.", "zh": "{what}没有动。"},
}

HELP = {"en": "I can name colours and shapes, count, read short texts, compare two pictures and follow a video.",
        "zh": "我可以说出颜色和形状、数数、读短文字、比较两张图片、看视频。"}
TALK: list[tuple[list[str], str, list[str], str]] = [  # English questions and answer, Chinese questions and answer
    (["Hello", "Hello!", "Hi", "Hi!", "Hi there", "Hey", "Good morning", "Good evening", "Hello there!"], "Hello. " + HELP["en"],
     ["你好", "你好！", "您好", "早上好", "你好呀", "嗨"], "你好。" + HELP["zh"]),
    (["What can you do?", "Who are you?", "Help", "What are you?", "How can you help me?", "What do you know?"], HELP["en"],
     ["你会做什么？", "你是谁？", "帮助", "你能做什么？", "你能帮我什么？"], HELP["zh"]),
    (["Thanks", "Thank you", "Thank you!", "Thanks a lot", "Thanks!", "Great, thanks"], "You are welcome.",
     ["谢谢", "谢谢你", "多谢", "谢谢！", "好的，谢谢"], "不客气。"),
    (["Bye", "Goodbye", "Bye bye", "See you", "Good night"], "Goodbye.", ["再见", "拜拜", "回头见", "晚安"], "再见。"),
    (["How are you?", "How are you doing?", "How is it going?"], "I am fine, thank you.", ["你好吗？", "你怎么样？", "最近好吗？"], "我很好，谢谢。"),
    (["What is the weather like?", "Tell me a joke.", "What is the capital of France?", "Who won the game?", "What time is it?",
      "Write a poem.", "Who painted this?", "What is 2 plus 3?", "Where was this taken?", "Translate this into French."],
     "I only know simple pictures. " + HELP["en"],
     ["今天天气怎么样？", "讲个笑话。", "法国的首都是哪里？", "现在几点？", "写一首诗。", "谁画的？", "这是在哪里拍的？"],
     "我只懂简单的图片。" + HELP["zh"]),
]
NO_PICTURE = {"en": "There is no picture.", "zh": "没有图片。"}

PLURALS = {"cross": "crosses", "object": "objects"}


def article(noun: str) -> str:
    return ("an " if noun[0] in "aeiou" else "a ") + noun


class Speaker:
    """Puts questions and answers in one language."""

    def __init__(self, language: str, rng: Random):
        self.language = language
        self.rng = rng
        self.english = language == "en"

    def colour(self, name: str) -> str:
        return name if self.english else COLOUR_NAMES[name]

    def noun(self, colour: str | None, shape: str | None) -> str:
        """`red circle`, `circle` or `red object`."""
        if self.english:
            return " ".join(word for word in (colour, shape or "object") if word)
        if shape is None:
            return (COLOUR_NAMES[colour] + "的" if colour else "") + "物体"
        return (COLOUR_NAMES[colour] if colour else "") + SHAPE_NAMES[shape]

    def nouns(self, colour: str | None, shape: str | None) -> str:
        if not self.english:
            return self.noun(colour, shape)
        plural = PLURALS.get(shape or "object") or f"{shape}s"
        return f"{colour} {plural}" if colour else plural

    def a_noun(self, colour: str | None, shape: str | None) -> str:
        return article(self.noun(colour, shape)) if self.english else self.noun(colour, shape)

    def join(self, items: list[str]) -> str:
        if not self.english:
            return "、".join(items)
        return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]

    def quote(self, text: str) -> str:
        return f'"{text}"' if self.english else f"“{text}”"

    def side(self, name: str) -> str:
        if not self.english:
            return SIDES[name]
        return f"{name} of" if name in ("left", "right") else name

    def place(self, name: str) -> str:
        if not self.english:
            return PLACES[name]
        return {"middle": "in the middle", "left": "on the left", "right": "on the right"}.get(name, f"at the {name}")

    def direction(self, name: str) -> str:
        if not self.english:
            return DIRECTIONS[name]
        return f"to the {name}" if name in ("left", "right") else name

    def line(self, name: str) -> str:
        return name if self.english else LINES[name]

    def which(self, index: int) -> str:
        name = list(ORDINALS)[index]
        return name if self.english else ORDINALS[name]

    def ask(self, key: str, **words: str) -> str:
        return self.vary(self.rng.choice(QUESTIONS[key][self.language]).format(**words))

    def answer(self, key: str, **words: str) -> str:
        text = ANSWERS[key][self.language].format(**words)
        return text[0].upper() + text[1:]

    def vary(self, text: str) -> str:
        """The same question as people also type it: in lower case, without its mark, with a `please`."""
        chance = self.rng.random
        if self.english:
            if chance() < .06:
                text = text.rstrip("?.") + ", please" + ("?" if text.endswith("?") else ".")
            if chance() < .15:
                text = text[0].lower() + text[1:]
            elif chance() < .02:
                text = text.upper()
        elif chance() < .1:
            text = text.replace("？", "?").replace("。", ".")
        if chance() < .15:
            text = text.rstrip("?？。.!！")
        return text
