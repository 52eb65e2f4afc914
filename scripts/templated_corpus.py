#!/usr/bin/env python
"""Writes a small English–Chinese corpus from templates: train, dev and test, each FOLDER/SPLIT.en and FOLDER/SPLIT.zh.

Every sentence has one right translation, so that whatever a search gets wrong is seen sentence by sentence.

    scripts/templated_corpus.py FOLDER
    nmt train data=text data.src=en data.tgt=zh data.train=FOLDER/train data.dev=FOLDER/dev data.test=FOLDER/test …
"""

import argparse
import random
from pathlib import Path

PEOPLE = {
    "I": "我", "You": "你", "She": "她", "He": "他", "We": "我们", "They": "他们",
    "My mother": "我的妈妈", "My father": "我的爸爸",
    "The teacher": "老师", "The doctor": "医生", "Our neighbour": "我们的邻居", "His brother": "他的哥哥",
}  # fmt: skip
DAYS = {
    "yesterday": "昨天", "last week": "上个星期", "last month": "上个月", "this morning": "今天早上", "on Monday": "星期一",
    "on Friday": "星期五", "two days ago": "两天前", "last year": "去年",
}  # fmt: skip
PLACES = {
    "in Beijing": "在北京", "in Shanghai": "在上海", "at the market": "在市场", "in the library": "在图书馆",
    "at school": "在学校", "in the park": "在公园里", "at the station": "在火车站", "in the hospital": "在医院",
}  # fmt: skip
COUNTED = {
    "books": "本书", "apples": "个苹果", "chairs": "把椅子", "horses": "匹马", "letters": "封信", "pictures": "张照片",
    "pens": "支笔", "cups of tea": "杯茶", "dogs": "只狗", "shirts": "件衬衫",
}  # fmt: skip
NUMBERS = {
    "two": "两",
    "three": "三",
    "four": "四",
    "five": "五",
    "six": "六",
    "seven": "七",
    "eight": "八",
    "nine": "九",
    "ten": "十",
}
VERBS = {"bought": "买了", "saw": "看见了", "sold": "卖了", "lost": "丢了", "found": "找到了", "counted": "数了"}
TAILS = {
    "": "", ", but nobody knew why": "，可是没有人知道为什么", ", and everybody was happy": "，大家都很高兴",
    ", because it was cheap": "，因为很便宜", ", although it was raining": "，虽然在下雨",
}  # fmt: skip


def pair(source: random.Random) -> tuple[str, str]:
    """A sentence and its translation."""

    def of(words: dict[str, str]) -> tuple[str, str]:
        return source.choice(list(words.items()))

    (who, wer), (verb, tat), (number, zahl), (what, was) = of(PEOPLE), of(VERBS), of(NUMBERS), of(COUNTED)
    (where, wo), (when, wann), (tail, ende) = of(PLACES), of(DAYS), of(TAILS)
    return f"{who} {verb} {number} {what} {where} {when}{tail}.", f"{wer}{wann}{wo}{tat}{zahl}{was}{ende}。"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, nargs=3, default=[20_000, 100, 100], metavar=("TRAIN", "DEV", "TEST"))
    parser.add_argument("--seed", type=int, default=1)
    parsed = parser.parse_args()
    parsed.folder.mkdir(parents=True, exist_ok=True)
    source = random.Random(parsed.seed)
    pairs = list(dict.fromkeys(pair(source) for _ in range(2 * sum(parsed.pairs))))
    for split, count in zip(("test", "dev", "train"), reversed(parsed.pairs), strict=True):
        chosen, pairs = pairs[:count], pairs[count:]
        for n, language in enumerate(("en", "zh")):
            text = "".join(f"{one[n]}\n" for one in chosen)
            (parsed.folder / f"{split}.{language}").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
