"""What of an item does a sentence speak of? Words of eighteen aspects in English and Chinese, and what a shop's own
shoppers speak of besides.

A clause names an aspect by a word of its list (`sleeve too long`: size) or by an opinion that implies one (`cheap`:
price). `mined` finds further aspects in the reviews themselves: words that stand beside opinions in many reviews of
several items (Hu and Liu 2004, without a parser), named by the word.
Cost: 10 us a sentence. Not for: attributes and their values (`understanding.facts`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from bodega.understanding.language import STOP_WORDS, detect, fold, stem, words
from bodega.understanding.reviews.lexicon import (
    DEGREE_EN,
    DEGREE_ZH,
    NEGATIONS_EN,
    NEGATIONS_ZH,
    Lexicon,
    squashed,
)

ASPECTS: Final[Mapping[str, tuple[str, str]]] = {
    "quality": (
        "quality material materials fabric cloth cotton leather stitching seam seams build construction"
        " workmanship durable durability sturdy flimsy craftsmanship well-made fade faded shrink tear torn ripped"
        " broke zipper",
        "质量 品质 材质 材料 面料 布料 做工 用料 质地 手感 正品 真品 假货 次品 结实 耐用 掉色 褪色 起球 缩水 开胶"
        " 线头 料子 粗糙",
    ),
    "size": (
        "size sizes sizing fit fits fitted fitting tight loose small large big long short length wide narrow"
        " waist sleeve sleeves snug roomy baggy",
        "尺码 尺寸 大小 偏大 偏小 码数 合身 合适 合脚 太大 太小 太长 太短 太紧 宽松 修身 长度 腰围 肥 号码",
    ),
    "price": (
        "price priced prices pricey cheap cheaper cheapest expensive overpriced cost costs money value bargain"
        " deal affordable worth dollars discount",
        "价格 价钱 便宜 贵 性价比 划算 实惠 价位 超值 物美价廉 优惠 降价 涨价 折扣 值得 不值 物有所值 物超所值",
    ),
    "delivery": (
        "delivery deliver delivered shipping shipped ship ships arrive arrived arrives courier package-late"
        " postage dispatch tracking",
        "物流 快递 发货 送货 到货 配送 派送 运输 速度快 收到货 邮费 运费 包邮 送到 及时 神速",
    ),
    "look": (
        "look looks looked looking color colors colour colours style stylish design beautiful pretty ugly cute"
        " pattern appearance gorgeous elegant flattering print sleek",
        "颜色 外观 款式 样式 漂亮 好看 美观 难看 色差 设计 造型 时尚 颜值 外形 图案 精致 大方 显瘦 版型",
    ),
    "comfort": (
        "comfort comfortable comfy comfortably uncomfortable soft softness itchy scratchy breathable breathes"
        " warm warmth cozy stiff cushion cushioning",
        "舒服 舒适 柔软 透气 保暖 暖和 磨脚 扎人 不舒服 贴身 软 硬 闷 凉快 厚实",
    ),
    "battery": (
        "battery batteries charge charger charging charges recharge mah",
        "电池 续航 充电 待机 耗电 电量 省电",
    ),
    "taste": (
        "taste tastes tasty flavor flavour flavors delicious bland sweet sour salty fresh freshness stale crunchy"
        " juicy yummy ripe",
        "味道 口感 好吃 难吃 新鲜 甜 酸 脆 水分 多汁 口味 香甜 美味 不新鲜 熟 烂 好喝 难喝",
    ),
    "service": (
        "service support staff seller vendor representative refund return returns warranty customer helpful rude"
        " reply replied response",
        "服务 客服 态度 卖家 售后 店家 商家 老板 店主 退货 退款 换货 前台 服务员 回复 保修 京东客服",
    ),
    "packaging": (
        "packaging package box boxed wrapped wrapping carton sealed bottle",
        "包装 盒子 箱子 包裹 外包装 封口 打包 纸箱 瓶子 泡沫",
    ),
    "performance": (
        "performance speed fast slow slowly quick powerful power runs lag lags crash heat hot noise noisy quiet"
        " loud processor memory",
        "性能 速度 运行 反应 流畅 卡 死机 发热 散热 噪音 声音大 静音 配置 内存 硬盘 功能 加热 效果 驱动 系统",
    ),
    "use": (
        "easy easily use uses using setup install installation assemble instructions manual convenient handy"
        " difficult simple intuitive",
        "使用 好用 操作 安装 方便 简单 说明书 上手 易用 实用 难用 麻烦",
    ),
    "smell": (
        "smell smells smelly odor scent fragrance stink stinks",
        "气味 异味 香味 味儿 刺鼻 好闻 难闻 臭 清香",
    ),
    "display": (
        "screen display resolution picture pixel touchscreen brightness",
        "屏幕 屏 显示 画面 分辨率 画质 触屏 清晰 像素",
    ),
    "sound": (
        "sound sounds audio volume bass speaker speakers microphone",
        "音质 声音 音量 喇叭 扬声器 耳机 音效 通话",
    ),
    "content": (
        "story plot writing chapter author read reading book content characters",
        "内容 故事 情节 作者 文笔 书 印刷 纸张 翻译 文字 读 看完 插图 排版",
    ),
    "place": (
        "location room rooms bathroom bed breakfast lobby hotel view neighborhood",
        "位置 房间 早餐 酒店 宾馆 卫生间 床 设施 大堂 交通 隔音 入住 前台",
    ),
    "clean": (
        "clean cleaning cleans washing wash washed hygiene dirty stain lather rinse",
        "干净 卫生 清洗 清洁 洗 去屑 脏 控油 清爽 去污 泡沫丰富",
    ),
}
"""{aspect: (English words, Chinese words)}."""

SENTENCE = re.compile(r"[^.!?。！？;；\n~～…]+(?:[.!?。！？;；~～…]+[\"'”’)）]*|\n|$)")
_CLAUSE_EN = re.compile(r"[,:()]|\b(?:but|however|although|though|except|whereas|while|yet)\b")
_CLAUSE_ZH = re.compile(r"[,，、:：()（）\s]|但是|但|不过|可是|可惜|只是|就是|然而|而且")
_WORD = re.compile("[a-z0-9]+")
FEWEST_REVIEWS, FEWEST_ITEMS = 8, 3
MOST_MINED = 12
NEAR = 3
"""Words between a word and the opinion beside it."""
BESIDE = 0.35
"""Share of a mined word's mentions that stand beside an opinion."""


class Opinion(NamedTuple):
    """What one sentence says of one aspect."""

    aspect: str
    value: float
    """-1 (complaint) to 1 (praise)."""
    sentence: int
    """Which sentence of the review."""


@dataclass(frozen=True)
class Aspects:
    """Finds aspects in clauses. `mined` are further words, each an aspect of its own."""

    mined: tuple[str, ...] = ()

    @cached_property
    def _english(self) -> dict[str, str]:
        found = {stem(word): name for name, (listed, _) in ASPECTS.items() for word in listed.split()}
        return {stem(word): word for word in self.mined if word.isascii()} | found

    @cached_property
    def _chinese(self) -> tuple[re.Pattern[str], dict[str, str]]:
        found = {word: name for name, (_, listed) in ASPECTS.items() for word in listed.split()}
        found = {word: word for word in self.mined if not word.isascii()} | found
        known = sorted(found, key=lambda word: (-len(word), word))
        return re.compile("|".join(map(re.escape, known))), found

    def named(self, clause: str, language: str) -> list[str]:
        """The aspects that a folded clause speaks of, each once, in order."""
        if language == "zh":
            pattern, found = self._chinese
            return list(dict.fromkeys(found[match] for match in pattern.findall(clause)))
        names = (self._english.get(stem(word)) for word in _WORD.findall(clause))
        return list(dict.fromkeys(name for name in names if name is not None))

    def opinions(self, text: str, lexicon: Lexicon, language: str = "") -> list[Opinion]:
        """Every opinion of a text, one for each sentence and aspect. A clause that only goes on ("and it lasts") is
        about what the sentence spoke of last; one that speaks of nothing is not counted."""
        language = language or detect(text)
        found: list[Opinion] = []
        for at, sentence in enumerate(sentences(text)):
            told: dict[str, list[float]] = {}
            last: list[str] = []
            for clause in clauses(fold(sentence), language):
                values = [hit.value for hit in lexicon.hits(clause)]
                names = self.named(clause, language) or (last if values else [])
                last = names or last
                for name in names:
                    told.setdefault(name, []).extend(values)
            found += [Opinion(name, round(squashed(values), 4), at) for name, values in told.items() if values]
        return found


def sentences(text: str) -> list[str]:
    """The sentences of a text, as they stand in it."""
    return [part for found in SENTENCE.finditer(text) if (part := found[0].strip())]


def clauses(folded: str, language: str) -> list[str]:
    """The parts of a sentence that may each say something else."""
    parts = (_CLAUSE_ZH if language == "zh" else _CLAUSE_EN).split(folded)
    return [part for part in parts if part and not part.isspace()]


def mine(texts: Iterable[tuple[str, str]], lexicons: Mapping[str, Lexicon]) -> tuple[str, ...]:
    """Further aspects from (item, text): the words most spoken of beside opinions, by how many reviews do."""
    plain, seen, beside, where = Aspects(), Counter[str](), Counter[str](), dict[str, set[str]]()
    for item, text in texts:
        language = detect(text)
        lexicon = lexicons[language]
        all_words, near = _words_of(text[:1_000], lexicon)
        for word in all_words:
            seen[word] += 1
            held = where.setdefault(word, set())
            if len(held) < FEWEST_ITEMS:
                held.add(item)
        beside.update(near)
    fit = [
        word
        for word, count in beside.items()
        if count >= FEWEST_REVIEWS
        and count >= BESIDE * seen[word]
        and len(where[word]) >= FEWEST_ITEMS
        and not plain.named(word, detect(word))
    ]
    return tuple(sorted(sorted(fit, key=lambda word: (-beside[word], word))[:MOST_MINED]))


def _words_of(text: str, lexicon: Lexicon) -> tuple[set[str], set[str]]:
    """(the words of a text that may be aspects, those of them that stand beside an opinion)."""
    every: set[str] = set()
    near: set[str] = set()
    for sentence in sentences(text):
        said = words(sentence)
        opinion = [at for at, word in enumerate(said) if lexicon.values.get(_key(word, lexicon.language))]
        for at, word in enumerate(said):
            if _may_be(word, lexicon):
                every.add(word)
                if any(0 < abs(at - other) <= NEAR for other in opinion):
                    near.add(word)
    return every, near


def _may_be(word: str, lexicon: Lexicon) -> bool:
    if not word.isalpha() or len(word) < (4 if word.isascii() else 2) or word in STOP_WORDS or word in _NOUNLESS:
        return False
    return not lexicon.values.get(_key(word, lexicon.language)) and word not in (*NEGATIONS_EN, *NEGATIONS_ZH)


def _key(word: str, language: str) -> str:
    return word if language == "zh" else stem(word)


_NOTHING = """
have they them these those been were your their there when then than what which would could should just also
more much some only even about after before into over time times thing things lot bit little other another every
each because back make made want need know think feel still since while will does doing done being both such
same most many first last year years month months week weeks days around through really definitely always bought
buy purchased product item items ordered order makes theyre thats youre ive dont didnt doesnt isnt wasnt got get
gets getting going goes went come came keep keeps wear wearing wore used way day people anyone everyone someone
something anything everything nothing bought 这个 那个 这些 那些 就是 还是 还有 一个 一下 一点 有点 感觉 觉得
东西 起来 可以 没有 不是 但是 因为 所以 如果 而且 不过 可能 应该 已经 时候 比较 还行 一般 购买 买的 一次 这么
那么 什么 怎么 自己 我们 他们 你们 大家 现在 今天 昨天 以后 之前 以前 后来 知道 看到 确实 真的 真是 总体 整体
基本 只是 只有 不会 不能 不要 需要 想要 喜欢 一直 第一 第二 有些
"""
_NOUNLESS: Final = DEGREE_EN | frozenset((*DEGREE_ZH, *_NOTHING.split()))
"""Words that stand beside opinions and are about nothing."""
