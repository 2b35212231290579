"""Which words praise and which complain? A small list of our own in English and Chinese, and what stars teach.

A word counts +1 or -1; a negation up to three words (Chinese: four characters) before it turns it round and takes a
fifth off ("not bad" is praise, but faint); a word of degree makes it count half as much again. The score of a text is
the sum over its hits, squashed to (-1, 1). From stars the list learns more words: those that stand on one side surely
more often than on the other (log odds against a prior, Monroe et al. 2008, z of 4 or more).
Cost: 5 us a sentence. Not for: a verdict where there are labels (`sentiment` uses this as one feature among many).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bodega.understanding.language import fold, stem, words

PRAISE_EN = """
amazing awesome beautiful best bargain breathable bright brilliant charming cheerful classy clean comfortable
comfy convenient cool cozy crisp cute dependable delicious delight delightful durable easy effective efficient
elegant enjoy excellent exceptional fabulous fancy fantastic fast fine flattering flawless flexible fresh
friendly fun generous gentle genuine glad good gorgeous great handy happy helpful ideal impress impressed
impressive incredible light lightweight like love loved lovely luxurious magnificent marvelous neat nice
outstanding perfect perfectly pleasant pleased pleasure polite powerful practical premium pretty prompt quick
quiet recommend recommended reliable responsive roomy satisfied sharp sleek smart smooth snug soft solid
spacious splendid stable sturdy stunning stylish super superb supportive sweet tasty terrific thrilled tough
true useful value versatile vibrant warm waterproof wonderful worth yummy thank thanks well works worked
"""
COMPLAINT_EN = """
annoying avoid awful awkward bad bland blurry boring break broke broken bulky buggy bent cheap cheaply clumsy
cold complain complaint cracked crap crappy crash cut damaged dead deceived defect defective difficult dim dirty
disappoint disappointed disappointing disappointment discolored disgusting dishonest dull embarrassing error
expired expensive fade faded fail failed fails failure fake false fault faulty flaw flawed flimsy fragile frayed
freeze frustrating garbage gross hard harsh hate hated heavy horrible hurt ignored impossible inaccurate
incomplete inconvenient inferior irritating itchy jam junk lack lacking lag late leak leaked leaking leaks lie
loose loud lousy lost mediocre mess messy misleading missing mistake mold moldy nasty never noisy odd overpriced
pain painful peel peeled pilled pilling poor poorly problem refund regret refuse return returned returning rip
ripped rough rude ruin ruined rust rusty sad scam scratch scratched scratchy shame shoddy shrink shrank sick
slippery slow sloppy smell smells smelly soggy sour spoiled stain stained stale stiff stink stinks stuck stupid
struggle tear tearing terrible thin tight torn trash trouble ugly unable uncomfortable unfortunately unhappy
unhelpful unpleasant unprofessional unreliable unresponsive unusable upset useless waste weak weird worn worse
worst worthless wrong
"""
PRAISE_ZH = """
不错 好用 好吃 好看 好喝 好评 好闻 很好 挺好 真好 太好 最好 良好 美好 完好 喜欢 满意 满足 推荐 值得 超值 划算
实惠 便宜 物美价廉 物超所值 性价比高 优惠 给力 漂亮 美观 精致 大方 时尚 高档 上档次 高端 大气 优雅 可爱 舒服
舒适 柔软 透气 保暖 暖和 合身 合适 合脚 得体 修身 显瘦 轻便 轻薄 结实 耐用 牢固 扎实 厚实 方便 快捷 迅速 神速
及时 准时 快递快 很快 流畅 顺畅 清晰 清楚 清爽 灵敏 稳定 安静 静音 省电 省心 放心 贴心 细心 耐心 热情 周到 礼貌
专业 负责 友好 新鲜 美味 香甜 甜 脆 多汁 爽口 鲜美 香 可口 入味 干净 整洁 卫生 正品 真品 优质 品质好 质量好 完美
完整 惊喜 开心 高兴 愉快 幸福 感动 感谢 谢谢 赞 点赞 棒 很棒 超棒 优秀 出色 精彩 经典 深刻 感人 受益 有用 实用
有趣 有意思 生动 温馨 宽敞 豪华 强大 强劲 厉害 佩服 值 顺滑 丝滑 去屑 滋润 柔顺 温和 一如既往 物有所值 回购 再来
会再 还会买 下次还 好极了 爱不释手 没问题 没毛病 不后悔 好
"""
COMPLAINT_ZH = """
差 很差 太差 极差 差劲 差评 不好 不行 不满意 不满 不值 不推荐 不喜欢 不舒服 不合适 不合身 不新鲜 不好吃 不好看
不好用 不清楚 不清晰 不稳定 不方便 不负责 不耐烦 不理 不如 失望 后悔 垃圾 烂 坏 坏了 坏的 破 破损 破旧 破了 损坏
碎 裂 裂了 开裂 掉色 褪色 变形 起球 缩水 开胶 脱线 线头 断 断了 掉毛 粗糙 劣质 低劣 次品 假货 假的 假 山寨 仿品
冒牌 盗版 骗 骗人 欺骗 欺诈 忽悠 坑 坑人 坑爹 上当 虚假 误导 宣传不符 不符 色差 异味 臭 刺鼻 难闻 味道大 难吃
难看 难受 难用 难喝 难 酸 苦 涩 干瘪 腐烂 烂了 发霉 霉 变质 过期 馊 脏 脏兮兮 污渍 慢 太慢 很慢 卡 卡顿 死机
蓝屏 黑屏 花屏 闪退 重启 发热 发烫 烫 耗电 噪音 噪声 吵 漏 漏水 漏电 故障 失灵 问题 毛病 缺陷 瑕疵 划痕 缺货
少发 漏发 错发 发错 缺少 少了 缺斤少两 退货 退款 换货 投诉 维权 拒绝 推卸 推脱 敷衍 冷漠 恶劣 恶心 粗暴 骂 气愤
生气 郁闷 无语 可恶 可惜 遗憾 糟糕 糟 麻烦 费劲 复杂 浪费 白花 白买 贵 太贵 偏贵 坑钱 薄 太薄 太小 太大 太紧
太硬 偏小 偏大 勒 硌 扎 痒 过敏 起疹 小气 小得可怜 无聊 枯燥 乏味 空洞 肤浅 无用 没用 没效果 没意思 没味道
没反应 一般般 失误 错误 错别字 晕 再也不 千万别 别买 不要买 谨慎 慎重 吃亏 讨厌 反感 恐怖 吓人 伤心 差强人意
"""
_DEGREE = "very really so extremely super too absolutely totally highly incredibly quite truly"
DEGREE_EN = frozenset(_DEGREE.split())
_TURNING = """
not no never none neither nor cannot cant dont doesnt didnt isnt arent wasnt werent wont wouldnt shouldnt
couldnt hasnt havent hadnt without hardly barely nothing aint lacks less
"""
NEGATIONS_EN = frozenset(_TURNING.split())
DEGREE_ZH = ("非常", "特别", "十分", "超级", "极其", "实在", "相当", "很", "太", "超", "最", "真", "巨")
NEGATIONS_ZH = (
    "不是",
    "没有",
    "并不",
    "毫不",
    "不够",
    "不太",
    "不怎么",
    "从不",
    "无法",
    "不能",
    "不会",
    "不",
    "没",
    "无",
    "未",
    "别",
)
NOT_NEGATIONS_ZH = (
    "不但",
    "不仅",
    "不光",
    "差不多",
    "不得不",
    "不管",
    "不论",
    "不过",
    "没想到",
    "要不",
    "不愧",
    "不断",
)
WINDOW_EN, WINDOW_ZH = 3, 4
FAINT, STRONG = -0.8, 1.5
FEWEST, SURE = 8, 4.0
_ENGLISH = re.compile("[a-z0-9]+")


class Hit(NamedTuple):
    """An opinion word where it stands."""

    word: str
    value: float
    """Its own value, times what stands before it."""
    start: int
    end: int
    """Characters of the folded text."""


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Words of one language and what they are worth."""

    language: str
    own: Mapping[str, float]
    learned: dict[str, float]
    """What stars taught, by word."""

    @classmethod
    def of(cls, language: str, learned: Mapping[str, float] | None = None) -> Lexicon:
        """The built-in list of a language (`zh`, anything else is English), with what was learned beside it."""
        praise, complaint = (PRAISE_ZH, COMPLAINT_ZH) if language == "zh" else (PRAISE_EN, COMPLAINT_EN)
        own = {_key(word, language): 1.0 for word in praise.split()}
        own |= {_key(word, language): -1.0 for word in complaint.split()}
        return cls("zh" if language == "zh" else "en", own, dict(learned or {}))

    @cached_property
    def values(self) -> dict[str, float]:
        """{word (English: its stem): value}; our own words keep theirs."""
        return {**self.learned, **self.own}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        known = sorted(
            {*self.values, *NEGATIONS_ZH, *NOT_NEGATIONS_ZH, *DEGREE_ZH}, key=lambda word: (-len(word), word)
        )
        return re.compile("|".join(map(re.escape, known)))

    def score(self, text: str) -> float:
        """From -1 to 1; 0 where no word is known."""
        return squashed([hit.value for hit in self.hits(fold(text[:2_000]))])

    def hits(self, folded: str) -> list[Hit]:
        """The opinion words of a folded text, in order."""
        return self._chinese(folded) if self.language == "zh" else self._english(folded)

    def _english(self, folded: str) -> list[Hit]:
        found, negated, degree = [], -99, -99
        for at, match in enumerate(_ENGLISH.finditer(folded)):
            word = match[0]
            if word in NEGATIONS_EN:
                negated = at
            elif word in DEGREE_EN:
                degree = at
            value = self.values.get(stem(word), 0.0)
            if value and word not in DEGREE_EN:
                turned = value * (FAINT if 0 < at - negated <= WINDOW_EN else 1.0)
                found.append(Hit(word, turned * (STRONG if at - degree == 1 else 1.0), match.start(), match.end()))
        return found

    def _chinese(self, folded: str) -> list[Hit]:
        found, negated, degree = [], -99, -99
        for match in self._pattern.finditer(folded):
            word = match[0]
            value = self.values.get(word, 0.0)
            if value:
                turned = value * (FAINT if match.start() - negated <= WINDOW_ZH else 1.0)
                found.append(
                    Hit(word, turned * (STRONG if match.start() == degree else 1.0), match.start(), match.end())
                )
            if word in DEGREE_ZH:
                degree = match.end()
            elif word in NEGATIONS_ZH and not value:
                negated = match.end()
        return found

    def taught(self, texts: Sequence[str], pleased: NDArray[np.bool_]) -> Lexicon:
        """The same list with the words that stars surely tell apart."""
        sides = Counter[str](), Counter[str]()
        for text, up in zip(texts, pleased.tolist(), strict=True):
            sides[bool(up)].update({_key(word, self.language) for word in words(text[:2_000])})
        complaint, praise = sides
        total = float(sum(praise.values())), float(sum(complaint.values()))
        prior = 500.0 / max(sum(total), 1.0)
        learned: dict[str, float] = {}
        for word in sorted(praise.keys() | complaint.keys()):
            up, down = praise[word], complaint[word]
            if up + down < FEWEST or word in self.own or not _teachable(word):
                continue
            alpha = prior * (up + down)
            odds = math.log((up + alpha) / (total[0] + 500 - up - alpha))
            odds -= math.log((down + alpha) / (total[1] + 500 - down - alpha))
            sure = odds / math.sqrt(1 / (up + alpha) + 1 / (down + alpha))
            if abs(sure) >= SURE:
                learned[word] = round(max(-1.0, min(1.0, odds / 2)), 3)
        return Lexicon(self.language, self.own, learned)


def squashed(values: Sequence[float]) -> float:
    """A sum of hits as a number between -1 and 1."""
    total = sum(values)
    return total / math.sqrt(total * total + 4.0) if values else 0.0


def _key(word: str, language: str) -> str:
    return word if language == "zh" else stem(fold(word))


def _teachable(word: str) -> bool:
    """Words of opinion are words: no numbers, no single letters, nothing that turns another word round."""
    return word.isalpha() and len(word) > 1 and word not in NEGATIONS_EN and word not in NEGATIONS_ZH
